"""What was found in an image, in the image's own pixels: as YOLO text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from aigp_lightning.types import Keypoints, Prediction, RatioPad


@dataclass(frozen=True)
class Found:
    """What was found in one image.

    Attributes:
        boxes: (n, 4) float32 xyxy, pixels, inside the image.
        scores: (n,) float32 confidence.
        labels: (n,) int64 class ids.
        keypoints: (n, K, 3) float32 x, y in pixels and confidence; may lie outside the image. Or None.
        shape: height and width of the image, pixels.
    """

    boxes: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[Any]
    keypoints: NDArray[Any] | None
    shape: tuple[int, int]


def in_original(prediction: Prediction, shape: tuple[int, int], ratio_pad: RatioPad) -> Found:
    """Undo the letterbox.

    Args:
        prediction: in network-input pixels.
        shape: height and width of the original, pixels.
        ratio_pad: how it was letterboxed.
    """
    (gain_h, gain_w), pad = ratio_pad
    gain, offset = np.array([gain_w, gain_h], np.float32), np.array(pad, np.float32)
    boxes = (_array(prediction.boxes).reshape(-1, 4) - np.tile(offset, 2)) / np.tile(gain, 2)
    boxes = np.clip(boxes, 0, np.array([shape[1], shape[0]] * 2, np.float32))
    keypoints = None
    if prediction.keypoints is not None:
        points = _array(prediction.keypoints)
        # Not clipped: half a gate's corner belongs where it is, not on the picture's edge.
        keypoints = np.concatenate(((points[..., :2] - offset) / gain, points[..., 2:]), axis=-1)
    labels = prediction.labels.detach().cpu().numpy().astype(np.int64)
    return Found(boxes, _array(prediction.scores), labels, keypoints, shape)


def _array(values: Any) -> NDArray[np.float32]:
    return np.asarray(values.detach().float().cpu().numpy(), np.float32)


def yolo_lines(found: Found, keypoints: Keypoints | None = None) -> str:
    """Write as Ultralytics' `save_txt` does with `save_conf`; keypoints are not clipped to the picture.

    Args:
        found: what was found.
        keypoints: what the module says about them; without visibility there, none is written.

    Returns:
        A line an object: `class cx cy w h [x y [confidence] …] confidence`, lengths as fractions of the image.
    """
    size = np.array([found.shape[1], found.shape[0]], np.float64)
    low, high = found.boxes[:, :2], found.boxes[:, 2:]
    columns = [found.labels[:, None], (low + high) / 2 / size, (high - low) / size]
    if (points := _points(found, keypoints)) is not None:
        scale = np.array([*size, 1])[: points.shape[2]]
        columns.append((points / scale).reshape(len(points), -1))
    rows = np.concatenate([*columns, found.scores[:, None]], axis=1)
    return "".join(" ".join(f"{value:.6g}" for value in row) + "\n" for row in rows.tolist())


def _points(found: Found, keypoints: Keypoints | None) -> NDArray[Any] | None:
    """Keypoints with as many numbers as the module finds for each: a model without visibility has no confidence."""
    if found.keypoints is None or keypoints is None:
        return found.keypoints
    return found.keypoints[..., : keypoints.numbers]


def json_entry(
    found: Found, file: str, frame: int | None, names: Mapping[int, str], keypoints: Keypoints | None = None
) -> dict[str, Any]:
    """One image's entry in `predictions.json`: pixels to 0.001, confidence to 0.00001.

    Args:
        found: what was found.
        file: the picture or video.
        frame: of the video, from 0; None for a picture.
        names: class names by id.
        keypoints: what the module says about them: their names, and whether it tells how visible they are.

    Returns:
        Plain values only; a detection's keypoints are in the order of `keypoint_names`.
    """
    rows = zip(found.labels.tolist(), _rounded(found.scores, 5), _rounded(found.boxes, 3), strict=True)
    detections: list[dict[str, Any]] = [
        {"class": label, "name": names.get(label, str(label)), "confidence": score, "box": box}
        for label, score, box in rows
    ]
    if (where := _points(found, keypoints)) is not None:
        for detection, points in zip(detections, _rounded(where, 3), strict=True):
            detection["keypoints"] = points
    place: dict[str, Any] = {"file": file} if frame is None else {"file": file, "frame": frame}
    place |= {"height": found.shape[0], "width": found.shape[1]}
    if keypoints is not None:
        place["keypoint_names"] = list(keypoints.names)
    return {**place, "detections": detections}


def _rounded(values: NDArray[Any], digits: int) -> list[Any]:
    rounded: list[Any] = values.astype(np.float64).round(digits).tolist()
    return rounded
