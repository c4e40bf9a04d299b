"""Each family of YOLO that is trained here by name: does it train, score, export and resume as it should?

One small network of each, from random weights, on a few drawn pictures: what is compared does not depend on how much
it has learned. The table of docs/families.md is this script's.

- trains: the greatest relative difference of a loss component from Ultralytics' own criterion, on the same predictions
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import REPO, machine, write_json

sys.path.insert(0, str(REPO / "tests"))  # drawn pictures, and networks that score without having been trained

VARIANTS = (
    *("yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n"),
    *("yolov8n-pose", "yolo11n-pose", "yolo12n-pose", "yolo26n-pose"),
)
SIZE, EPOCHS = 96, 3
NAMES = {0: "gate"}
HEADER = ("network", "loss", "scores", "scores, NMS-free", "exports", "exports, NMS-free", "resumes")


def is_pose(variant: str) -> bool:
    """True if a variant finds keypoints."""
    return "-pose" in variant


def two_heads(variant: str) -> bool:
    """True if a variant has a head without NMS."""
    return variant.startswith(("yolov10", "yolo26"))


def random_network(variant: str, calm: bool = False) -> Any:
    """Build a network whose scores and boxes differ from place to place.

    Args:
        variant: its name.
        calm: with statistics as a trained network has them; otherwise with those of noise, to find much in it.
    """
    import torch
    from yolo_scored import wake_up

    from aigp_lightning.modules.gains import LossGains
    from aigp_lightning.modules.pose import PoseGains
    from aigp_lightning.modules.yolo.build import build_model
    from aigp_lightning.types import Keypoints

    torch.manual_seed(0)
    pose = is_pose(variant)
    keypoints = Keypoints(4, 3, ("tl", "tr", "br", "bl")) if pose else None
    gains = vars(PoseGains() if pose else LossGains())
    network: Any = build_model(variant, NAMES, gains, "pose" if pose else "detect", keypoints, EPOCHS)
    if not calm:
        wake_up(network)
        return network
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
    head = network.model[-1]
    for branch in (*head.cv3, *(head.one2one_cv3 if two_heads(variant) else ())):
        branch[-1].weight.data.normal_(0, 0.5)
        branch[-1].bias.data[:] = -1.0
    return network


def measure_loss(network: Any, variant: str) -> float:
    """Return the greatest relative difference of a loss component from Ultralytics' criterion.

    Args:
        network: see `random_network`.
        variant: its name.
    """
    import torch

    from aigp_lightning.modules.yolo.loss import begin_epoch, network_loss

    random = torch.Generator().manual_seed(0)
    batch: dict[str, Any] = {
        "img": torch.rand(2, 3, SIZE, SIZE, generator=random),
        "cls": torch.zeros(8, dtype=torch.int64),
        "bboxes": torch.rand(8, 4, generator=random) * 0.4 + 0.2,
        "batch_idx": torch.arange(2).repeat_interleave(4),
    }
    if is_pose(variant):
        batch["keypoints"] = torch.cat((torch.rand(8, 4, 2, generator=random), torch.ones(8, 4, 1)), -1)
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


def label_pictures(network: Any, folder: Path, variant: str) -> Path:
    """Draw pictures whose labels are most of a network's own finds, shaken; return the data set's YAML.

    Args:
        network: see `random_network`.
        folder: where to.
        variant: its name.
    """
    import numpy as np
    import torch
    from helpers import CORNERS_YAML, draw_corners

    from aigp_lightning.data.images import label_path, read_image
    from aigp_lightning.modules.yolo.nms import nms

    for split, count in (("train", 8), ("val", 6)):
        draw_corners(folder, split, count, seed=5)
    random = np.random.default_rng(3)
    for file in sorted((folder / "images" / "val").iterdir()):
        random_picture = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        write_picture(file, random_picture)
        pixels = torch.from_numpy(read_image(str(file))[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            found = nms(network.eval()(pixels), 0.001, 0.5, 300, 1)[0].numpy()
        found = found[:24][random.random(min(len(found), 24)) < 0.6]
        boxes = np.clip((found[:, :4] + random.normal(0, 0.8, (len(found), 4))) / SIZE, 0, 1)
        sides = boxes[:, 2:] - boxes[:, :2]
        rows = [np.zeros((len(found), 1)), (boxes[:, :2] + boxes[:, 2:]) / 2, sides]
        if is_pose(variant):
            points = found[:, 6:].reshape(len(found), 4, 3)
            points[..., :2] = np.clip(points[..., :2] / SIZE, 0, 1)
            points[..., 2] = 2
            rows.append(points.reshape(len(found), 12))
        kept = np.concatenate(rows, 1)[(sides > 0.05).all(1)]
        text = "\n".join(" ".join([str(int(row[0])), *(f"{value:.6f}" for value in row[1:])]) for row in kept)
        Path(label_path(str(file))).write_text(text, encoding="utf-8")
    yaml = CORNERS_YAML if is_pose(variant) else "train: images/train\nval: images/val\nnames: {0: gate}\n"
    if not is_pose(variant):
        for file in (folder / "labels" / "train").iterdir():
            lines = [" ".join(line.split()[:5]) for line in file.read_text(encoding="utf-8").splitlines()]
            file.write_text("\n".join(lines), encoding="utf-8")
    (folder / "data.yaml").write_text(yaml, encoding="utf-8")
    return folder / "data.yaml"


def write_picture(file: Path, pixels: Any) -> None:
    """Write a picture without loss, whatever its file is called.

    Args:
        file: where to.
        pixels: (H, W, 3) RGB.
    """
    from PIL import Image

    Image.fromarray(pixels).save(file, format="PNG")


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
    score = ours["metrics/mAP50-95(P)" if is_pose(variant) else "metrics/mAP50-95(B)"]
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
    return ["--model", "aigp_lightning.modules.pose.PoseModule"] if is_pose(variant) else []


def measure_export(weights: Path, folder: Path, free: bool) -> str:
    """Return the greatest differences of ONNX and TorchScript, as `export` prints them.

    Args:
        weights: a `.pt`.
        folder: where to.
        free: by the head without NMS.
    """
    from aigp_lightning.cli.main import main as command

    said = io.StringIO()
    words = ["export", "--weights", weights, "--out", folder / f"exported-{free}", "--imgsz", SIZE]
    words += ["--format", "[onnx,torchscript]", "--nms_free", str(free).lower()] if free else []
    words += [] if free else ["--format", "[onnx,torchscript]"]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        command([str(word) for word in words])
    shown = [line.split("keypoints ")[1].rstrip(")") for line in said.getvalue().splitlines() if "difference" in line]
    pixels, scores = zip(*(line.split(" px, confidences ") for line in shown), strict=True)
    return f"{max(map(float, pixels)):.0e} px, {max(map(float, scores)):.0e}"


def measure_resume(data: Path, folder: Path, variant: str) -> bool:
    """Return whether a run that was stopped and resumed ends as one that was not.

    Args:
        data: the data set's YAML.
        folder: for the runs.
        variant: the network's name.
    """
    from resume_runs import StopAfter, differing, load, rows

    words = ["fit", *task_words(variant), "--model.variant", variant, "--data.data_yaml", data, "--data.imgsz", 64]
    words += ["--data.batch_size", 4, "--data.workers", 0, "--trainer.max_epochs", EPOCHS, "--run.name", "run"]
    words += ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false"]
    words += ["--media.train_batches", 0, "--media.val_batches", 0]
    words += ["--model.nms_free", "true"] if two_heads(variant) else []
    run(*words, "--run.root", folder / "straight")
    stop = f'{{"class_path": "{StopAfter.__module__}.StopAfter", "init_args": {{"epochs": 1}}}}'
    run(*words, "--run.root", folder / "stopped", "--trainer.callbacks+", stop)
    run(*words, "--run.root", folder / "stopped", "--ckpt_path", "last")
    task = "pose" if is_pose(variant) else "detect"
    one, other = (folder / name / task / "run" for name in ("straight", "stopped"))
    kept = [load(each / "weights" / "last.ckpt") for each in (one, other)]
    parts = ("state_dict", "current_model_state", "optimizer_states", "aigp")
    return rows(one) == rows(other) and not any(differing(kept[0][part], kept[1][part]) for part in parts)


def measure(variant: str, folder: Path) -> dict[str, str]:
    """Measure a family.

    Args:
        variant: the name of its network.
        folder: for what is written.

    Returns:
        The cells of its row.
    """
    from aigp_lightning.modules.yolo.weights import save_pt

    network = random_network(variant)
    row = dict.fromkeys(HEADER, "–") | {"network": f"`{variant}`"}
    data = label_pictures(network, folder, variant)
    save_pt(folder / "random.pt", network, train_args={"imgsz": SIZE})
    save_pt(folder / "calm.pt", random_network(variant, calm=True), train_args={"imgsz": SIZE})
    row["loss"] = f"{measure_loss(network, variant):.0e}"
    for free in (False, True) if two_heads(variant) else (False,):
        away, score = measure_scores(folder / "random.pt", data, folder, variant, free)
        row["scores, NMS-free" if free else "scores"] = f"{away:.0e} (of {score:.2f})"
        row["exports, NMS-free" if free else "exports"] = measure_export(folder / "calm.pt", folder, free)
    row["resumes"] = "bit for bit" if measure_resume(data, folder, variant) else "differs"
    return row


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
    parser.add_argument("--json", type=Path, help="write the rows")
    args = parser.parse_args()
    os.environ["WANDB_MODE"] = "disabled"
    rows = []
    print(f"{machine(1)}\n", flush=True)
    for variant in args.variants:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(measure(variant, Path(scratch)))
        print(table(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
        if args.json:
            write_json(args.json, {"machine": machine(1), "rows": rows})
    print(table(rows))


if __name__ == "__main__":
    main()
