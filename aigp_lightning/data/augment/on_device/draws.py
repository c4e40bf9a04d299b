"""A sample's augmentation without its pixels: what is drawn for it, and where its labels go."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import albumentations as A  # type: ignore[import-untyped,unused-ignore]
import cv2
import numpy as np

from aigp_lightning.data.augment import Sample
from aigp_lightning.data.augment.color import HUES, RandomHSV, SwapChannels
from aigp_lightning.data.augment.flip import Flip
from aigp_lightning.data.augment.instances import Instances
from aigp_lightning.data.augment.mosaic import MosaicAffine
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.data.augment.tiles import Tile

GRID = 8
"""Tiles of the local contrast equalisation, along each side; Albumentations' default."""
BINS = 256


class Draws(NamedTuple):
    """Random draws of one sample.

    Attributes:
        instances: its labels, as they are in the augmented picture.
        tiles: the pictures that it is made of, one or four, and their places on the canvas.
        to_canvas: (2, 3) float64, pixels of the augmented picture to pixels of the canvas; flips are in it. (3, 3)
            where the picture is tilted.
        colour: steps of hue, 0…179, and factors of saturation and brightness.
        rare: by name, the size of a blur or a limit of contrast, of the transforms that few samples get.
        cropped: the augmented picture is a part of a picture, and its edge repeats that of the picture.
        swapped: red and blue change places.

    Example:
        >>> from aigp_lightning.data.augment import AugmentConfig
        >>> image = np.zeros((48, 64, 3), np.uint8)
        >>> sample = Sample(
        ...     image=image, bboxes=np.zeros((0, 4), np.float32), cls=np.zeros(0, np.int64), keypoints=None, im_file=""
        ... )
        >>> still = AugmentConfig(translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=1)
        >>> draws = draw(TrainPipeline(64, still), sample, partners=[], seed=1)
        >>> draws.to_canvas.tolist(), draws.colour, draws.rare
        ([[-1.0, -0.0, 63.0], [0.0, 1.0, -8.0]], (0, 1.0, 1.0), {})
    """

    instances: Instances
    tiles: list[Tile]
    to_canvas: np.ndarray
    colour: tuple[int, float, float]
    rare: dict[str, int]
    cropped: bool = False
    swapped: bool = False


def draw(pipeline: TrainPipeline, sample: Sample, partners: Sequence[Sample], seed: int) -> Draws:
    """Draw what `pipeline` would for this sample, and move the labels; no pixel is looked at.

    Args:
        pipeline: the augmentations; without the user's own.
        sample: labels and picture; of the picture nothing but its shape is asked.
        partners: three more for a mosaic, or none.
        seed: of this sample.

    Raises:
        TypeError: the pipeline has a transform that the device does not have.
    """
    size = pipeline.imgsz
    generator, py_random = np.random.default_rng(seed), random.Random(seed)
    labels = Instances(sample["bboxes"], sample["cls"], sample["keypoints"], sample.get("segments"))
    data: dict[str, Any] = {"image": sample["image"], "instances": labels, "partners": partners}
    data["ori_shape"] = sample.get("ori_shape")
    drawn: dict[str, Any] = {}
    for step in pipeline.transforms:
        step.set_random_state(generator, py_random)
        if not step.should_apply():
            continue
        # The order in which a transform draws when it is called.
        params = step.update_transform_params(step.get_params(), data)
        params.update(step.get_params_dependent_on_data(params, data))
        _note(step, params, drawn, size)
        if isinstance(step, A.DualTransform):
            data["instances"] = step.apply_to_instances(data["instances"], **params)
        if isinstance(step, MosaicAffine):
            data["image"] = np.empty((size, size, 0), np.uint8)  # from here on pictures have the shape of the output
    geometry = drawn["geometry"]
    to_canvas = np.linalg.inv(geometry.pixels) if geometry.tilted else cv2.invertAffineTransform(geometry.pixels)
    for axis in drawn.get("flips", ()):
        to_canvas[:, 2] += to_canvas[:, axis] * (size - 1)
        to_canvas[:, axis] *= -1
    colour, rare = drawn.get("colour", (0, 1.0, 1.0)), drawn.get("rare", {})
    swapped = drawn.get("swapped", False)
    return Draws(data["instances"], drawn["tiles"], to_canvas, colour, rare, geometry.cropped, swapped)


def _note(step: Any, params: dict[str, Any], drawn: dict[str, Any], size: int) -> None:
    """Write down what one transform has drawn."""
    kind = type(step)
    if kind is MosaicAffine:
        drawn["geometry"], drawn["tiles"] = params["geometry"], params["tiles"]
    elif kind is RandomHSV:
        hue, saturation, value = params["gains"]
        drawn["colour"] = (math.floor(hue * HUES) % HUES, 1 + saturation, 1 + value)
    elif kind is Flip:
        drawn.setdefault("flips", []).append(step.axis)
    elif kind is SwapChannels:
        drawn["swapped"] = True
    elif kind in RARE:
        name, number = RARE[kind]
        drawn.setdefault("rare", {})[name] = number(params, size)
    else:
        raise TypeError(f"{kind.__name__} cannot be done on the device; --data.augment_on cpu does it")


def _counts_kept(params: dict[str, Any], size: int) -> int:
    """Return OpenCV's limit of a histogram's bin, in pixels, for a limit of contrast."""
    return max(int(params["clip_limit"] * (size // GRID) ** 2 / BINS), 1)


RARE: dict[type, tuple[str, Callable[[dict[str, Any], int], int]]] = {
    A.Blur: ("blur", lambda params, size: int(params["kernel"])),
    A.MedianBlur: ("median_blur", lambda params, size: int(params["kernel"])),
    A.ToGray: ("to_gray", lambda params, size: 1),
    A.CLAHE: ("clahe", _counts_kept),
}
"""Transforms that few samples get: their names, and the number that the device needs to do them."""
