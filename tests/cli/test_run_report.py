"""What is printed and written at the end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from aigp_lightning.cli.run_report import print_corners, print_ledger, print_report, print_table, write_json
from aigp_lightning.modules.metrics.corner_report import CornerReport, row_width
from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.types import Keypoints

GATE = Keypoints(4, 3, ("top_left", "top_right", "bottom_right", "bottom_left"))
COUNTS = {"images": 1000, "instances": 12345}
BOX = {"precision": 0.911, "recall": 0.822, "mAP50": 0.733, "mAP50-95": 0.644}
POSE = {f"pose {key}": value + 0.05 for key, value in BOX.items()}


def report() -> CornerReport:
    """Two gates: one found at 7 m, 2 px off, 0.25 m and 1.5°, three corners seen; one not found at 30 m."""
    nan = float("nan")
    found = [1, 1, 7, 0.25, 1.5, 2, 2, 2, 2, 1, 1, 1, 0]
    missed = [0, 1, 30, *[nan] * 10]
    rows = np.array([found, missed], np.float32)
    assert rows.shape[1] == row_width(4)
    return CornerReport(rows, GATE, GateCamera())


def cells(printed: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("│┃\n").replace("┃", "│").split("│")]
            for line in printed.splitlines() if line.startswith(("│", "┃"))]  # fmt: skip


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_pose_table_fits(width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """All numbers are whole on an ordinary screen, and under headings that say what they are."""
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [{"class": name, **COUNTS, **BOX, **POSE} for name in ("all", "gate", "gate [red]")]
    print_table(rows)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= width
    table = cells(printed)
    figures = ["1000", "12345", "0.911", "0.822", "0.733", "0.644", "0.961", "0.872", "0.783", "0.694"]
    assert table[-3:] == [["all", *figures], ["gate", *figures], ["gate [red]", *figures]]
    headings = ["".join(parts) for parts in zip(*table[:-3], strict=True)]
    assert headings[3:] == ["boxP", "boxR", "boxmAP50", "boxmAP50-95", "poseP", "poseR", "posemAP50", "posemAP50-95"]


def test_a_detector_table_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"class": "all", **COUNTS, **BOX}, {"class": "gate", **COUNTS, **BOX}]
    print_table(rows)
    assert cells(capsys.readouterr().out) == [
        ["class", "images", "instances", "precision", "recall", "mAP50", "mAP50-95"],
        ["all", "1000", "12345", "0.911", "0.822", "0.733", "0.644"],
    ]
    print_table([])
    assert capsys.readouterr().out == ""


def test_corners_are_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_corners(report())
    table = cells(capsys.readouterr().out)
    assert ["5–10 m", "1", "1.000", "0.000", "2.000", "2.000", "0.250", "0.250", "1.500", "1.500"] in table
    assert ["over 20 m", "1", "0.000", *["–"] * 7] in table
    assert ["all", "2", "0.500", "0.000", "2.000", "2.000", "0.250", "0.250", "1.500", "1.500"] in table
    assert ["bottom_left", "2.000", "2.000", "0.000"] in table


def test_columns_without_a_figure_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a camera there are no metres."""
    rows = report().rows.copy()
    rows[:, 2:5] = np.nan
    print_corners(CornerReport(rows, GATE, None))
    table = cells(capsys.readouterr().out)
    assert table[:3] == [["", "", "", "px", "px"], ["distance", "gates", "found", "mean", "median"],
                         ["all", "2", "0.500", "2.000", "2.000"]]  # fmt: skip
    print_corners(CornerReport(rows[:0], GATE, None))
    assert capsys.readouterr().out == ""


def test_keypoints_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON holds what is printed, and a detector's has no such part."""
    table = [{"class": "all", **COUNTS, **BOX, **POSE}]
    trainer: Any = SimpleNamespace(
        callbacks=[], callback_metrics={"metrics/mAP50(B)": torch.tensor(0.5), "train/box_loss": 1.0}
    )
    data: Any = SimpleNamespace(imgsz=320)
    posed: Any = SimpleNamespace(table=table, metrics=SimpleNamespace(report=report()))
    write_json(tmp_path / "new" / "pose.json", trainer, posed, data)
    content = json.loads((tmp_path / "new" / "pose.json").read_text(encoding="utf-8"))
    assert content["metrics"] == {"metrics/mAP50(B)": 0.5}
    assert content["imgsz"] == 320 and content["images"] == 1000
    bands = {row["band"]: row for row in content["keypoints"]["bands"]}
    assert bands["5–10 m"]["position_m_median"] == 0.25 and bands["over 20 m"]["error_px_mean"] is None
    assert content["keypoints"]["corners"][3] == {
        "name": "bottom_left", "error_px_mean": 2.0, "error_px_median": 2.0, "visible_accuracy": 0.0,
    }  # fmt: skip
    assert content["keypoints"]["scalars"]["gate/rotation_deg_mean"] == 1.5
    print_report(posed)
    assert "over 20 m" in capsys.readouterr().out
    plain: Any = SimpleNamespace(table=table, metrics=SimpleNamespace())
    write_json(tmp_path / "plain.json", trainer, plain, data)
    assert "keypoints" not in json.loads((tmp_path / "plain.json").read_text(encoding="utf-8"))


def test_the_last_lines_name_who_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_ledger(tmp_path, ["WandbLogger (AIGP_WANDB is false)"])  # a run without pictures has no ledger
    assert capsys.readouterr().out == ("left out, so they got nothing of this run: WandbLogger (AIGP_WANDB is false)\n")
