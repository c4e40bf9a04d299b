"""Pictures of a pose run by the command line: its files, what is on them, and that the plan knows of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import REPO, small, tiny_network

from aigp_lightning.media.ledger.ledger import read_ledger


@pytest.fixture(scope="module")
def corners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny synthetic data set of gates with their corners; returns its data.yaml."""
    from aigp_lightning.data.synthetic import MakeDataOptions, make_data

    folder = str(tmp_path_factory.mktemp("corners") / "gates")
    options = MakeDataOptions(out=folder, task="pose", train=8, val=6, test=0, imgsz=(160, 90), workers=1)
    return make_data(options, False)


def words(corners: Path, root: Path) -> list[object]:
    """Options of the tiny run."""
    return [
        *("--config", REPO / "configs" / "pose.yaml", *small(corners, root), "--data.imgsz", 160, "--run.name", "a"),
        *("--trainer.max_epochs", 1, "--media.max_images", 4, "--model.optim.nbs", 8, "--close_mosaic.epochs", 0),
    ]


@pytest.fixture(scope="module")
def pictured(corners: Path, tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., int]) -> Path:
    """The folder of a finished run of one epoch."""
    root = tmp_path_factory.mktemp("pose-run")
    assert run_cli("fit", *words(corners, root), *tiny_network(root, pose=True)) == 0
    return root / "pose" / "a"


CLOSING = [
    *(f"{prefix}{which}_curve" for prefix in ("Box", "Pose") for which in ("PR", "F1", "P", "R")),
    *("confusion_matrix", "confusion_matrix_normalized", "corner_error", "results"),
]


def test_the_contract_s_files(pictured: Path) -> None:
    keys = [line.key for line in read_ledger(pictured / "media.jsonl") if line.destination == "file"]
    assert keys[-len(CLOSING) :] == CLOSING
    assert {path.stem for path in pictured.glob("*.png")} == set(CLOSING)
    assert len(list(pictured.glob("val_batch*_labels.jpg"))) == 2


def test_the_plan_announces_them(
    pictured: Path, corners: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """The same files as often; what the data alone decides to the byte, edges and numbers included."""
    capfd.readouterr()
    assert run_cli("plan", *words(corners, tmp_path), *tiny_network(tmp_path, pose=True), "--json") == 0
    planned: dict[str, Any] = json.loads(capfd.readouterr().out)
    lines = [line for line in read_ledger(pictured / "media.jsonl") if line.destination == "file"]
    assert Counter(line.key for line in lines) == {Path(file["file"]).stem: file["count"] for file in planned["files"]}
    sizes = {line.key: line.bytes for line in lines}
    for file in planned["files"]:
        if file["kind"] in ("train_batch", "val_labels"):
            assert sizes[Path(file["file"]).stem] == file["bytes"], file["file"]


def test_a_detector_s_plan_has_none_of_it(
    corners: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--config", REPO / "configs" / "detector.yaml", *words(corners, tmp_path)[2:], "--json"]
    capfd.readouterr()
    assert run_cli("plan", *options) == 0
    kinds = {file["kind"] for file in json.loads(capfd.readouterr().out)["files"]}
    assert "corner_error" not in kinds
    assert "curves" in kinds


def test_corners_are_joined_in_the_validation_mosaic(pictured: Path, corners: Path) -> None:
    """White in the middle of the long edges, where the data set has them, with black on both sides."""
    from aigp_lightning.data.datamodule import YoloDataModule

    mosaic = cv2.imread(str(pictured / "val_batch0_labels.jpg")).astype(int).min(2)
    data = YoloDataModule(str(corners), imgsz=160, batch_size=8, workers=0)
    files = data.pictures("val").files[:4]
    height, width = mosaic.shape[0] // 2, mosaic.shape[1] // 2
    assert (height, width) == (90, 160), "the picture without the grey of its letterbox"
    records = {Path(file).stem: file for file in files}
    bright = []
    for place, stem in enumerate(records):
        table = np.loadtxt(corners.parent / "labels" / "val" / f"{stem}.txt", ndmin=2)
        for points in table[:, 5:].reshape(-1, 4, 3) if len(table) else ():
            xy = points[:, :2] * (160, 90)
            xy += (place % 2 * width, place // 2 * height)
            for one, other in ((0, 1), (1, 2), (2, 3), (3, 0)):
                if points[[one, other], 2].min() > 0 and np.linalg.norm(xy[one] - xy[other]) > 25:
                    x, y = ((xy[one] + xy[other]) / 2).round().astype(int)
                    around = mosaic[y - 3 : y + 4, x - 3 : x + 4]
                    bright.append(around.max() > 190 and around.min() < 60)
    assert len(bright) >= 4
    assert np.mean(bright) > 0.7
