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
from aigp_lightning.data.targets.object_points import OBJECT_POINTS
from aigp_lightning.data.yaml_document import Document

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec

MOST, SOME = 0.9, 0.5
"""Share of the objects that make an order the data set's, and share below which the given one is not."""
SMALL = 4.0
"""Pixels: of objects whose keypoints lie nearer to their middle, noise may be as large as what is looked for."""
NO_VIEW, LIKELY, NOISE, BETTER = 0.1, 0.3, 4.0, 0.5
"""Errors by the spread of the keypoints, over which they may be no view, and up to which labels count for how far off
they usually are; how much further off is too far; and by how much another order must be better."""
UPRIGHT, TURNED = 60.0, 75.0
"""Degrees: objects are upright as a rule when so many lie so close to it, and one beyond the other is turned."""
RULE, EDGE_ON = 0.95, 0.1
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
    likely = error <= LIKELY
    usual = float(np.median((error * extent)[likely])) if likely.any() else 0.0
    fits = (error <= NO_VIEW) | (error * extent <= NOISE * usual)
    wrong = np.flatnonzero(~fits)
    named = {}
    for name, places in TARGETS.items():
        if len(wrong) and len(places) == len(target) and not _same_order(np.array(places), target):
            named[name] = np.full(len(index), np.inf)
            named[name][wrong] = geometry.view_errors(points[wrong], sizes[wrong], seen[wrong], np.array(places))
    for name, theirs in named.items():
        better = theirs <= BETTER * np.minimum(error, 1)
        if fits.mean() < SOME and better.mean() >= MOST:
            return [_other_order(spec, name, int(better.sum()), len(index))], []
    found = [(int(index[row]), "keypoint order", _no_view(int(row), error, named)) for row in np.flatnonzero(~fits)]
    general, single = _turned(index[fits], points[fits], seen[fits], target, objects, spec)
    return general, [*found, *single]


def _same_order(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """True if two targets are one, but for their size."""
    one, other = (points - points.mean(0) for points in (one, other))
    scale = np.linalg.norm(other) / max(float(np.linalg.norm(one)), 1e-12)
    return bool(np.abs(one * scale - other).max() <= geometry.ALIKE * np.ptp(other, axis=0).max())


def _other_order(spec: DataSpec, name: str, count: int, objects: int) -> Problem:
    places = np.array(TARGETS[name])
    mirrors = (f"{key}: {list(order)}" for key, axis in (("flip_idx", 0), ("flip_idx_vertical", 1))
               if (order := geometry.mirror_order(places, axis)) is not None)  # fmt: skip
    text = (
        f"{count} of {objects} objects are labelled in the order of {name}, and no view of these points; write "
        f"{OBJECT_POINTS}: {name}, {', '.join(mirrors)}"
    )
    return Problem(str(spec.file), _yaml_line(spec), "wrong object_points", text, False)


def _no_view(row: int, error: NDArray[np.float64], named: dict[str, NDArray[np.float64]]) -> str:
    for name, theirs in named.items():
        if theirs[row] <= BETTER * min(float(error[row]), 1.0):
            return f"the keypoints are in the order of {name}, not of {OBJECT_POINTS}"
    return f"the keypoints cannot be a view of {OBJECT_POINTS} in their order: two of them may be swapped"


def _turned(
    index: NDArray[np.int64],
    points: NDArray[np.float64],
    seen: NDArray[np.bool_],
    target: NDArray[np.float64],
    objects: KeypointTable,
    spec: DataSpec,
) -> tuple[list[Problem], list[Finding]]:
    """Find flat objects that are labelled mirrored or turned, where most are not, and data sets where most are."""
    flat, edges = geometry.in_plane(target), {frozenset(edge) for edge in objects.keypoints.edges}
    if flat is None or not len(index) or edges == {frozenset((k, (k + 1) % 4)) for k in range(4)}:
        return [], []  # of four corners in a ring the order is told from the labels themselves
    axes, _ = geometry.affine_views(points, seen, flat)
    sure = np.abs(np.linalg.det(axes)) > EDGE_ON * (axes**2).sum((1, 2)) / 2
    index, axes = index[sure], axes[sure]
    if not len(index):
        return [], []
    mirrored = np.linalg.det(axes) < 0
    most, name = bool(2 * mirrored.sum() > len(index)), objects.keypoints.names[0]
    ways = ("from the front", "from behind")
    count = int((mirrored == most).sum())
    text = f"labelled as if seen {ways[not most]}, but {count} of {len(index)} objects {ways[most]}: mirrored order"
    found = [(int(place), "mirrored order", text) for place in index[mirrored != most]]
    general = list(_all_mirrored(spec, int(mirrored.sum()), len(index))) if most and mirrored.mean() >= MOST else []
    upright = axes[mirrored == most]
    upright[..., 0] *= -1 if most else 1
    roll = np.degrees(np.arctan2(upright[:, 1, 0] - upright[:, 0, 1], upright[:, 0, 0] + upright[:, 1, 1]))
    quarter = 90 * np.rint(np.degrees(np.angle(np.exp(1j * np.radians(roll)).sum())) / 90)
    off = np.abs((roll - quarter + 180) % 360 - 180)
    if (off <= UPRIGHT).mean() >= RULE:
        where = f"keypoint 0 ({name}) starts elsewhere than in {(off <= UPRIGHT).sum()} of {len(off)} objects"
        found += [(int(place), "first keypoint", where) for place in index[mirrored == most][off > TURNED]]
        if quarter:
            general.append(_all_turned(spec, int(abs(quarter)), name))
    return general, found


def _all_mirrored(spec: DataSpec, count: int, objects: int) -> Iterator[Problem]:
    text = (
        f"{count} of {objects} objects are labelled as if seen from behind: change the sign of each x, or the order of "
        "the labels"
    )
    yield Problem(str(spec.file), _yaml_line(spec), "wrong object_points", text, False)


def _all_turned(spec: DataSpec, degrees: int, name: str) -> Problem:
    text = f"objects are labelled turned by {degrees}°: keypoint 0 ({name}) starts elsewhere than these points say"
    return Problem(str(spec.file), _yaml_line(spec), "wrong object_points", text, False)


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
