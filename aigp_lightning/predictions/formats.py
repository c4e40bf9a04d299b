"""Writes what was found in an image, in the image's own pixels, as YOLO text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import to_fractions, xyxy_to_xywh

if TYPE_CHECKING:
    from aigp_lightning.media.detections import ImageDetections
    from aigp_lightning.types import Keypoints


def yolo_lines(
    found: ImageDetections,
    keypoints: Keypoints | None = None,
    ids: NDArray[np.int64] | None = None,
    conf: bool = True,
) -> str:
    """Write the lines that Ultralytics' `save_txt` writes, with or without `save_conf`; keypoints are not clipped.

    Args:
        found: what was found, in an image of known shape.
        keypoints: what the module says about them; without visibility there, none is written.
        ids: (C,) the id to write for each of the model's classes, those of a data set; None: the model's own.
        conf: end each line with the confidence.

    Returns:
        A line an object: `class cx cy w h [x y [confidence] …] [confidence]`, lengths as fractions of the image. With
        masks `class x1 y1 x2 y2 … [confidence]`; an object without a pixel has no line.

    Example:
        >>> from aigp_lightning.media.detections import ImageDetections
        >>> found = ImageDetections(np.array([[0, 0, 50, 80.0]]), np.array([0.5]), np.array([1]), shape=(80, 100))
        >>> yolo_lines(found).split()
        ['1', '0.25', '0.5', '0.5', '1', '0.5']
    """
    height, width = _shape(found)
    size = np.array([width, height], np.float64)
    boxes = to_fractions(xyxy_to_xywh(found.boxes).astype(np.float64), (height, width))
    labels = found.labels if ids is None else ids[found.labels]
    if found.masks is not None:
        rings = [np.column_stack((ring[:, 0] / width, ring[:, 1] / height)) for ring in outlines(found.masks)]
        return "".join(
            " ".join(f"{value:.6g}" for value in (label, *ring.ravel().tolist(), *[score] * conf)) + "\n"
            for label, ring, score in zip(labels.tolist(), rings, found.scores.tolist(), strict=True)
            if len(ring)
        )
    columns = [labels[:, None], boxes]
    if (points := _points(found, keypoints)) is not None:
        scale = np.array([*size, 1])[: points.shape[2]]
        columns.append((points / scale).reshape(len(points), -1))
    if conf:
        columns.append(found.scores[:, None])
    rows = np.concatenate(columns, axis=1)
    return "".join(" ".join(f"{value:.6g}" for value in row) + "\n" for row in rows.tolist())


def _points(found: ImageDetections, keypoints: Keypoints | None) -> NDArray[Any] | None:
    """Return keypoints with as many numbers as the module finds for each: without visibility no confidence."""
    if found.keypoints is None or keypoints is None:
        return found.keypoints
    return found.keypoints[..., : keypoints.numbers]


def json_entry(
    found: ImageDetections,
    file: str,
    frame: int | None,
    names: Mapping[int, str],
    keypoints: Keypoints | None = None,
    keypoint_conf: float | None = None,
) -> dict[str, Any]:
    """Build one image's entry in `predictions.json`: pixels to 0.001, confidence to 0.00001.

    Args:
        found: what was found, in an image of known shape.
        file: the picture or video.
        frame: of the video, from 0; None for a picture.
        names: class names by id.
        keypoints: what the module says about them: their names, and whether it tells how visible they are.
        keypoint_conf: lowest confidence of a keypoint that counts as seen; None: none is marked.

    Returns:
        Plain values only; a detection's keypoints, and `seen` of them, are in the order of `keypoint_names`.
    """
    rows = zip(found.labels.tolist(), _rounded(found.scores, 5), _rounded(found.boxes, 3), strict=True)
    detections: list[dict[str, Any]] = [
        {"class": label, "name": names.get(label, str(label)), "confidence": score, "box": box}
        for label, score, box in rows
    ]
    if (where := _points(found, keypoints)) is not None:
        for detection, points in zip(detections, _rounded(where, 3), strict=True):
            detection["keypoints"] = points
    if found.keypoints is not None and keypoint_conf is not None:
        seen = found.keypoints[..., 2] >= np.float32(keypoint_conf)
        for detection, each in zip(detections, seen.tolist(), strict=True):
            detection["seen"] = each
    if found.masks is not None:
        for detection, ring in zip(detections, outlines(found.masks), strict=True):
            detection["polygon"] = ring.tolist()
    place: dict[str, Any] = {"file": file} if frame is None else {"file": file, "frame": frame}
    height, width = _shape(found)
    place |= {"height": height, "width": width}
    if keypoints is not None:
        place["keypoint_names"] = list(keypoints.names)
    return {**place, "detections": detections}


def outlines(masks: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Trace masks as Ultralytics writes them, (n, 2) x y in pixels each: parts are joined, openings are not kept.

    Args:
        masks: (n, H, W) 0 or 1.

    Example:
        >>> mask = np.zeros((1, 6, 6), np.uint8)
        >>> mask[0, 1:4, 1:5] = 1
        >>> outlines(mask)[0].tolist()
        [[1.0, 1.0], [1.0, 3.0], [4.0, 3.0], [4.0, 1.0]]
    """
    import cv2

    found = []
    for mask in masks:
        rings, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        parts = sorted((ring.reshape(-1, 2) for ring in rings), key=len, reverse=True)
        found.append(join_parts(parts).astype(np.float32))
    return found


def join_parts(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Join the rings of one object to one, by cuts there and back between nearest corners.

    Args:
        parts: (n, 2) x y each, the main one first.

    Example:
        >>> join_parts([np.array([[0, 0], [4, 0], [4, 4]]), np.array([[6, 0], [8, 0], [8, 2]])]).tolist()
        [[0, 0], [4, 0], [6, 0], [8, 0], [8, 2], [6, 0], [4, 0], [4, 4]]
    """
    if not parts:
        return np.zeros((0, 2))
    whole = parts[0]
    for ring in parts[1:]:
        apart = np.square(whole[:, None].astype(np.float64) - ring[None]).sum(2)
        here, there = np.unravel_index(apart.argmin(), apart.shape)
        around = np.roll(ring, -int(there), axis=0)
        whole = np.concatenate((whole[: here + 1], around, around[:1], whole[here:]))
    return whole


def _rounded(values: NDArray[Any], digits: int) -> list[Any]:
    rounded: list[Any] = values.astype(np.float64).round(digits).tolist()
    return rounded


def _shape(found: ImageDetections) -> tuple[int, int]:
    assert found.shape is not None, "what is written is in pixels of an image of known size"
    return found.shape
