"""Reads where keypoints are on the object, `object_points` of a `data.yaml`, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aigp_lightning.data.limits import quoted
from aigp_lightning.data.targets.built_in import TARGETS, Points
from aigp_lightning.data.yaml_document import Value, number
from aigp_lightning.errors import DataError

Fault = Callable[[str, str], DataError]
"""Makes an error about a key, with its line."""
OBJECT_POINTS = "object_points"
"""The key of the keypoints' places on the object."""
MOST_METRES = 1e4
NARROW = 1e-3
"""Points whose extent across is below this share of their extent along lie in a line."""


def read_points(values: Mapping[str, Value], count: int, fault: Fault) -> Points | None:
    """Read where each keypoint is on the object, from a built-in target's name or a list of x, y and z.

    Args:
        values: those of the YAML, as they are written.
        count: keypoints of an object.
        fault: makes an error about a key.

    Raises:
        DataError: it names no target, or is no such list.

    Example:
        >>> read_points({"object_points": "gate-4"}, 4, fault=lambda key, text: DataError(text))[0]
        (-0.75, -0.75, 0.0)
    """
    key = OBJECT_POINTS
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        if value not in TARGETS:
            raise fault(key, f"'{key}' {quoted(value)} is no built-in target; known are {', '.join(TARGETS)}")
        points = TARGETS[value]
    else:
        found = [_place(row) for row in value] if isinstance(value, list) else [None]
        points = tuple(place for place in found if place is not None)
        if len(points) != len(found):
            raise fault(
                key, f"'{key}' must be a list of [x, y, z] in metres, one for each keypoint, not {quoted(value)}"
            )
    if len(points) != count:
        raise fault(key, f"'{key}' has {len(points)} points, but 'kpt_shape' says {count} keypoints")
    if len(set(points)) < len(points):
        raise fault(key, f"'{key}' has two keypoints in the same place; each must have its own")
    if _in_line(points):
        raise fault(key, f"'{key}' all lie in a line: how the object is turned about it, no picture says")
    return points


def mirror_of(points: Points | None, axis: int) -> tuple[int, ...] | None:
    """Derive a mirror order from where keypoints are on the object.

    Args:
        points: metres; None where nobody says.
        axis: 0 for left-right, 1 for upside-down.

    Returns:
        The keypoint that takes each place; None without points, and where they have no mirror image in themselves.

    Example:
        >>> mirror_of(TARGETS["gate-4"], 1)
        (3, 2, 1, 0)
    """
    import numpy as np

    from aigp_lightning.data.targets.geometry import mirror_order

    return None if points is None else mirror_order(np.array(points, np.float64), axis)


def rings_of(points: Points) -> tuple[tuple[int, int], ...]:
    """Return the lines round a flat object, see `geometry.ring_edges`.

    Args:
        points: metres.

    Example:
        >>> rings_of(TARGETS["gate-8-rows"])[:4]
        ((4, 5), (5, 7), (7, 6), (6, 4))
    """
    import numpy as np

    from aigp_lightning.data.targets.geometry import ring_edges

    return ring_edges(np.array(points, np.float64))


def _in_line(points: Points) -> bool:
    """True if more than two points lie in a line."""
    import numpy as np

    places = np.array(points, np.float64)
    spread = np.linalg.svd(places - places.mean(0), compute_uv=False)
    return len(points) >= len("xyz") and bool(spread[1] <= NARROW * spread[0])


def _place(value: Value) -> tuple[float, float, float] | None:
    """Read x, y and z in metres; None where it is none of these."""
    read = [number(v) for v in value] if isinstance(value, list) else []
    lengths = [v for v in read if v is not None and abs(v) <= MOST_METRES]
    return (lengths[0], lengths[1], lengths[2]) if len(lengths) == len(read) == len("xyz") else None
