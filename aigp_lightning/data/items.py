"""A sample as a dataset makes it: the network's input with its labels in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from aigp_lightning.boxes import to_pixels, xywh_to_xyxy
from aigp_lightning.data.polygons import resampled
from aigp_lightning.types import RatioPad

if TYPE_CHECKING:
    from typing_extensions import NotRequired

    from aigp_lightning.data.records import ImageRecord


class Item(TypedDict):
    """One sample, ready to be collated.

    Attributes:
        image: (H, W, 3) uint8 RGB, the network's input.
        bboxes: (n, 4) float32 xyxy, pixels of `image`.
        cls: (n,) int64.
        keypoints: (n, K, 3) float32 pixels and visibility, or None.
        segments: (n, P, 2) float32 outlines, pixels of `image`; None, or not there, where nobody asked for them.
        im_file, ori_shape, ratio_pad, sources: see `DetectionBatch`.

    Example:
        >>> item = unlabelled(np.zeros((32, 64, 3), np.uint8), "000.jpg", (16, 32), ((2.0, 2.0), (0.0, 0.0)))
        >>> item["image"].shape, item["ori_shape"], item["sources"]
        ((32, 64, 3), (16, 32), ('000.jpg',))
    """

    image: np.ndarray
    bboxes: np.ndarray
    cls: np.ndarray
    keypoints: np.ndarray | None
    im_file: str
    ori_shape: tuple[int, int]
    ratio_pad: RatioPad
    sources: tuple[str, ...]
    segments: NotRequired[np.ndarray | None]


def labels_in_pixels(record: ImageRecord, height: int, width: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Convert a record's labels to pixels of an image of this size.

    Args:
        record: labels as fractions of the image.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        (n, 4) xyxy float32, and (n, K, 3) float32 or None.

    Example:
        >>> from aigp_lightning.data.records import ImageRecord
        >>> record = ImageRecord("000.jpg", (100, 200), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        >>> bboxes, keypoints = labels_in_pixels(record, *record.shape)
        >>> bboxes.tolist(), keypoints
        ([[50.0, 25.0, 150.0, 75.0]], None)
    """
    bboxes = to_pixels(xywh_to_xyxy(record.bboxes), (height, width))
    if record.keypoints is None:
        return bboxes, None
    return bboxes, record.keypoints * np.array([width, height, 1], dtype=np.float32)


def segments_in_pixels(record: ImageRecord, height: int, width: int) -> np.ndarray | None:
    """Convert a record's outlines to pixels of an image of this size; all get the same number of points.

    Args:
        record: labels as fractions of the image.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        (n, P, 2) float32, or None where the record has none.

    Example:
        >>> from aigp_lightning.data.polygons import Polygons
        >>> from aigp_lightning.data.records import ImageRecord
        >>> outline = Polygons(np.float32([[0, 0], [1, 0], [1, 1]]), np.array([3]))
        >>> record = ImageRecord("0.jpg", (9, 9), np.zeros(1, np.int64), np.float32([[0.5, 0.5, 1, 1]]), None, outline)
        >>> segments_in_pixels(record, 100, 200).shape
        (1, 1000, 2)
    """
    if record.polygons is None:
        return None
    return resampled(record.polygons) * np.array([width, height], dtype=np.float32)


def letterboxed(image: np.ndarray, im_file: str, imgsz: int, shape: tuple[int, int]) -> Item:
    """Fit an image into the network's input as Ultralytics validates: long side to `imgsz`, grey round the rest.

    Args:
        image: (H, W, 3) uint8 RGB.
        im_file: its name, carried along.
        imgsz: length of the long side, pixels.
        shape: (height, width) of the network input, pixels.

    Example:
        >>> item = letterboxed(np.zeros((360, 640, 3), np.uint8), "000.jpg", 640, (384, 640))
        >>> item["image"].shape, item["ratio_pad"]
        ((384, 640, 3), ((1.0, 1.0), (0.0, 12.0)))
    """
    from aigp_lightning.data.augment.letterbox import letterbox, resize_long_side

    height, width = image.shape[:2]
    resized = resize_long_side(image, imgsz)
    done, (gain_h, gain_w), (left, top) = letterbox(resized, shape)
    total = (gain_h * resized.shape[0] / height, gain_w * resized.shape[1] / width)
    return unlabelled(done, im_file, (height, width), (total, (float(left), float(top))))


def letterboxed_by_itself(image: np.ndarray, im_file: str, imgsz: int, expected: tuple[int, int]) -> Item:
    """Fit an image into the smallest rectangle around it, as Ultralytics predicts.

    Args:
        image: (H, W, 3) uint8 RGB.
        im_file: its name, carried along.
        imgsz: length of the long side, pixels.
        expected: height and width for which the rectangle was planned.

    Example:
        >>> item = letterboxed_by_itself(np.zeros((360, 640, 3), np.uint8), "000.jpg", 320, (360, 640))
        >>> item["image"].shape, item["ratio_pad"]
        ((192, 320, 3), ((0.5, 0.5), (0.0, 6.0)))
    """
    import cv2

    from aigp_lightning.data.augment.letterbox import input_shape, letterbox

    height, width = image.shape[:2]
    inner, outer = input_shape(expected, imgsz)
    resized: Any = image
    if (height, width) == expected and inner != expected:
        resized = cv2.resize(image, inner[::-1], interpolation=cv2.INTER_LINEAR)
    # A picture whose header lied still has to fit into its batch: then this resizes.
    done, (gain, _), (left, top) = letterbox(resized, outer, scaleup=(height, width) != expected)
    gains = (gain * resized.shape[0] / height, gain * resized.shape[1] / width)
    return unlabelled(done, im_file, (height, width), (gains, (float(left), float(top))))


def stretch(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize without keeping the aspect ratio, by Pillow's bilinear filter, which averages what becomes smaller.

    Args:
        image: (H, W, 3) uint8 RGB.
        size: height and width of the result, pixels.

    Returns:
        uint8; the very same array where it has this size already.

    Example:
        >>> stretch(np.array([[[0] * 3, [90] * 3], [[30] * 3, [120] * 3]], np.uint8), (1, 1)).tolist()
        [[[60, 60, 60]]]
    """
    from PIL import Image

    if image.shape[:2] == size:
        return image
    return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def stretched(image: np.ndarray, im_file: str, size: tuple[int, int]) -> Item:
    """Fill the network's input with an image, whatever its aspect ratio.

    Args:
        image: (H, W, 3) uint8 RGB.
        im_file: its name, carried along.
        size: (height, width) of the network input, pixels.

    Example:
        >>> item = stretched(np.zeros((360, 640, 3), np.uint8), "000.jpg", (320, 320))
        >>> item["image"].shape, [round(gain, 3) for gain in item["ratio_pad"][0]], item["ratio_pad"][1]
        ((320, 320, 3), [0.889, 0.5], (0.0, 0.0))
    """
    height, width = image.shape[:2]
    gains = size[0] / height, size[1] / width
    return unlabelled(stretch(image, size), im_file, (height, width), (gains, (0.0, 0.0)))


def unlabelled(image: np.ndarray, im_file: str, ori_shape: tuple[int, int], ratio_pad: RatioPad) -> Item:
    """Make an item without labels from a resized (H, W, 3) image; see `Item` for the rest.

    Example:
        >>> item = unlabelled(np.zeros((32, 64, 3), np.uint8), "000.jpg", (16, 32), ((2.0, 2.0), (0.0, 0.0)))
        >>> item["bboxes"].shape, item["cls"].shape, item["keypoints"]
        ((0, 4), (0,), None)
    """
    return {
        "image": image,
        "bboxes": np.zeros((0, 4), dtype=np.float32),
        "cls": np.zeros(0, dtype=np.int64),
        "keypoints": None,
        "im_file": im_file,
        "ori_shape": ori_shape,
        "ratio_pad": ratio_pad,
        "sources": (im_file,),
    }
