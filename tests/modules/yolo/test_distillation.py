"""A teacher's loss, held against Ultralytics' own; it trains, resumes, and leaves no trace where it should not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import yaml
from fuzz.generators import TINY
from helpers import small
from resume_runs import StopAfter, differing, load, rows
from ultralytics.nn.distill_model import DistillationModel
from yolo_networks import GAINS, NAMES, SIZE, labelled_batch

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.registry import load_module
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.distillation import Distillation, trained_part
from aigp_lightning.modules.yolo.optim import parameter_groups
from aigp_lightning.modules.yolo.weights import load_weights, save_pt

pytestmark = pytest.mark.usefixtures("one_thread")
WIDER = {**TINY, "backbone": [[*row[:3], [row[3][0] * 2, *row[3][1:]]] if row[3] else row for row in TINY["backbone"]]}


@pytest.mark.parametrize(("student", "teacher"), [("yolo26n", "yolo11n"), ("yolo11n", "yolo26n")])
def test_loss_and_gradients_as_ultralytics(student, teacher, tmp_path):
    torch.manual_seed(0)
    network = build_model(student, NAMES, {**GAINS, "dis": 6.0}).train()
    save_pt(tmp_path / "teacher.pt", build_model(teacher, {0: "other"}, GAINS))
    network.args.imgsz = SIZE
    theirs = DistillationModel(load_weights(tmp_path / "teacher.pt"), deepcopy(network)).train()
    ours = Distillation(str(tmp_path / "teacher.pt"), 6.0)
    projection = ours.projection(network)
    projection.load_state_dict(theirs.projector.state_dict())
    batch = labelled_batch()

    expected, items = theirs.loss(batch)
    expected[-1].backward()
    loss = ours.loss(batch["img"], network(batch["img"]), projection)
    (loss * len(batch["img"])).backward()
    torch.testing.assert_close(loss.detach(), items["dis_loss"][0])
    assert loss > 0.1
    compared = 0
    for mine, other in ((network, theirs.student_model), (projection, theirs.projector)):
        for (name, parameter), twin in zip(mine.named_parameters(), other.parameters(), strict=True):
            if parameter.grad is None:  # of the head, which this loss does not reach
                assert twin.grad is None or not twin.grad.any(), name
            else:
                torch.testing.assert_close(parameter.grad, twin.grad, rtol=1e-4, atol=1e-5, msg=name)
                compared += 1
    assert compared > 100
    assert not [
        name for name, value in ours.teacher.named_parameters() if value.requires_grad or value.grad is not None
    ]

    groups = parameter_groups(trained_part(network, projection), muon=True)
    reference = parameter_groups(torch.nn.ModuleList([theirs.student_model, theirs.projector]), muon=True)
    assert {key: len(group) for key, group in groups.items()} == {key: len(group) for key, group in reference.items()}
    assert any(parameter is projection[0][0].weight for parameter in groups["muon"])


def test_other_levels_are_refused(built, tmp_path):
    save_pt(tmp_path / "teacher.pt", build_model("yolov8n-p2", NAMES, GAINS))
    with pytest.raises(ConfigError, match=r"teacher\.pt: its head has 4 levels, that of --model\.variant 3"):
        Distillation(str(tmp_path / "teacher.pt"), 6.0).projection(built)


def options(shapes: Path, root: Path, folder: Path) -> list[object]:
    return [
        *("fit", *small(shapes, root), "--data.imgsz", 64, "--model.variant", folder / "tiny.yaml"),
        *("--model.distill_model", folder / "teacher.pt", "--trainer.limit_train_batches", 2),
        *("--trainer.limit_val_batches", 1, "--trainer.max_epochs", 2, "--trainer.logger", "false"),
        *("--model.optim.nbs", 16, "--run.name", "run", "--media.routes.everything", "[]"),
    ]


def test_a_stopped_run_goes_on_and_the_teacher_stays_behind(shapes, tmp_path, run_cli: Callable[..., int]) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    torch.manual_seed(1)
    save_pt(tmp_path / "teacher.pt", build_model(WIDER, {0: "thing"}, GAINS))
    stop = f'{{"class_path": "{StopAfter.__module__}.StopAfter", "init_args": {{"epochs": 1}}}}'
    with pytest.raises(SystemExit):
        run_cli(*options(shapes, tmp_path / "stopped", tmp_path), "--trainer.callbacks+", stop)
    run = tmp_path / "stopped" / "detect" / "run"
    assert run_cli(*options(shapes, tmp_path / "stopped", tmp_path), "--ckpt_path", run / "weights" / "last.ckpt") == 0
    assert run_cli(*options(shapes, tmp_path / "whole", tmp_path)) == 0
    whole = tmp_path / "whole" / "detect" / "run"
    last = [load(folder / "weights" / "last.ckpt") for folder in (run, whole)]
    for key in ("state_dict", "current_model_state", "optimizer_states"):
        assert differing(last[0][key], last[1][key]) == [], key

    state = last[1]["state_dict"]
    kept = {name.partition(".")[0] for name in state}
    assert kept == {"network", "projector"}
    assert sum(value.numel() for value in state.values()) < 2 * sum(
        value.numel() for value in build_model(TINY, NAMES, GAINS).state_dict().values()
    )
    losses = rows(whole)[-1]
    assert float(losses["train/dis_loss"]) > 0
    assert float(losses["val/dis_loss"]) == 0
    module = load_module(whole / "weights" / "best.ckpt")
    assert module.projector is None
    assert module.loss_names == ("box_loss", "cls_loss", "dfl_loss")
    assert load_weights(whole / "weights" / "best.pt").names == module.names
