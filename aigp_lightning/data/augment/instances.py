"""Boxes, classes, keypoints and outlines of one sample, and the rules by which they follow the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aigp_lightning.data.augment.perspective import move_boxes, move_points, move_shapes
from aigp_lightning.data.polygons import boxes_of_visible_parts, with_points
from aigp_lightning.errors import ConfigError

MIN_SIDE = 2.0
MAX_ASPECT = 100.0
MIN_AREA_LEFT = 0.1
MIN_OUTLINED_AREA_LEFT = 0.01
"""… where the box is drawn round what is left of an outline, and so is much smaller than that of a moved box."""


@dataclass
class Instances:
    """Labels of one sample.

    Args:
        bboxes: (n, 4) float32 xyxy, pixels.
        cls: (n,) int64.
        keypoints: (n, K, 3) float32 x, y in pixels and visibility, or None.
        segments: (n, P, 2) float32 outlines in pixels, or None.

    Example:
        >>> labels = Instances(np.array([[0, 0, 10, 20]], np.float32), np.zeros(1, np.int64), None)
        >>> labels.flipped(64, axis=0, permutation=None).bboxes.tolist()
        [[54.0, 0.0, 64.0, 20.0]]
        >>> labels.clipped(8, 8).bboxes.tolist()
        [[0.0, 0.0, 8.0, 8.0]]
    """

    bboxes: np.ndarray
    cls: np.ndarray
    keypoints: np.ndarray | None
    segments: np.ndarray | None = None

    def select(self, rows: np.ndarray) -> Instances:
        """Return some of the instances.

        Args:
            rows: (n,) bool, or (m,) indices.
        """
        keypoints = None if self.keypoints is None else self.keypoints[rows]
        segments = None if self.segments is None else self.segments[rows]
        return Instances(self.bboxes[rows], self.cls[rows], keypoints, segments)

    def moved(self, matrix: np.ndarray) -> Instances:
        """Carry boxes (the hull of their four corners), keypoints and outlines through an affine or a projective map.

        Args:
            matrix: (2, 3) or (3, 3) pixels to pixels.
        """
        keypoints = self.keypoints
        if keypoints is not None:
            xy = move_points(keypoints[..., :2], matrix)
            keypoints = np.concatenate((xy, keypoints[..., 2:]), axis=-1).astype(np.float32)
        if len(matrix) == len(matrix[0]):
            segments = None if self.segments is None else move_shapes(self.segments, matrix)
            return Instances(move_boxes(self.bboxes, matrix), self.cls, keypoints, segments)
        segments = None if self.segments is None else move_points(self.segments, matrix)
        low, high = self.bboxes[:, :2], self.bboxes[:, 2:]
        # The extremes of a sum over x and y are the sums of the extremes: no need to visit the corners.
        ends = low[:, None] * matrix[:, :2], high[:, None] * matrix[:, :2]
        bboxes = np.empty((len(low), 4), np.float32)
        bboxes[:, :2] = np.minimum(*ends).sum(-1) + matrix[:, 2]
        bboxes[:, 2:] = np.maximum(*ends).sum(-1) + matrix[:, 2]
        return Instances(bboxes, self.cls, keypoints, segments)

    def boxed(self, width: int, height: int) -> Instances:
        """Draw the boxes round those parts of the outlines that lie in the picture; without outlines nothing changes.

        What is left of an outline is clipped to its box.

        Args:
            width: Image width, pixels.
            height: Image height, pixels.
        """
        if self.segments is None:
            return self
        bboxes = boxes_of_visible_parts(self.segments, width, height)
        segments = self.segments.clip(bboxes[:, None, :2], bboxes[:, None, 2:])
        return Instances(bboxes, self.cls, self.keypoints, segments)

    def clipped(self, width: int, height: int) -> Instances:
        """Clip to the image; a keypoint outside becomes invisible and stays on the border.

        Args:
            width: Image width, pixels.
            height: Image height, pixels.
        """
        limit = np.array((width, height), np.float32)
        bboxes = np.minimum(np.maximum(self.bboxes, 0), np.concatenate((limit, limit)))
        keypoints = self.keypoints
        if keypoints is not None:
            xy = keypoints[..., :2]
            outside = ((xy < 0) | (xy > limit)).any(-1, keepdims=True)
            keypoints = np.concatenate((xy.clip(0, limit), np.where(outside, 0, keypoints[..., 2:])), axis=-1)
        segments = None if self.segments is None else self.segments.clip(0, limit)
        return Instances(bboxes, self.cls, keypoints, segments)

    def flipped(self, length: int, axis: int, permutation: Sequence[int] | None) -> Instances:
        """Mirror, and give every keypoint the index of its mirror image.

        Args:
            length: Image width (axis 0) or height (axis 1), pixels.
            axis: 0 for left-right, 1 for upside-down.
            permutation: (K,) the keypoint that takes each place; needed where there are keypoints.

        Raises:
            ConfigError: Keypoints without a permutation: left corners would be called right corners.
        """
        bboxes = self.bboxes.copy()
        bboxes[:, [axis, axis + 2]] = length - self.bboxes[:, [axis + 2, axis]]
        keypoints = self.keypoints
        if keypoints is not None:
            keypoints = keypoints[:, require_permutation(permutation, axis)]
            keypoints[..., axis] = length - keypoints[..., axis]
        segments = self.segments
        if segments is not None:
            segments = segments.copy()
            segments[..., axis] = length - segments[..., axis]
        return Instances(bboxes, self.cls, keypoints, segments)


def require_permutation(permutation: Sequence[int] | None, axis: int) -> list[int]:
    """Return the permutation as a list, or refuse to mirror keypoints without one.

    Args:
        permutation: (K,) or None.
        axis: 0 for left-right, 1 for upside-down.

    Raises:
        ConfigError: There is no permutation.

    Example:
        >>> require_permutation((1, 0, 3, 2), axis=0)
        [1, 0, 3, 2]
    """
    if permutation is None:
        option, key = (("fliplr", "flip_idx"), ("flipud", "flip_idx_vertical"))[axis]
        kind = ("left-right", "upside-down")[axis]
        raise ConfigError(
            f"A {kind} flip of keypoints needs the permutation of their names: give {key} in data.yaml "
            f"(one index per keypoint), or set augment {option} to 0 and leave mirroring transforms out."
        )
    return list(permutation)


def concatenate(parts: Sequence[Instances], offsets: Sequence[tuple[int, int]]) -> Instances:
    """Join the instances of several images in one frame of coordinates.

    Args:
        parts: At least one; all with keypoints, or all without, and so with outlines.
        offsets: x and y of every part's origin in that frame, pixels.

    Raises:
        ValueError: Some parts have keypoints or outlines, and some have none.

    Example:
        >>> labels = Instances(np.array([[0, 0, 10, 20]], np.float32), np.zeros(1, np.int64), None)
        >>> concatenate([labels, labels], offsets=[(0, 0), (64, 0)]).bboxes.tolist()
        [[0.0, 0.0, 10.0, 20.0], [64.0, 0.0, 74.0, 20.0]]
    """
    keypoints = [part.keypoints for part in parts if part.keypoints is not None]
    if keypoints and len(keypoints) != len(parts):
        raise ValueError("Some images of a mosaic have keypoints and some have none.")
    shift = np.repeat(np.array(offsets, np.float32), [len(part.cls) for part in parts], axis=0)
    bboxes = np.concatenate([part.bboxes for part in parts])
    bboxes[:, :2] += shift
    bboxes[:, 2:] += shift
    joined = np.concatenate(keypoints) if keypoints else None
    if joined is not None:
        joined[..., :2] += shift[:, None]
    segments = _joined_segments(parts)
    if segments is not None:
        segments += shift[:, None]
    return Instances(bboxes, np.concatenate([part.cls for part in parts]), joined, segments)


def _joined_segments(parts: Sequence[Instances]) -> np.ndarray | None:
    """Return the outlines of several images, (n, P, 2), a copy; None where there are none."""
    found = [part.segments for part in parts if part.segments is not None]
    if not found:
        return None
    if len(found) != len(parts):
        raise ValueError("Some images of a mosaic have outlines and some have none.")
    most = max(each.shape[1] for each in found)
    return np.concatenate([with_points(each, most) for each in found])


def areas(bboxes: np.ndarray) -> np.ndarray:
    """Compute the areas of (n, 4) xyxy boxes, pixels squared.

    Example:
        >>> areas(np.array([[0, 0, 10, 20], [5, 5, 6, 6]])).tolist()
        [200, 1]
    """
    return np.asarray((bboxes[:, 2] - bboxes[:, 0]) * (bboxes[:, 3] - bboxes[:, 1]))


def worth_keeping(before: np.ndarray, after: np.ndarray, gain: float, area: float = MIN_AREA_LEFT) -> np.ndarray:
    """Tell which boxes are still recognisable after a warp and a clip; thresholds as in Ultralytics.

    Args:
        before: (n, 4) xyxy, pixels before the warp.
        after: (n, 4) xyxy, pixels after the warp and the clip.
        gain: Scale of the warp.
        area: Share of the scaled area of which more must be left.

    Returns:
        (n,) bool: wider and higher than 2 px, aspect under 100, and enough of the area left.

    Example:
        >>> before = np.array([[0.0, 0.0, 40.0, 40.0], [50.0, 0.0, 90.0, 40.0]])
        >>> worth_keeping(before, after=before.clip(0, 51), gain=1.0).tolist()
        [True, False]
    """
    width, height = after[:, 2] - after[:, 0], after[:, 3] - after[:, 1]
    tiny = 1e-16
    aspect = np.maximum(width / (height + tiny), height / (width + tiny))
    left = width * height / (areas(before) * gain**2 + tiny)
    return np.asarray((width > MIN_SIDE) & (height > MIN_SIDE) & (left > area) & (aspect < MAX_ASPECT))
