"""A family that only this test knows: it trains, resumes, draws, is audited, and is refused where it has nothing."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from families.toy import ToyModule
from helpers import UNDRAWN, small, tiny

from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.modules import registry

TOY = ("--model.class_path", "families.toy.ToyModule")
PICTURES = {
    "PR_curve.png", "F1_curve.png", "P_curve.png", "R_curve.png", "confusion_matrix.png",
    "confusion_matrix_normalized.png", "labels.jpg", "labels_correlogram.jpg", "results.png", "train_batch0.jpg",
    "val_batch0_labels.jpg", "val_batch0_pred.jpg",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    registry.register("toy", "detect", lambda: ToyModule)
    yield
    del registry.CLASSES["toy", "detect"]


def fit(run_cli: Callable[..., int], shapes: Path, root: Path, name: str, epochs: int, *more: object) -> Path:
    words = (*TOY, *tiny(shapes, root), "--run.name", name, "--trainer.max_epochs", epochs, "--media.val_batches", 1)
    assert run_cli("fit", *words, "--ema.decay", 0.5, "--media.train_batches", 1, *more) == 0
    return root / "detect" / name


@pytest.fixture(scope="module")
def run(run_cli: Callable[..., int], shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs with mosaics, by the command line."""
    return fit(run_cli, shapes, tmp_path_factory.mktemp("toy"), "whole", 2, "--close_mosaic.epochs", 0)


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "results.csv").open(encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "time"} for row in csv.DictReader(file)]


def test_it_trains_and_validates(run: Path) -> None:
    first, last = rows(run)
    losses = [f"{split}/{name}" for split in ("train", "val") for name in ("place_loss", "class_loss")]
    assert set(losses) <= set(first)
    assert float(last["train/class_loss"]) != float(first["train/class_loss"])
    assert float(first["metrics/mAP50(B)"]) >= 0
    assert {"lr/pg0"} == {key for key in first if key.startswith("lr/")}


def test_it_draws_the_pictures_of_every_detector(run: Path) -> None:
    assert {path.name for path in run.iterdir()} >= PICTURES


def test_its_pictures_are_planned(
    run_cli: Callable[..., int], shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("plan", *TOY, *tiny(shapes, tmp_path), "--trainer.max_epochs", 2, "--json") == 0
    assert {file["file"] for file in json.loads(capsys.readouterr().out)["files"]} >= PICTURES


def test_its_folder_is_audited(run: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", run) == 0
    assert "everything matches" in capsys.readouterr().out


def test_it_resumes_as_if_it_had_not_stopped(
    run: Path, run_cli: Callable[..., int], shapes: Path, tmp_path: Path
) -> None:
    usual = ("--close_mosaic.epochs", 0, *UNDRAWN)
    halfway = fit(run_cli, shapes, tmp_path, "stopped", 1, *usual)
    resumed = fit(run_cli, shapes, tmp_path, "stopped", 2, "--extend", "--ckpt_path", "last", *usual)
    assert halfway == resumed
    ours, theirs = (torch.load(one / "weights" / "last.ckpt", weights_only=True) for one in (resumed, run))
    assert ours["epoch"] == theirs["epoch"] == 1
    assert all(torch.equal(ours["state_dict"][key], value) for key, value in theirs["state_dict"].items())
    assert rows(resumed) == rows(run)


def test_its_best_file_is_the_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no file of its own form, and nobody misses one."""
    assert sorted(path.name for path in (run / "weights").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_its_checkpoint_opens_as_itself(run: Path, run_cli: Callable[..., int], shapes: Path, tmp_path: Path) -> None:
    best = run / "weights" / "best.ckpt"
    module = registry.load_module(best)
    assert isinstance(module, ToyModule)
    assert (module.family, module.names, module.training) == ("toy", {0: "square", 1: "disc"}, False)
    found = []
    for words in ((*TOY, *tiny(shapes, tmp_path)), ()):  # and without any option
        assert run_cli("validate", *words, "--ckpt_path", best, "--run.json", tmp_path / "metrics.json") == 0
        told = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
        found.append({name: value for name, value in told.items() if name != "speed"})
    assert found[0] == found[1]


def test_export_refuses_it_in_one_line(
    run: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    from aigp_lightning.deploy.export import export
    from aigp_lightning.deploy.options import ExportOptions

    with pytest.raises(
        ConfigError, match=r"^\S+best\.ckpt is of family toy, which exports nothing; .* asks for onnx\.$"
    ):
        export(ExportOptions(ckpt_path=str(run / "weights" / "best.ckpt"), format=["onnx"]))
    assert run_cli("export", "--ckpt_path", run / "weights" / "best.ckpt") == 2
    assert capsys.readouterr().err == (
        f"error: {run / 'weights' / 'best.ckpt'} is of family toy, which exports nothing.\n"
    )


def test_another_familys_checkpoint_is_refused(
    run: Path, run_cli: Callable[..., int], shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = ("--model", "aigp_lightning.modules.detector.DetectorModule")
    words = (*detector, *small(shapes, tmp_path), "--ckpt_path", run / "weights" / "best.ckpt")
    assert run_cli("validate", *words) == 2
    assert "best.ckpt is of family toy; the configuration asks for yolo." in capsys.readouterr().err


def test_a_family_that_is_not_registered_is_named(tmp_path: Path) -> None:
    content = {"aigp": {"names": {0: "gate"}, "task": "detect", "family": "nobody's", "network": {}}, "state_dict": {}}
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(WeightsError, match=r"is of family \"nobody's\"; this version knows yolo, rfdetr, toy\.$"):
        registry.load_module(tmp_path / "x.ckpt")


def test_a_batch_to_measure_memory_with_can_be_trained_on() -> None:
    module = ToyModule()
    module.set_network(module.build_network({0: "gate"}), {0: "gate"})
    loss, items = module.compute_loss(module.example_batch(2, 64, 3, torch.device("cpu")))
    loss.backward()
    assert list(items) == list(module.loss_names)
    assert all(parameter.grad is not None for parameter in module.parameters())
