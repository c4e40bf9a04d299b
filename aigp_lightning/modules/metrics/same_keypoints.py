"""Refuses to measure keypoints of one order against labels of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aigp_lightning.errors import WeightsError, warn_user
from aigp_lightning.modules.metrics.camera_values import Array, points_of

if TYPE_CHECKING:
    from aigp_lightning.modules.metrics.gate_camera import GateCamera
    from aigp_lightning.types import Keypoints

NEAR = 0.25
"""Share of the least distance between two keypoints within which one of another object is in the same place."""


def check_order(
    model: Keypoints | None, data: Keypoints | None, source: str, file: str, camera: GateCamera | None = None
) -> None:
    """Refuse a data set whose keypoints are those of a model in another order.

    By their names and by their places on the object, each where both sides know them: names that are numbers say
    nothing. Other names and other objects are no other order; where the camera's places count before the data set's,
    other places are told.

    Args:
        model: that it finds.
        data: the data set's.
        source: file of the model.
        file: data.yaml of the data set.
        camera: of the model, whose `object_points` count before its keypoints'.

    Raises:
        WeightsError: they are in another order.

    Example:
        >>> from aigp_lightning.types import Keypoints
        >>> check_order(Keypoints(2, 3, ("left", "right")), Keypoints(2, 3, ("right", "left")), "best.pt", "data.yaml")
        Traceback (most recent call last):
        aigp_lightning.errors.WeightsError: best.pt finds the keypoints of data.yaml in another order: left, right; \
the data set has right, left. Measure it on labels in its own order, or train on these.
    """
    if model is None or data is None or model.count != data.count:
        return
    ours, theirs = _names(model), _names(data)
    if ours and theirs and ours != theirs and sorted(ours) == sorted(theirs):
        raise WeightsError(_told(source, file, ", ".join(ours), ", ".join(theirs)))
    one, other = _points(model, camera), _points(data, None)
    if one is None or other is None:
        return
    if (order := reordered(one, other)) is not None:
        names = ours or tuple(map(str, range(model.count)))
        theirs = tuple(names[place] for place in order)
        raise WeightsError(_told(source, file, ", ".join(names), f"{', '.join(theirs)} by its object_points"))
    if camera is not None and camera.object_points is not None and not np.allclose(one, other):
        warn_user(f"object_points of {file} are other places than those of {source}, whose are used")


def reordered(ours: Array, theirs: Array) -> list[int] | None:
    """Return in which order one object's places are another's, (K,) of the first; None where it is the same, or none.

    Their middle and size do not matter.

    Args:
        ours: (K, 3) metres.
        theirs: (K, 3) metres.

    Example:
        >>> square = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
        >>> reordered(square, 2 * square[[0, 1, 3, 2]]), reordered(square, 2 * square)
        ([0, 1, 3, 2], None)
    """
    one, other = (_normed(each) for each in (ours, theirs))
    apart = np.linalg.norm(other[:, None] - one, axis=2)
    nearest = apart.argmin(1)
    among = np.linalg.norm(one[:, None] - one, axis=2)
    least = among[~np.eye(len(one), dtype=bool)].min()
    if sorted(nearest) != list(range(len(one))) or apart.min(1).max() > NEAR * least:
        return None
    order: list[int] = nearest.tolist()
    return None if order == list(range(len(one))) else order


def _normed(points: Array) -> Array:
    centred = points - points.mean(0)
    return np.asarray(centred / np.sqrt((centred**2).sum(1).mean()))


def _names(keypoints: Keypoints) -> tuple[str, ...]:
    """Return the names of keypoints; none where they are numbers, which nobody gave."""
    return () if keypoints.names == tuple(map(str, range(keypoints.count))) else tuple(keypoints.names)


def _points(keypoints: Keypoints, camera: GateCamera | None) -> Array | None:
    """Return where keypoints are on the object; None where nobody said, or for another number."""
    said = camera.object_points if camera is not None and camera.object_points is not None else keypoints.points
    if said is None:
        return None
    points = points_of(said if isinstance(said, str) else [list(place) for place in said])
    return points if len(points) == keypoints.count else None


def _told(source: str, file: str, ours: str, theirs: str) -> str:
    return (
        f"{source} finds the keypoints of {file} in another order: {ours}; the data set has {theirs}. Measure it on "
        "labels in its own order, or train on these."
    )
