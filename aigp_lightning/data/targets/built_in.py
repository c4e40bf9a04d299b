"""Built-in targets: where each keypoint is on an object, metres.

An object's own frame, as seen by who looks at its front, is x right, y down, z away from the viewer.
"""

from __future__ import annotations

GATE_OUTER, GATE_INNER = 2.70, 1.50
"""Sides of the AI Grand Prix gate's frame and of its opening, metres."""
Points = tuple[tuple[float, float, float], ...]
CLOCKWISE = ((-1, -1), (1, -1), (1, 1), (-1, 1))
"""Top left, top right, bottom right, bottom left."""
ROWS = ((-1, -1), (1, -1), (-1, 1), (1, 1))
"""Top left, top right, bottom left, bottom right."""


def square(side: float, order: tuple[tuple[int, int], ...] = CLOCKWISE) -> Points:
    """Return the corners of a square around the origin.

    Args:
        side: metres.
        order: signs of x and y of each corner.

    Example:
        >>> square(1.5)[0]
        (-0.75, -0.75, 0.0)
    """
    return tuple((x * side / 2, y * side / 2, 0.0) for x, y in order)


TARGETS: dict[str, Points] = {
    "gate-4": square(GATE_INNER),
    "gate-8": square(GATE_OUTER) + square(GATE_INNER),
    "gate-8-rows": square(GATE_INNER, ROWS) + square(GATE_OUTER, ROWS),
}
"""`object_points` that a data.yaml may name: the inner corners of a gate clockwise; its outer and then its inner
corners, each clockwise; and its inner and then its outer corners, each in two rows."""
TARGET_NAMES: dict[str, tuple[str, ...]] = {
    "gate-4": ("top_left", "top_right", "bottom_right", "bottom_left"),
    "gate-8": tuple(
        f"{ring}_{corner}"
        for ring in ("outer", "inner")
        for corner in ("top_left", "top_right", "bottom_right", "bottom_left")
    ),
    "gate-8-rows": tuple(
        f"{ring}_{corner}"
        for ring in ("inner", "outer")
        for corner in ("top_left", "top_right", "bottom_left", "bottom_right")
    ),
}
"""Names of their keypoints."""
