"""The rule by which thresholds are chosen: targets that have to be met, and the figure that decides among the rest."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError

FIGURES: dict[str, str] = {
    "usable": "share of frames in which a pose can be had",
    "position_m": "median error of the position, metres",
    "rotation_deg": "median error of the rotation, degrees",
    "corner_px": "median error of a corner that is seen, pixels of the picture",
    "precision": "share of detections that are right",
    "recall": "share of objects that are found",
    "f1": "harmonic mean of precision and recall",
    "false_alarms": "detections in a frame without objects",
    "duplicates": "further detections on an object",
}
"""Figures of a combination of thresholds."""
LESS_IS_BETTER = frozenset({"position_m", "rotation_deg", "corner_px", "false_alarms", "duplicates"})
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
TARGET = re.compile(r"([A-Za-z_0-9]+)\s*(<=|>=|<|>)\s*([-+.0-9eE]+)")
USUAL_ALARMS = 0.05
"""False alarms in a frame without objects up to which thresholds are chosen where nothing else is asked for."""
SMALL = 1e-3
"""Least scale by which it is told how near to a limit a figure comes."""
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A limit that a figure has to keep.

    Attributes:
        figure: its name, see `FIGURES`.
        comparison: `<=`, `>=`, `<` or `>`.
        limit: the number.

    Example:
        >>> print(Target("false_alarms", "<=", 0.05))
        false_alarms <= 0.05
    """

    figure: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        return f"{self.figure} {self.comparison} {self.limit:g}"

    def met(self, values: Values) -> NDArray[np.bool_]:
        """Return where a figure keeps the limit; what is no number does not.

        Args:
            values: of the figure, any shape.
        """
        return np.asarray(COMPARISONS[self.comparison](values, self.limit), np.bool_)

    def miss(self, values: Values) -> Values:
        """Return how far beyond the limit a figure is, as a share of it; infinite for what is no number.

        Args:
            values: of the figure, any shape.

        Example:
            >>> Target("recall", ">=", 0.8).miss(np.array([0.4, 0.9])).tolist()
            [0.5, 0.0]
        """
        beyond = (values - self.limit) * (1 if self.comparison.startswith("<") else -1)
        scaled = np.maximum(beyond, 0) / max(abs(self.limit), SMALL)
        return np.asarray(np.where(self.met(values), 0, np.where(np.isfinite(scaled), scaled, np.inf)))


@dataclass(frozen=True)
class Rule:
    """What thresholds are chosen by.

    Attributes:
        targets: limits, all of which have to be kept.
        figure: that decides among the combinations that keep them.
        maximize: whether more of it is better.

    Example:
        >>> print(Rule((Target("false_alarms", "<=", 0.05),), "usable"))
        false_alarms <= 0.05, then the most usable
    """

    targets: tuple[Target, ...]
    figure: str
    maximize: bool = True

    def __str__(self) -> str:
        best = f"the {'most' if self.maximize else 'least'} {self.figure}"
        return f"{', '.join(map(str, self.targets))}, then {best}" if self.targets else best


def parse_targets(given: str | Sequence[str] | None) -> tuple[Target, ...]:
    """Return the limits that are typed.

    Args:
        given: such as `false_alarms <= 0.05`, several with commas or in a list.

    Raises:
        ConfigError: it is no limit, or of a figure that there is not.

    Example:
        >>> [str(target) for target in parse_targets("false_alarms<=0.05, recall > .5")]
        ['false_alarms <= 0.05', 'recall > 0.5']
    """
    texts = [given] if isinstance(given, str) else list(given or ())
    return tuple(_target(part.strip()) for text in texts for part in text.split(",") if part.strip())


def _target(text: str) -> Target:
    found = TARGET.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        limit = float(found[3])
    except ValueError:
        raise ConfigError(
            f"--target {text!r}: write a figure, a comparison (<= >= < >) and a number, as in 'false_alarms <= 0.05'."
        ) from None
    return Target(check_figure("--target", found[1]), found[2], limit)


def check_figure(option: str, name: str) -> str:
    """Return the name of a figure.

    Args:
        option: that names it, for the error.
        name: as it is typed.

    Raises:
        ConfigError: there is no such figure.

    Example:
        >>> check_figure("--maximize", "usable")
        'usable'
    """
    if name not in FIGURES:
        raise ConfigError(f"{option} {name}: there is no such figure; known are {', '.join(FIGURES)}.")
    return name


def choose_rule(
    targets: tuple[Target, ...], maximize: str | None, minimize: str | None, known: Mapping[str, str], empty: int
) -> Rule:
    """Return the rule that is asked for, completed: by default the most usable frames, or of detectors the best F1.

    Where nothing is asked for, and there are frames without objects, at most 0.05 false alarms a frame are the target;
    of fewer than 20 such frames one alarm in all, since so few cannot tell a lower rate from none.

    Args:
        targets: that are asked for.
        maximize: the figure that is asked for, or None.
        minimize: another one, or None.
        known: by figure why it cannot be had here; empty texts for those that can.
        empty: number of frames without objects.

    Raises:
        ConfigError: both are asked for, a figure that cannot be had here, or the worst of one.

    Example:
        >>> print(choose_rule((), None, None, {"usable": "", "false_alarms": "no frame is without objects"}, 0))
        the most usable
    """
    if maximize is not None and minimize is not None:
        raise ConfigError("--maximize and --minimize: one figure decides; give the other as a --target.")
    asked = maximize or minimize
    for option, name in [("--target", each.figure) for each in targets] + [
        (f"--{'minimize' if maximize is None else 'maximize'}", name) for name in (asked,) if name is not None
    ]:
        if why := known.get(check_figure(option, name), "it is not measured"):
            raise ConfigError(f"{option} {name}: {why}.")
    if asked is not None and (asked in LESS_IS_BETTER) == (maximize is not None):
        other = "minimize" if maximize is not None else "maximize"
        raise ConfigError(
            f"--{'minimize' if maximize is None else 'maximize'} {asked} takes the worst: --{other} {asked}."
        )
    if asked is not None:
        return Rule(targets, asked, minimize is None)
    figure = next((name for name in ("usable", "f1") if not known.get(name, "-")), None)
    if figure is None:
        raise ConfigError(
            "nothing can be measured by which thresholds could be chosen: there are no labels, and no poses "
            f"({known.get('usable', 'no keypoints')})."
        )
    usual = (
        (Target("false_alarms", "<=", max(USUAL_ALARMS, 1 / max(empty, 1))),)
        if not known.get("false_alarms", "-")
        else ()
    )
    return Rule(targets or usual, figure)
