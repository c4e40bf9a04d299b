"""Finds pictures that show nearly the same: perceptual hashes give candidates, the thumbnails' correlation decides.

The hash is the sign of a thumbnail's low frequencies about their median (a DCT of 12 by 12, Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010), 143 bits. The correlation is of the thumbnails without their
low frequencies, over shifts of up to three of 32 pixels (9 % of the width); brightness and contrast drop out of it.

The limits were set on 48 photographs of COCO (1,128 pairs), 500 independent scenes of make-data (124,750 pairs) and
three rendered flights in halls of their own (450,000 pairs): none of these pairs passes. Copies of all of them at half
the size, at JPEG quality 30, shifted by 3 %, or darker by 40 % do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.leaks.thumbnails import SIDE, Thumbnails

LOW = 12
"""Frequencies along each side that make the hash."""
BITS = LOW * LOW - 1
MOST_BITS = 47
"""Bits by which the hashes of two pictures of the same view may differ: a third."""
NEAR = 0.65
"""Correlation from which on two pictures show nearly the same view."""
SAME = 0.9
"""Correlation from which on one is taken for a copy of the other."""
MARGIN = 3
"""Pixels of a thumbnail by which it is shifted at most."""
SIGMA = 4.0
"""Standard deviation of the blur that is taken off a thumbnail, pixels."""
FLAT = 1.5
"""Standard deviation, grey levels, below which a picture shows nothing to compare: a dark or an overexposed one."""
CANDIDATES = 8
"""Pictures nearest by their hashes that are looked at for each picture."""
CELLS = 1 << 24
"""Distances that are computed at once."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Comparable:
    """Thumbnails made ready to be compared.

    Attributes:
        bits: float32 (n, 143), 1 or -1.
        detail: float32 (n, 32, 32) without the low frequencies.
        told: bool (n,), False for those that are flat or could not be read: they resemble nothing.

    Example:
        >>> scene = np.random.default_rng(0).integers(0, 256, (1, 32, 32), dtype=np.uint8)
        >>> prepare(np.concatenate([scene, scene * 0]), np.ones(2, bool)).told.tolist()
        [True, False]
    """

    bits: Floats
    detail: Floats
    told: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.told)

    def part(self, places: NDArray[np.int64]) -> Comparable:
        """Return some of the pictures.

        Args:
            places: int64 (m,) which.
        """
        return Comparable(self.bits[places], self.detail[places], self.told[places])


def prepare(thumbnails: Thumbnails, readable: NDArray[np.bool_]) -> Comparable:
    """Compute hashes and details of thumbnails.

    Args:
        thumbnails: uint8 (n, 32, 32).
        readable: bool (n,), see `read_thumbnails`.
    """
    import cv2

    grey = thumbnails.astype(np.float32)
    low = np.stack([cv2.dct(each)[:LOW, :LOW].ravel()[1:] for each in grey]) if len(grey) else np.zeros((0, BITS))
    signs = np.where(low > np.median(low, axis=1, keepdims=True), 1, -1) if len(grey) else low
    # The thumbnails side by side as one picture's channels would blur alike; one call each is a few microseconds.
    blurred = [each - cv2.GaussianBlur(each, (0, 0), SIGMA) for each in grey]
    detail = np.stack(blurred) if blurred else np.zeros((0, SIDE, SIDE))
    told = readable & (detail.std(axis=(1, 2)) >= FLAT)
    return Comparable(signs.astype(np.float32), detail.astype(np.float32), told)


def correlation(one: Floats, other: Floats) -> float:
    """Return how much two pictures are alike, -1 to 1: the best normalised correlation over small shifts.

    Args:
        one: (32, 32) detail of a picture that is not flat.
        other: (32, 32) of another.

    Example:
        >>> scene = np.random.default_rng(0).integers(0, 256, (2, 32, 32), dtype=np.uint8)
        >>> ready = prepare(np.stack([scene[0], np.roll(scene[0], 1, 1) // 2 + 40, scene[1]]), np.ones(3, bool))
        >>> round(correlation(ready.detail[0], ready.detail[1]), 1), correlation(*ready.detail[[0, 2]]) < 0.3
        (1.0, True)
    """
    import cv2

    inner = slice(MARGIN, SIDE - MARGIN)
    pairs = ((one, other), (other, one))
    found = max(cv2.matchTemplate(a, b[inner, inner], cv2.TM_CCOEFF_NORMED).max() for a, b in pairs)
    return float(found) if -1 <= found <= 1 + 1e-3 else 0.0  # a flat window has no correlation


def correlations(one: Comparable, other: Comparable, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how much pictures are alike, pair by pair; 0 where one of them is flat.

    Args:
        one: pictures.
        other: pictures, maybe the same.
        pairs: (n, 2) places in both.

    Returns:
        float64 (n,).
    """
    told = one.told[pairs[:, 0]] & other.told[pairs[:, 1]] if len(pairs) else np.zeros(0, bool)
    found = np.zeros(len(pairs))
    for place in np.flatnonzero(told):
        i, j = pairs[place]
        found[place] = correlation(one.detail[i], other.detail[j])
    return found


def near_pairs(one: Comparable, other: Comparable | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the pictures that show nearly the same view, whatever they are called.

    Args:
        one: pictures; for each, its few nearest are found.
        other: among these; None: among the pictures themselves.

    Returns:
        Places int64 (n, 2) in both, and correlations float64 (n,).

    Example:
        >>> scenes = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
        >>> val, train = (prepare(each, np.ones(len(each), bool)) for each in (scenes[:2], scenes[1:]))
        >>> near_pairs(val, train)[0].tolist()
        [[1, 0]]
    """
    others = one if other is None else other
    if not len(one) or not len(others):
        return np.zeros((0, 2), np.int64), np.zeros(0)
    step, count = max(1, CELLS // len(others)), min(CANDIDATES, len(others))
    parts = []
    for start in range(0, len(one), step):
        rows = slice(start, start + step)
        # Of signs, the product counts equal bits less unequal ones: a distance by one matrix product.
        differing = (BITS - one.bits[rows] @ others.bits.T) / 2
        differing[~one.told[rows]], differing[:, ~others.told] = BITS, BITS
        if other is None:
            np.fill_diagonal(differing[:, start:], BITS)
        nearest = np.argpartition(differing, count - 1, axis=1)[:, :count]
        row, column = np.nonzero(np.take_along_axis(differing, nearest, 1) <= MOST_BITS)
        parts.append(np.column_stack([row + start, nearest[row, column]]))
    pairs = np.concatenate(parts).astype(np.int64)
    alike = correlations(one, others, pairs)
    kept = alike >= NEAR
    return pairs[kept], alike[kept]
