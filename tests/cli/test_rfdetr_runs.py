"""A finished run of an RF-DETR: what may be done with it, and what of two families is told apart in a line."""

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
from helpers import REPO, small
from PIL import Image
from rfdetr_networks import OPTIONS, SIZE

from aigp_lightning.modules.registry import load_module, open_weights

CONFIGS = {"yolo": REPO / "configs" / "detector.yaml", "rfdetr": REPO / "configs" / "rfdetr.yaml"}
KIND = {"yolo": "an Ultralytics file", "rfdetr": "an RF-DETR file"}


def one_line(errors: str) -> str:
    """The only complaint, which is the last of what was said."""
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert errors.rstrip().endswith(line)
    assert "Traceback" not in errors
    return line.removeprefix("error: ")


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize(
    "words",
    [("fit", "--ckpt_path", "last.ckpt"), ("fit", "--model.weights", "best.ckpt"), ("fit", "--model.weights", "own"),
     ("validate", "--ckpt_path", "best.ckpt"), ("predict", "--ckpt_path", "best.ckpt"),
     ("predict", "--model.weights", "own")],
)  # fmt: skip
@pytest.mark.parametrize(("asked", "theirs"), [("rfdetr", "yolo"), ("yolo", "rfdetr")])
def test_models_of_the_other_family_are_refused(
    words: tuple[str, str, str], asked: str, theirs: str, finished: Path, finished_rfdetr: Path, shapes: Path,
    tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Before any data is read, by a line that names the file, both families and for weights the other configuration."""
    verb, option, name = words
    weights = (finished if theirs == "yolo" else finished_rfdetr) / "weights"
    path = weights / ({"yolo": "best.pt", "rfdetr": "best.pth"}[theirs] if name == "own" else name)
    source = ("--data.source", shapes.parent / "images" / "val") if verb == "predict" else ()
    assert run_cli(verb, "--config", CONFIGS[asked], *small(shapes, tmp_path), option, path, *source) == 2
    errors = capfd.readouterr().err
    told = one_line(errors)
    assert "24 images" not in errors
    assert str(path) in told
    assert f"of family {theirs}; the configuration asks for " in told and asked in told
    if option == "--model.weights":
        assert f"Take --config configs/{CONFIGS[theirs].name}, or weights of this family." in told
    if name == "own":
        assert KIND[theirs] in told


@pytest.mark.parametrize(
    ("family", "words", "told"),
    [
        ("rfdetr", ("--model.iou", 0.5), "--model.iou is an option of DetectorModule, PoseModule and SegmentModule"),
        (
            "rfdetr",
            ("--model.optim.lr0", 0.5),
            "and the model is of class RFDETRModule. Did you mean --model.optim.lr?",
        ),
        ("yolo", ("--model.optim.lr", 0.5), "--model.optim.lr is an option of RFDETRModule"),
        ("yolo", ("--model.groups", 5), "and the model is of class DetectorModule."),
        ("rfdetr", ("--trainer.gradient_clip_val", 0.5), "Take --model.optim.clip_norm."),
        ("rfdetr", ("--data.imgsz", 100), "multiple of 32, such as 96 or 128."),
        ("rfdetr", ("--data.imgsz", 32), "such as 64 or 96, and no less than 64."),
        ("rfdetr", ("--model.variant", "yolo11n"), "RF-DETR has nano, small, medium, base, large."),
    ],
)
def test_options_of_the_other_family_are_refused(
    family: str, words: tuple[object, ...], told: str, shapes: Path, tmp_path: Path, run_cli: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    try:
        status = run_cli("fit", "--config", CONFIGS[family], *small(shapes, tmp_path), *words)
    except SystemExit as end:  # argparse's own
        status = end.code  # type: ignore[assignment]
    assert status == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if "error: " in line]
    assert len(lines) == 1
    assert told in lines[0]


def test_a_checkpoint_alone_validates_as_its_run_did(
    finished_rfdetr: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """Every figure to the last digit, from the checkpoint and from the file that other programs open."""
    run = read(finished_rfdetr.parent.parent / "metrics.json")
    losses = [f"val/{name}" for name in ("loss", "loss_ce", "loss_bbox", "loss_giou")]
    for option, name in (("--ckpt_path", "best.ckpt"), ("--model.weights", "best.pth")):
        words = (option, finished_rfdetr / "weights" / name, "--trainer.accelerator", "cpu")
        assert run_cli("validate", *words, "--data.workers", 0, "--run.json", "alone.json") == 0
        alone = read(tmp_path / "alone.json")
        assert (alone["imgsz"], alone["images"]) == (96, 11)
        assert alone["classes"] == run["classes"]
        assert alone["metrics"] == {key: run["metrics"][key] for key in alone["metrics"]}
        assert set(losses) < set(alone["metrics"])


def swapped(folder: Path, place: Path, names: str) -> Path:
    """A data set's validation split, whose two classes have each other's number; returns its data.yaml."""
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.npz", "*.cache", "best.pth"))
    for path in place.rglob("labels/*.txt"):
        rows = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(f"{1 - int(row[0])}{row[1:]}" for row in rows), encoding="utf-8")
    yaml = place / "data.yaml"
    text = yaml.read_text(encoding="utf-8")
    yaml.write_text(text.replace("[gate, tree]", names), encoding="utf-8")
    return yaml


def test_classes_go_by_their_names(
    scored_rfdetr: Path, tmp_path: Path, run_cli: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """In another order the figures are the same; a new run takes the rows of its classes, whatever their numbers."""
    words = ["--model.weights", scored_rfdetr / "best.pth", "--trainer.accelerator", "cpu", "--data.workers", 0]
    other = swapped(scored_rfdetr, tmp_path / "swapped", "[tree, gate]")
    for name, yaml in (("own", scored_rfdetr / "data.yaml"), ("swapped", other)):
        assert run_cli("validate", *words, "--data.data_yaml", yaml, "--run.json", f"{name}.json") == 0
    own = read(tmp_path / "own.json")
    assert read(tmp_path / "swapped.json")["metrics"] == own["metrics"]
    assert read(tmp_path / "swapped.json")["classes"] == own["classes"]
    assert 0.2 < own["metrics"]["metrics/mAP50-95(B)"] < 0.9

    wider = other.with_name("wider.yaml")
    wider.write_text(other.read_text(encoding="utf-8").replace("nc: 2", "nc: 3").replace("[tree,", "[cone, tree,"))
    one = ("fit", "--config", CONFIGS["rfdetr"], "--data.synthetic", "null", *OPTIONS, "--model.decoder_layers", 2)
    one = (*one, "--model.freeze_encoder", "true")
    run = (
        *one,
        *words,
        "--data.data_yaml",
        wider,
        "--data.imgsz",
        SIZE,
        "--data.batch_size",
        2,
        "--run.root",
        tmp_path,
    )
    still = ("--model.optim.lr", 1e-12, "--model.optim.lr_encoder", 1e-12, "--trainer.max_epochs", 1)
    quick = ("--trainer.logger", "false", "--media.routes.everything", "[]", "--trainer.limit_train_batches", 1)
    assert run_cli(*run, *still, *quick, "--trainer.limit_val_batches", 0, "--run.name", "wide") == 0
    assert "2 of 3 classes by name, whose order is another there" in caplog.text
    found = load_module(tmp_path / "detect" / "wide" / "weights" / "last.ckpt")
    theirs = open_weights(scored_rfdetr / "best.pth")
    assert found.names == {0: "cone", 1: "tree", 2: "gate"}
    ours, before = (module.network.model.class_embed.weight for module in (found, theirs))  # type: ignore[union-attr]
    torch.testing.assert_close(ours[[2, 1, 3]], before, rtol=0, atol=1e-6)


def test_modes_of_the_trainer(shapes: Path, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """In both precisions the first step's losses are close; one class, no validation, few batches, a trial."""
    from aigp_lightning.callbacks.results import read_rows

    words = ["fit", "--config", CONFIGS["rfdetr"], "--data.synthetic", "null", *small(shapes, tmp_path), *OPTIONS]
    words += [
        "--data.imgsz",
        SIZE,
        "--data.batch_size",
        2,
        "--model.freeze_encoder",
        "true",
        "--trainer.logger",
        "false",
    ]
    words += ["--media.routes.everything", "[]", "--trainer.max_epochs", 1]
    first = ("--trainer.limit_train_batches", 1, "--trainer.check_val_every_n_epoch", 2, "--data.single_cls", "true")
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        assert run_cli(*words, *first, "--run.name", precision, "--trainer.precision", precision) == 0
        (row,) = read_rows(tmp_path / "detect" / precision / "results.csv")
        losses[precision] = {name: float(value) for name, value in row.items() if name.startswith("train/")}
        assert not any(name.startswith(("val/", "metrics/")) for name in row)
    assert losses["32-true"]["train/loss"] > 5
    assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=0.1)
    assert losses["bf16-mixed"] != losses["32-true"]
    assert load_module(tmp_path / "detect" / "32-true" / "weights" / "last.ckpt").names == {0: "item"}

    assert run_cli(*words, "--run.name", "again", "--trainer.overfit_batches", 1, "--trainer.precision", "32-true") == 0
    (row,) = read_rows(tmp_path / "detect" / "again" / "results.csv")
    assert float(row["val/loss"]) > 5
    assert run_cli(*words, "--run.name", "trial", "--trainer.fast_dev_run", "true") == 0
    assert not (tmp_path / "detect" / "trial").exists()


def test_predictions_are_in_the_pictures_own_pixels(
    scored_rfdetr: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """Of pictures of three shapes, a folder, and a video: boxes of the stretched picture by a gain for each axis."""
    folder = scored_rfdetr / "valid" / "images"
    files = sorted(folder.iterdir())[:3]
    video = tmp_path / "flight.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"FFV1"), 5, (128, 96))
    frame = cv2.imread(str(files[0]))
    for _ in range(2):
        writer.write(frame)
    writer.release()
    words = ("predict", "--model.weights", scored_rfdetr / "best.pth", "--trainer.accelerator", "cpu")
    words = (*words, "--data.workers", 0, "--model.predict_conf", 0.3, "--run.root", tmp_path / "runs")
    assert run_cli(*words, "--data.source", json.dumps([str(folder), str(video)]), "--run.name", "p") == 0
    (found,) = (tmp_path / "runs").rglob("predictions.json")
    entries = json.loads(found.read_text(encoding="utf-8"))
    images = entries["images"] if isinstance(entries, dict) else entries
    assert len(images) == 11 + 2
    module = open_weights(scored_rfdetr / "best.pth")
    pictures = [*(cv2.imread(str(file)) for file in files), cv2.VideoCapture(str(video)).read()[1]]
    for picture, entry in zip(pictures, [*images[:3], images[-1]], strict=True):
        height, width = picture.shape[:2]
        pixels = np.array(Image.fromarray(picture[..., ::-1]).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        with torch.no_grad():
            batch: Any = {"img": torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255}
            (expected,) = module.predict_batch(batch, 0.3)
        boxes = expected.boxes.numpy() * np.array([width, height, width, height]) / SIZE
        ours = entry["detections"]
        assert len(ours) == len(boxes) > 3
        np.testing.assert_allclose([each["box"] for each in ours], boxes, atol=0.06)
