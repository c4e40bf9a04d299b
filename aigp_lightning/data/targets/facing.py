"""Finds objects that the labels show from behind, upside down or turned, though the object points have a front."""

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

MOST = 0.9
"""Share of the objects from which on all of them are taken to be labelled so."""
UPRIGHT, TURNED = 60.0, 75.0
"""Degrees: objects are upright as a rule when so many lie so close to it, and one beyond the other is turned."""
RULE, EDGE_ON = 0.95, 0.1
LARGEST, SMALLEST = 50.0, 0.01
"""Metres across, beyond which an object's points are hardly metres."""
AXES = "y grows downward, x to the right and z away from who looks at the front"
Finding = tuple[int, str, str]
"""Object, kind of problem, text."""


def facing_findings(
    index: NDArray[np.int64],
    points: NDArray[np.float64],
    seen: NDArray[np.bool_],
    objects: KeypointTable,
    spec: DataSpec,
) -> tuple[list[Problem], list[Finding]]:
    """Find flat objects that are labelled mirrored or turned, where most are not, and data sets where most are.

    Of objects in no plane, which may be seen from any side, and of four corners in a ring, whose order is told from the
    labels themselves, only whole data sets are told.

    Args:
        index: (n,) numbers of objects that are views of the object points.
        points: (n, K, 2) their keypoints, pixels.
        seen: (n, K) which of these are labelled.
        objects: of a split.
        spec: the data set, with object points.
    """
    target = np.array(objects.keypoints.points, np.float64)
    flat = geometry.in_plane(target)
    if flat is None:
        index, points, seen = (each[seen.sum(1) > geometry.FEWEST] for each in (index, points, seen))
    if not len(index):
        return [], []
    axes = geometry.affine_views(points, seen, target if flat is None else flat)[0][..., :2]
    sure = np.abs(np.linalg.det(axes)) > EDGE_ON * (axes**2).sum((1, 2)) / 2
    index, axes = index[sure], axes[sure]
    if not len(index):
        return [], []
    mirrored = np.linalg.det(axes) < 0
    most = bool(2 * mirrored.sum() > len(index))
    off, quarter = _rolls(axes[mirrored == most], most)
    general: list[Problem] = []
    if most and mirrored.mean() >= MOST:
        general.append(_all_mirrored(spec, int(mirrored.sum()), len(index), target, quarter))
    elif quarter and not most:
        general.append(_all_turned(spec, target, quarter, objects.keypoints.names[0]))
    ring = {frozenset(edge) for edge in objects.keypoints.edges} == {frozenset((k, (k + 1) % 4)) for k in range(4)}
    if flat is None or ring:
        return general, []
    return general, [*_single(index, mirrored, off, quarter is not None, objects.keypoints.names[0])]


def _rolls(axes: NDArray[np.float64], mirrored: bool) -> tuple[NDArray[np.float64], int | None]:
    """Return how far objects are turned in the picture from the usual, degrees (n,), and the usual, 0, 90, -90 or 180.

    The usual is None where there is none.
    """
    axes = axes * np.array([-1.0 if mirrored else 1.0, 1.0])
    roll = np.degrees(np.arctan2(axes[:, 1, 0] - axes[:, 0, 1], axes[:, 0, 0] + axes[:, 1, 1]))
    quarter = int(90 * np.rint(np.degrees(np.angle(np.exp(1j * np.radians(roll)).sum())) / 90))
    off = np.abs((roll - quarter + 180) % 360 - 180)
    return off, quarter if (off <= UPRIGHT).mean() >= RULE else None


def _single(
    index: NDArray[np.int64], mirrored: NDArray[np.bool_], off: NDArray[np.float64], upright: bool, name: str
) -> Iterator[Finding]:
    """Yield objects that are mirrored or turned where most are not."""
    most = bool(2 * mirrored.sum() > len(index))
    ways = ("from the front", "from behind")
    count = int((mirrored == most).sum())
    text = f"labelled as if seen {ways[not most]}, but {count} of {len(index)} objects {ways[most]}: mirrored order"
    yield from ((int(place), "mirrored order", text) for place in index[mirrored != most])
    if upright:
        where = f"keypoint 0 ({name}) starts elsewhere than in {(off <= UPRIGHT).sum()} of {len(off)} objects"
        yield from ((int(place), "first keypoint", where) for place in index[mirrored == most][off > TURNED])


def _all_mirrored(
    spec: DataSpec, count: int, objects: int, target: NDArray[np.float64], quarter: int | None
) -> Problem:
    text = f"{count} of {objects} objects are labelled as if seen from behind; {AXES}: "
    if quarter is not None and (written := _written(target * (-1, 1, 1), quarter)):
        text += f"write {OBJECT_POINTS}: {written}, or change the order of the labels"
    else:
        letter = {0: "x", 180: "y", -180: "y"}.get(quarter or 0, "x") if quarter is not None else "x, or of each y"
        text += f"change the sign of each {letter}, and of z if it points to who looks, or the order of the labels"
    return Problem(str(spec.file), _yaml_line(spec), "wrong object_points", text, False)


def _all_turned(spec: DataSpec, target: NDArray[np.float64], quarter: int, name: str) -> Problem:
    text = f"objects are labelled turned by {abs(quarter)}°: keypoint 0 ({name}) starts elsewhere than these points say"
    if written := _written(target, quarter):
        text += f"; write {OBJECT_POINTS}: {written}, or change the order of the labels"
    return Problem(str(spec.file), _yaml_line(spec), "wrong object_points", text, False)


def _written(target: NDArray[np.float64], quarter: int) -> str:
    """Write points, turned in the picture by a multiple of 90°, as data.yaml has them; empty if their z differ."""
    if np.ptp(target[:, 2]) > 0:
        return ""
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter // 90 % 4]
    turned = target @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + 0.0  # no -0
    for name, points in TARGETS.items():
        if len(points) == len(turned) and np.allclose(points, turned):
            return name
    return "[" + ", ".join("[" + ", ".join(f"{value:g}" for value in point) + "]" for point in turned) + "]"


def size_findings(spec: DataSpec) -> Iterator[Problem]:
    """Yield that the object points of a data.yaml are hardly metres, if so.

    Args:
        spec: the data set.
    """
    if spec.keypoints is None or spec.keypoints.points is None:
        return
    across = float(np.ptp(np.array(spec.keypoints.points), axis=0).max())
    if across > LARGEST:
        advice = "divide them by 1000 where they are millimetres, by 100 where they are centimetres"
    elif across < SMALLEST:
        advice = "write 1 for a metre, 0.01 for a centimetre"
    else:
        return
    text = f"{OBJECT_POINTS} are metres, and these are {across:g} m across: {advice}"
    yield Problem(str(spec.file), _yaml_line(spec), "doubtful object_points", text, False)


def _yaml_line(spec: DataSpec) -> int | None:
    return Document(spec.file).lines.get(OBJECT_POINTS)
