"""A whole run by the command line, and what it leaves behind."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers import UNDRAWN, small, tiny_network

from aigp_lightning.checkpoints import read_checkpoint
from aigp_lightning.modules.registry import open_weights

COLUMNS = [
    *("epoch", "time", "train/box_loss", "train/cls_loss", "train/dfl_loss"),
    *("metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)"),
    *("val/box_loss", "val/cls_loss", "val/dfl_loss", "lr/pg0", "lr/pg1", "lr/pg2"),
]


def test_run_folder_holds_what_it_promises(finished: Path) -> None:
    for name in ("config.yaml", "results.csv", "weights/best.ckpt", "weights/last.ckpt", "weights/best.pt"):
        assert (finished / name).is_file(), name
    assert list((finished / "tensorboard").glob("events.out.tfevents.*"))


def test_results_csv_has_ultralytics_columns_and_a_row_an_epoch(finished: Path) -> None:
    with (finished / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())
    assert all(float(row["train/box_loss"]) > 0.5 for row in rows)
    assert float(rows[0]["lr/pg0"]) > float(rows[1]["lr/pg0"]) > 0


def test_tensorboard_holds_the_same_figures(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished / "tensorboard"))
    events.Reload()
    with (finished / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for key in COLUMNS[2:]:
        logged = [event.value for event in events.Scalars(key)]
        assert logged == pytest.approx([float(row[key]) for row in rows], rel=1e-4, abs=1e-6), key


def test_saved_config_runs_again(finished: Path, run_cli: Callable[..., int], tmp_path: Path) -> None:
    """The resolved configuration is complete, and names no file of its own run."""
    text = (finished / "config.yaml").read_text()
    config = yaml.safe_load(text)
    assert config["data"]["imgsz"] == 96
    assert config["data"]["augment"]["hsv_s"] == 0.7
    assert config["model"]["init_args"]["optim"]["nbs"] == 8
    assert config["trainer"]["max_epochs"] == 2
    assert "{run_folder}" in text
    status = run_cli(
        *("fit", "--config", finished / "config.yaml", "--run.root", tmp_path, "--run.json", "null"),
        *("--trainer.max_epochs", 1, "--trainer.limit_train_batches", 1, *UNDRAWN),
    )
    assert status == 0
    assert (tmp_path / "detect" / "shapes" / "weights" / "last.ckpt").is_file()


def test_json_agrees_with_the_best_row(finished: Path) -> None:
    told = json.loads((finished.parent.parent / "metrics.json").read_text())
    with (finished / "results.csv").open(newline="") as file:
        best = max(float(row["metrics/mAP50-95(B)"]) for row in csv.DictReader(file))
    assert told["images"] == 11
    assert told["imgsz"] == 96
    assert told["metrics"]["metrics/mAP50-95(B)"] == pytest.approx(best, abs=1e-5)


def test_best_pt_opens_in_ultralytics_and_answers_the_same(finished: Path, shapes: Path) -> None:
    from ultralytics import YOLO

    from aigp_lightning.modules.registry import load_module

    theirs = YOLO(str(finished / "weights" / "best.pt"))
    assert theirs.task == "detect"
    assert theirs.names == {0: "square", 1: "disc"}
    ours = load_module(finished / "weights" / "best.ckpt").network.half().float()  # a .pt holds float16
    picture = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, got = ours(picture)[0], theirs.model.float().eval()(picture)[0]
    assert (expected[:, :4] - got[:, :4]).abs().max() < 1e-3  # pixels
    assert (expected[:, 4:] - got[:, 4:]).abs().max() < 1e-5
    found = theirs.predict(str(shapes.parent / "images" / "val" / "000.png"), imgsz=96, verbose=False, device="cpu")
    assert found[0].orig_shape == (96, 96)


def test_checkpoint_holds_the_average_and_loads_without_code(finished: Path) -> None:
    content = torch.load(finished / "weights" / "last.ckpt", weights_only=True)
    average, current = content["state_dict"], content["current_model_state"]
    key = "network.model.0.conv.weight"
    assert average[key].shape == current[key].shape
    assert not torch.equal(average[key], current[key])
    assert content["aigp"]["names"] == {0: "square", 1: "disc"}


def test_second_run_of_a_name_gets_a_number(shapes: Path, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    words = [*small(shapes, tmp_path), *tiny_network(tmp_path), *UNDRAWN, "--trainer.max_epochs", 1]
    words += ["--trainer.limit_train_batches", 1]
    assert run_cli("fit", *words, "--run.name", "a") == 0
    assert run_cli("fit", *words, "--run.name", "a") == 0
    assert sorted(path.name for path in (tmp_path / "detect").iterdir()) == ["a", "a-2"]


def test_weights_of_other_classes_are_adapted(
    finished: Path, gates: Path, tmp_path: Path, run_cli: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """Two classes to one: all but the class logits is taken, and a line says how much."""
    with caplog.at_level("INFO"):
        status = run_cli(
            *("fit", *small(gates, tmp_path), "--model.weights", finished / "weights" / "best.pt"),
            *("--trainer.max_epochs", 1, "--trainer.limit_train_batches", 1, *UNDRAWN),
        )
    assert status == 0
    assert any("tensors from" in record.getMessage() for record in caplog.records)


def test_missing_data_set_is_made(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    status = run_cli(
        *("fit", *small(Path("datasets/gates/data.yaml"), tmp_path / "runs"), "--trainer.max_epochs", 1),
        *("--data.synthetic.train", 8, "--data.synthetic.val", 4, "--data.synthetic.test", 0),
        *("--data.synthetic.imgsz", "[128, 96]", "--trainer.limit_train_batches", 1, *tiny_network(tmp_path), *UNDRAWN),
    )
    assert status == 0
    assert len(list((tmp_path / "datasets" / "gates" / "images" / "train").iterdir())) == 8


def test_bad_files_are_set_aside_and_listed(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """And class names that YAML takes for a number and a truth value are in all of the run as they are written."""
    from helpers import draw_squares

    draw_squares(tmp_path, "train", 4, seed=1)
    draw_squares(tmp_path, "val", 4, seed=2)
    (tmp_path / "images" / "train" / "001.png").write_bytes(b"")
    (tmp_path / "labels" / "train" / "002.txt").write_text("0 0.5 0.5 0.2 0.2\n7 0.5 0.5 0.2 0.2\n")
    data = tmp_path / "data.yaml"
    data.write_text("train: images/train\nval: images/val\nnames: [007, no]\n")
    words = [*small(data, tmp_path / "runs"), *tiny_network(tmp_path), *UNDRAWN, "--trainer.max_epochs", 1]
    assert run_cli("fit", *words, "--run.json", tmp_path / "metrics.json") == 0
    weights = tmp_path / "runs" / "detect" / "gates" / "weights"
    assert read_checkpoint(weights / "best.ckpt")["aigp"]["names"] == {0: "007", 1: "no"}
    assert open_weights(weights / "best.pt").names == {0: "007", 1: "no"}
    classes = json.loads((tmp_path / "metrics.json").read_text())["classes"]
    assert [row["class"] for row in classes] == ["all", "007", "no"]
    listed = (tmp_path / "runs" / "detect" / "gates" / "data_problems_train.txt").read_text()
    assert "001.png" in listed
    assert "002.txt:2" in listed
    assert run_cli("fit", *words, "--data.strict", "true") == 2


@pytest.mark.parametrize(
    ("words", "filled"),
    [
        (["--trainer.check_val_every_n_epoch", 2], [False, True, False]),
        (["--trainer.limit_val_batches", 0], [False] * 3),
    ],
)
def test_validation_may_be_rare_or_off(
    words: list[object], filled: list[bool], shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """Such a run trains to its end, with rows for every epoch and a `best.pt`."""
    assert run_cli("fit", *small(shapes, tmp_path), *tiny_network(tmp_path), "--trainer.max_epochs", 3, *words) == 0
    run = tmp_path / "detect" / "gates"
    with (run / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [bool(row.get("val/box_loss")) for row in rows[:2]] == filled[:2]
    assert all(float(row["train/box_loss"]) > 0 for row in rows)
    assert (run / "weights" / "best.pt").is_file()
