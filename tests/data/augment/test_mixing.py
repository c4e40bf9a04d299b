"""MixUp, CutMix and swapped channels against Ultralytics' own, given the same draw; and the order of all of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from reference_augment import SIZE, PartnersInOrder, run_cutmix, to_reference
from ultralytics.data.augment import CutMix as ReferenceCutMix
from ultralytics.data.augment import Format
from ultralytics.data.augment import MixUp as ReferenceMixUp
from ultralytics.utils.metrics import bbox_ioa

from aigp_lightning.data.augment import AugmentConfig, Sample
from aigp_lightning.data.augment.color import SwapChannels
from aigp_lightning.data.augment.instances import Instances
from aigp_lightning.data.augment.mixing import CutMix, Ingredients, MixUp, covered
from aigp_lightning.data.augment.pipeline import TrainPipeline

SEEDS = range(10)
STILL = {"translate": 0, "scale": 0, "hsv_h": 0, "hsv_s": 0, "hsv_v": 0, "fliplr": 0, "blur": 0, "median_blur": 0,
         "to_gray": 0, "clahe": 0, "mosaic": 0}  # fmt: skip
LEFT_RIGHT = (1, 0, 3, 2)


def placed(sample: Sample) -> dict[str, Any]:
    labels = Instances(sample["bboxes"].copy(), sample["cls"].copy(), sample["keypoints"])
    return {"image": sample["image"].copy(), "instances": labels}


def pair(make_sample: Callable[..., Sample], seed: int, boxes: int = 12) -> tuple[Sample, Sample]:
    first, second = (make_sample(SIZE, SIZE, seed=2 * seed + i, corners=True, boxes=boxes) for i in range(2))
    return first, second


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Pixels within one level; boxes and keypoints within 0.01 px, with their visibility, in the same order."""
    assert np.abs(ours["image"].astype(int) - theirs["img"]).max() <= 1
    labels: Instances = ours["instances"]
    assert np.array_equal(labels.cls, theirs["cls"][:, 0])
    np.testing.assert_allclose(labels.bboxes, theirs["instances"].bboxes, atol=0.01)
    np.testing.assert_allclose(labels.keypoints, theirs["instances"].keypoints, atol=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_mixup_is_ultralytics(make_sample: Callable[..., Sample], monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    first, second = pair(make_sample, seed)
    reference = ReferenceMixUp(PartnersInOrder([second]), p=1.0)
    np.random.seed(seed)  # noqa: NPY002
    expected = reference(to_reference(first))
    np.random.seed(seed)  # noqa: NPY002
    share = np.random.beta(32.0, 32.0)  # noqa: NPY002

    mixup = MixUp()
    monkeypatch.setattr(mixup, "random_generator", type("Drawn", (), {"beta": lambda *_: share})())
    assert_same(mixup(**placed(first), mixup=placed(second)), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_cutmix_is_ultralytics(make_sample: Callable[..., Sample], monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """With the rectangles that Ultralytics drew, and its choice of one of them."""
    first, second = pair(make_sample, seed, boxes=3)
    expected, rects, chosen = run_cutmix(first, second, seed)
    cutmix = CutMix()
    monkeypatch.setattr(cutmix, "draw", lambda *_: rects)
    monkeypatch.setattr(cutmix, "random_generator", type("Drawn", (), {"choice": lambda *_: chosen})())
    ours = cutmix(**placed(first), cutmix=placed(second))
    assert_same(ours, expected)


def test_both_kinds_of_cutmix_occur_among_the_seeds(make_sample: Callable[..., Sample]) -> None:
    """Else the comparison above would show little."""
    grown = []
    for seed in SEEDS:
        first, second = pair(make_sample, seed, boxes=3)
        done = run_cutmix(first, second, seed)[0]
        grown.append(len(done["cls"]) > len(first["cls"]))
    assert 3 <= sum(grown) <= len(SEEDS) - 2


def test_rectangles_are_drawn_as_by_ultralytics() -> None:
    """The distribution of places and sizes, and the rounding of both."""
    cutmix, reference = CutMix(), ReferenceCutMix(PartnersInOrder([]), p=1.0)
    cutmix.set_random_seed(0)
    np.random.seed(0)  # noqa: NPY002
    ours = np.concatenate([cutmix.draw(200, 100) for _ in range(1000)])
    theirs = np.array([reference._rand_bbox(200, 100) for _ in range(3000)])
    assert ours.shape == (3000, 4)
    assert ours[:, [0, 2]].max() == 200
    assert ours[:, [1, 3]].max() == 100
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=4)
    np.testing.assert_allclose(ours.std(0), theirs.std(0), atol=3)


def test_covered_shares_are_ultralytics(make_sample: Callable[..., Sample]) -> None:
    first, second = (make_sample(SIZE, SIZE, seed=i)["bboxes"] for i in range(2))
    np.testing.assert_allclose(covered(first, second), bbox_ioa(first, second), rtol=1e-5)


def test_without_a_second_sample_nothing_happens(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample(SIZE, SIZE, seed=0, corners=True)
    for transform in (MixUp(), CutMix()):
        done = transform(**placed(sample), mixup=None, cutmix=None)
        assert np.array_equal(done["image"], sample["image"])
        assert np.array_equal(done["instances"].bboxes, sample["bboxes"])


def test_swapped_channels_are_ultralytics_bgr(make_sample: Callable[..., Sample]) -> None:
    """Its pictures are BGR from the file on, and `bgr: 1` keeps them so."""
    image = make_sample(64, 96, seed=0)["image"]
    kept = Format(bgr=1.0)._format_img(image[..., ::-1]).permute(1, 2, 0).numpy()
    assert np.array_equal(SwapChannels(p=1.0)(image=image)["image"], kept)
    pipeline = TrainPipeline(SIZE, AugmentConfig(**{**STILL, "bgr": 0.5}))
    sample = make_sample(SIZE, SIZE, seed=0)
    swapped = [np.array_equal(pipeline(sample, (), s)["image"], sample["image"][..., ::-1]) for s in range(60)]
    kept_rgb = [np.array_equal(pipeline(sample, (), s)["image"], sample["image"]) for s in range(60)]
    assert 18 < sum(swapped) < 42
    assert sum(swapped) + sum(kept_rgb) == 60


def test_mixed_samples_are_whole_samples_of_their_own(make_sample: Callable[..., Sample]) -> None:
    """The second one has its mosaic and its warp, by its own seed; colours and flips come after, for both at once."""
    samples = [make_sample(240, SIZE, seed=i, corners=True) for i in range(8)]
    placing = {**STILL, "scale": 0.5, "translate": 0.1, "degrees": 5.0, "perspective": 0.0005}
    alone = TrainPipeline(SIZE, AugmentConfig(**placing), LEFT_RIGHT)
    one, two = alone(samples[0], samples[1:4], 11), alone(samples[4], samples[5:8], 22)
    found = Ingredients(samples[0], samples[1:4], 11, mixup=Ingredients(samples[4], samples[5:8], 22))
    mixed = TrainPipeline(SIZE, AugmentConfig(**placing, mixup=1.0), LEFT_RIGHT).make(found)
    apart = (one["image"].astype(float) - two["image"]).ravel()
    share = ((mixed["image"].astype(float) - two["image"]).ravel() * apart).sum() / (apart**2).sum()
    assert 0.25 < share < 0.75
    np.testing.assert_allclose(mixed["image"], share * one["image"] + (1 - share) * two["image"], atol=1.6)
    assert np.array_equal(mixed["bboxes"], np.concatenate((one["bboxes"], two["bboxes"])))
    assert np.array_equal(mixed["keypoints"], np.concatenate((one["keypoints"], two["keypoints"])))

    mirrored = TrainPipeline(SIZE, AugmentConfig(**{**placing, "mixup": 1.0, "fliplr": 1.0}), LEFT_RIGHT).make(found)
    assert np.array_equal(mirrored["image"], mixed["image"][:, ::-1])
    assert len(mirrored["bboxes"]) == len(mixed["bboxes"])


def test_the_list_is_in_ultralytics_order() -> None:
    config = AugmentConfig(mixup=0.1, cutmix=0.1, bgr=0.1, flipud=0.1, copy_paste=0.5)
    names = [type(transform).__name__ for transform in TrainPipeline(SIZE, config).transforms]
    colours = ["Blur", "MedianBlur", "ToGray", "CLAHE", "RandomHSV"]
    assert names == ["Mosaic", "CopyPaste", "MosaicAffine", "MixUp", "CutMix", *colours, "Flip", "Flip", "SwapChannels"]
    others = AugmentConfig(copy_paste=0.5, copy_paste_mode="mixup")
    names = [type(transform).__name__ for transform in TrainPipeline(SIZE, others).transforms]
    assert names == ["MosaicAffine", "CopyPaste", *colours, "Flip"]


def test_the_seed_alone_decides(make_sample: Callable[..., Sample]) -> None:
    samples = [make_sample(240, SIZE, seed=i, corners=True) for i in range(4)]
    pipelines = [
        TrainPipeline(SIZE, AugmentConfig(mixup=1, cutmix=1, bgr=0.5, perspective=0.001), LEFT_RIGHT) for _ in "ab"
    ]
    random.seed(0)
    for seed in range(6):
        found = Ingredients(samples[0], samples[1:4], seed, mixup=Ingredients(samples[1], (), 5 + seed),
                            cutmix=Ingredients(samples[2], samples[:3], 9 + seed))  # fmt: skip
        one, other = (pipeline.make(found) for pipeline in pipelines)
        for key in ("image", "bboxes", "cls", "keypoints"):
            assert np.array_equal(one[key], other[key])  # type: ignore[literal-required]
        pipelines[0].make(Ingredients(samples[3], (), 77))  # what was made in between changes nothing
