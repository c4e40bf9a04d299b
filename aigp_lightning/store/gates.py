"""Gates: the conditions on a model's metrics under which it may become the latest, as a line of text each.

Longer than 250 lines: how a gate is read, and how it is judged, belong together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from operator import eq, ge, gt, le, lt
from typing import Any, Protocol

from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.comparison_row import LEAST_IMAGES

OPERATORS: dict[str, Callable[[float, float], bool]] = {">=": ge, "<=": le, "==": eq, ">": gt, "<": lt}
LATEST = "latest"
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
GATE = re.compile(r"\s*(?P<metric>[^<>=!\s](?:[^<>=!]*[^<>=!\s])?)\s*(?P<sign>>=|<=|==|>|<)\s*(?P<limit>[^<>=!]+?)\s*")
LIMIT = re.compile(rf"(?P<latest>latest)(?:\s*(?P<by>[-+*])\s*(?P<change>{NUMBER}))?|(?P<number>{NUMBER})")
FORM = "METRIC >= NUMBER, or METRIC >= latest - NUMBER (also >, <=, <, ==; latest + NUMBER, latest * NUMBER)"
EXAMPLE = "--gate 'metrics/mAP50-95(B) >= latest - 0.002'"
DEFAULT_GATE = "not worse than latest within the noise"
FIRST = "there is no latest yet"
DECIDING = ("metrics/mAP50-95(B)", "metrics/mAP50-95(P)", "metrics/mAP50-95(M)")
"""Metrics of boxes, keypoints and masks by which a candidate must not be worse, as far as it has them."""
SUCCESS = "success_rate"
"""The metric of policies by which it must not."""
LISTED = 40
"""Names of metrics that an error lists at most."""


class Compared(Protocol):
    """A metric of two models on the same pictures or starts, and the 95 % interval of the difference."""

    @property
    def candidate(self) -> float:
        """The candidate's."""

    @property
    def other(self) -> float:
        """The latest's."""

    @property
    def value(self) -> float:
        """The candidate's less the latest's."""

    @property
    def low(self) -> float:
        """Lower end of the interval."""

    @property
    def high(self) -> float:
        """Upper end of the interval."""


@dataclass(frozen=True)
class Gate:
    """A condition on a metric.

    Attributes:
        text: as it was typed, without blanks around it.
        metric: its name in the results.
        sign: `>=`, `>`, `<=`, `<` or `==`.
        number: the limit, or what changes the latest's value to it.
        by: None: the number is the limit itself. `+`, `-` or `*`: the limit is the latest's value changed so.
    """

    text: str
    metric: str
    sign: str
    number: float
    by: str | None = None

    def limit(self, latest: float | None) -> float | None:
        """Return the limit; None where it takes the latest's value and that is not known.

        Args:
            latest: the latest's value of the metric.
        """
        if self.by is None:
            return self.number
        if latest is None or not math.isfinite(latest):
            return None
        if self.by == "*":
            return latest * self.number
        return latest + self.number if self.by == "+" else latest - self.number

    def holds(self, candidate: float | None, latest: float | None) -> bool:
        """True if a candidate meets the condition; with a value that is unknown or no number it never does.

        Args:
            candidate: its value of the metric.
            latest: the latest's.
        """
        limit = self.limit(latest)
        if candidate is None or limit is None or not math.isfinite(candidate):
            return False
        return bool(OPERATORS[self.sign](candidate, limit))


@dataclass(frozen=True)
class Judgement:
    """The decision of the gates.

    Attributes:
        passed: all of them hold.
        rows: one for each gate: `gate`, `metric`, `candidate`, `latest`, `difference`, `interval` (95 %, low and high,
            or None), `passed`, and `message`, in words.
    """

    passed: bool
    rows: list[dict[str, Any]]


def parse_gate(text: str) -> Gate:
    """Read a gate.

    Args:
        text: as `metrics/mAP50-95(B) >= latest - 0.002`.

    Raises:
        ConfigError: it is none.
    """
    found = GATE.fullmatch(text)
    limit = LIMIT.fullmatch(found["limit"]) if found is not None else None
    if found is None or limit is None:
        raise ConfigError(f"--gate {text!r} cannot be read: {FORM}. For instance {EXAMPLE}.")
    by, number = (None, limit["number"]) if limit["latest"] is None else (limit["by"] or "+", limit["change"] or "0")
    if not math.isfinite(value := float(number)):
        raise ConfigError(f"--gate {text!r}: {number} is too large a number.")
    return Gate(text.strip(), found["metric"], found["sign"], value, by)


def judge(
    gates: Sequence[Gate],
    candidate: Mapping[str, float | None],
    latest: Mapping[str, float | None] | None,
    difference: Mapping[str, Compared] | None = None,
    images: int | None = None,
) -> Judgement:
    """Decide whether a candidate may become the latest.

    Without gates it may, unless it is worse by more than the noise: the whole 95 % interval of one of the differences
    lies below zero. Of fewer than `LEAST_IMAGES` pictures an interval says nothing: then it must not be lower at all.

    Args:
        gates: which all have to hold.
        candidate: its metrics.
        latest: the latest's; None where there is none yet, and then nothing is worse than it.
        difference: by metric the comparison on the same pictures, for which more is better; without gates it decides.
        images: pictures on which the two were compared; None: it is not pictures.

    Raises:
        ConfigError: a gate names a metric that the candidate has not got.
    """
    check_metrics(gates, candidate)
    difference = difference or {}
    if gates:
        rows = [_row_of(gate, candidate, latest, difference.get(gate.metric)) for gate in gates]
    elif latest is None:
        rows = [_first_row(name, candidate[name]) for name in (*DECIDING, SUCCESS) if name in candidate]
        rows = rows or [_row(DEFAULT_GATE, "", None, None, None, True, FIRST)]
    elif not difference:
        rows = [_row(DEFAULT_GATE, "", None, None, None, False, "the two could not be compared")]
    else:
        rows = [_default_row(metric, one, images) for metric, one in difference.items()]
    return Judgement(all(row["passed"] for row in rows), rows)


def check_metrics(gates: Sequence[Gate], metrics: Mapping[str, float | None]) -> None:
    """Check that metrics which gates name are there.

    Args:
        gates: of the command line.
        metrics: of the candidate, by name.

    Raises:
        ConfigError: one is not; in a line, with the nearest names.
    """
    for gate in gates:
        if gate.metric in metrics:
            continue
        near = get_close_matches(gate.metric, metrics, n=2, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        names = sorted(metrics)
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        known = ", ".join(names[:LISTED]) + more if names else "none: the candidate was not evaluated"
        raise ConfigError(f"--gate {gate.text!r}: there is no metric {gate.metric!r}.{hint} There are: {known}.")


def _row_of(
    gate: Gate,
    candidate: Mapping[str, float | None],
    latest: Mapping[str, float | None] | None,
    compared: Compared | None,
) -> dict[str, Any]:
    """Return the row of a gate; a comparison on the same pictures gives the values where there is one."""
    mine = candidate[gate.metric] if compared is None else compared.candidate
    theirs = (None if latest is None else latest.get(gate.metric)) if compared is None else compared.other
    if gate.by is not None and latest is None and compared is None:
        measured = mine is not None and math.isfinite(mine)
        return _row(gate.text, gate.metric, mine, None, None, measured, FIRST if measured else _unmet(gate, mine, None))
    passed = gate.holds(mine, theirs)
    message = "" if passed else _unmet(gate, mine, theirs)
    return _row(gate.text, gate.metric, mine, theirs, compared, passed, message)


def _unmet(gate: Gate, candidate: float | None, latest: float | None) -> str:
    if candidate is None or not math.isfinite(candidate):
        return f"the candidate's {gate.metric} is not known"
    limit = gate.limit(latest)
    if limit is None:
        return f"the latest's {gate.metric} is not known"
    return f"{candidate:.6g} is not {gate.sign} {limit:.6g}"


def _first_row(metric: str, value: float | None) -> dict[str, Any]:
    measured = value is not None and math.isfinite(value)
    message = FIRST if measured else f"the candidate's {metric} is not known"
    return _row(DEFAULT_GATE, metric, value, None, None, measured, message)


def _default_row(metric: str, one: Compared, images: int | None) -> dict[str, Any]:
    numbers = (one.candidate, one.other, one.value, one.low, one.high)
    if not all(map(math.isfinite, numbers)):
        return _row(DEFAULT_GATE, metric, one.candidate, one.other, one, False, "it could not be measured")
    if images is not None and images < LEAST_IMAGES:
        passed = bool(one.value >= 0)
        few = f"of {images} picture{'s' * (images != 1)} an interval says nothing, so that it must not be lower at all"
        message = few if passed else f"lower by {-one.value:.4g}; {few}"
        return _row(DEFAULT_GATE, metric, one.candidate, one.other, one, passed, message)
    passed = bool(one.high >= 0)
    message = "" if passed else f"worse by {-one.value:.4g} (95 % interval {-one.high:.4g} to {-one.low:.4g})"
    return _row(DEFAULT_GATE, metric, one.candidate, one.other, one, passed, message)


def _row(
    gate: str,
    metric: str,
    candidate: float | None,
    latest: float | None,
    compared: Compared | None,
    passed: bool,
    message: str,
) -> dict[str, Any]:
    known = candidate is not None and latest is not None
    return {
        "gate": gate,
        "metric": metric,
        "candidate": _finite(candidate),
        "latest": _finite(latest),
        "difference": _finite(candidate - latest) if known else None,  # type: ignore[operator]
        "interval": None if compared is None else [_finite(compared.low), _finite(compared.high)],
        "passed": passed,
        "message": message,
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
