"""Segmentation: losses, metrics and training samples are Ultralytics' own; the task is whole from end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import draw_masks, small
from yolo_scored import build_mask_case

MODEL = ("--model", "aigp_lightning.modules.segment.SegmentModule")
KEYS = [f"metrics/{name}({mark})" for mark in "BM" for name in ("precision", "recall", "mAP50", "mAP50-95")]
NAMES = {0: "square", 1: "disc"}


def squares(folder: Path, train: int = 12, val: int = 6) -> Path:
    draw_masks(folder, "train", train, 1)
    draw_masks(folder, "val", val, 2)
    yaml = folder / "data.yaml"
    yaml.write_text("train: images/train\nval: images/val\nnames: [square, disc]\n", encoding="utf-8")
    return yaml


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize(("rect", "overlap"), [(True, True), (False, False)])
def test_metrics_equal_ultralytics(rect: bool, overlap: bool, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    from ultralytics import YOLO

    weights, data = build_mask_case(tmp_path, rect)
    options = [*MODEL, *small(data, tmp_path), "--data.rect", str(rect).lower(), "--run.json", tmp_path / "m.json"]
    options += ["--data.overlap_mask", str(overlap).lower()]
    assert run_cli("validate", *options, "--model.weights", weights) == 0
    ours = json.loads((tmp_path / "m.json").read_text())
    theirs = YOLO(str(weights)).val(
        data=str(data), imgsz=96, batch=16, rect=rect, plots=False, device="cpu", workers=0, verbose=False,
        overlap_mask=overlap,
    )  # fmt: skip
    assert 0.02 < ours["metrics"]["metrics/mAP50-95(M)"] < 0.95
    for key in KEYS:
        assert ours["metrics"][key] == pytest.approx(theirs.results_dict[key], abs=1e-4), key


def reference_sample(index: int, data: Path, overlap: bool) -> dict:
    """A sample of Ultralytics' own validation data set."""
    from types import SimpleNamespace

    from ultralytics.cfg import DEFAULT_CFG_DICT
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    hyp = SimpleNamespace(**{**DEFAULT_CFG_DICT, "overlap_mask": overlap})
    info = check_det_dataset(str(data))
    found = YOLODataset(
        img_path=info["val"], data=info, task="segment", imgsz=96, augment=False, hyp=hyp, rect=False, batch_size=4
    )
    return found[index]


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize("overlap", [True, False])
def test_a_validation_sample_equals_ultralytics(overlap: bool, tmp_path: Path) -> None:
    from aigp_lightning.data.collate import collate
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.masks import MaskDrawing
    from aigp_lightning.data.sample_sets import evaluation_set
    from aigp_lightning.data.scan import scan_split

    _, data = build_mask_case(tmp_path, rect=False)
    records = scan_split(read_data_yaml(data), "val", outlines="all", progress=False).records
    dataset, batches = evaluation_set(records, 96, 1, rect=False, masks=MaskDrawing(4, overlap))
    requests = [request for batch in batches for request in batch]
    for index in range(0, len(records), 4):
        theirs = reference_sample(index, data, overlap)
        ours = collate([dataset[requests[index]]])
        assert len(ours["cls"]) > 2
        assert ours["masks"].dtype == torch.uint8
        np.testing.assert_array_equal(ours["cls"], theirs["cls"].squeeze(1))
        np.testing.assert_allclose(ours["bboxes"], theirs["bboxes"], atol=1e-5)
        np.testing.assert_array_equal(ours["masks"], theirs["masks"])  # type: ignore[typeddict-item]


def batch_of(yaml: Path, overlap: bool) -> dict:
    """A batch of the training split, as it lies there."""
    from aigp_lightning.data.collate import collate
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.masks import MaskDrawing
    from aigp_lightning.data.sample_sets import evaluation_set
    from aigp_lightning.data.scan import scan_split

    records = scan_split(read_data_yaml(yaml), "train", outlines="all", progress=False).records[:4]
    dataset, batches = evaluation_set(records, 96, 4, rect=False, masks=MaskDrawing(4, overlap))
    return {**collate(dataset.__getitems__(next(iter(batches))))}


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize("variant", ["yolo11n-seg", "yolo26n-seg"])
@pytest.mark.parametrize("overlap", [True, False])
def test_losses_equal_ultralytics(variant: str, overlap: bool, tmp_path: Path) -> None:
    from copy import deepcopy
    from types import SimpleNamespace

    from ultralytics.cfg import DEFAULT_CFG_DICT
    from ultralytics.data.augment import Format  # the semantic targets are drawn by it

    from aigp_lightning.modules.segment import SegmentModule

    batch = batch_of(squares(tmp_path), overlap)
    torch.manual_seed(0)
    module = SegmentModule(variant, channels_last=False)
    module.set_network(module.build_network(NAMES))
    twin = deepcopy(module.network)
    ready = module.preprocess_batch(batch)
    loss, items = module.train().compute_loss(ready)
    loss.backward()

    twin.args = SimpleNamespace(**{**DEFAULT_CFG_DICT, "overlap_mask": overlap, "epochs": 1})
    theirs = {**ready, "cls": ready["cls"].view(-1, 1).float(), "masks": ready["masks"].float()}
    theirs["sem_masks"] = semantic_by_definition(batch, Format)
    expected, named = twin.train().loss(theirs)
    expected.sum().backward()
    assert list(items) == [name for name in named if name != "sem_loss" or variant == "yolo26n-seg"]
    for name, value in items.items():
        assert value.item() == pytest.approx(named[name].item(), rel=1e-4, abs=1e-6), name
    assert items["seg_loss"] > 0.1
    assert loss.item() == pytest.approx(expected.sum().item(), rel=1e-4)
    for one, other in zip(module.network.parameters(), twin.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)


def semantic_by_definition(batch: dict, theirs: type) -> torch.Tensor:
    """The class of every pixel as `Format` draws it, from the outlines of the batch's masks."""
    assert theirs.__name__ == "Format"
    found = torch.zeros(len(batch["img"]), *batch["masks"].shape[1:])
    start = 0
    for image, count in enumerate(batch["counts"]):
        cls = batch["cls"][start : start + count].float()
        if batch["overlap_mask"]:
            found[image] = cls[batch["masks"][image].long() - 1] * (batch["masks"][image] > 0)
        else:
            for mask, label in sorted(
                zip(batch["masks"][start : start + count], cls, strict=True), key=lambda pair: -int(pair[0].sum())
            ):
                found[image][mask.bool()] = label
        start += count
    return found
