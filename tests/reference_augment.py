"""Ultralytics' augmentations on our samples: the same labels in its words, and what it makes of them."""

from __future__ import annotations

import random
from unittest.mock import patch

import numpy as np
import pytest
from ultralytics.data.augment import CutMix, Mosaic, RandomPerspective
from ultralytics.utils.instance import Instances as ReferenceInstances

from aigp_lightning.data.augment import Sample
from aigp_lightning.data.augment.instances import Instances
from aigp_lightning.data.augment.mosaic import Geometry, MosaicAffine

SIZE = 320
SHAPES = [(240, 320), (320, 200), (320, 320), (180, 320)]


class OwnDraw(RandomPerspective):
    """Ultralytics' transform, remembering the matrix it drew."""

    def get_params(self, labels: dict) -> dict:
        self.drawn = super().get_params(labels)
        return self.drawn


class PartnersInOrder:
    """As much of a dataset as Ultralytics' mixing transforms ask for: the given samples in turn."""

    cache = ""
    buffer = (0,)

    def __init__(self, samples: list[Sample]) -> None:
        self.rest = iter(samples)

    def __len__(self) -> int:
        return 1

    def get_image_and_label(self, _: int) -> dict:
        return to_reference(next(self.rest))


def to_reference(sample: Sample) -> dict:
    """The same labels in Ultralytics' words."""
    keypoints, segments = sample["keypoints"], sample.get("segments")
    return {
        "img": sample["image"].copy(),
        "cls": sample["cls"][:, None].copy(),
        "instances": ReferenceInstances(
            sample["bboxes"].copy(),
            np.zeros((0, 1000, 2), np.float32) if segments is None else segments.copy(),
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
    matrix = affine.drawn["M"].astype(np.float64)
    return labels, Geometry(centre, matrix if affine.perspective else matrix[:2], affine.drawn["scale"])


def run_ours(samples: list[Sample], geometry: Geometry, monkeypatch: pytest.MonkeyPatch) -> dict:
    """Our result for that draw."""
    transform = MosaicAffine(SIZE)
    monkeypatch.setattr(transform, "draw", lambda *_: geometry)
    first = samples[0]
    instances = Instances(first["bboxes"], first["cls"], first["keypoints"])
    return transform(image=first["image"], instances=instances, partners=samples[1:])


def run_cutmix(first: Sample, second: Sample, seed: int) -> tuple[dict, np.ndarray, int | None]:
    """Ultralytics' CutMix of two samples, the rectangles that it drew, and its choice of one, if it had any."""
    rects: list[tuple[int, ...]] = []
    chosen: list[int] = []

    class Recorded(CutMix):
        def _rand_bbox(self, width: int, height: int) -> tuple[int, ...]:
            rects.append(super()._rand_bbox(width, height))
            return rects[-1]

    choose = np.random.choice

    def recorded(free: np.ndarray) -> int:
        chosen.append(int(choose(free)))
        return chosen[-1]

    np.random.seed(seed)  # noqa: NPY002
    with patch.object(np.random, "choice", recorded):
        mixed = Recorded(PartnersInOrder([second]), p=1.0)(to_reference(first))
    return mixed, np.array(rects), chosen[0] if chosen else None
