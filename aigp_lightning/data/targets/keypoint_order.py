"""Finds labels whose keypoints are in another order than the object points say, by the points' geometry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.keypoint_table import KeypointTable
from aigp_lightning.data.problems import Problem
from aigp_lightning.data.targets import geometry
from aigp_lightning.data.targets.built_in import TARGETS
from aigp_lightning.data.targets.facing import facing_findings
from aigp_lightning.data.targets.object_points import OBJECT_POINTS
from aigp_lightning.data.yaml_document import Document

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec

MOST, FEWEST_VOTES = 0.9, 3
"""Share of the objects that make an order the data set's, and so many it takes; those that fit two orders tell nothing
of either."""
SMALL = 4.0
"""Pixels: of objects whose keypoints lie nearer to their middle, noise may be as large as what is looked for."""
NO_VIEW, LIKELY, NOISE, BETTER = 0.1, 0.3, 4.0, 0.5
"""Errors by the spread of the keypoints, over which they may be no view, and up to which labels count for how far off
they usually are; how much further off is too far; and by how much another order must be better."""
Floats = NDArray[np.float64]
Finding = tuple[int, str, str]
"""Object, kind of problem, text."""


def order_findings(objects: KeypointTable, spec: DataSpec) -> tuple[list[Problem], list[Finding]]:
    """Check that the labelled keypoints of each object are a view of the object points, in their order.

    Args:
        objects: of a split.
        spec: the data set, with object points.

    Returns:
        What holds for the data set as a whole, and what holds for single objects.

    Example:
        >>> from aigp_lightning.types import Keypoints
        >>> order_findings(KeypointTable([], Keypoints(4, 3, tuple("abcd"))), spec=None)  # it has none
        ([], [])
    """
    if objects.keypoints.points is None:
        return [], []
    target = np.array(objects.keypoints.points, np.float64)
    seen = objects.labels[..., 2] > 0
    index = np.flatnonzero(seen.sum(1) >= geometry.FEWEST)
    points, seen, sizes = objects.points[index], seen[index], objects.size[index]
    extent = geometry.spread(points, seen)
    large = extent >= SMALL
    index, points, seen, sizes, extent = index[large], points[large], seen[large], sizes[large], extent[large]
    if not len(index):
        return [], []
    error = geometry.view_errors(points, sizes, seen, target)
    fits = _fit(error, extent, _usual(error, extent))
    if fits.all():
        return facing_findings(index, points, seen, objects, spec)
    named = {
        name: geometry.view_errors(points, sizes, seen, np.array(places))
        for name, places in TARGETS.items()
        if len(places) == len(target) and not _same_order(np.array(places), target)
    }
    for name, theirs in named.items():
        votes, both = _votes(error, theirs, extent)
        if votes:
            return [_other_order(spec, name, votes, len(index), both)], []
    found = [(int(index[row]), "keypoint order", _no_view(int(row), error, named)) for row in np.flatnonzero(~fits)]
    general, single = facing_findings(index[fits], points[fits], seen[fits], objects, spec)
    return general, [*found, *single]


def _usual(error: Floats, extent: Floats) -> float:
    """Return how far labels usually are from a view, pixels; 0 where none is one."""
    likely = error <= LIKELY
    return float(np.median((error * extent)[likely])) if likely.any() else 0.0


def _fit(error: Floats, extent: Floats, usual: float) -> NDArray[np.bool_]:
    """Return which labels are a view, (n,), by how far they are from one, and usually are."""
    return np.asarray((error <= NO_VIEW) | (error * extent <= NOISE * usual))


def _votes(error: Floats, theirs: Floats, extent: Floats) -> tuple[int, int]:
    """Count the objects that are in another order and not in the given one; 0 where these do not make it the set's.

    Objects that fit both, as with few keypoints labelled, tell nothing.

    Args:
        error: (n,) how far each is from a view in the given order.
        theirs: (n,) and from one in the other order.
        extent: (n,) spread of its keypoints, pixels.

    Returns:
        That, and how many fit both.
    """
    usual = min((_usual(each, extent) for each in (error, theirs) if (each <= LIKELY).any()), default=0.0)
    ours, others = (_fit(each, extent, usual) for each in (error, theirs))
    votes = int((~ours & (theirs <= BETTER * np.minimum(error, 1))).sum())
    both, against = int((ours & others).sum()), int((ours & ~others).sum())
    enough = votes >= min(FEWEST_VOTES, len(error)) and votes + both >= MOST * len(error)
    return votes if enough and votes >= MOST * (votes + against) else 0, both


def _same_order(one: Floats, other: Floats) -> bool:
    """True if two targets are one, but for their size."""
    one, other = (points - points.mean(0) for points in (one, other))
    scale = np.linalg.norm(other) / max(float(np.linalg.norm(one)), 1e-12)
    return bool(np.abs(one * scale - other).max() <= geometry.ALIKE * np.ptp(other, axis=0).max())


def _other_order(spec: DataSpec, name: str, count: int, objects: int, both: int) -> Problem:
    places = np.array(TARGETS[name])
    mirrors = (f"{key}: {list(order)}" for key, axis in (("flip_idx", 0), ("flip_idx_vertical", 1))
               if (order := geometry.mirror_order(places, axis)) is not None)  # fmt: skip
    text = (
        f"{count} of {objects} objects are labelled in the order of {name}, and no view of these points"
        f"{f' ({both} fit both orders)' if both else ''}; write {OBJECT_POINTS}: {name}, {', '.join(mirrors)}"
    )
    return Problem(str(spec.file), _yaml_line(spec), "wrong object_points", text, False)


def _no_view(row: int, error: Floats, named: dict[str, Floats]) -> str:
    for name, theirs in named.items():
        if theirs[row] <= BETTER * min(float(error[row]), 1.0):
            return f"the keypoints are in the order of {name}, not of {OBJECT_POINTS}"
    return f"the keypoints cannot be a view of {OBJECT_POINTS} in their order: two of them may be swapped"


def mirror_findings(spec: DataSpec) -> Iterator[Problem]:
    """Yield mirror orders of the data.yaml that the object points contradict.

    Args:
        spec: the data set.
    """
    keypoints = spec.keypoints
    if keypoints is None or keypoints.points is None:
        return
    points, lines = np.array(keypoints.points), Document(spec.file).lines
    for axis, (key, given) in enumerate(
        (("flip_idx", keypoints.flip_idx), ("flip_idx_vertical", keypoints.flip_idx_vertical))
    ):
        order = geometry.mirror_order(points, axis)
        if given is None or given == order or key not in lines:
            continue
        advice = (
            f"is not how {OBJECT_POINTS} are mirrored; write {key}: {list(order)}"
            if order is not None
            else f"cannot be: {OBJECT_POINTS} have no such mirror image in themselves; leave {key} out"
        )
        yield Problem(str(spec.file), lines[key], f"wrong {key}", f"{list(given)} {advice}", False)


def _yaml_line(spec: DataSpec) -> int | None:
    return Document(spec.file).lines.get(OBJECT_POINTS)
