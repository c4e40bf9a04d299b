"""Follows from where keypoints are on an object: mirror orders, lines round it, and which labels are a view of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
ALIKE = 0.01
"""Points that are nearer to each other than this share of the object's extent are in the same place."""
PLANE, LINE = 1e-6, 1e-3
"""Extent across a plane, or a line, below which points lie in it, by their extent along."""
FEWEST = 4
"""So few labelled keypoints tell whether they are a view of the object."""
BENT, DOUBT = 0.05, 0.1
"""By the spread of the keypoints: an error of a parallel projection, from which on another one is tried, and
an error of that, from which on, of a few keypoints, a pose is tried."""
FEW = 6
"""Up to so many keypoints may all but one lie in a line, so that no plane's picture can be told from them."""
FOCAL, UNSURE = 0.7, 0.003
"""By the longer side of the picture: the focal length that is taken, since only the order is asked for, and how far off
labels may well be."""


def mirror_order(points: Array, axis: int) -> tuple[int, ...] | None:
    """Return which keypoint takes each place in the object's mirror image; None where the object has none in itself.

    Args:
        points: (K, 3) metres.
        axis: 0 for left-right, 1 for upside-down.

    Example:
        >>> from aigp_lightning.data.targets.built_in import TARGETS
        >>> mirror_order(np.array(TARGETS["gate-8-rows"]), 0), mirror_order(np.array(TARGETS["gate-8-rows"]), 1)
        ((1, 0, 3, 2, 5, 4, 7, 6), (2, 3, 0, 1, 6, 7, 4, 5))
    """
    mirrored = points.copy()
    mirrored[:, axis] = points[:, axis].min() + points[:, axis].max() - points[:, axis]
    away = np.linalg.norm(points[:, None] - mirrored, axis=2)
    order = away.argmin(1)
    if (away.min(1) > ALIKE * np.ptp(points, axis=0).max()).any() or (order[order] != np.arange(len(order))).any():
        return None
    return tuple(order.tolist())


def in_plane(points: Array) -> Array | None:
    """Return points in their own plane, (K, 2), as seen from the front; None where they lie in no plane or in a line.

    Args:
        points: (K, 3) metres.

    Example:
        >>> in_plane(np.array([[0.0, 0, 1], [1, 0, 1], [0, 1, 1]])).shape
        (3, 2)
    """
    middle = points - points.mean(0)
    _, spread, axes = np.linalg.svd(middle)
    if len(points) < len("xyz") or spread[1] <= LINE * spread[0] or spread[2] > PLANE * spread[0]:
        return None
    away = axes[2] * (np.sign(axes[2, 2]) or 1.0)  # from who looks
    right = np.array([1.0, 0, 0]) - away[0] * away
    if np.linalg.norm(right) < ALIKE:  # a target seen from above
        right = axes[0]
    right = right / np.linalg.norm(right)
    return np.asarray(middle @ np.stack((right, np.cross(away, right)), 1))


def ring_edges(points: Array) -> tuple[tuple[int, int], ...]:
    """Return lines round a flat object: round its outermost keypoints, then round the outermost of the rest, and so on.

    Args:
        points: (K, 3) metres.

    Returns:
        Pairs of keypoints; none where they lie in no plane.

    Example:
        >>> from aigp_lightning.data.targets.built_in import TARGETS
        >>> ring_edges(np.array(TARGETS["gate-8"]))
        ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4))
    """
    import cv2

    flat = in_plane(points)
    left = np.arange(len(points))
    edges: list[tuple[int, int]] = []
    while flat is not None and len(left) >= len("xyz"):
        hull = left[cv2.convexHull(flat[left].astype(np.float32), clockwise=False, returnPoints=False).ravel()]
        if len(hull) < len("xyz"):
            break
        hull = np.roll(hull, -int(hull.argmin()))
        if hull[1] > hull[-1]:
            hull = np.roll(hull[::-1], 1)
        edges += list(zip(hull.tolist(), np.roll(hull, -1).tolist(), strict=True))
        left = np.setdiff1d(left, hull)
    return tuple(edges)


def affine_views(points: Array, seen: Bools, target: Array) -> tuple[Array, Array]:
    """Fit a parallel projection of the object to each labelled one, by least squares.

    Args:
        points: (n, K, 2) pixels.
        seen: (n, K) which are labelled; three at least.
        target: (K, 2) in the object's plane, or (K, 3).

    Returns:
        (n, 2, D) how the object's axes lie in the picture, and (n,) RMS error by how far keypoints lie from their
        middle.

    Example:
        >>> square = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
        >>> axes, error = affine_views(square[None] * 10, np.ones((1, 4), bool), square)
        >>> axes[0].round(6).tolist(), float(error[0].round(6))
        ([[10.0, 0.0], [0.0, 10.0]], 0.0)
    """
    own, places = _centred(np.tile(target, (len(points), 1, 1)), seen), _centred(points, seen)
    turned = own.transpose(0, 2, 1)
    axes = np.linalg.pinv(turned @ own, rcond=1e-9) @ (turned @ places)
    rest, whole = ((places - own @ axes) ** 2).sum((1, 2)), (places**2).sum((1, 2))
    return axes.transpose(0, 2, 1), np.sqrt(rest / np.maximum(whole, np.finfo(np.float64).tiny))


def view_errors(points: Array, sizes: Array, seen: Bools, target: Array) -> Array:
    """Return how far labelled keypoints are from the nearest view of the object, (n,), by their spread.

    Args:
        points: (n, K, 2) pixels.
        sizes: (n, 2) width and height of the picture each is in.
        seen: (n, K) which are labelled; four at least.
        target: (K, 3) metres.

    Returns:
        RMS error by the RMS distance from their middle; infinite where no view has its keypoints there.

    Example:
        >>> square = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
        >>> corners = np.stack((square[:, :2], square[[0, 2, 1, 3], :2])) * 10 + 50
        >>> view_errors(corners, np.full((2, 2), 100.0), np.ones((2, 4), bool), square).round(6).tolist()
        [0.0, inf]
    """
    flat = in_plane(target)
    _, error = affine_views(points, seen, target if flat is None else flat)
    bent = error > BENT
    if flat is not None and (many := np.flatnonzero(bent & (seen.sum(1) > FEWEST))).size:
        error[many] = _homography_errors(points[many], seen[many], flat)
    few = seen.sum(1) <= FEWEST
    few |= (error > DOUBT) & (seen.sum(1) <= FEW)
    again = np.flatnonzero(bent & (few | (flat is None)) & ~_in_line(seen, target))
    if len(again):
        from aigp_lightning.deploy.runtime import Camera, solve_targets

        longer = sizes[again].max(1)[:, None, None]
        places = (points[again] - sizes[again][:, None] / 2) / longer  # pictures of a side of 1, around the axis
        poses = solve_targets(places, seen[again], target, Camera(1, 1, FOCAL, FOCAL, 0.0, 0.0), sigma_px=UNSURE)
        error[again] = np.where(poses.solved, poses.reprojection_px / spread(places, seen[again]), np.inf)
    error[bent & _in_line(seen, target)] = 0.0  # a line's view may be anything
    return error


def _in_line(seen: Bools, target: Array) -> Bools:
    """Find objects whose labelled keypoints lie in a line on the target, (n,)."""
    own = _centred(np.tile(target, (len(seen), 1, 1)), seen)
    squares = np.linalg.eigvalsh(own.transpose(0, 2, 1) @ own)
    return np.asarray(squares[:, 1] <= LINE**2 * squares[:, 2])


def spread(points: Array, seen: Bools) -> Array:
    """Return the RMS distance of labelled keypoints from their middle, (n,).

    Args:
        points: (n, K, 2).
        seen: (n, K) which are labelled; one at least.

    Example:
        >>> spread(np.array([[[0.0, 0], [2, 0], [9, 9]]]), np.array([[True, True, False]])).tolist()
        [1.0]
    """
    return np.asarray(np.sqrt((_centred(points, seen) ** 2).sum((1, 2)) / seen.sum(1)))


def _centred(points: Array, seen: Bools) -> Array:
    """Return points (n, K, D) from the middle of the labelled ones, 0 where not labelled."""
    kept = np.where(seen[..., None], points, 0.0)
    return np.asarray((kept - (kept.sum(1) / np.maximum(seen.sum(1), 1)[:, None])[:, None]) * seen[..., None])


def _homography_errors(points: Array, seen: Bools, flat: Array) -> Array:
    """Return how far keypoints (n, K, 2) are from a plane's picture by any camera, by their spread, (n,)."""
    from aigp_lightning.deploy.runtime import plane_homographies

    extent = spread(points, seen)
    places, own = _centred(points, seen) / extent[:, None, None], _centred(np.tile(flat, (len(points), 1, 1)), seen)
    with np.errstate(all="ignore"):
        homographies = plane_homographies(own, places, seen)
        image = np.concatenate((own, np.ones((*own.shape[:2], 1))), 2) @ homographies.transpose(0, 2, 1)
        away = ((image[..., :2] / image[..., 2:] - places) ** 2).sum(2)
        error = np.sqrt(np.where(seen, away, 0).sum(1) / seen.sum(1))
    before = ((image[..., 2] > 0) | ~seen).all(1)  # no point behind the camera
    return np.asarray(np.where(before & np.isfinite(error), error, np.inf))
