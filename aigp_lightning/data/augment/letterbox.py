"""Fit an image into a shape without distortion, by the rules that Ultralytics' weights were trained with."""

from __future__ import annotations

import math

import numpy as np

STRIDE = 32


def load_size(shape: tuple[int, int], imgsz: int) -> tuple[int, int]:
    """Return the size of an image once its long side is `imgsz`; the short side is rounded up.

    Args:
        shape: Height and width, pixels.
        imgsz: Length of the long side, pixels.

    Returns:
        Height and width, pixels.

    Example:
        >>> load_size((1080, 1920), 640)
        (360, 640)
    """
    ratio = imgsz / max(shape)
    if ratio == 1:
        return shape
    return min(math.ceil(shape[0] * ratio), imgsz), min(math.ceil(shape[1] * ratio), imgsz)


def input_shape(shape: tuple[int, int], imgsz: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size of an image in the network's input, and of that input, by the rule of Ultralytics' predictor.

    Args:
        shape: height and width of the image, pixels.
        imgsz: length of the input's long side, pixels; a multiple of 32.

    Returns:
        (height, width) of the resized image, and of the smallest rectangle around it with sides divisible by 32.

    Example:
        >>> input_shape((1080, 1920), 640)
        ((360, 640), (384, 640))
    """
    gain = imgsz / max(shape)
    height, width = max(round(shape[0] * gain), 1), max(round(shape[1] * gain), 1)
    return (height, width), (-(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE)


def resize_long_side(image: np.ndarray, imgsz: int) -> np.ndarray:
    """Resize so that the long side is `imgsz`.

    Args:
        image: (H, W, 3) uint8.
        imgsz: Length of the long side, pixels.

    Returns:
        (h, w, 3) uint8; the very same array where its long side is `imgsz` already.

    Example:
        >>> resize_long_side(np.zeros((1080, 1920, 3), np.uint8), 640).shape
        (360, 640, 3)
    """
    import cv2

    height, width = image.shape[:2]
    new_height, new_width = load_size((height, width), imgsz)
    if (new_height, new_width) == (height, width):
        return image
    return np.asarray(cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR), np.uint8)


def letterbox(
    image: np.ndarray, new_shape: tuple[int, int], scaleup: bool = False, value: int = 114
) -> tuple[np.ndarray, tuple[float, float], tuple[int, int]]:
    """Resize to fit into a shape and pad the rest evenly on both sides.

    Args:
        image: (H, W, 3) uint8.
        new_shape: Height and width of the result, pixels.
        scaleup: Enlarge an image that is smaller than the shape, too.
        value: Grey level of the padding.

    Returns:
        The (h, w, 3) image, the gains (height, width), and the padding (left, top) in pixels.

    Example:
        >>> image, gains, padding = letterbox(np.zeros((360, 640, 3), np.uint8), (384, 320))
        >>> image.shape, gains, padding
        ((384, 320, 3), (0.5, 0.5), (0, 102))
    """
    import cv2

    height, width = image.shape[:2]
    gain = min(new_shape[0] / height, new_shape[1] / width)
    if not scaleup:
        gain = min(gain, 1.0)
    inner_width, inner_height = max(round(width * gain), 1), max(round(height * gain), 1)
    if (inner_width, inner_height) != (width, height):
        image = cv2.resize(image, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR)
    # The tenth makes an odd pixel go to the right and to the bottom.
    half_x, half_y = (new_shape[1] - inner_width) / 2, (new_shape[0] - inner_height) / 2
    left, right = round(half_x - 0.1), round(half_x + 0.1)
    top, bottom = round(half_y - 0.1), round(half_y + 0.1)
    if left or right or top or bottom:
        image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(value,) * 3)
    return np.asarray(image, np.uint8), (gain, gain), (left, top)
