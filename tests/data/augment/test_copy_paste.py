"""Pasted objects against Ultralytics' CopyPaste: the same objects, pixels, boxes and outlines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from reference_augment import SHAPES, SIZE, OwnDraw, PartnersInOrder, run_cutmix, to_reference
from ultralytics.data.augment import CopyPaste as ReferenceCopyPaste
from ultralytics.data.augment import Mosaic as ReferenceMosaic

from aigp_lightning.data.augment import AugmentConfig, Sample
from aigp_lightning.data.augment.copy_paste import CopyPaste, Mosaic
from aigp_lightning.data.augment.instances import Instances
from aigp_lightning.data.augment.mixing import CutMix, Ingredients
from aigp_lightning.data.augment.mosaic import Geometry, MosaicAffine
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.data.polygons import Polygons, resampled

SEEDS = range(8)
STILL = AugmentConfig(
    mosaic=0, translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=0, blur=0, median_blur=0, to_gray=0, clahe=0
)


def with_outlines(sample: Sample, seed: int, count: int = 4) -> Sample:
    """The same picture with star-shaped objects, small enough that some can be pasted and some cannot."""
    random = np.random.default_rng(seed + 500)
    height, width = sample["image"].shape[:2]
    corners, counts = [], random.integers(3, 12, count)
    for number in counts.tolist():
        angle = np.sort(random.uniform(0, 2 * np.pi, number))
        reach = random.uniform(12, 45, number)[:, None]
        middle = random.uniform(0.1, 0.9, 2) * (width, height)
        corners.append((middle + reach * np.column_stack((np.cos(angle), np.sin(angle)))).clip(0, (width, height)))
    segments = resampled(Polygons(np.concatenate(corners).astype(np.float32), counts))
    boxes = np.concatenate((segments.min(1), segments.max(1)), 1)
    cls = random.integers(0, 3, count)
    return Sample(
        image=sample["image"], bboxes=boxes, cls=cls, keypoints=None, segments=segments, im_file=f"{seed}.jpg"
    )


@pytest.fixture
def make(make_sample: Callable[..., Sample]) -> Callable[..., Sample]:
    """Make a sample whose objects have outlines."""
    return lambda height, width, seed, count=4: with_outlines(make_sample(height, width, seed), seed, count)


def placed(sample: Sample) -> dict[str, Any]:
    labels = Instances(sample["bboxes"], sample["cls"], None, sample["segments"])
    return {"image": sample["image"], "instances": labels}


def assert_same(ours: dict[str, Any], theirs: dict[str, Any], level: int = 0, pixels: float = 1e-3) -> None:
    assert np.abs(ours["image"].astype(int) - theirs["img"]).max() <= level
    labels, expected = ours["instances"], theirs["instances"]
    assert labels.cls.tolist() == theirs["cls"][:, 0].tolist()
    np.testing.assert_allclose(labels.bboxes, expected.bboxes, atol=pixels)
    np.testing.assert_allclose(labels.segments, expected.segments, atol=pixels)


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("mode", ["flip", "mixup"])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_objects_are_pasted(make: Callable[..., Sample], seed: int, mode: str, share: float) -> None:
    first, second = make(SIZE, SIZE, 2 * seed), make(SIZE, SIZE, 2 * seed + 1)
    reference = ReferenceCopyPaste(PartnersInOrder([second]), p=share, mode=mode)
    labels = to_reference(first)
    if mode == "mixup":  # its draw of whether to paste at all is the sampler's here
        params = reference.get_params(labels)
        expected = reference.apply_instances(reference.apply_image(labels, params), params)
    else:
        expected = reference(labels)
    ours = CopyPaste(share)(**placed(first), pasted=True if mode == "flip" else placed(second))
    assert_same(ours, expected)


def test_some_objects_are_pasted_and_some_are_not(make: Callable[..., Sample]) -> None:
    """Else the comparison would show little."""
    added = []
    for seed in SEEDS:
        sample = make(SIZE, SIZE, 2 * seed)
        added.append(len(CopyPaste(1.0)(**placed(sample), pasted=True)["instances"].cls) - len(sample["cls"]))
    assert 4 < sum(added) < 4 * len(SEEDS) - 4
    assert max(added) > 1


@pytest.mark.parametrize(
    "options", [{}, {"degrees": 20.0, "shear": 5.0, "perspective": 0.0005}], ids=["plain", "tilted"]
)
@pytest.mark.parametrize("tiles", [1, 4])
@pytest.mark.parametrize("seed", SEEDS)
def test_flipped_copies_on_a_mosaic(
    make: Callable[..., Sample], monkeypatch: pytest.MonkeyPatch, seed: int, tiles: int, options: dict[str, float]
) -> None:
    """Mosaic, pasted copies, warp: one after the other as in Ultralytics, with its draws."""
    import random

    samples = [make(*shape, 10 * seed + i, 3) for i, shape in enumerate(SHAPES[:tiles])]
    random.seed(seed)
    labels, centre = to_reference(samples[0]), None
    if tiles > 1:
        mosaic = ReferenceMosaic(PartnersInOrder(samples[1:]), imgsz=SIZE)
        params = mosaic.get_params(labels)
        centre = (params["layout"][0]["x2a"], params["layout"][0]["y2a"])
        labels = mosaic.apply_instances(mosaic.apply_image(labels, params), params)
        labels.pop("mix_labels", None)
    affine = OwnDraw(size=(SIZE, SIZE), **options)
    expected = affine(ReferenceCopyPaste(p=1.0, mode="flip")(labels))
    matrix = affine.drawn["M"].astype(np.float64)
    geometry = Geometry(None, matrix if options else matrix[:2], affine.drawn["scale"])

    monkeypatch.setattr("aigp_lightning.data.augment.copy_paste.draw_centre", lambda *_: centre)
    warp = MosaicAffine(SIZE)
    monkeypatch.setattr(warp, "draw", lambda *_: geometry)
    data = {**placed(samples[0]), "partners": samples[1:], "laid": False, "pasted": True}
    for step in (Mosaic(SIZE), CopyPaste(1.0), warp):
        data = step(**data)
    labels, theirs = data["instances"], expected["instances"]
    assert sorted(labels.cls.tolist()) == sorted(expected["cls"][:, 0].tolist())
    ours = np.column_stack((labels.cls, labels.bboxes, labels.segments.reshape(len(labels.cls), -1)))
    theirs = np.column_stack((expected["cls"], theirs.bboxes, theirs.segments.reshape(len(theirs), -1)))
    for rows in (ours, theirs):  # which of several objects that cover nothing comes first is left open there
        rows[:] = rows[np.lexsort(rows[:, 4::-1].T)]
    np.testing.assert_allclose(ours, theirs, atol=0.05)
    assert np.abs(data["image"].astype(int) - expected["img"]).max() <= 1


def test_without_polygons_nothing_is_pasted(make: Callable[..., Sample]) -> None:
    first, second = make(SIZE, SIZE, 0), make(SIZE, SIZE, 1)
    boxes = {"image": first["image"], "instances": Instances(first["bboxes"], first["cls"], None)}
    for pasted in (True, placed(second)):
        done = CopyPaste(1.0)(**boxes, pasted=pasted)
        assert np.array_equal(done["image"], first["image"])
        assert len(done["instances"].cls) == len(first["cls"])
    reference = ReferenceCopyPaste(p=1.0, mode="flip")({**to_reference({**first, "segments": None})})
    assert np.array_equal(reference["img"], first["image"])


def test_the_pipeline_pastes_what_the_request_says(make: Callable[..., Sample]) -> None:
    first, second = make(SIZE, SIZE, 4), make(SIZE, SIZE, 5)
    own = TrainPipeline(SIZE, AugmentConfig(**{**vars(STILL), "copy_paste": 1.0}))
    assert np.array_equal(own(first, (), 0)["image"], first["image"]), "closed: nothing is pasted"
    copied = own.make(Ingredients(first, paste_own=True))
    assert np.array_equal(copied["image"], CopyPaste(1.0)(**placed(first), pasted=True)["image"])
    others = TrainPipeline(SIZE, AugmentConfig(**{**vars(STILL), "copy_paste": 1.0, "copy_paste_mode": "mixup"}))
    pasted = others.make(Ingredients(first, pasted=Ingredients(second)))
    expected = CopyPaste(1.0)(**placed(first), pasted=placed(second))
    assert np.array_equal(pasted["image"], expected["image"])
    assert len(pasted["cls"]) == len(pasted["segments"]) > len(first["cls"])
    before = first["image"].copy(), first["segments"].copy()
    own.make(Ingredients(first, [second] * 3, 7, paste_own=True))
    assert np.array_equal(before[0], first["image"])
    assert np.array_equal(before[1], first["segments"])


def test_pasted_pixels_lie_within_the_new_outline(make: Callable[..., Sample]) -> None:
    sample = make(SIZE, SIZE, 2)
    done = CopyPaste(1.0)(**placed(sample), pasted=True)
    inside = np.zeros((SIZE, SIZE), np.uint8)
    for outline in done["instances"].segments[len(sample["cls"]) :]:
        cv2.fillPoly(inside, [outline.astype(np.int32)], 1)
    changed = (done["image"] != sample["image"]).any(-1)
    assert changed.any()
    assert not (changed & (inside == 0)).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_cutmix_with_outlines(make: Callable[..., Sample], monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A hundredth of an object in the rectangle is enough there, and its outline is clipped with its box."""
    first, second = make(SIZE, SIZE, 2 * seed, 2), make(SIZE, SIZE, 2 * seed + 1, 6)
    expected, rects, chosen = run_cutmix(first, second, seed)
    cutmix = CutMix()
    monkeypatch.setattr(cutmix, "draw", lambda *_: rects)
    monkeypatch.setattr(cutmix, "random_generator", type("Drawn", (), {"choice": lambda *_: chosen})())
    assert_same(cutmix(**placed(first), cutmix=placed(second)), expected)
