"""The fused mosaic and affine against Ultralytics' Mosaic and RandomPerspective, given the same draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from reference_augment import SHAPES, SIZE, run_ours, run_reference

from aigp_lightning.data.augment import Sample
from aigp_lightning.data.augment.instances import Instances, worth_keeping
from aigp_lightning.data.augment.mosaic import Geometry, MosaicAffine


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tiles", [1, 4])
@pytest.mark.parametrize(
    "options",
    [{}, {"degrees": 30.0, "shear": 8.0}, {"scale": (0.4, 0.9)}],
    ids=["plain", "rotated", "a pair of scales"],
)
def test_same_pixels_boxes_and_keypoints(
    make_sample: Callable[..., Sample],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    tiles: int,
    options: dict[str, float],
) -> None:
    """Pixels within 0.25 grey levels on average, seams included; the same boxes within 0.01 px."""
    samples = [make_sample(*shape, seed=10 * seed + i, corners=True) for i, shape in enumerate(SHAPES[:tiles])]
    expected, geometry = run_reference(samples, seed, **options)

    ours = run_ours(samples, geometry, monkeypatch)

    difference = np.abs(ours["image"].astype(int) - expected["img"])
    assert difference.mean() < 0.25
    assert (difference.max(-1) > 3).mean() < 0.01  # pixels on the border between a tile and the grey
    labels: Instances = ours["instances"]
    assert np.array_equal(labels.cls, expected["cls"][:, 0])
    assert np.abs(labels.bboxes - expected["instances"].bboxes).max(initial=0) < 0.01
    assert np.abs(labels.keypoints[..., :2] - expected["instances"].keypoints[..., :2]).max(initial=0) < 0.01
    assert np.array_equal(labels.keypoints[..., 2], expected["instances"].keypoints[..., 2])


def test_inputs_are_left_alone(make_sample: Callable[..., Sample]) -> None:
    samples = [make_sample(*shape, seed=i, corners=True) for i, shape in enumerate(SHAPES)]
    before = [{key: np.array(value) for key, value in sample.items()} for sample in samples]
    first = samples[0]
    MosaicAffine(SIZE)(
        image=first["image"],
        instances=Instances(first["bboxes"], first["cls"], first["keypoints"]),
        partners=samples[1:],
    )
    for old, new in zip(before, samples, strict=True):
        assert all(np.array_equal(old[key], new[key]) for key in old)


def test_seams_show_no_grey(make_sample: Callable[..., Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    """Four white tiles that fill the canvas stay white where they meet, under rotation too."""
    white = make_sample(SIZE, SIZE, seed=0, boxes=0)
    white["image"][:] = 255
    angle = 0.3
    linear = 0.7 * np.array(((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))))
    shift = SIZE / 2 - linear @ (SIZE, SIZE)
    geometry = Geometry((SIZE, SIZE), np.column_stack((linear, shift)), 0.7)
    image = run_ours([white] * 4, geometry, monkeypatch)["image"]
    assert image[60:260, 60:260].min() == 255


def test_draws_have_ultralytics_ranges() -> None:
    """Uniform, each over its own range: mean and spread of the centre, the gain and the target."""
    transform = MosaicAffine(SIZE)
    transform.set_random_seed(0)
    draws = [transform.draw((SIZE, SIZE), True) for _ in range(1500)]
    centres = np.array([draw.centre for draw in draws]) / SIZE
    gains = np.array([draw.gain for draw in draws])
    targets = np.array([draw.matrix @ (SIZE, SIZE, 1) for draw in draws]) / SIZE
    for values, low, high in (
        (centres[:, 0], 0.5, 1.5),
        (centres[:, 1], 0.5, 1.5),
        (gains, 0.5, 1.5),
        (targets[:, 0], 0.4, 0.6),
        (targets[:, 1], 0.4, 0.6),
    ):
        width = high - low
        assert low - 1 / SIZE <= values.min() < low + 0.02 * width
        assert high - 0.02 * width < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 0.04 * width
        assert abs(values.std() - width / 12**0.5) < 0.02 * width
    everything = np.stack((centres[:, 0], centres[:, 1], gains, targets[:, 0], targets[:, 1]))
    assert np.abs(np.corrcoef(everything) - np.eye(5)).max() < 0.1


def test_rotation_and_shear_ranges() -> None:
    transform = MosaicAffine(SIZE, degrees=20, shear=5, scale=0)
    transform.set_random_seed(0)
    linear = np.array([transform.draw((SIZE, SIZE), False).matrix[:, :2] for _ in range(1000)])
    limit = np.deg2rad(20)
    angles = np.arctan2(linear[:, 0, 1] - linear[:, 1, 0], linear[:, 0, 0] + linear[:, 1, 1])
    assert -limit - 0.1 < angles.min() < -0.8 * limit
    assert 0.8 * limit < angles.max() < limit + 0.1
    assert abs(angles.mean()) < 0.02


def test_small_thin_and_mostly_hidden_boxes_go() -> None:
    before = np.array([[0, 0, 50, 50], [0, 0, 2, 50], [0, 0, 50, 50], [0, 0, 900, 8]], np.float32)
    after = np.array([[0, 0, 50, 50], [0, 0, 2, 50], [0, 0, 50, 4.9], [0, 0, 900, 8]], np.float32)
    assert worth_keeping(before, after, 1.0).tolist() == [True, False, False, False]
