"""The `compare` verb: real models of a finished run, its tables, files, JSON and exit status."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from aigp_lightning.checkpoints.schema import METADATA, RUN_OPTIONS
from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate
from aigp_lightning.evaluation.named_model import find_model, short_name

Cli = Callable[..., int]


SIZE, LARGE = 96, 0.4
"""Sides of the pictures, pixels; labels are what the model finds of larger sides, as shares of that."""
QUICK = ("--draws", 100, "--no-latency")


@pytest.fixture(scope="module")
def models(finished: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory, run_cli: Cli) -> Path:
    """A run whose model is surer, in all its forms, a data set on which it scores, and a model that finds nothing."""
    run = Path(shutil.copytree(finished, tmp_path_factory.mktemp("runs") / "detect" / "shapes"))
    weights = run / "weights"
    change(weights / "best.ckpt", weights / "best.ckpt", 2.0)
    change(weights / "best.ckpt", weights / "worse.ckpt", -30.0)
    change(weights / "best.ckpt", weights / "ring.ckpt", 0.0, {0: "square", 1: "ring"})
    assert run_cli("export", "--ckpt_path", weights / "best.ckpt", "--format", "[pt,onnx]", "--imgsz", 96) == 0
    label_by_model(weights / "best.ckpt", shapes.parent / "images" / "val", run / "data")
    return run


def change(source: Path, target: Path, surer: float, names: dict[int, str] | None = None) -> None:
    """Write a checkpoint with boxes of two strides everywhere, evaluated in squares, surer or less sure."""
    content = torch.load(source, weights_only=True)
    for name, value in content["state_dict"].items():
        if ".cv3." in name and name.endswith(".2.bias"):
            value.add_(surer)
        if ".cv2." in name and name.endswith(".2.bias"):
            value.view(4, -1).copy_(torch.where(torch.arange(len(value) // 4) == 1, 20.0, -20.0).expand(4, -1))
    content[METADATA][RUN_OPTIONS]["data"]["rect"] = False
    content[METADATA]["names"] = names or content[METADATA]["names"]
    torch.save(content, target)


def label_by_model(checkpoint: Path, pictures: Path, folder: Path) -> None:
    """Write a data set of square pictures, whose labels are the model's large discs."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    (folder / "data.yaml").write_text("train: images\nval: images\nnames: [square, disc]\n", encoding="utf-8")
    for file in pictures.iterdir():
        cv2.imwrite(str(folder / "images" / file.name), cv2.resize(cv2.imread(str(file)), (SIZE, SIZE)))
    found = evaluate(checkpoint, EvaluationData(str(folder), workers=0, progress=False))
    boxes = found.found_box.reshape(-1, 2, 2) / SIZE
    middle, size = boxes.mean(1), np.diff(boxes, axis=1)[:, 0]
    chosen = (found.found_label == 1) & (size > LARGE).all(1)
    for number, file in enumerate(found.files):
        rows = np.hstack((middle, size))[chosen & (found.found_image == number)]
        text = "\n".join(" ".join(map(str, (1, *row))) for row in rows)
        (folder / "labels" / f"{Path(file).stem}.txt").write_text(text, encoding="utf-8")


def compared(run_cli: Cli, *words: object, status: int = 0) -> dict[str, Any]:
    """All that `--json` writes of a comparison."""
    assert run_cli("compare", *words, "--json", "found.json") == status
    content: dict[str, Any] = json.loads(Path("found.json").read_text(encoding="utf-8"))
    return content


def test_a_checkpoint_and_its_pt(models: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """What a `.pt` rounds away is no difference; both are timed."""
    words = (models, models / "weights" / "best.pt", "--data", models / "data", "--draws", 100)
    found = compared(run_cli, *words, "--fail-if-worse")
    main = found["main"][0]
    assert main["metric"] == "metrics/mAP50-95(B)" and main["a"] > 0.2 and abs(main["difference"]) < 0.02
    assert main["a"] == pytest.approx(found["a"]["metrics"]["metrics/mAP50-95(B)"], abs=1e-6)
    assert main["b"] == pytest.approx(found["b"]["metrics"]["metrics/mAP50-95(B)"], abs=1e-6)
    assert found["data"]["images"] == 11 and not found["a"]["recorded"]
    for latency in found["latency"].values():
        assert 0 < latency["median"] <= latency["p95"] and latency["imgsz"] == 96 and latency["calls"] >= 10
        assert 0 < latency["resizing"] < latency["model"] < latency["median"]
    printed = capsys.readouterr().out
    folder = Path("runs/compare/shapes.ckpt-shapes.pt")
    assert "mAP50-95(B): no difference that the pictures show (" in printed and str(folder) in printed
    assert json.loads((folder / "comparison.json").read_text(encoding="utf-8")) == found


def test_a_checkpoint_and_its_onnx(models: Path, run_cli: Cli) -> None:
    """Both are evaluated in squares, since the file takes nothing else: what is left is rounding."""
    words = (models, models / "weights" / "best.onnx", "--data", models / "data", "--out", "here")
    found = compared(run_cli, *words, *QUICK)
    assert found["latency"] is None and Path("here/comparison.json").is_file()
    assert found["main"][0]["a"] > 0.2 and abs(found["main"][0]["difference"]) < 1e-3
    assert [found[side]["settings"]["rect"] for side in "ab"] == [False, False] and found["notes"] == []


def test_recorded_results_and_json_alone(finished: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """The run's own results of its best epoch are taken for A: it is compared with itself, and differs by nothing."""
    capsys.readouterr()
    assert run_cli("compare", finished, finished, *QUICK, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == 1 and found["a"]["recorded"] and found["b"]["recorded"]
    assert found["pictures"] == [] and found["mosaic"] is None
    rows = [row for part in ("overall", "classes", "sizes") for row in found[part] if row["a"] is not None]
    assert len(rows) > 6 and {row["difference"] for row in rows} == {0.0}
    assert {(row["low"], row["high"]) for row in rows} == {(0.0, 0.0)}


def test_fail_if_worse(models: Path, finished: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """B is the candidate: status 1 where B is worse; the mosaic shows what changed, and goes where nothing did."""
    best, worse = models / "weights" / "best.ckpt", models / "weights" / "worse.ckpt"
    words = ("--data", models / "data", *QUICK, "--conf", 0.001)
    found = compared(run_cli, best, worse, *words, "--fail-if-worse", status=1)
    assert found["main"][0]["b"] == 0 and found["main"][0]["verdict"] == "worse" and found["main"][0]["high"] < 0
    assert "mAP50-95(B): B is worse than A (-" in capsys.readouterr().out
    shown = cv2.imread(found["mosaic"])
    assert shown is not None and len(found["pictures"]) == 8 and shown.shape[:2] == (4 * 96, 4 * 96)
    assert found["pictures"][0]["changed"] >= found["pictures"][-1]["changed"] > 0
    out = ("--out", Path(found["mosaic"]).parent)
    compared(run_cli, finished, finished, *QUICK, *out, "--fail-if-worse")
    assert not Path(found["mosaic"]).exists()  # it was of another comparison than the one that is told there by now


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{run}", "nowhere"), "nowhere: there is no such file or folder."),
        (
            ("{run}", "{run}/results.csv"),
            "is no model that can be evaluated: .ckpt, .pt, .pth, .onnx, .torchscript, .xml, .engine can",
        ),
        (
            ("{run}", "."),
            ". has no weights/best.ckpt and no model file: .ckpt, .pt, .pth, .onnx, .torchscript, .xml, .engine.",
        ),
        (("{run}", "{run}", "--conf", "0"), "--conf 0: a number above 0 to 1."),
        (("{run}", "{run}", "--draws", "5"), "--draws 5: a number from 100 to "),
        (("{run}", "{run}", "--fail-if-worse", "-1"), "--fail-if-worse -1: a number 0 or more."),
        (("{run}", "{run}/weights/ring.ckpt"), "other classes: A alone knows disc; B alone knows ring."),
        (("{run}", "{run}", "--data", "nowhere.yaml"), "nowhere.yaml"),
        (("{run}", "{run}", "--out", "{run}/results.csv"), "results.csv is no folder."),
    ],
)
def test_errors_have_one_line(
    models: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    capsys.readouterr()
    assert run_cli("compare", *(word.format(run=models) for word in words)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line
    assert not Path("runs").exists()


def test_a_model_is_named_by_its_run_or_its_folder_in_the_store(tmp_path: Path) -> None:
    store = tmp_path / "models" / "latest" / "gates"
    store.mkdir(parents=True)
    (store / "receipt.json").touch()
    (store / "gates.onnx").touch()
    assert find_model(str(store)).name == "gates.onnx"
    (store / "best.ckpt").touch()
    assert find_model(str(store)) == store / "best.ckpt"
    assert short_name(store / "best.ckpt") == "gates"
    assert short_name(Path("runs/detect/a/weights/last.ckpt")) == "a" and short_name(Path("b.torchscript")) == "b"
