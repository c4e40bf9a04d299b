"""Letterbox and load size against Ultralytics, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ultralytics.data.augment import LetterBox

from aigp_lightning.data.augment.letterbox import letterbox, load_size, resize_long_side

SHAPES = [(480, 640), (640, 480), (333, 517), (97, 640), (200, 150), (640, 640), (3, 700), (359, 641)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scaleup", [False, True])
@pytest.mark.parametrize("new_shape", [(320, 320), (416, 672)])
def test_letterbox_is_pixel_identical(shape: tuple[int, int], scaleup: bool, new_shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    reference = LetterBox(new_shape=new_shape, scaleup=scaleup, center=True)
    params = reference.get_params({"img": image})

    ours, gain, pad = letterbox(image, new_shape, scaleup=scaleup)

    assert np.array_equal(ours, reference(image=image.copy()))
    assert gain == params["ratio"]
    assert pad == (params["left"], params["top"])


def test_padding_takes_the_given_grey() -> None:
    image, _, (left, top) = letterbox(np.full((10, 20, 3), 9, np.uint8), (20, 20), value=7)
    assert (left, top) == (0, 5)
    assert (image[:5] == 7).all()
    assert (image[5:15] == 9).all()
    assert (image[15:] == 7).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_load_size_rounds_the_short_side_up(shape: tuple[int, int]) -> None:
    height, width = load_size(shape, 320)
    ratio = 320 / max(shape)
    assert max(height, width) == 320
    assert min(height, width) == min(math.ceil(min(shape) * ratio), 320)
    assert resize_long_side(np.zeros((*shape, 3), np.uint8), 320).shape == (height, width, 3)


def test_an_image_of_the_right_size_is_not_copied() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    assert resize_long_side(image, 320) is image
