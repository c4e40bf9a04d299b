"""`compare` with every kind of file of the other families and tasks, and with files that cannot be measured."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from aigp_lightning.cli import compare

Cli = Callable[..., int]
QUICK = ("--draws", 100, "--no-latency", "--pictures", 0)
BEST = Path("weights", "best.ckpt")


def compared(run_cli: Cli, *words: object) -> dict[str, Any]:
    assert run_cli("compare", *words, *QUICK, "--json", "found.json") == 0
    content: dict[str, Any] = json.loads(Path("found.json").read_text(encoding="utf-8"))
    return content


def test_keypoints_of_a_checkpoint_and_its_onnx(finished_pose: Path, tmp_path: Path, run_cli: Cli) -> None:
    """The file's keypoints are known before a data set is there to tell them; what is left is rounding."""
    best = finished_pose / BEST
    assert run_cli("export", "--ckpt_path", best, "--format", "onnx", "--out", tmp_path) == 0
    found = compared(run_cli, best, tmp_path / "best.onnx", "--data", best_data(best))
    assert [found[side]["task"] for side in "ab"] == ["pose", "pose"]
    assert [row["metric"] for row in found["main"]] == ["metrics/mAP50-95(B)", "metrics/mAP50-95(P)"]
    assert all(abs(row["difference"]) < 1e-3 for row in found["main"])
    assert found["a"]["metrics"].keys() == found["b"]["metrics"].keys()


def best_data(checkpoint: Path) -> str:
    from aigp_lightning.modules.registry import trained_with

    return str(trained_with(checkpoint).data["data_yaml"])


def test_rfdetrs_weights_and_their_torchscript(scored_rfdetr: Path, tmp_path: Path, run_cli: Cli) -> None:
    weights = scored_rfdetr / "best.pth"
    options = ("--format", "torchscript", "--out", tmp_path, "--tolerance", 0.01)
    assert run_cli("export", "--weights", weights, *options) == 0
    found = compared(run_cli, weights, tmp_path / "best.torchscript", "--data", scored_rfdetr / "data.yaml")
    (main,) = found["main"]
    assert 0.02 < main["a"] < 0.99 and abs(main["difference"]) < 1e-3
    assert [found[side]["family"] for side in "ab"] == ["rfdetr", "rfdetr"]


def test_only_our_own_lines_are_printed(finished: Path, tmp_path: Path) -> None:
    """In a process of its own, since another verb of this one has silenced Lightning already."""
    words = ("compare", finished, finished, "--fresh", *QUICK)
    done = subprocess.run(
        [sys.executable, "-m", "aigp_lightning", *map(str, words)],
        capture_output=True, text=True, encoding="utf-8", check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert "mAP50-95(B): no difference that the pictures show (" in printed
    assert [
        word for word in ("Tip", "litlogger", "GPU", "TPU", "Restor", "Loaded", "pytree", "arn") if word in printed
    ] == []


@pytest.fixture(scope="module")
def broken(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model whose weights are no numbers, and with files that are no models."""
    import onnx

    folder = tmp_path_factory.mktemp("broken")
    content = torch.load(finished / BEST, weights_only=True)
    name = next(name for name, value in content["state_dict"].items() if name.endswith(".conv.weight"))
    content["state_dict"][name][0, 0, 0, 0] = math.nan
    torch.save(content, folder / "nan.ckpt")
    for suffix in ("pt", "pth", "onnx", "torchscript", "ckpt"):
        (folder / f"text.{suffix}").write_text("no model\n", encoding="utf-8")
    about = {"task": "detect", "names": "{0: 'square', 1: 'disc'}", "head": "Detect", "imgsz": "[64, 64]"}
    for file, told in {
        "silent": {},
        "odd": {**about, "names": "{'a': 'square'}"},
        "nan": about,
        "sized": about,
        "boneless": {**about, "task": "pose"},
    }.items():
        value = math.nan if file == "nan" else 0.0
        write_constant(onnx, folder / f"{file}.onnx", 96 if file == "sized" else 64, value, told)
    return folder


def write_constant(onnx: Any, path: Path, side: int, value: float, told: dict[str, str]) -> None:
    """Write an ONNX file that finds the same in every image."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    image = helper.make_tensor_value_info("images", kind, [1, 3, side, side])
    found = helper.make_tensor_value_info("output0", kind, [1, 6, 84])
    tensor = helper.make_tensor("value", kind, [1, 6, 84], [value] * 6 * 84)
    nodes = [helper.make_node("Constant", [], ["output0"], value=tensor)]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [image], [found]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    helper.set_model_props(model, told)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("nan.ckpt", "nan.ckpt has weights that are no numbers (NaN or infinite), such as "),
        ("nan.onnx", "nan.onnx returns NaN, which is no number"),
        ("text.pt", "text.pt is no Ultralytics checkpoint"),
        ("text.pth", "text.pth"),
        ("text.ckpt", "text.ckpt"),
        ("text.onnx", "text.onnx cannot be opened: "),
        ("text.torchscript", "text.torchscript cannot be opened: "),
        ("silent.onnx", "silent.onnx cannot be measured: it does not say its task, classes and image size"),
        ("odd.onnx", "odd.onnx cannot be measured: it does not say its task, classes and image size"),
        ("boneless.onnx", "boneless.onnx cannot be measured: it does not say its keypoints (kpt_shape)."),
        ("sized.onnx", "sized.onnx fails on an image of 64×64 pixels: "),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_line(
    finished: Path, broken: Path, shapes: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str], file: str, said: str
) -> None:
    """Never status 1, which says that B is worse."""
    capsys.readouterr()
    assert run_cli("compare", finished, broken / file, "--data", shapes, *QUICK, "--fail-if-worse") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and said in lines[0] and "pop from" not in lines[0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("nobody knew"), "cannot be compared: ZeroDivisionError: nobody knew"),
        (MemoryError(), "the machine's memory is full"),
    ],
)
def test_what_nobody_foresaw_is_not_status_1(
    finished: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    error: Exception, said: str,
) -> None:  # fmt: skip
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(compare, "_compare", fails)
    capsys.readouterr()
    assert run_cli("compare", finished, finished, *QUICK, "--fail-if-worse") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
