"""Weights of rare classes: Ultralytics' formula and loss, and the same loss wherever a run is looked at again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import UNDRAWN, draw_squares, small, tiny_network
from ultralytics.cfg import get_cfg
from ultralytics.models.yolo.detect.train import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel, PoseModel

from aigp_lightning.checkpoints.load import read_checkpoint
from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.pose import PoseGains
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.class_weights import check_class_weights, class_weights
from aigp_lightning.modules.yolo.loss import weigh_classes
from aigp_lightning.types import Keypoints

NAMES = {0: "pillar", 1: "net", 2: "box", 3: "tree"}
SIZE = 64


def theirs(counts: np.ndarray, power: float) -> np.ndarray | None:
    """What Ultralytics' trainer puts on its model, from its own methods."""
    trainer: Any = SimpleNamespace(
        args=SimpleNamespace(cls_pw=power), model=torch.nn.Identity(), device=torch.device("cpu")
    )
    trainer.get_class_counts = lambda: counts.astype(np.float32)
    trainer.compute_class_weights = lambda given: DetectionTrainer.compute_class_weights(trainer, given)
    DetectionTrainer.set_class_weights(trainer)
    weights = getattr(trainer.model, "class_weights", None)
    return None if weights is None else weights.numpy()


@pytest.mark.parametrize("power", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("counts", [[100, 10, 1, 1000], [7, 0, 3, 0], [5, 5, 5, 5], [0, 0, 0, 0]])
def test_weights_are_those_of_the_reference(power: float, counts: list[int]) -> None:
    ours, reference = class_weights(power, np.array(counts), NAMES), theirs(np.array(counts), power)
    assert (ours is None) == (reference is None)
    if ours is not None:
        np.testing.assert_allclose(ours, reference, rtol=1e-5)


def test_full_weights_by_hand() -> None:
    """Ten times as many objects, a tenth of the weight; nothing there, the mean; the mean of all is 1."""
    weights = class_weights(1.0, np.array([100, 10, 0]), {0: "a", 1: "b", 2: "c"})
    assert weights == pytest.approx(np.array([0.01, 0.1, 0.055]) / 0.055)


def test_a_list_is_taken_as_it_is() -> None:
    assert class_weights([1, 2.5, 1, 4], np.zeros(4, np.int64), NAMES).tolist() == [1, 2.5, 1, 4]


@pytest.mark.parametrize("asked", [-0.1, 1.5, float("nan"), [], [1.0, 0.0], [1.0, -2.0], [1.0, float("inf")]])
def test_what_weighs_no_class(asked: Any) -> None:
    with pytest.raises(ConfigError, match=r"--model\.class_weights"):
        DetectorModule(class_weights=asked)
    with pytest.raises(ConfigError, match=r"--model\.class_weights"):
        check_class_weights(asked)


def test_a_list_of_another_length_names_the_classes() -> None:
    with pytest.raises(ConfigError, match=r"2 numbers, the data set 4 classes \(pillar, net, box, tree\)"):
        class_weights([1.0, 2.0], np.zeros(4, np.int64), NAMES)


# ---- the loss --------------------------------------------------------------------------------------------------------


def batch_of(pose: bool) -> dict[str, torch.Tensor]:
    """Three images, twelve boxes of all classes."""
    random = torch.Generator().manual_seed(0)
    centre, size = torch.rand(12, 2, generator=random) * 0.4 + 0.3, torch.rand(12, 2, generator=random) * 0.4 + 0.1
    batch = {
        "img": torch.rand(3, 3, SIZE, SIZE, generator=random),
        "cls": torch.arange(12) % 4,
        "bboxes": torch.cat((centre, size), 1),
        "batch_idx": torch.arange(3).repeat_interleave(4),
    }
    if pose:
        batch["keypoints"] = torch.cat((torch.rand(12, 4, 2, generator=random), torch.full((12, 4, 1), 2.0)), -1)
    return batch


@pytest.mark.parametrize("task", ["detect", "pose"])
def test_loss_is_that_of_the_reference(task: str) -> None:
    """Same weights of network and classes, same batch: components and gradient; and they differ from unweighted."""
    pose = task == "pose"
    keypoints = Keypoints(4, 3, ("a", "b", "c", "d"), (1, 0, 3, 2)) if pose else None
    variant = "yolo11n-pose" if pose else "yolo11n"
    ours = build_model(variant, NAMES, asdict(PoseGains()), task, keypoints).train()
    reference: Any = (
        PoseModel(f"{variant}.yaml", nc=4, data_kpt_shape=(4, 3), verbose=False)
        if pose
        else DetectionModel(f"{variant}.yaml", nc=4, verbose=False)
    ).train()
    reference.load_state_dict(ours.state_dict())
    reference.args = get_cfg()
    plain = deepcopy(ours).loss(batch_of(pose))[1]  # type: ignore[operator]
    weights = class_weights(1.0, np.array([100, 10, 1, 1000]), NAMES)
    weigh_classes(ours, weights)
    reference.class_weights = torch.from_numpy(theirs(np.array([100, 10, 1, 1000]), 1.0))
    batch = batch_of(pose)
    loss, items = ours.loss(batch)  # type: ignore[operator]
    their_loss, their_items = reference.loss({**batch, "cls": batch["cls"].float()[:, None]})
    loss.sum().backward()
    their_loss.sum().backward()
    for key, value in their_items.items():
        torch.testing.assert_close(items[key], value, atol=0, rtol=1e-5)
    assert float(items["cls_loss"]) != pytest.approx(float(plain["cls_loss"]), rel=0.01)
    assert float(items["box_loss"]) == pytest.approx(float(plain["box_loss"]), rel=1e-5)
    gradients = dict(reference.named_parameters())
    for name, parameter in ours.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, gradients[name].grad, atol=1e-3, rtol=1e-3)


# ---- a run -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares and discs; of the 16 training pictures 12 show a disc that has no label."""
    folder = tmp_path_factory.mktemp("data") / "rare"
    draw_squares(folder, "train", 16, seed=1)
    draw_squares(folder, "val", 6, seed=2)
    for number in range(12):
        label = folder / "labels/train" / f"{number:03d}.txt"
        label.write_text("".join(line for line in label.read_text().splitlines(True) if line.startswith("0")))
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [square, disc]\n", encoding="utf-8")
    return folder / "data.yaml"


def test_a_run_and_what_becomes_of_it(
    rare: Path, tmp_path: Path, run_cli: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """Said at the start; kept in the checkpoint, for the same loss later; not in best.pt, which opens in YOLO."""
    from ultralytics import YOLO

    words = ["fit", *small(rare, tmp_path), *tiny_network(tmp_path), "--model.class_weights", 1.0, "--run.name", "r"]
    words += UNDRAWN
    assert run_cli(*words, "--trainer.max_epochs", 2) == 0
    assert "class weights: square 0.4 (16 objects), disc 1.6 (4 objects)" in caplog.messages
    run = tmp_path / "detect/r"
    kept = read_checkpoint(run / "weights/last.ckpt")["aigp"]["class_weights"]
    assert kept == pytest.approx([0.4, 1.6])
    with (run / "results.csv").open(encoding="utf-8", newline="") as file:
        logged = {key.strip(): value for key, value in list(csv.DictReader(file))[-1].items()}
    for name, more in (("weighed", []), ("without", ["--model.class_weights", 0])):  # the checkpoint's count
        target = tmp_path / f"{name}.json"
        again = ["validate", *small(rare, tmp_path), "--ckpt_path", run / "weights/last.ckpt", "--run.json", target]
        assert run_cli(*again, *more) == 0
        found = json.loads(target.read_text(encoding="utf-8"))
        assert found["metrics"]["val/cls_loss"] == pytest.approx(float(logged["val/cls_loss"]), rel=1e-3)
    model: Any = YOLO(run / "weights/best.pt").model
    assert model.class_weights is None
    assert run_cli(*words, "--trainer.max_epochs", 3, "--extend", "--ckpt_path", run / "weights/last.ckpt") == 0
    assert read_checkpoint(run / "weights/last.ckpt")["aigp"]["class_weights"] == kept
