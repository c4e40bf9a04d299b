"""Pictures that look enough like photos: smooth shades, edges and some texture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from aigp_lightning.data.augment import Sample


def photo(height: int, width: int, seed: int) -> np.ndarray:
    """(height, width, 3) uint8: coloured noise over several octaves, and a few discs."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((3, 120.0), (12, 60.0), (48, 25.0)):
        noise = rng.random((cells, cells, 3)).astype(np.float32) * weight
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.circle(image, centre, int(rng.integers(8, 40)), rng.integers(0, 256, 3).tolist(), -1)
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(name="photo")
def photo_fixture() -> Callable[[int, int, int], np.ndarray]:
    """Make a photo from its height, width and seed."""
    return photo


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    """Make one sample: a photo of a given size, with random boxes and, where asked for, four corners a box."""

    def make(height: int, width: int, seed: int, corners: bool = False, boxes: int = 12) -> Sample:
        rng = np.random.default_rng(seed + 1000)
        low = rng.random((boxes, 2)) * 0.8
        high = (low + rng.random((boxes, 2)) * 0.5).clip(0, 1)
        bboxes = (np.concatenate((low, high), 1) * (width, height, width, height)).astype(np.float32)
        keypoints = None
        if corners:
            keypoints = np.full((boxes, 4, 3), 2, np.float32)
            keypoints[..., :2] = bboxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        cls = rng.integers(0, 3, boxes).astype(np.int64)
        return Sample(
            image=photo(height, width, seed), bboxes=bboxes, cls=cls, keypoints=keypoints, im_file=f"{seed}.jpg"
        )

    return make
