"""Random hue, saturation and brightness, by Ultralytics' formula, and channels that change places."""

from __future__ import annotations

import math
from typing import Any

import albumentations as A  # type: ignore[import-untyped,unused-ignore]
import cv2
import numpy as np

HUES = 180
"""Hue levels of 8-bit images in OpenCV: half degrees."""

FLOOR = -0.4998
"""Turns OpenCV's rounding to the nearest into rounding down; a hair above -0.5, so that whole numbers stay."""


class RandomHSV(A.ImageOnlyTransform):  # type: ignore[misc,unused-ignore]
    """A random shift of hue and change of saturation and brightness, by gains drawn uniformly.

    The formula is a look-up table in Ultralytics: hue `(x + 180 r) mod 180`, the others `x (1 + r)`, clipped, all
    rounded down. The same is done on separate planes by additions and multiplications, which OpenCV and NumPy
    vectorise and a look-up is not: half the time, and within one level before the way back to RGB.

    Args:
        hsv_h: Largest hue shift, as a fraction of the circle.
        hsv_s: Largest relative change of saturation.
        hsv_v: Largest relative change of brightness.
        p: Probability.

    Example:
        >>> image = np.full((2, 2, 3), (200, 100, 50), np.uint8)
        >>> RandomHSV(hsv_h=0, hsv_s=0, hsv_v=0.5)(image=image)["image"].shape
        (2, 2, 3)
    """

    def __init__(self, hsv_h: float = 0.015, hsv_s: float = 0.7, hsv_v: float = 0.4, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.hsv_h = hsv_h
        self.hsv_s = hsv_s
        self.hsv_v = hsv_v
        self._planes: list[np.ndarray] = []
        self._hsv = np.empty((0, 0, 3), np.uint8)

    def get_params(self) -> dict[str, Any]:
        """Draw the three gains."""
        gains = tuple(self.py_random.uniform(-1, 1) * limit for limit in (self.hsv_h, self.hsv_s, self.hsv_v))
        return {"gains": gains}

    def apply(self, img: np.ndarray, gains: tuple[float, float, float], **params: Any) -> np.ndarray:
        """Change the colours.

        Args:
            img: (H, W, 3) uint8 RGB.
            gains: Hue shift as a fraction of the circle, and relative changes of saturation and brightness.
            **params: Albumentations' own.

        Returns:
            (H, W, 3) uint8 RGB, a new array.
        """
        if img.shape != self._hsv.shape:  # scratch memory, kept: fresh pages cost as much as the arithmetic
            self._hsv = np.empty(img.shape, np.uint8)
            self._planes = [np.empty(img.shape[:2], np.uint8) for _ in range(3)]
        hue, saturation, value = self._planes
        cv2.cvtColor(img, cv2.COLOR_RGB2HSV, dst=self._hsv)
        cv2.split(self._hsv, self._planes)
        shift_hue(hue, math.floor(gains[0] * HUES) % HUES)
        cv2.convertScaleAbs(saturation, dst=saturation, alpha=1 + gains[1], beta=FLOOR)
        cv2.convertScaleAbs(value, dst=value, alpha=1 + gains[2], beta=FLOOR)
        cv2.merge(self._planes, dst=self._hsv)
        return np.asarray(cv2.cvtColor(self._hsv, cv2.COLOR_HSV2RGB), np.uint8)


class SwapChannels(A.ImageOnlyTransform):  # type: ignore[misc,unused-ignore]
    """Let red and blue change places.

    Args:
        p: Probability.

    Example:
        >>> SwapChannels(p=1.0)(image=np.full((1, 1, 3), (200, 100, 50), np.uint8))["image"].tolist()
        [[[50, 100, 200]]]
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p=p)

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        """Swap the channels.

        Args:
            img: (H, W, 3) uint8.
            **params: Albumentations' own.
        """
        return np.asarray(cv2.cvtColor(img, cv2.COLOR_RGB2BGR), np.uint8)


def shift_hue(hue: np.ndarray, steps: int) -> None:
    """Add to hues, round the circle, in place.

    Args:
        hue: (H, W) uint8 in 0…179, changed in place.
        steps: Half degrees, 0…179.

    Example:
        >>> hue = np.array([[0, 90, 170]], np.uint8)
        >>> shift_hue(hue, 20)
        >>> hue.tolist()
        [[20, 110, 10]]
    """
    if steps == 0:
        return
    # x + steps - 180 where that is not negative, else x + steps: bytes wrap at 256, and only the sum has to fit.
    back = HUES - steps
    wrapped = hue < back
    hue -= np.uint8(back)
    hue += wrapped.view(np.uint8) * np.uint8(HUES)
