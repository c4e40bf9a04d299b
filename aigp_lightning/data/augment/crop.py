"""Square crops, as DETR and its descendants train with: a part of the picture that fills the network's input."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

import cv2
import numpy as np

SHORT_SIDES = (400, 500, 600)
"""Short sides that the picture is imagined with, pixels; each is as likely."""
SMALLEST, LARGEST = 384, 600
"""Least and greatest side of the square in the imagined picture, pixels."""


class Crop(NamedTuple):
    """A part of an image that becomes the whole output.

    Attributes:
        left: of the part, pixels of the image; a pixel begins at its number.
        top: likewise.
        width: of the part, pixels of the image.
        height: likewise.

    Example:
        >>> Crop(left=8, top=1, width=32, height=16).matrix(64).tolist()
        [[2.0, 0.0, -16.0], [0.0, 4.0, -4.0]]
    """

    left: float
    top: float
    width: float
    height: float

    def matrix(self, imgsz: int) -> np.ndarray:
        """Return the (2, 3) map of image pixels to output pixels, of points such as the corners of boxes."""
        gain_x, gain_y = imgsz / self.width, imgsz / self.height
        return np.array(((gain_x, 0.0, -gain_x * self.left), (0.0, gain_y, -gain_y * self.top)))

    def gain(self, imgsz: int) -> float:
        """Return the geometric mean of both gains."""
        return imgsz / math.sqrt(self.width * self.height)


def draw_crop(shape: tuple[int, int], original: tuple[int, int], random: Random) -> Crop:
    """Draw a crop that is square in the original picture, whatever has become of its aspect ratio since.

    Args:
        shape: height and width of the image, pixels.
        original: height and width of the picture on disk, pixels.
        random: source of the draws.

    Example:
        >>> crop = draw_crop((640, 640), (720, 1280), Random(0))
        >>> round(crop.width / 640 * 1280) == round(crop.height / 640 * 720)
        True
    """
    short = random.choice(SHORT_SIDES)
    scale = short / min(original)
    height, width = (max(short, int(side * scale)) for side in original)
    side = random.randint(min(SMALLEST, short), min(LARGEST, short))
    left, top = random.randint(0, width - side), random.randint(0, height - side)
    step_x, step_y = shape[1] / width, shape[0] / height
    return Crop(left * step_x, top * step_y, side * step_x, side * step_y)


def centred(matrix: np.ndarray) -> np.ndarray:
    """Return the map of pixels' numbers that goes with a map of points, since pixels are half a pixel from theirs.

    Args:
        matrix: (2, 3), of points.

    Example:
        >>> centred(np.array([[2.0, 0, 0], [0, 4.0, 0]])).tolist()
        [[2.0, 0.0, 0.5], [0.0, 4.0, 1.5]]
    """
    middle = matrix[:, :2].sum(1) / 2
    return np.column_stack((matrix[:, :2], matrix[:, 2] + middle - 0.5))


def warp_crop(image: np.ndarray, pixels: np.ndarray, imgsz: int) -> np.ndarray:
    """Resize a part of an image to the output, by the same rules as any other warp; nothing in it is grey.

    Args:
        image: (h, w, 3) uint8.
        pixels: (2, 3) map of pixels' numbers from the image to the output, without rotation.
        imgsz: side of the square output, pixels.

    Returns:
        (imgsz, imgsz, 3) uint8.

    Example:
        >>> warp_crop(np.array([[[0] * 3, [200] * 3]], np.uint8), np.array([[2.0, 0, 0.5], [0, 2.0, 0.5]]), 4)[0, :, 0]
        array([  0,  50, 150, 200], dtype=uint8)
    """
    matrix = pixels.copy()
    (gain_x, _, shift_x), (_, gain_y, shift_y) = pixels.tolist()
    height, width = image.shape[:2]
    # Of the image only what can be seen, and two more pixels for the interpolation.
    left, top = max(math.floor(-shift_x / gain_x) - 2, 0), max(math.floor(-shift_y / gain_y) - 2, 0)
    right = min(math.ceil((imgsz - 1 - shift_x) / gain_x) + 3, width)
    bottom = min(math.ceil((imgsz - 1 - shift_y) / gain_y) + 3, height)
    matrix[:, 2] += left * gain_x, top * gain_y
    source = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2RGBA)  # four channels are warped faster
    out = cv2.warpAffine(source, matrix, (imgsz, imgsz), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(out, cv2.COLOR_RGBA2RGB), np.uint8)
