"""Tilted pictures against Ultralytics' RandomPerspective, given the same draw; and what its labels get wrong there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from reference_augment import SHAPES, SIZE, run_ours, run_reference

from aigp_lightning.data.augment import AugmentConfig, Sample
from aigp_lightning.data.augment.instances import Instances
from aigp_lightning.data.augment.mosaic import Geometry, MosaicAffine
from aigp_lightning.data.augment.perspective import move_boxes
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.errors import ConfigError


def crossed(samples: list[Sample], geometry: Geometry) -> bool:
    """Whether the vanishing line lies on the canvas."""
    width, height = (2 * SIZE, 2 * SIZE) if len(samples) > 1 else samples[0]["image"].shape[1::-1]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]])
    return bool((corners @ geometry.matrix[2] <= 0).any())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tiles", [1, 4])
@pytest.mark.parametrize(
    "options",
    [{"perspective": 0.001}, {"perspective": 0.0005, "degrees": 15.0, "shear": 4.0, "scale": 0.7, "translate": 0.3}],
    ids=["tilted", "tilted and turned"],
)
def test_same_pixels_boxes_and_keypoints(
    make_sample: Callable[..., Sample],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    tiles: int,
    options: dict[str, float],
) -> None:
    """Every pixel within one grey level, seams included; the same boxes and keypoints within 0.02 px."""
    samples = [make_sample(*shape, seed=10 * seed + i, corners=True) for i, shape in enumerate(SHAPES[:tiles])]
    expected, geometry = run_reference(samples, seed, **options)
    assert geometry.tilted
    assert not crossed(samples, geometry)

    ours = run_ours(samples, geometry, monkeypatch)

    assert np.abs(ours["image"].astype(int) - expected["img"]).max() <= 1
    labels: Instances = ours["instances"]
    assert np.array_equal(labels.cls, expected["cls"][:, 0])
    assert np.abs(labels.bboxes - expected["instances"].bboxes).max(initial=0) < 0.02
    assert np.abs(labels.keypoints[..., :2] - expected["instances"].keypoints[..., :2]).max(initial=0) < 0.02
    assert np.array_equal(labels.keypoints[..., 2], expected["instances"].keypoints[..., 2])


@pytest.mark.parametrize("seed", range(4))
def test_beyond_the_vanishing_line(
    make_sample: Callable[..., Sample], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The same pixels there too; and of the boxes, those that the line crosses are not kept with a made-up hull."""
    samples = [make_sample(*shape, seed=10 * seed + i, corners=True) for i, shape in enumerate(SHAPES)]
    for draw in range(50):
        expected, geometry = run_reference(samples, 50 * seed + draw, perspective=0.006, scale=0.7)
        if crossed(samples, geometry):
            break
    ours = run_ours(samples, geometry, monkeypatch)
    assert np.abs(ours["image"].astype(int) - expected["img"]).max() <= 1
    theirs = expected["instances"].bboxes
    mine = ours["instances"].bboxes
    same = np.abs(theirs[:, None] - mine).max(-1, initial=0) < 0.05
    assert same.any(0).all(), "each of ours is one of theirs"
    assert len(mine) < len(theirs) or not (~same.any(1)).any()


def test_a_box_on_the_vanishing_line_has_no_hull() -> None:
    matrix = np.array([[1.0, 0, 0], [0, 1.0, 0], [-0.01, 0, 1.0]])  # the line is x = 100
    boxes = np.array([[0, 0, 50, 50], [80, 0, 120, 50], [120, 0, 150, 50]], np.float32)
    moved = move_boxes(boxes, matrix)
    assert moved[0].tolist() == [0, 0, 100, 100]
    assert moved[1].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(moved[2], [-600, -250, -300, 0], rtol=1e-5)
    labels = Instances(boxes, np.arange(3), None).moved(matrix)
    assert labels.bboxes.tolist() == moved.tolist()


def test_draws_have_ultralytics_range(make_sample: Callable[..., Sample]) -> None:
    transform = MosaicAffine(SIZE, perspective=0.001)
    transform.set_random_seed(0)
    matrices = np.array([transform.draw((SIZE, SIZE), True).matrix for _ in range(1000)])
    tilts = matrices[:, 2, :2]
    assert -0.001 <= tilts.min() < -0.00097
    assert 0.00097 < tilts.max() <= 0.001
    assert np.abs(tilts.mean(0)).max() < 6e-5
    assert abs(np.corrcoef(tilts.T)[0, 1]) < 0.1
    middle = matrices @ (SIZE, SIZE, 1)
    np.testing.assert_allclose(middle[:, 2], 1)  # the middle of the canvas keeps its size, and lands as without a tilt
    places = middle[:, :2] / SIZE
    assert 0.4 <= places.min() < 0.41
    assert 0.59 < places.max() <= 0.6


def test_a_tilt_changes_no_other_draw_of_runs_without_it(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample(240, SIZE, seed=1)
    without = TrainPipeline(SIZE, AugmentConfig())(sample, [sample] * 3, 3)
    again = TrainPipeline(SIZE, AugmentConfig(perspective=0.0, scale=(0.5, 1.5)))(sample, [sample] * 3, 3)
    assert np.array_equal(without["image"], again["image"])
    tilted = TrainPipeline(SIZE, AugmentConfig(perspective=0.001))(sample, [sample] * 3, 3)
    assert not np.array_equal(without["image"], tilted["image"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"perspective": 0.1}, r"--data\.augment\.perspective 0\.1: a number from 0 to 0\.01"),
        ({"scale": (1.2, 0.5)}, r"--data\.augment\.scale \[1\.2, 0\.5\]: one number, or two of which the smaller"),
        ({"scale": (0.5,)}, r"--data\.augment\.scale \[0\.5\]: one number, or two"),
        ({"scale": (0.0, 1.0)}, r"--data\.augment\.scale 0: a number from 0\.01 to 100"),
        ({"scale": float("nan")}, r"--data\.augment\.scale nan: a number from 0 to 0\.99"),
        ({"mixup": 1.5}, r"--data\.augment\.mixup 1\.5: a number from 0 to 1"),
        ({"cutmix": -0.5}, r"--data\.augment\.cutmix -0\.5: a number from 0 to 1"),
        ({"bgr": 2}, r"--data\.augment\.bgr 2: a number from 0 to 1"),
        ({"copy_paste": 1.01}, r"--data\.augment\.copy_paste 1\.01: a number from 0 to 1"),
        ({"copy_paste_mode": "mirror"}, r"--data\.augment\.copy_paste_mode mirror: it is flip or mixup"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_by_name(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AugmentConfig(**values)  # type: ignore[arg-type]
