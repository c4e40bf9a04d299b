"""The fused mosaic and affine against Ultralytics' Mosaic and RandomPerspective, given the same draw."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from ultralytics.data.augment import Mosaic, RandomPerspective
from ultralytics.utils.instance import Instances as ReferenceInstances

from aigp_lightning.data.augment import Sample
from aigp_lightning.data.augment.instances import Instances, worth_keeping
from aigp_lightning.data.augment.mosaic import Geometry, MosaicAffine

SIZE = 320
SHAPES = [(240, 320), (320, 200), (320, 320), (180, 320)]


class OwnDraw(RandomPerspective):
    """Ultralytics' transform, remembering the matrix it drew."""

    def get_params(self, labels: dict) -> dict:
        self.drawn = super().get_params(labels)
        return self.drawn


class PartnersInOrder:
    """As much of a dataset as Ultralytics' Mosaic asks for: it hands out the given samples one after the other."""

    cache = ""
    buffer = (0,)

    def __init__(self, samples: list[Sample]) -> None:
        self.rest = iter(samples)

    def get_image_and_label(self, _: int) -> dict:
        return to_reference(next(self.rest))


def to_reference(sample: Sample) -> dict:
    """The same labels in Ultralytics' words."""
    keypoints = sample["keypoints"]
    return {
        "img": sample["image"].copy(),
        "cls": sample["cls"][:, None].copy(),
        "instances": ReferenceInstances(
            sample["bboxes"].copy(),
            np.zeros((0, 1000, 2), np.float32),
            None if keypoints is None else keypoints.copy(),
            bbox_format="xyxy",
            normalized=False,
        ),
        "im_file": sample["im_file"],
        "ori_shape": sample["image"].shape[:2],
        "resized_shape": sample["image"].shape[:2],
    }


def run_reference(samples: list[Sample], seed: int, **options: float) -> tuple[dict, Geometry]:
    """Ultralytics' result, and the draw behind it."""
    random.seed(seed)
    labels = to_reference(samples[0])
    affine = OwnDraw(size=(SIZE, SIZE), **options)
    centre = None
    if len(samples) > 1:
        mosaic = Mosaic(PartnersInOrder(samples[1:]), imgsz=SIZE)
        mosaic.preserve_obb = False
        params = mosaic.get_params(labels)
        centre = (params["layout"][0]["x2a"], params["layout"][0]["y2a"])
        labels = mosaic.apply_instances(mosaic.apply_image(labels, params), params)
    labels = affine(labels)
    return labels, Geometry(centre, affine.drawn["M"][:2].astype(np.float64), affine.drawn["scale"])


def run_ours(samples: list[Sample], geometry: Geometry, monkeypatch: pytest.MonkeyPatch) -> dict:
    """Our result for that draw."""
    transform = MosaicAffine(SIZE)
    monkeypatch.setattr(transform, "draw", lambda *_: geometry)
    first = samples[0]
    instances = Instances(first["bboxes"], first["cls"], first["keypoints"])
    return transform(image=first["image"], instances=instances, partners=samples[1:])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tiles", [1, 4])
@pytest.mark.parametrize("options", [{}, {"degrees": 30.0, "shear": 8.0}], ids=["plain", "rotated"])
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
