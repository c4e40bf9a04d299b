"""Square crops: pictures whose pixels say where they are from, so that the crop can be read from the output."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aigp_lightning.data.augment import AugmentConfig, Sample
from aigp_lightning.data.augment.crop import LARGEST, SHORT_SIDES, SMALLEST
from aigp_lightning.data.augment.instances import Instances
from aigp_lightning.data.augment.mosaic import MosaicAffine
from aigp_lightning.data.augment.on_device.draws import draw
from aigp_lightning.data.augment.on_device.inputs import pack_inputs
from aigp_lightning.data.augment.on_device.pictures import make_pictures
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.errors import ConfigError

SIZE = 160
STILL = AugmentConfig(
    translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=0, blur=0, median_blur=0, to_gray=0, clahe=0
)
CROPS = replace(STILL, crop=1.0)
ORDER = (1, 0, 3, 2)
PICTURES = {
    "stretched": ((SIZE, SIZE), (720, 1280)),
    "stretched upright": ((SIZE, SIZE), (1000, 400)),
    "letterboxed": ((120, SIZE), (480, 640)),
    "square": ((SIZE, SIZE), (300, 300)),
}
"""Shapes of samples, and of their pictures on disk."""


def coded(shape: tuple[int, int], original: tuple[int, int] | None = None) -> Sample:
    """A picture whose red is the share of its width that lies to the left, and green of its height above; 25 boxes."""
    height, width = shape
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.round(255 * (np.arange(width) + 0.5) / width)
    image[..., 1] = np.round(255 * (np.arange(height) + 0.5) / height)[:, None]
    low = np.stack(np.meshgrid(np.arange(5), np.arange(5)), -1).reshape(-1, 2) * 0.2 + 0.02
    bboxes = (np.concatenate((low, low + 0.12), 1) * (width, height, width, height)).astype(np.float32)
    keypoints = np.full((25, 4, 3), 2, np.float32)
    keypoints[..., :2] = bboxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    sample = Sample(image=image, bboxes=bboxes, cls=np.arange(25), keypoints=keypoints, im_file="a.png")
    if original is not None:
        sample["ori_shape"] = original
    return sample


def seen(image: np.ndarray) -> np.ndarray:
    """Left, top, width and height of what an output shows, as fractions of the picture."""
    places = np.arange(SIZE) + 0.5
    inner = slice(4, -4)  # beyond its last pixel's centre a picture repeats it
    lines = [
        np.polyfit(places[inner], values[inner] / 255, 1)
        for values in (image[..., 0].mean(0), image[..., 1].mean(1))
    ]  # fmt: skip
    return np.array([lines[0][1], lines[1][1], lines[0][0] * SIZE, lines[1][0] * SIZE])


@pytest.mark.parametrize("place", ["processor", "device"])
@pytest.mark.parametrize("kind", PICTURES)
def test_a_crop_is_a_square_of_the_original_that_fills_the_output(kind: str, place: str) -> None:
    shape, original = PICTURES[kind]
    sample, pipeline = coded(shape, original), TrainPipeline(SIZE, CROPS, ORDER)
    sides = []
    for seed in range(60):
        if place == "device":
            drawn = draw(pipeline, sample, [], seed)
            image = make_pictures(pack_inputs([drawn], SIZE, straight=True, recolour=False))[0].permute(1, 2, 0).numpy()
            labels = drawn.instances
        else:
            made = pipeline(sample, [], seed)
            image, labels = made["image"], Instances(made["bboxes"], made["cls"], made["keypoints"])
        left, top, width, height = seen(image)
        assert image[..., 2].max() == 0, "nothing is grey"
        pixels = np.array([width * original[1], height * original[0]]) / min(original)
        assert abs(pixels[0] - pixels[1]) < 0.02
        assert left > -0.01 and top > -0.01 and left + width < 1.01 and top + height < 1.01
        sides.append(pixels.mean())
        check_labels(labels, sample, np.array([left, top]), np.array([width, height]))
    assert SMALLEST / LARGEST - 0.01 < min(sides) < 0.72
    assert 0.95 < max(sides) < 1.01


def check_labels(labels: Instances, sample: Sample, start: np.ndarray, size: np.ndarray) -> None:
    """Boxes and keypoints lie where the pixels under them do; gone are those of which a tenth is left, and no other."""
    limits = sample["image"].shape[1::-1]
    expected = ((sample["bboxes"].reshape(-1, 2, 2) / limits - start) / size * SIZE).reshape(-1, 4)
    clipped = expected.clip(0, SIZE)
    sides, whole = clipped[:, 2:] - clipped[:, :2], (expected[:, 2:] - expected[:, :2]).prod(1)
    share = sides.prod(1) / whole
    surely, never = (share > 0.15) & (sides > 3).all(1), (share < 0.05) | (sides < 1).any(1)
    assert set(np.flatnonzero(surely)) <= set(labels.cls.tolist()) <= set(np.flatnonzero(~never))
    assert len(labels.cls) > 3
    np.testing.assert_allclose(labels.bboxes, clipped[labels.cls], atol=0.7)
    assert labels.keypoints is not None
    assert sample["keypoints"] is not None
    points = (sample["keypoints"][..., :2] / limits - start) / size * SIZE
    inside = ((points > 1) & (points < SIZE - 1)).all(2)[labels.cls]
    np.testing.assert_allclose(labels.keypoints[..., :2][inside], points[labels.cls][inside], atol=0.7)
    assert (labels.keypoints[..., 2][inside] == 2).all()
    outside = ((points < -1) | (points > SIZE + 1)).any(2)[labels.cls]
    assert (labels.keypoints[..., 2][outside] == 0).all()


def test_sides_and_places_are_drawn_uniformly() -> None:
    """A third each of three pictures, and in each from 384 pixels to all of the short side; anywhere in the picture."""
    transform = MosaicAffine(SIZE, crop=1.0)
    transform.set_random_seed(0)
    sides, starts = [], []
    for _ in range(3000):
        geometry = transform.draw_crop((SIZE, SIZE), (100, 200))
        assert geometry is not None
        (gain_x, _, shift_x), (_, gain_y, shift_y) = geometry.matrix.tolist()
        assert geometry.gain == pytest.approx((gain_x * gain_y) ** 0.5)
        assert gain_x == pytest.approx(2 * gain_y)
        sides.append(1 / gain_y)
        if gain_y > 1.1:
            starts.append((-shift_x / gain_x / (SIZE - SIZE / gain_x), -shift_y / gain_y / (SIZE - SIZE / gain_y)))
    for share in (0, 0.25, 0.5, 0.75, 1):
        np.testing.assert_allclose(np.quantile(starts, share, axis=0), share, atol=0.04)
    expected = np.concatenate([np.linspace(384, short, 1000) / short for short in SHORT_SIDES])
    np.testing.assert_allclose(np.quantile(sides, [0.1, 0.3, 0.5, 0.7, 0.9]),
                               np.quantile(expected, [0.1, 0.3, 0.5, 0.7, 0.9]), atol=0.012)  # fmt: skip
    assert min(sides) >= 384 / 600
    assert max(sides) == 1


def test_as_many_as_asked_for_by_the_seed_alone() -> None:
    sample, pipeline = coded((SIZE, SIZE), (720, 1280)), TrainPipeline(SIZE, replace(STILL, crop=0.3), ORDER)
    made = [pipeline(sample, [], seed)["image"] for seed in range(300)]
    assert 60 < sum((image != sample["image"]).any() for image in made) < 120  # the others are left as they are
    again = TrainPipeline(SIZE, replace(STILL, crop=0.3), ORDER)
    for seed in (299, 7, 120):
        np.testing.assert_array_equal(again(sample, [], seed)["image"], made[seed])


def test_mosaics_are_not_cropped(make_sample: Callable[..., Sample]) -> None:
    samples = [make_sample(120, SIZE, seed, corners=True) for seed in range(4)]
    for seed in range(5):
        one, other = (TrainPipeline(SIZE, replace(AugmentConfig(), crop=c), ORDER)(samples[0], samples[1:], seed)
                      for c in (0.0, 1.0))  # fmt: skip
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["bboxes"], other["bboxes"])


def test_without_crops_no_number_is_drawn_for_them() -> None:
    """Six are drawn for a picture by itself: angle, gain, two shears and two targets."""
    for crop, count in ((0.0, 6), (1e-9, 7)):
        transform, reference = MosaicAffine(SIZE, crop=crop), random.Random(3)
        transform.set_random_state(np.random.default_rng(3), random.Random(3))
        labels = Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), None)
        transform(image=np.zeros((120, SIZE, 3), np.uint8), instances=labels, partners=())
        for _ in range(count):
            reference.random()
        assert transform.py_random.random() == reference.random()


def test_a_sample_that_does_not_say_has_the_shape_of_its_image() -> None:
    for shape in ((120, SIZE), (SIZE, 90)):
        pipeline = TrainPipeline(SIZE, CROPS, ORDER)
        for seed in range(5):
            one, other = pipeline(coded(shape), [], seed), pipeline(coded(shape, shape), [], seed)
            np.testing.assert_array_equal(one["image"], other["image"])


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_probability_out_of_range(value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^--data\.augment\.crop {value}: a number from 0 to 1\.$"):
        AugmentConfig(crop=value)
