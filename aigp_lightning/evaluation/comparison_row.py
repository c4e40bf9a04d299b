"""One figure of two models, their difference with its interval, and what that says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from aigp_lightning.errors import DataError

BETTER, WORSE, NOTHING, TOO_FEW, UNKNOWN = (
    "better",
    "worse",
    "no difference that the pictures show",
    "too few pictures",
    "not measured",
)
LEAST_IMAGES = 6
"""Fewest pictures of which anything is said: that all of five differ in one direction is chance in 1 of 16 cases
(2 in 2⁵), of six in 1 of 32."""

DIGITS, USUAL_DIGITS = {"px": 2, "°": 2, "m": 3}, 4
"""Digits behind the point that are shown, by unit; of shares the usual ones."""


class Span(NamedTuple):
    """A figure of both models, and the 95 % interval of B − A; None is not known."""

    a: float | None
    b: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """A figure of two models.

    Attributes:
        group: the class, the size or the band of distance that it is of; empty for all.
        metric: its name.
        span: the figure of both, and the interval of the difference.
        images: pictures that it rests on.
        objects: labelled objects that it rests on.
        higher_is_better: whether more is better.
        unit: such as `px`; empty for a share.

    Example:
        >>> row = Row("", "metrics/mAP50-95(B)", Span(0.5, 0.25, -0.375, -0.125), images=40, objects=90)
        >>> row.difference, row.verdict(), row.verdict(margin=0.25)
        (-0.25, 'worse', 'no difference that the pictures show')
    """

    group: str
    metric: str
    span: Span
    images: int
    objects: int
    higher_is_better: bool = True
    unit: str = ""

    @property
    def digits(self) -> int:
        """Digits behind the point that are shown; smaller differences are those of rounding in files and networks."""
        return DIGITS.get(self.unit, USUAL_DIGITS)

    @property
    def difference(self) -> float | None:
        """B − A; None where one of them is not known."""
        return None if self.span.a is None or self.span.b is None else self.span.b - self.span.a

    def verdict(self, margin: float = 0.0) -> str:
        """Say whether B is better than A: where the whole interval lies on one side of 0, also as it is shown.

        Args:
            margin: where it lies beyond this much.
        """
        if self.span.low is None or self.span.high is None:
            return UNKNOWN
        if self.images < LEAST_IMAGES:
            return TOO_FEW
        more, less = (round(end, self.digits) > margin for end in (self.span.low, -self.span.high))
        if not more and not less:
            return NOTHING
        return BETTER if more == self.higher_is_better else WORSE

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "group": self.group,
            "metric": self.metric,
            "unit": self.unit,
            "higher_is_better": self.higher_is_better,
            "images": self.images,
            "objects": self.objects,
            **self.span._asdict(),
            "difference": self.difference,
            "verdict": self.verdict(),
        }


def is_worse(rows: Iterable[Row], margin: float) -> bool:
    """True if B is worse by one of the figures that decide.

    Args:
        rows: of these figures.
        margin: a loss up to this is put up with.

    Raises:
        DataError: one of them was not measured, or on too few pictures: that is no pass.

    Example:
        >>> is_worse([Row("", "metrics/mAP50-95(B)", Span(0.5, 0.25, -0.375, -0.125), 40, 90)], margin=0.0)
        True
    """
    verdicts = {row.metric: row.verdict(margin) for row in rows}
    if WORSE in verdicts.values():
        return True
    for metric, verdict in verdicts.items():
        if verdict in (UNKNOWN, TOO_FEW):
            raise DataError(
                f"--fail-if-worse cannot be decided by {metric}: {verdict}. Take --data with more labelled pictures."
            )
    return False
