"""Each family of YOLO that is trained here by name: does it train, score, export and resume as it should?

One small network of each, from random weights, on a few drawn pictures: what is compared does not depend on how much
it has learned. The table of docs/families.md is this script's.

- trains: the sum of the training loss's components in the first epoch and in the last, from the `results.csv` of a
  short run.
- loss: the greatest relative difference of a loss component from Ultralytics' own criterion, on the same predictions
  and labels, in the first epoch and in the last.
- scores: the greatest difference of precision, recall and both mAPs from Ultralytics' validator, of the same file on
  the same pictures; where there is a head without NMS, by both.
- exports: the greatest difference of ONNX and TorchScript from the network, in pixels and in confidence.
- resumes: whether a run that was stopped after its first epoch ends bit for bit as one that was not.

    python benchmarks/family_table.py
    python benchmarks/family_table.py --variants yolov10n yolo26n-pose --json families.json
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common import machine, write_json
from family_cases import EPOCHS, SIZE, label_pictures, labelled_batch, random_network, task_of, two_heads

VARIANTS = (
    *("yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n"),
    *("yolov8n-pose", "yolo11n-pose", "yolo12n-pose", "yolo26n-pose"),
    *("yolov8n-seg", "yolov9c-seg", "yolo11n-seg", "yolo12n-seg", "yolo26n-seg"),
)
HEADER = ("network", "trains", "loss", "scores", "scores, NMS-free", "exports", "exports, NMS-free", "resumes")
CLASSES = {"pose": "aigp_lightning.modules.pose.PoseModule", "segment": "aigp_lightning.modules.segment.SegmentModule"}
"""By task; a detector needs no option."""
SCORES = {"detect": "metrics/mAP50-95(B)", "pose": "metrics/mAP50-95(P)", "segment": "metrics/mAP50-95(M)"}


def measure_loss(network: Any, variant: str) -> float:
    """Return the greatest relative difference of a loss component from Ultralytics' criterion.

    Args:
        network: see `random_network`.
        variant: its name.
    """
    from aigp_lightning.modules.yolo.loss import begin_epoch, network_loss

    batch = labelled_batch(variant)
    raw, worst = network.train()(batch["img"]), 0.0
    for epoch in (0, EPOCHS - 1):
        begin_epoch(network, epoch, EPOCHS)
        theirs = network.init_criterion()
        for _ in range(epoch if hasattr(theirs, "update") else 0):
            theirs.update()
        ours, expected = network_loss(network, batch, raw)[0].detach(), theirs(raw, batch)[0].detach()
        worst = max(worst, float(((ours - expected).abs() / expected.abs().clamp(min=1e-6)).max()))
    network.criterion = None
    return worst


def run(*words: object) -> int:
    """Run a command of ours in this process, and keep what it says to itself.

    Args:
        *words: of the command line.

    Returns:
        Its status, also where it was stopped.
    """
    from aigp_lightning.cli.main import main as command

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        status = command([str(word) for word in words])
        if status:
            raise RuntimeError(said.getvalue()[-2000:])
        return status
    return 1


def measure_scores(weights: Path, data: Path, folder: Path, variant: str, free: bool) -> tuple[float, float]:
    """Return the greatest difference of a metric from Ultralytics' validator, and the mAP50-95 itself.

    Args:
        weights: a `.pt`.
        data: the data set's YAML.
        folder: for what is written.
        variant: the network's name.
        free: by the head without NMS.
    """
    from ultralytics import YOLO

    words = [*task_words(variant), "--data.data_yaml", data, "--data.imgsz", SIZE, "--data.workers", 0]
    words += ["--data.rect", "false", "--trainer.accelerator", "cpu", "--run.root", folder / "scores"]
    words += ["--trainer.enable_progress_bar", "false", "--run.json", folder / "metrics.json"]
    run("validate", *words, "--model.weights", weights, "--model.nms_free", str(free).lower())
    ours = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["metrics"]
    options = {"nms": False} if free else {}
    with quiet():
        theirs: dict[str, Any] = YOLO(str(weights)).val(
            data=str(data), imgsz=SIZE, batch=16, rect=False, plots=False, device="cpu", workers=0, verbose=False,
            project=str(folder / "theirs"), **options,
        ).results_dict  # fmt: skip
    theirs.pop("fitness")
    score = ours[SCORES[task_of(variant)]]
    return max(abs(ours[key] - float(value)) for key, value in theirs.items()), score


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what is printed from the table."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def task_words(variant: str) -> list[object]:
    """Return the options that name a variant's class.

    Args:
        variant: its name.
    """
    task = task_of(variant)
    return ["--model", CLASSES[task]] if task in CLASSES else []


def measure_export(weights: Path, folder: Path, free: bool) -> str:
    """Return the greatest differences of ONNX and TorchScript, as `export` prints them.

    Args:
        weights: a `.pt`.
        folder: where to.
        free: by the head without NMS.
    """
    from aigp_lightning.cli.main import main as command

    said, wrong = io.StringIO(), io.StringIO()
    words = ["export", "--weights", weights, "--out", folder / f"exported-{free}", "--imgsz", SIZE]
    words += ["--format", "[onnx,torchscript]", *(("--nms_free", "true") if free else ())]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
        if command([str(word) for word in words]):
            raise RuntimeError(wrong.getvalue().strip().splitlines()[-1])
    shown = [line.split("keypoints ")[1].rstrip(")") for line in said.getvalue().splitlines() if "difference" in line]
    pixels, scores = zip(*(line.split(" px, confidences ") for line in shown), strict=True)
    return f"{short(max(map(float, pixels)))} px, {short(max(map(float, scores)))}"


def measure_runs(data: Path, folder: Path, variant: str) -> tuple[str, bool]:
    """Train a run, and another that is stopped and resumed.

    Args:
        data: the data set's YAML.
        folder: for the runs.
        variant: the network's name.

    Returns:
        The training loss of the first epoch and of the last; whether the resumed run ended as the other.
    """
    from resume_runs import StopAfter, differing, load, rows

    words = ["fit", *task_words(variant), "--model.variant", variant, "--data.data_yaml", data, "--data.imgsz", 64]
    words += ["--data.batch_size", 8, "--data.workers", 0, "--trainer.max_epochs", EPOCHS, "--run.name", "run"]
    words += ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false"]
    words += ["--media.train_batches", 0, "--media.val_batches", 0]
    # a rate at which 48 steps show; mosaics, which end with an epoch, would have its loss mean another thing
    words += [
        "--model.optim",
        json.dumps({"name": "AdamW", "lr0": 0.004, "momentum": 0.9, "warmup_epochs": 0, "nbs": 8}),
    ]
    words += ["--data.augment.mosaic", 0]
    words += ["--model.nms_free", "true"] if two_heads(variant) else []
    run(*words, "--run.root", folder / "straight")
    stop = f'{{"class_path": "{StopAfter.__module__}.StopAfter", "init_args": {{"epochs": 1}}}}'
    run(*words, "--run.root", folder / "stopped", "--trainer.callbacks+", stop)
    run(*words, "--run.root", folder / "stopped", "--ckpt_path", "last")
    one, other = (folder / name / task_of(variant) / "run" for name in ("straight", "stopped"))
    epochs = rows(one)
    losses = [sum(float(value) for key, value in row.items() if key.startswith("train/")) for row in epochs]
    kept = [load(each / "weights" / "last.ckpt") for each in (one, other)]
    parts = ("state_dict", "current_model_state", "optimizer_states", "aigp")
    same = epochs == rows(other) and not any(differing(kept[0][part], kept[1][part]) for part in parts)
    return f"{losses[0]:.1f} → {losses[-1]:.1f}", same


def measure(variant: str, folder: Path) -> dict[str, str]:
    """Measure a family; what fails says so in its cells, and the others are measured all the same.

    Args:
        variant: the name of its network.
        folder: for what is written.

    Returns:
        The cells of its row.
    """
    from aigp_lightning.modules.yolo.weights import save_pt

    row = dict.fromkeys(HEADER, "–") | {"network": f"`{variant}`"}
    network = random_network(variant)
    save_pt(folder / "random.pt", network, train_args={"imgsz": SIZE})
    save_pt(folder / "calm.pt", random_network(variant, calm=True), train_args={"imgsz": SIZE})
    data = label_pictures(folder / "random.pt", folder, variant)

    def scores(free: bool) -> str:
        away, score = measure_scores(folder / "random.pt", data, folder, variant, free)
        return f"{short(away)} (of {score:.2f})"

    def runs() -> tuple[str, str]:
        loss, same = measure_runs(data, folder, variant)
        return loss, "bit for bit" if same else "differs"

    fill(row, ["loss"], lambda: [short(measure_loss(network, variant))])
    for free in (False, True) if two_heads(variant) else (False,):
        more = ", NMS-free" if free else ""
        fill(row, [f"scores{more}"], lambda free=free: [scores(free)])
        fill(row, [f"exports{more}"], lambda free=free: [measure_export(folder / "calm.pt", folder, free)])
    fill(row, ["trains", "resumes"], runs)
    return row


def short(value: float) -> str:
    """Return a difference with one digit.

    Args:
        value: of 0 or more.
    """
    return f"{value:.0e}" if value else "0"


def fill(row: dict[str, str], cells: list[str], work: Callable[[], Any]) -> None:
    """Write what is measured into cells of a row, or why it failed.

    Args:
        row: see `measure`.
        cells: names of the cells.
        work: returns their texts.
    """
    try:
        row.update(zip(cells, work(), strict=True))
    except Exception as error:  # of any library; the other cells are to be measured
        lines = str(error).strip().splitlines() or [""]
        row.update(dict.fromkeys(cells, f"failed: {type(error).__name__}: {lines[-1][:160]}"))


def table(rows: list[dict[str, str]]) -> str:
    """Return the rows as a Markdown table.

    Args:
        rows: see `measure`.
    """
    lines = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row[name] for name in HEADER)} |" for row in rows)])


def main() -> None:
    """Measure all families, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), help="names of networks")
    parser.add_argument("--json", type=Path, help="write the rows, beside those that the file has of this machine")
    args = parser.parse_args()
    os.environ["WANDB_MODE"] = "disabled"
    here, rows = machine(1), {}
    if args.json and args.json.is_file():
        before = json.loads(args.json.read_text(encoding="utf-8"))
        rows = {row["network"]: row for row in before["rows"]} if before["machine"] == here else {}
    print(f"{here}\n", flush=True)
    for variant in args.variants:
        with tempfile.TemporaryDirectory() as scratch:
            rows[f"`{variant}`"] = row = measure(variant, Path(scratch))
        print(table([row]).splitlines()[-1], file=sys.stderr, flush=True)
        if args.json:
            write_json(args.json, {"machine": here, "rows": list(rows.values())})
    order = [f"`{variant}`" for variant in VARIANTS]
    print(table(sorted(rows.values(), key=lambda row: [*order, row["network"]].index(row["network"]))))


if __name__ == "__main__":
    main()
