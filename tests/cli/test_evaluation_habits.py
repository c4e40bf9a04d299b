"""`validate`, `test` and `predict` as people who come from Ultralytics use them: times, pictures, places."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import torch

from aigp_lightning.callbacks.speed import Speed, speed_line
from aigp_lightning.modules.stopwatch import Stopwatch, Timed
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.weights import save_pt

CURVES = {f"{kind}_curve.png" for kind in ("PR", "F1", "P", "R")}
CONFUSION = {"confusion_matrix.png", "confusion_matrix_normalized.png"}
MOSAICS = {"val_batch0_labels.jpg", "val_batch0_pred.jpg"}
OVERLAY = """\
run: {name: mine}
model: {init_args: {optim: {lr0: 0.001}, gains: {box: 5.0}}}
trainer: {max_epochs: 3, callbacks: [{class_path: lightning.pytorch.callbacks.ModelSummary}]}
media: {val_batches: 1, max_images: 4, routes: {curves: [wandb]}}
early_stopping: {patience: 3}
ema: {decay: 0.9}
wandb: {project: x}
output: {save_images: false, save_json: false}
return_predictions: true
verbose: true
json: null
extend: false
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights, sure enough of what it finds that there is something to draw."""
    torch.manual_seed(0)
    network = build_model("yolo11n", {0: "square", 1: "disc"}, {})
    for branch in network.model[-1].cv3:
        branch[-1].bias.data[:] = -1.0
    path = tmp_path_factory.mktemp("weights") / "found.pt"
    save_pt(path, network)
    return path


@pytest.fixture
def words(weights: Path, shapes: Path, tmp_path: Path) -> list[object]:
    """Options of a run of seconds, with an overlay that `fit` takes."""
    (tmp_path / "my.yaml").write_text(OVERLAY, encoding="utf-8")
    return [
        *("--config", tmp_path / "my.yaml", "--run.root", tmp_path / "runs", "--model.weights", weights),
        *("--data.data_yaml", shapes, "--data.imgsz", 64, "--data.batch_size", 2, "--data.workers", 0),
        *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    ]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_validation_draws_on_request_and_says_its_times(
    words: list[object], tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Files only, whatever the routes of the run say; nothing is left where nobody asks."""
    target = tmp_path / "metrics.json"
    assert run_cli("validate", *words, "--run.plots", "true", "--run.json", target) == 0
    folder = tmp_path / "runs" / "detect" / "val"
    assert names(folder) - {".aigp.lock"} == CURVES | CONFUSION | MOSAICS | {"media.jsonl"}
    ledger = [json.loads(line) for line in (folder / "media.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line.get("destination", line.get("to", "file")) for line in ledger} <= {"file", None}
    height, width = cv2.imread(str(folder / "val_batch0_pred.jpg")).shape[:2]
    assert height > 64 and width > 2 * 64 - 1  # two rows of two cells, each without the grey of its letterbox
    speed = json.loads(target.read_text(encoding="utf-8"))["speed"]
    assert (speed["images"], speed["batch_size"]) == (11 - 4, 4)  # without the first batch
    assert all(0 < speed[stage] < 10_000 for stage in ("pre", "network", "post"))
    assert speed["device"].startswith("cpu, ")
    told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("for an image: "))
    assert f"{speed['network']:.1f} ms network" in told and "7 images in batches of up to 4" in told

    assert run_cli("validate", *words) == 0
    assert "for an image: " in capsys.readouterr().out
    assert names(tmp_path / "runs" / "detect") == {"val"}


def test_predictions_are_beside_the_trainings(
    words: list[object], shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A name in a YAML is the training's; one that is typed is the folder's. Times come once, before the place."""
    source = ["--data.source", shapes.parent / "images" / "val", "--output.save_crop", "true"]
    source += ["--model.max_det", 3]
    assert run_cli("predict", *words, *source) == 0
    told = capsys.readouterr().out.splitlines()
    (times,) = (line for line in told if line.startswith("for an image: "))
    stages = re.match(r"for an image: (\d+\.\d) ms pre, (\d+\.\d) ms network, (\d+\.\d) ms post \(", times)
    assert stages is not None and 0 < float(stages[2]) < 10_000
    assert f"({len(list((shapes.parent / 'images' / 'val').iterdir())) - 2} images in batches of up to 2, cpu" in times
    assert told[-2] == times and told[-1].startswith("predicted ")
    assert run_cli("predict", *words, *source, "--run.name", "seen", "--output.save_crop", "false") == 0
    assert names(tmp_path / "runs" / "detect") == {"predict", "seen"}
    assert names(tmp_path / "runs" / "detect" / "seen") - {".aigp.lock"} == {"labels"}  # as the overlay says
    crops = list((tmp_path / "runs" / "detect" / "predict" / "crops").rglob("*.jpg"))
    rows = [
        line
        for file in (tmp_path / "runs" / "detect" / "predict" / "labels").iterdir()
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    assert len(crops) == len(rows) > 0
    assert {crop.parent.name for crop in crops} <= {"square", "disc"}


class Slow(Timed):
    """A module whose stages take known times."""

    device = torch.device("cpu")

    def step(self, seconds: float) -> None:
        with self.timed("network"):
            time.sleep(seconds)


def test_the_first_batch_does_not_count() -> None:
    module, speed = Slow(), Speed()
    speed.on_test_start(None, module)  # type: ignore[arg-type]
    for seconds, images in ((0.5, 8), (0.02, 8), (0.04, 4)):
        module.step(seconds)
        speed.on_test_batch_end(None, module, None, {"img": torch.zeros(images, 1)}, 0)  # type: ignore[arg-type]
    speed.on_test_end(None, module)  # type: ignore[arg-type]
    report = speed.report()
    assert report is not None and module.stopwatch is None
    assert 60 / 12 <= report["network"] < 300 / 12 and (report["images"], report["batch_size"]) == (12, 8)
    assert set(report) == {"network", "images", "batch_size", "device"}  # what was not measured is not there


def test_a_prediction_of_one_batch_says_its_times(capsys: pytest.CaptureFixture[str]) -> None:
    """A handful of pictures is what is predicted mostly."""
    module, speed, trainer = Slow(), Speed(), SimpleNamespace(is_global_zero=True)
    speed.on_predict_start(None, module)  # type: ignore[arg-type]
    module.step(0.03)
    speed.on_predict_batch_end(None, module, None, {"img": torch.zeros(3, 1)}, 0)  # type: ignore[arg-type]
    speed.on_predict_end(trainer, module)  # type: ignore[arg-type]
    told = capsys.readouterr().out
    form = r"for an image: (\d+\.\d) ms network \(3 in the first batch, which takes longer than others, cpu, .*\)\n"
    assert (said := re.fullmatch(form, told)) is not None, told
    assert 10 <= float(said[1]) < 200


def test_a_validation_of_one_batch_has_its_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a prediction has; that they are the first batch's is said."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    module, speed = Slow(), Speed()
    for begin, end_batch, end in (
        (speed.on_validation_start, speed.on_validation_batch_end, speed.on_validation_end),
        (speed.on_test_start, speed.on_test_batch_end, speed.on_test_end),
    ):
        begin(None, module)  # type: ignore[arg-type]
        module.step(0.03)
        end_batch(None, module, None, {"img": torch.zeros(3, 1)}, 0)  # type: ignore[arg-type]
        end(None, module)  # type: ignore[arg-type]
        report = speed.report()
        assert report is not None and 10 <= report["network"] < 200
        assert {**report, "network": 10} == {
            "network": 10, "images": 3, "batch_size": 3, "device": "cpu, 1 thread", "first": True,
        }  # fmt: skip
        batch = "3 in the first batch, which takes longer than others"
        assert speed_line(report) == f"for an image: {report['network']:.1f} ms network ({batch}, cpu, 1 thread)"


def test_one_batch_alone_says_nothing() -> None:
    watch = Stopwatch(torch.device("cpu"))
    with watch.measure("network"):
        pass
    watch.end_batch(3)
    assert watch.milliseconds() == {}
    assert Stopwatch(torch.device("meta")).milliseconds() == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_events_measure_what_the_gpu_does() -> None:
    """The host goes on at once; the time is that of the work."""
    watch, work = Stopwatch(torch.device("cuda")), torch.rand(4096, 4096, device="cuda")
    for _ in range(3):
        with watch.measure("network"):
            for _ in range(20):
                work = work @ work / 4096
        watch.end_batch(1)
    assert watch.milliseconds()["network"] > 5
