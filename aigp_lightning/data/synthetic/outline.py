"""The outline of what is seen of an object, as one polygon: parts and openings are joined by cuts without width."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.synthetic.motion import Array

COARSE = 0.6
"""Pixels by which an outline may be off for the sake of fewer corners."""
SPECK = 4.0
"""Parts of an area of up to so many pixels are left out."""
CORNERS = 3


def seen_outline(seen: NDArray[np.bool_]) -> Array | None:
    """Trace an object's visible pixels.

    YOLO labels have one polygon an object. A gate has an opening, and a post may hide its middle: the rings that bound
    it are joined, each to the one traced before by a cut there and back, which has no width and shows in no mask.

    Args:
        seen: (H, W) True where the object is seen.

    Returns:
        (n, 2) x y of the middles of its outermost pixels, pixels; None where hardly anything is seen.

    Example:
        >>> frame = np.zeros((12, 12), bool)
        >>> frame[1:11, 1:11], frame[4:8, 4:8] = True, False
        >>> outline = seen_outline(frame)
        >>> float(outline.min()), float(outline.max()), len(outline) > 8  # an outer and an inner ring
        (1.5, 10.5, True)
    """
    import cv2

    rings, tree = cv2.findContours(seen.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    kept = [
        corners[:, 0].astype(np.float64)
        for ring in rings
        if cv2.contourArea(ring) > SPECK and len(corners := cv2.approxPolyDP(ring, COARSE, True)) >= CORNERS
    ]
    outer = [ring for ring, (*_, parent) in zip(rings, tree[0] if tree is not None else (), strict=True) if parent < 0]
    if not kept or max(map(cv2.contourArea, outer)) <= SPECK:
        return None
    kept.sort(key=lambda ring: -float(np.ptp(ring, axis=0).prod()))
    whole = kept[0]
    for ring in kept[1:]:
        whole = _joined(whole, ring)
    return np.asarray(whole + 0.5)


def _joined(one: Array, other: Array) -> Array:
    """Go round one ring (n, 2), and from its corner that is nearest to the other (m, 2) there, round it, and back."""
    apart = np.linalg.norm(one[:, None] - other[None], axis=2)
    here, there = np.unravel_index(apart.argmin(), apart.shape)
    around = np.roll(other, -int(there), axis=0)
    return np.concatenate((one[: here + 1], around, around[:1], one[here:]))
