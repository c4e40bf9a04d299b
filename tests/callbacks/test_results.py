"""The table of results: its columns, what is best, and the printed line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import largest_file

from aigp_lightning.callbacks.results import Results, read_rows

BOXES = {"metrics/precision(B)": 0.5, "metrics/recall(B)": 0.4, "metrics/mAP50(B)": 0.45, "metrics/mAP50-95(B)": 0.3}
KEYPOINTS = {key.replace("(B)", "(P)"): value / 2 for key, value in BOXES.items()}
ERRORS = {"gate/position_m_median": 0.25, "corners/error_px_median": 3.456, "corners/visible_accuracy": 0.75}
LOSSES = {"train/box_loss": 1.5, "train/pose_loss": 4.0, "val/box_loss": 1.75, "lr/pg0": 0.01}


def after(results: Results, folder: Path, epoch: int, values: dict[str, float], *loggers: Any) -> None:
    """An epoch ends in which these values were measured."""
    trainer: Any = SimpleNamespace(
        is_global_zero=True, current_epoch=epoch, max_epochs=9, default_root_dir=str(folder), loggers=loggers
    )
    results.figures = lambda trainer: values  # type: ignore[assignment, method-assign, return-value]
    results.on_train_epoch_end(trainer, SimpleNamespace())  # type: ignore[arg-type]


class Summary(dict[str, Any]):
    """A logger with figures of the run as a whole."""

    def summarize(self, values: Any) -> None:
        self.update(values)


def test_the_summary_has_the_best_epoch(tmp_path: Path) -> None:
    results, summary = Results(print_lines=False), Summary()
    for epoch, fitness in enumerate((0.5, 0.75, 0.25)):
        after(results, tmp_path, epoch, {**LOSSES, "metrics/mAP50(B)": fitness, "fitness": fitness}, object(), summary)
    assert summary == {"best/epoch": 1, "best/metrics/mAP50(B)": 0.75}


def test_columns_are_in_order(tmp_path: Path) -> None:
    """Errors come after the losses of validation and before the rates."""
    after(Results(print_lines=False), tmp_path, 0, {**ERRORS, **LOSSES, **BOXES, **KEYPOINTS, "fitness": 0.5})
    (row,) = read_rows(tmp_path / "results.csv")
    assert list(row) == [
        "epoch", "time", "train/box_loss", "train/pose_loss", *BOXES, *KEYPOINTS, "val/box_loss",
        "corners/error_px_median", "corners/visible_accuracy", "gate/position_m_median", "lr/pg0",
    ]  # fmt: skip
    assert row["corners/error_px_median"] == "3.456"


@pytest.mark.parametrize(
    ("key", "first", "second", "best"),
    [
        ("corners/error_px_mean", 3.0, 2.0, 2.0),
        ("gate/position_m_median", 0.5, 0.75, 0.5),
        ("gate/rotation_deg_mean", 9.0, 4.0, 4.0),
        ("corners/visible_accuracy", 0.5, 0.75, 0.75),
        ("metrics/mAP50(P)", 0.5, 0.25, 0.5),
        ("val/pose_loss", 2.0, 1.0, 1.0),
    ],
)
def test_what_is_best(key: str, first: float, second: float, best: float, tmp_path: Path) -> None:
    results = Results(print_lines=False)
    for epoch, value in enumerate((first, second, float("nan"))):
        after(results, tmp_path, epoch, {key: value})
    assert results.best[key] == (best, 1 if best == first else 2)


def test_a_detector_s_line_has_all_its_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    after(Results(), tmp_path, 0, {**LOSSES, **BOXES, "fitness": 0.5})
    line = capsys.readouterr().out
    assert "loss: box 1.500  pose 4.000  precision(B) 0.500  recall(B) 0.400  mAP50(B) 0.450  mAP50-95(B) 0.300" in line


def test_a_pose_line_has_what_models_are_compared_by(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    after(Results(), tmp_path, 0, {**LOSSES, **BOXES, **KEYPOINTS, **ERRORS, "fitness": 0.5})
    line = capsys.readouterr().out
    expected = "box mAP50 0.450  box mAP50-95 0.300  pose mAP50 0.225  pose mAP50-95 0.150  corners 3.46 px"
    assert expected in line
    assert "precision" not in line and "gate" not in line
    assert len(line) < 170


def test_rows_that_a_full_disk_does_not_take_are_written_later(tmp_path: Path) -> None:
    """The file is as before, the rows travel in checkpoints, and the next that fits brings them along."""
    path, first = tmp_path / "results.csv", Results(print_lines=False)
    for epoch in range(400):
        after(first, tmp_path, epoch, {**LOSSES, **BOXES})
    before = path.read_bytes()
    with largest_file(len(before) + 10):
        after(first, tmp_path, 400, {**LOSSES, **BOXES})
        after(first, tmp_path, 401, {**LOSSES, **BOXES, "metrics/new": 1.0})  # a new column rewrites the whole file
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]
    resumed = Results(print_lines=False)
    resumed.load_state_dict(first.state_dict())
    after(resumed, tmp_path, 402, {**LOSSES, **BOXES})
    assert [row["epoch"] for row in read_rows(path)] == [str(epoch + 1) for epoch in range(403)]
    assert [row["metrics/new"] for row in read_rows(path)[-3:]] == ["", "1", ""]
    assert resumed.state_dict() == {}
