"""The errors of keypoints over a whole split, summed up: for loggers, for tables, and for a plot."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.modules.metrics.rigid_pose import target_of
from aigp_lightning.types import CornerErrors, Keypoints

FOUND, WHOLE, DISTANCE, POSITION, ROTATION, HEAD = range(6)
"""Columns of a row about an object: whether it was found; whether all its keypoints are labelled; how far it is,
metres; how far off its position is, metres, and its rotation, degrees. Then K errors in pixels, then K times whether
the visibility is right. What is unknown is NaN."""
REPROJECTION, AMBIGUITY, REFUSED, QUALITIES = range(4)
"""Columns of a row about the pose of what was found: RMS reprojection error, pixels of the camera's picture; how well
the other pose that a plane has fits, see `TargetPoses`; whether the limit refuses it. What is unknown is NaN; the last
is the number of columns."""
GATE_CORNERS = 4
FEW = 8
"""Up to so many keypoints have a figure each among the scalars."""
UNKNOWN, PARTLY = "distance unknown", "partly in view"
Rows = NDArray[np.float32]
Figure = float | None


def row_width(count: int) -> int:
    """Return the number of columns of a row about an object.

    Args:
        count: keypoints of the object.

    Example:
        >>> row_width(4)
        13
    """
    return HEAD + 2 * count


@dataclass(frozen=True)
class CornerReport:
    """Keypoints of a whole split, summed up.

    A mean or median of pixels is over keypoints, one of metres or degrees over gates; both over what was found.

    Attributes:
        rows: (M, `row_width(K)`) of all batches.
        keypoints: what the data set says about them.
        camera: it knows the bands of distance; None where objects have no distance.
        poses: (M, `QUALITIES`) of the same objects; None where nobody measured them.

    Example:
        >>> rows = np.full((2, row_width(2)), np.nan, np.float32)
        >>> rows[:, FOUND] = 1, 0
        >>> rows[0, HEAD:] = 3, 5, 1, 0  # errors in pixels, then whether the visibility is right
        >>> report = CornerReport(rows, Keypoints(2, 3, ("top", "bottom")), camera=None)
        >>> report.bands()[0]["found"], report.scalars()["corners/error_px_mean"]
        (0.5, 4.0)
    """

    rows: Rows
    keypoints: Keypoints
    camera: GateCamera | None
    poses: Rows | None = None

    @cached_property
    def _solvable(self) -> bool:
        return target_of(self.keypoints, self.camera) is not None or bool((~np.isnan(self.rows[:, DISTANCE])).any())

    @cached_property
    def _pixels(self) -> Rows:
        return self.rows[:, HEAD : HEAD + self.keypoints.count]

    @cached_property
    def _seen(self) -> NDArray[np.int64]:
        """How many keypoints of each object were taken as visible: rightly those that are labelled, wrongly others."""
        labelled = ~np.isnan(self._pixels)
        right = self.rows[:, HEAD + self.keypoints.count :]
        return np.asarray((np.isnan(right) | ((right == 1) == labelled)).sum(1))

    @cached_property
    def _right(self) -> Rows:
        right = self.rows[:, HEAD + self.keypoints.count :]
        return right if self.keypoints.numbers > len(("x", "y")) else np.full_like(right, np.nan)

    def scalars(self) -> dict[str, float]:
        """Return figures for a logger; those that nothing is known about are left out."""
        figures = {
            "corners/error_px_mean": _mean(self._pixels),
            "corners/error_px_median": _median(self._pixels),
            "corners/visible_accuracy": _mean(self._right),
        }
        if self.keypoints.count <= FEW:
            names = [re.sub(r"\W+", "_", name) for name in self.keypoints.names]
            names = names if len(set(names)) == len(names) else list(map(str, range(len(names))))
            figures |= {f"corners/visible_{name}": _mean(self._right[:, place]) for place, name in enumerate(names)}
        for key, column in (("position_m", POSITION), ("rotation_deg", ROTATION)):
            figures[f"gate/{key}_median"] = _median(self.rows[:, column])
            figures[f"gate/{key}_mean"] = _mean(self.rows[:, column])
        figures |= self._qualities()
        return {key: value for key, value in figures.items() if value is not None}

    def _qualities(self) -> dict[str, Figure]:
        """Return how poses look that have nothing to be held against: as in flight."""
        if self.poses is None:
            return {}
        from aigp_lightning.deploy.runtime import AMBIGUOUS

        ambiguity = self.poses[:, AMBIGUITY]
        ambiguous = np.where(np.isnan(ambiguity), np.nan, ambiguity > AMBIGUOUS)
        return {
            "gate/reprojection_px_median": _median(self.poses[:, REPROJECTION]),
            "gate/ambiguous": _mean(ambiguous),
            "gate/refused": _mean(self.poses[:, REFUSED]),
        }

    def bands(self) -> list[dict[str, Any]]:
        """Return rows by distance, then objects without one, then `all`; None for what nothing is known about.

        Keys: `band`, `gates`, `found` (share of them), `solved` (share of those found, with labels that have a pose,
        whose found keypoints have one: at least four are seen, in places that a view of the object can have, and their
        reprojection error is within the limit), then `error_px`, `position_m` and `rotation_deg`, each
        `_mean` and `_median`.
        """
        return [{"band": name, **self._sum_up(chosen)} for name, chosen in self._parts()]

    def _parts(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        if self._solvable and self.camera is not None:
            distance, limits = self.rows[:, DISTANCE], np.asarray(self.camera.bands)
            known, whole = ~np.isnan(distance), self.rows[:, WHOLE] == 1
            band = np.where(known, np.searchsorted(limits, distance, side="right"), -1)
            between = [f"{one:g}–{other:g} m" for one, other in zip((0, *limits[:-1]), limits, strict=True)]
            for number, name in enumerate([*between, f"over {limits[-1]:g} m"]):
                yield name, band == number
            for name, chosen in ((PARTLY, ~whole & ~known), (UNKNOWN, whole & ~known)):
                if chosen.any():
                    yield name, chosen
        yield "all", np.ones(len(self.rows), np.bool_)

    def _sum_up(self, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        rows, pixels = self.rows[chosen], self._pixels[chosen]
        posed = (rows[:, FOUND] == 1) & ~np.isnan(rows[:, DISTANCE])
        solved = ~np.isnan(rows[:, POSITION]) & (self._seen[chosen] >= GATE_CORNERS)
        figures: dict[str, Any] = {
            "gates": len(rows),
            "found": _mean(rows[:, FOUND]),
            "solved": _mean(solved[posed].astype(np.float32)),
        }
        for key, values in (
            ("error_px", pixels),
            ("position_m", rows[:, POSITION]),
            ("rotation_deg", rows[:, ROTATION]),
        ):
            figures |= {f"{key}_mean": _mean(values), f"{key}_median": _median(values)}
        return figures

    def corners(self) -> list[dict[str, Any]]:
        """Return rows by keypoint: `name`, `error_px_mean`, `error_px_median`, `visible_accuracy` (share, or None)."""
        return [
            {
                "name": name,
                "error_px_mean": _mean(self._pixels[:, place]),
                "error_px_median": _median(self._pixels[:, place]),
                "visible_accuracy": _mean(self._right[:, place]),
            }
            for place, name in enumerate(self.keypoints.names)
        ]

    def errors(self) -> CornerErrors | None:
        """Return error against distance, of the gates that were found and have one; None without any."""
        known = (self.rows[:, FOUND] == 1) & ~np.isnan(self.rows[:, DISTANCE])
        if self.camera is None or not known.any():
            return None
        return CornerErrors(self.rows[known, DISTANCE], self._pixels[known].mean(1), tuple(self.camera.bands))


def _known(values: NDArray[Any], figure: Callable[[NDArray[np.float64]], Any]) -> Figure:
    known = values[~np.isnan(values)].astype(np.float64)
    return float(figure(known)) if len(known) else None


def _mean(values: NDArray[Any]) -> Figure:
    return _known(values, lambda known: math.fsum(known.flat) / known.size)  # in whatever order, the same


def _median(values: NDArray[Any]) -> Figure:
    return _known(values, np.median)
