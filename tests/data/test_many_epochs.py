"""Training batches over many epochs: more images than a worker keeps, all that is mixed, several processes, resuming.

A short training in a test fits into the buffer of decoded images; a long one does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from helpers import draw_masks

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.collate import collate
from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.dataset import TrainDataset
from aigp_lightning.data.device_side import finish_on_device, sample_class
from aigp_lightning.data.loaders import make_loader
from aigp_lightning.data.masks import MaskDrawing
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.requests import Mixing
from aigp_lightning.data.sample_sets import training_batches, training_set
from aigp_lightning.data.samplers import TrainBatchSampler
from aigp_lightning.data.scan import scan_split

IMAGES = 29
EPOCHS = 9
ALL_MIXED = AugmentConfig(mosaic=0.7, mixup=0.5, cutmix=0.5, copy_paste=0.5, perspective=0.001, bgr=0.3)
PASTED = AugmentConfig(mosaic=0.5, mixup=0.3, copy_paste=1.0, copy_paste_mode="mixup", degrees=10.0)
MOSAICS = AugmentConfig(mosaic=1.0, degrees=10.0, bgr=0.5)


class Case(NamedTuple):
    augment: AugmentConfig
    batch: int
    workers: int = 0
    world: int = 1
    rect: bool = False
    place: str = "cpu"


CASES = {
    "batches of one": Case(ALL_MIXED, 1),
    "two processes": Case(PASTED, 2, world=2),
    "three processes, an odd batch": Case(MOSAICS, 3, world=3),
    "rectangles": Case(AugmentConfig(copy_paste=0.5), 3, rect=True),
    "on the device": Case(MOSAICS, 2, place="device"),
    "workers": Case(ALL_MIXED, 3, workers=2),
}


@pytest.fixture(scope="module")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataSpec, Sequence[ImageRecord]]:
    """Twenty-nine pictures of three shapes: more than eight batches of three."""
    folder = tmp_path_factory.mktemp("outlined")
    draw_masks(folder, "train", IMAGES, seed=0)
    yaml = folder / "data.yaml"
    yaml.write_text("train: images/train\nval: images/train\nnames: {0: square, 1: disc}\n", encoding="utf-8")
    spec = read_data_yaml(str(yaml))
    scan = scan_split(
        spec,
        "train",
        pose=False,
        single_cls=False,
        strict=False,
        outside="clip",
        outlines="all",
        cache_dir=Path(folder),
    )
    return spec, scan.records


class Training:
    """The loaders of a run's processes."""

    def __init__(self, case: Case, data: tuple[DataSpec, Sequence[ImageRecord]]) -> None:
        self.case, (self.spec, self.records) = case, data
        self.parts = [(self.dataset(), self.batches(rank)) for rank in range(case.world)]
        self.loaders = [make_loader(*part, workers=case.workers, seed=0, batch_bytes=9999) for part in self.parts]

    def dataset(self) -> TrainDataset:
        masks, kind = MaskDrawing(), sample_class(self.case.place, "cpu", self.case.augment)
        how: dict[str, Any] = {"imgsz": 32, "batch_size": self.case.batch, "pose": False, "masks": masks, "kind": kind}
        return training_set(self.records, self.spec, self.case.augment, **how)

    def batches(self, rank: int) -> TrainBatchSampler:
        mixing = Mixing.of(self.case.augment, self.case.rect)
        return training_batches(
            self.records, self.case.batch, seed=5, imgsz=32, mosaic=self.case.augment.mosaic, rect=self.case.rect,
            rank=rank, world_size=self.case.world, workers=self.case.workers, mixing=mixing,
        )  # fmt: skip

    def epoch(self, number: int) -> Iterator[list[dict[str, Any]]]:
        """Yield each process's batches; mosaics are closed in the last third."""
        for (_, batches), loader in zip(self.parts, self.loaders, strict=True):
            batches.set_epoch(number)
            batches.mosaic_open = number < EPOCHS * 2 // 3
            yield [finish_on_device(batch, torch.device("cpu"), lambda each: each) for batch in loader]

    def anew(self, rank: int, epoch: int, number: int) -> dict[str, Any]:
        """Make one batch of an epoch by a process that has made nothing else."""
        batches = self.batches(rank)
        batches.set_epoch(epoch)
        batches.mosaic_open = epoch < EPOCHS * 2 // 3
        dataset, requests = self.dataset(), list(batches)[number]
        together = getattr(dataset, "collate", collate)(dataset.__getitems__(requests))
        found: dict[str, Any] = finish_on_device(together, torch.device("cpu"), lambda each: each)
        return found


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    tensors = {key for key, value in one.items() if isinstance(value, torch.Tensor)}
    alike = all(torch.equal(one[key], other[key]) for key in tensors)
    return alike and {"img", "bboxes", "masks"} <= tensors and one["sources"] == other["sources"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_long_training(case: Case, outlined: tuple[DataSpec, Sequence[ImageRecord]]) -> None:
    """Every image once an epoch, in any epoch the samples of a process that has just begun, and in bounded memory."""
    training, files = Training(case, outlined), {record.im_file for record in outlined[1]}
    random, before = np.random.default_rng(0), None
    for epoch in range(EPOCHS):
        shares = list(training.epoch(epoch))
        assert len({len(share) for share in shares}) == 1, "processes wait for each other"
        seen = Counter(file for share in shares for batch in share for file in batch["im_file"])
        assert set(seen) == files
        assert seen.total() == -(-IMAGES // case.world) * case.world
        for rank, share in enumerate(shares):
            for number in random.integers(len(share), size=2).tolist():
                assert same(share[number], training.anew(rank, epoch, number)), f"epoch {epoch}, batch {number}"
            assert len(training.parts[rank][0].buffer) <= training.parts[rank][0].capacity
        first = shares[0][0]
        assert before is None or not same(first, before), "epochs differ"
        before = first
    closed = {len(sources) for share in shares for batch in share for sources in batch["sources"]}
    assert closed == {1}, "mosaics and all that is mixed are closed"
