"""Objects found in one image, as NumPy arrays on the host: for pictures, text and JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from aigp_lightning.types import Prediction, RatioPad


@dataclass(frozen=True)
class ImageDetections:
    """The objects found in one image, in pixels of the network input or of the image on disk.

    Attributes:
        boxes: (n, 4) float32 xyxy, pixels.
        scores: (n,) float32 confidence.
        labels: (n,) int64 class ids.
        keypoints: (n, K, 3) float32 x, y in pixels and confidence; may lie outside the image. Or None.
        shape: height and width of the image, pixels; None where it is not needed.
        masks: uint8 (n, h, w) 0 or 1, of the network input or a fraction of its size, or of the image; or None.

    Example:
        >>> found = ImageDetections(np.array([[0.0, 0, 50, 80]]), np.array([0.9]), np.array([1]), shape=(80, 100))
        >>> len(found.boxes), found.keypoints
        (1, None)
    """

    boxes: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[Any]
    keypoints: NDArray[Any] | None = None
    shape: tuple[int, int] | None = None
    masks: NDArray[np.uint8] | None = None


NOTHING = ImageDetections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
"""An image in which nothing was found."""


def above_confidence(prediction: Prediction, conf: float) -> ImageDetections:
    """Copy to the host what was found with at least this confidence, in network-input pixels.

    Args:
        prediction: of one image, on any device.
        conf: lowest confidence, 0…1.

    Example:
        >>> import torch
        >>> from aigp_lightning.types import Prediction
        >>> boxes = torch.tensor([[10.0, 10, 30, 30], [50, 50, 60, 60]])
        >>> found = Prediction(boxes, torch.tensor([0.9, 0.1]), torch.tensor([0, 1]))
        >>> above_confidence(found, 0.25).boxes.tolist()
        [[10.0, 10.0, 30.0, 30.0]]
    """
    sure, points = prediction.scores >= conf, prediction.keypoints
    return ImageDetections(
        _host(prediction.boxes[sure]),
        _host(prediction.scores[sure]),
        _host(prediction.labels[sure]).astype(np.int64),
        None if points is None else _host(points[sure]),
        masks=None if prediction.masks is None else prediction.masks[sure].cpu().numpy(),
    )


def in_original(prediction: Prediction, shape: tuple[int, int], ratio_pad: RatioPad) -> ImageDetections:
    """Undo the letterbox: from network-input pixels to those of the image on disk.

    Args:
        prediction: in network-input pixels.
        shape: height and width of the original, pixels.
        ratio_pad: how it was letterboxed.

    Example:
        >>> import torch
        >>> from aigp_lightning.types import Prediction
        >>> found = Prediction(torch.tensor([[10.0, 20, 60, 70]]), torch.tensor([0.9]), torch.tensor([0]))
        >>> in_original(found, (200, 200), ((0.5, 0.5), (0, 10))).boxes.tolist()
        [[20.0, 20.0, 120.0, 120.0]]
    """
    (gain_h, gain_w), pad = ratio_pad
    gain, offset = np.array([gain_w, gain_h], np.float32), np.array(pad, np.float32)
    boxes = (_host(prediction.boxes).reshape(-1, 4) - np.tile(offset, 2)) / np.tile(gain, 2)
    boxes = np.clip(boxes, 0, np.array([shape[1], shape[0]] * 2, np.float32))
    keypoints = None
    if prediction.keypoints is not None:
        points = _host(prediction.keypoints)
        # Not clipped: half a gate's corner belongs where it is, not on the picture's edge.
        keypoints = np.concatenate(((points[..., :2] - offset) / gain, points[..., 2:]), axis=-1)
    labels = prediction.labels.detach().cpu().numpy().astype(np.int64)
    masks = None
    if prediction.masks is not None:
        masks = masks_in_original(prediction.masks.cpu().numpy(), shape, ratio_pad)
    return ImageDetections(boxes, _host(prediction.scores), labels, keypoints, shape, masks)


def only_seen(found: ImageDetections, keypoint_conf: float | None) -> ImageDetections:
    """Return detections whose keypoints have confidence 1 where they count as seen, and 0 elsewhere: to be drawn.

    Args:
        found: of one image.
        keypoint_conf: lowest confidence of a keypoint that counts as seen; None: as they are.

    Example:
        >>> points = np.array([[[1.0, 1.0, 0.2], [2.0, 1.0, 0.1]]])
        >>> found = ImageDetections(np.zeros((1, 4)), np.ones(1), np.zeros(1, np.int64), points)
        >>> only_seen(found, 0.15).keypoints[..., 2].tolist()
        [[1.0, 0.0]]
    """
    if found.keypoints is None or keypoint_conf is None:
        return found
    points = found.keypoints.copy()
    points[..., 2] = points[..., 2] >= np.float32(keypoint_conf)
    return replace(found, keypoints=points)


def masks_in_original(masks: NDArray[np.uint8], shape: tuple[int, int], ratio_pad: RatioPad) -> NDArray[np.uint8]:
    """Cut the letterbox off masks, and bring them to the size of the image on disk.

    Args:
        masks: (n, h, w) 0 or 1, of the network input's size.
        shape: height and width of the original, pixels.
        ratio_pad: how it was letterboxed.

    Returns:
        (n, H, W) 0 or 1.

    Example:
        >>> masks = np.zeros((1, 8, 8), np.uint8)
        >>> masks[0, 2:4, :4] = 1
        >>> masks_in_original(masks, (8, 16), ((0.5, 0.5), (0.0, 2.0)))[0, 0].tolist()
        [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    """
    import cv2

    (gain_h, gain_w), (left, top) = ratio_pad
    left, top = round(left), round(top)
    bottom, right = top + max(round(shape[0] * gain_h), 1), left + max(round(shape[1] * gain_w), 1)
    whole = np.zeros((len(masks), *shape), np.uint8)
    for target, mask in zip(whole, masks[:, top:bottom, left:right], strict=True):
        target[...] = cv2.resize(mask.astype(np.float32), shape[::-1]) > 0.5  # noqa: PLR2004
    return whole


def _host(values: Any) -> NDArray[np.float32]:
    """Copy a tensor to an array of float32."""
    return np.asarray(values.detach().float().cpu().numpy(), np.float32)
