"""The `compare` verb: real models of a finished run, its tables, files, JSON and exit status."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from aigp_lightning.checkpoints.schema import METADATA
from aigp_lightning.evaluation.named_model import find_model, short_name

Cli = Callable[..., int]


@pytest.fixture(scope="module")
def models(finished: Path, tmp_path_factory: pytest.TempPathFactory, run_cli: Cli) -> Path:
    """A copy of a finished run with an ONNX export and a checkpoint of other weights beside its own."""
    run = Path(shutil.copytree(finished, tmp_path_factory.mktemp("runs") / "detect" / "shapes"))
    weights = run / "weights"
    assert run_cli("export", "--ckpt_path", weights / "best.ckpt", "--format", "[onnx]", "--imgsz", 96) == 0
    content = torch.load(weights / "best.ckpt", weights_only=True)
    for name, value in content["state_dict"].items():
        if ".cv3." in name and name.endswith("bias"):
            value.sub_(20)  # it is sure of nothing any more
    torch.save(content, weights / "worse.ckpt")
    metadata = content[METADATA]
    metadata["names"] = {0: "square", 1: "ring"}
    torch.save(content, weights / "ring.ckpt")
    return run


def compared(run_cli: Cli, *words: object, status: int = 0) -> dict[str, Any]:
    """All that `--json` writes of a comparison."""
    assert run_cli("compare", *words, "--draws", 100, "--json", "found.json") == status
    content: dict[str, Any] = json.loads(Path("found.json").read_text(encoding="utf-8"))
    return content


def test_a_checkpoint_its_pt_and_its_onnx(models: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """One model in three forms: what a `.pt` rounds away is no difference, and latency is of both."""
    found = compared(run_cli, models, models / "weights" / "best.pt")
    main = found["main"][0]
    assert main["metric"] == "metrics/mAP50-95(B)" and abs(main["difference"]) < 0.05 and main["verdict"] != "worse"
    assert main["a"] == pytest.approx(found["a"]["metrics"]["metrics/mAP50-95(B)"], abs=1e-6)
    assert found["data"]["images"] == 11 and [row["group"] for row in found["classes"][::2]] == ["square", "disc"]
    for side in ("a", "b"):
        latency = found["latency"][side]
        assert 0 < latency["median"] <= latency["p95"] and latency["imgsz"] == 96 and latency["calls"] >= 10
        assert latency["resizing"] + latency["model"] == pytest.approx(latency["median"], rel=0.5)
    printed = capsys.readouterr().out
    assert "mAP50-95(B)" in printed and "no difference" in printed and "runs/compare/shapes.ckpt-shapes.pt" in printed
    folder = Path("runs/compare/shapes.ckpt-shapes.pt")
    assert json.loads((folder / "comparison.json").read_text(encoding="utf-8")) == found

    exported = compared(run_cli, models, models / "weights" / "best.onnx", "--no-latency", "--out", "here")
    assert exported["latency"] is None and Path("here/comparison.json").is_file()
    assert exported["b"]["file"].endswith("best.onnx") and abs(exported["main"][0]["difference"]) < 0.02


def test_a_model_against_itself(models: Path, run_cli: Cli) -> None:
    found = compared(run_cli, models, models, "--no-latency", "--fail-if-worse")
    rows = [row for part in ("overall", "classes", "sizes") for row in found[part]]
    assert {(row["difference"], row["low"], row["high"]) for row in rows if row["a"] is not None} == {(0.0, 0.0, 0.0)}
    assert found["pictures"] == [] and found["mosaic"] is None


def test_fail_if_worse(models: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """B is the candidate: status 1 where B is worse, and by more than the margin; the mosaic shows what changed."""
    best, worse = models / "weights" / "best.ckpt", models / "weights" / "worse.ckpt"
    found = compared(run_cli, best, worse, "--no-latency", "--fail-if-worse", "--conf", 0.01, status=1)
    assert found["main"][0]["verdict"] == "worse" and found["main"][0]["high"] < 0
    assert "B is worse than A" in capsys.readouterr().out
    shown = cv2.imread(found["mosaic"])
    assert shown is not None and len(found["pictures"]) == 8 and shown.shape[:2] == (4 * 96, 4 * 96)
    assert found["pictures"][0]["changed"] >= found["pictures"][-1]["changed"] > 0
    words = ("--no-latency", "--pictures", 0, "--out", "again")
    assert compared(run_cli, best, worse, *words)["mosaic"] is None
    compared(run_cli, best, worse, *words, "--fail-if-worse", 0.999)
    compared(run_cli, worse, best, *words, "--fail-if-worse")


def test_json_alone_on_stdout(models: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run_cli("compare", models, models, "--no-latency", "--draws", 100, "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{run}", "nowhere"), "nowhere: there is no such file or folder."),
        (
            ("{run}", "{run}/results.csv"),
            "is no model that can be evaluated: .ckpt, .pt, .pth, .onnx, .torchscript can",
        ),
        (("{run}", "."), ". has no weights/best.ckpt and no model file: .ckpt, .pt, .pth, .onnx, .torchscript."),
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
