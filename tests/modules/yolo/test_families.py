"""Families that Ultralytics has built beside YOLO11, each by its smallest network: loss, figures, files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from fuzz.generators import TINY
from helpers import small
from resume_runs import StopAfter, differing, load, rows
from ultralytics import YOLO
from yolo_networks import GAINS, NAMES, labelled_batch
from yolo_scored import build_case

from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.pose import PoseGains, PoseModule
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.loss import begin_epoch, loss_names, network_loss
from aigp_lightning.types import Keypoints

DETECT = ("yolov8n", "yolov9t", "yolov10n", "yolo12n", "yolo26n")
ULTRALYTICS_NMS_FREE = {"nms": False}
"""Their option for the one-to-one head."""
TWO_HEADS = ("yolov10n", "yolo26n", "yolo26n-pose")
CORNERS = Keypoints(4, 3, ("tl", "tr", "br", "bl"))

pytestmark = pytest.mark.usefixtures("one_thread")


def network_of(variant: str, epochs: int = 4, **gains: float) -> Any:
    torch.manual_seed(0)
    pose = variant.endswith("pose")
    given = {**(PoseGains().__dict__ if pose else GAINS), **gains}
    return build_model(variant, NAMES, given, "pose" if pose else "detect", CORNERS if pose else None, epochs)


def batch_of(variant: str) -> dict[str, Any]:
    batch = labelled_batch()
    if variant.endswith("pose"):
        random = torch.Generator().manual_seed(1)
        batch["keypoints"] = torch.cat((torch.rand(8, 4, 2, generator=random), torch.ones(8, 4, 1)), -1)
    return batch


def reference(model: Any, raw: Any, batch: dict[str, Any], epoch: int) -> tuple[torch.Tensor, dict[str, float]]:
    """Ultralytics' own criterion, as its trainer has it in an epoch; earlier versions name no components."""
    criterion = model.init_criterion()
    for _ in range(epoch):
        if hasattr(criterion, "update"):
            criterion.update()
    loss, items = criterion(raw, batch)
    values = items.values() if isinstance(items, dict) else items
    return loss, {name: float(value) for name, value in zip(loss_names(model), values, strict=True)}


@pytest.mark.parametrize("variant", [*DETECT, "yolov8n-pose", "yolo26n-pose"])
def test_losses_are_the_reference_s(variant: str) -> None:
    """In the first epoch and in the third of four, when the weights of two heads have changed."""
    model, batch = network_of(variant), batch_of(variant)
    raw, sums = model(batch["img"]), []
    for epoch in (0, 2):
        begin_epoch(model, epoch, 4)
        loss, items = network_loss(model, batch, raw)
        expected, components = reference(model, raw, batch, epoch)
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)
        assert {name: float(value) for name, value in items.items()} == pytest.approx(components, rel=1e-4)
        assert components["box_loss"] > 0.1
        sums.append(float(loss.sum()))
    assert (sums[0] == pytest.approx(sums[1])) == (variant not in TWO_HEADS)
    loss.sum().backward()
    unused = [name for name, each in model.named_parameters() if each.requires_grad and each.grad is None]
    assert unused == []


def test_sides_as_one_number_and_keypoints_by_their_likelihood() -> None:
    """What YOLO26 alone has: an L1 distance in the place of the distribution, and a gain of its own for RLE."""
    batch = batch_of("yolo26n-pose")
    plain, doubled = (network_loss(model := network_of("yolo26n-pose", rle=gain), batch, model(batch["img"]))[1]
                      for gain in (1.0, 2.0))  # fmt: skip
    assert list(plain) == ["box_loss", "pose_loss", "kobj_loss", "cls_loss", "l1_loss", "rle_loss"]
    ratios = [float(doubled[name] / plain[name]) for name in plain]
    assert ratios == pytest.approx([1, 1, 1, 1, 1, 2], rel=1e-4)
    module = PoseModule("yolo26n-pose", gains=PoseGains(rle=0.5))
    assert module.checkpoint_options()["gains"]["rle"] == 0.5


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize("variant", ["yolov10n", "yolo26n"])
def test_figures_of_both_heads_equal_ultralytics(variant: str, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """The file says nothing of a head: the one-to-many head and NMS here and there, unless another is asked for."""
    weights, data = build_case(tmp_path, rect=False, variant=variant)
    options = [*small(data, tmp_path), "--data.rect", "false", "--run.json", tmp_path / "m.json"]
    found = []
    for ours, theirs in (((), {}), (("--model.nms_free", "true"), ULTRALYTICS_NMS_FREE)):
        assert run_cli("validate", *options, "--model.weights", weights, *ours) == 0
        metrics = json.loads((tmp_path / "m.json").read_text())["metrics"]
        like: dict[str, Any] = {
            "data": str(data),
            "imgsz": 96,
            "batch": 16,
            "rect": False,
            "device": "cpu",
            "workers": 0,
        }
        reference = YOLO(str(weights)).val(**like, **theirs, plots=False, verbose=False)
        assert 0.02 < metrics["metrics/mAP50-95(B)"] < 0.95
        found.append({key: metrics[key] for key in reference.results_dict if key != "fitness"})
        expected = {key: value for key, value in reference.results_dict.items() if key != "fitness"}
        assert found[-1] == pytest.approx(expected, abs=2e-4)
    assert found[0] != found[1]


@pytest.mark.parametrize("variant", ["yolov9t", "yolov10n"])
def test_files_of_ultralytics_open(variant: str, tmp_path: Path) -> None:
    """A file as Ultralytics writes it: its own classes, its own description, both heads."""
    torch.manual_seed(0)
    model: Any = YOLO(f"{variant}.yaml", verbose=False)
    model.save(tmp_path / "x.pt")
    module = DetectorModule(weights=str(tmp_path / "x.pt"))
    module.set_network(module.build_network(None))
    theirs, ours = model.model.state_dict(), module.network.state_dict()
    assert theirs.keys() == ours.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key].half().float().to(ours[key].dtype))] == []
    assert module.names == model.names


def test_a_resumed_run_of_two_heads_equals_one_that_never_stopped(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """Their weights in the loss stand in no checkpoint; the best epoch is chosen by the head without NMS."""
    tiny = {**TINY, "end2end": True, "reg_max": 1}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny), encoding="utf-8")
    words = [
        *("fit", "--data.data_yaml", shapes, "--data.imgsz", 32, "--data.batch_size", 8, "--data.workers", 0),
        *("--model.variant", tmp_path / "tiny.yaml", "--model.nms_free", "true", "--trainer.max_epochs", 3),
        *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false"),
        *("--media.train_batches", 0, "--media.val_batches", 0, "--run.name", "run"),
    ]
    assert run_cli(*words, "--run.root", tmp_path / "straight") == 0
    stop = f'{{"class_path": "{StopAfter.__module__}.StopAfter", "init_args": {{"epochs": 1}}}}'
    stopped = [*words, "--run.root", tmp_path / "stopped"]
    with pytest.raises(SystemExit):
        run_cli(*stopped, "--trainer.callbacks+", stop)
    assert run_cli(*stopped, "--ckpt_path", "last") == 0
    one, other = (tmp_path / name / "detect" / "run" for name in ("straight", "stopped"))
    assert rows(other) == rows(one)
    assert {"train/l1_loss", "val/l1_loss"} <= set(rows(one)[0])
    kept = [load(folder / "weights" / "last.ckpt") for folder in (one, other)]
    for part in ("state_dict", "current_model_state", "optimizer_states", "aigp"):
        assert differing(kept[0][part], kept[1][part], part) == []
    assert kept[0]["aigp"]["run"]["model"]["nms_free"] is True
