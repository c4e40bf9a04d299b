"""Several processes: one run folder, the gradient of all, metrics of every image once, nothing left hanging."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import REPO, draw_squares, small

from aigp_lightning.media.ledger import read_ledger

TIMEOUT = 150
TWO = ("--trainer.strategy", "ddp", "--trainer.devices", 2)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


def launch(*command: object, cwd: Path) -> tuple[int, str]:
    """Run Python with these words; return status and output.

    The output ends when the last process that writes to it does: a hang, or a process left over, fails the test.
    """
    environment = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    for name in ("AIGP_RUN_FOLDER", "LOCAL_RANK", "MASTER_PORT", "MASTER_ADDR", "WORLD_SIZE", "NODE_RANK"):
        environment.pop(name, None)
    words = [sys.executable, *map(str, command)]
    with subprocess.Popen(
        words, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            pytest.fail(f"hung: {output[-3000:]}")
    return process.returncode, output


def cli(*words: object, cwd: Path) -> tuple[int, str]:
    return launch("-m", "aigp_lightning", *words, cwd=cwd)


def torchrun(*words: object, cwd: Path) -> tuple[int, str]:
    head = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2)
    return launch(*head, *words, cwd=cwd)


def check_run(root: Path, epochs: int) -> None:
    """One run folder, with one row an epoch and one set of weights."""
    assert [path.name for path in (root / "detect").iterdir()] == ["gates"]
    folder = root / "detect" / "gates"
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(epoch + 1) for epoch in range(epochs)]
    assert all(float(row["train/cls_loss"]) > 0 for row in rows)
    assert sorted(path.name for path in (folder / "weights").iterdir()) == ["best.ckpt", "best.pt", "last.ckpt"]


def test_fit_on_two_processes(shapes: Path, tmp_path: Path) -> None:
    words = [*small(shapes, tmp_path / "runs"), "--data.imgsz", 64, "--data.workers", 1, "--trainer.max_epochs", 2]
    words += ["--media.val_select", "worst_each"]
    status, output = cli("fit", *words, *TWO, "--run.json", tmp_path / "m.json", cwd=tmp_path)
    assert status == 0, output
    check_run(tmp_path / "runs", epochs=2)
    assert json.loads((tmp_path / "m.json").read_text())["images"] == 11
    assert output.count("epoch 1/2") == 1, "one process speaks"
    assert output.count("run folder: ") == 1
    assert "sync_dist" not in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "runs"]
    check_pictures(tmp_path / "runs" / "detect" / "gates")


def check_pictures(folder: Path) -> None:
    """Drawn once, of what both processes had: their shares of a training batch, and every validation image."""
    import cv2

    lines = read_ledger(folder / "media.jsonl")
    assert lines.problems == []
    assert len({(line.key, line.epoch, line.destination) for line in lines}) == len(lines)
    assert {line.outcome for line in lines} == {"written", "sent"}
    by_key = {line.key: line for line in lines if line.destination == "file"}
    assert cv2.imread(str(folder / "train_batch0.jpg")).shape == (3 * 64, 3 * 64, 3), "eight images, four of each"
    assert {Path(source).name for source in by_key["val_batch0_pred"].sources} == {f"{n:03d}.png" for n in range(11)}
    assert {"PR_curve", "confusion_matrix", "results", "labels"} <= set(by_key)


def test_torchrun_with_shares_that_hold_no_label_or_no_image(tmp_path: Path) -> None:
    """One process's batches have no box in them for most of the time, and the one validation image is the other's."""
    for split, count in (("train", 16), ("val", 1)):
        draw_squares(tmp_path, split, count, seed=4)
    for number in range(1, 16):
        (tmp_path / "labels" / "train" / f"{number:03d}.txt").write_text("")
    yaml = tmp_path / "data.yaml"
    yaml.write_text("train: images/train\nval: images/val\nnames: [square, disc]\n", encoding="utf-8")
    words = [*small(yaml, tmp_path / "runs"), "--data.imgsz", 32, "--data.augment.mosaic", 0, "--trainer.max_epochs", 2]
    words += ["--model.optim.nbs", 8, "--trainer.strategy", "ddp", "--trainer.devices", 2]
    status, output = torchrun(
        "-m", "aigp_lightning", "fit", *words, "--run.json", tmp_path / "m.json", cwd=tmp_path
    )  # fmt: skip
    assert status == 0, output
    check_run(tmp_path / "runs", epochs=2)
    assert json.loads((tmp_path / "m.json").read_text())["images"] == 1


def test_validate_agrees_on_any_number_of_processes(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """Groups of four: the last of 13 images is alone in its group, and one process has nothing to do there."""
    from modules.test_validate_parity import build_case

    weights, data = build_case(tmp_path, rect=True)
    words = [*small(data, tmp_path / "runs"), "--data.batch_size", 2, "--model.weights", weights]
    assert run_cli("validate", *words, "--run.json", tmp_path / "1.json") == 0
    status, output = cli("validate", *words, *TWO, "--run.json", tmp_path / "2.json", cwd=tmp_path)
    assert status == 0, output
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("1.json", "2.json"))
    assert one["images"] == two["images"] == 13
    assert one["metrics"]["metrics/mAP50-95(B)"] > 0.02
    for key, value in one["metrics"].items():
        if not key.startswith("val/"):
            assert two["metrics"][key] == pytest.approx(value, abs=1e-6), key
    for ours, theirs in zip(one["classes"], two["classes"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_an_error_of_one_process_ends_all(tmp_path: Path) -> None:
    """The first process reads the data set; the others would wait for it."""
    status, output = cli("fit", *small(Path("nowhere.yaml"), tmp_path / "runs"), *TWO, cwd=tmp_path)
    assert status == 2, output
    assert "Traceback" not in output
    complaints = {line for line in output.splitlines() if line.startswith("error: ")}
    assert len(complaints) == 1
    assert "nowhere.yaml" in complaints.pop()


RECORD = """
import sys
from pathlib import Path
import lightning.pytorch as pl
import torch
from aigp_lightning.callbacks.ema import EMA
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.optim import OptimConfig

data, out = sys.argv[1:]

class Record(pl.Callback):
    def __init__(self):
        self.batches, self.start, self.weights, self.gradient = [], None, [], {}
    def on_train_batch_start(self, trainer, module, batch, index):
        self.batches.append({key: batch[key] for key in ("img", "cls", "bboxes", "batch_idx")})
        self.weights.append({key: value.clone() for key, value in module.network.state_dict().items()})
    def on_before_optimizer_step(self, trainer, module, optimizer):
        parameters = module.network.named_parameters()
        self.gradient = self.gradient or {name: p.grad.clone() for name, p in parameters if p.grad is not None}

pl.seed_everything(0)
record, ema = Record(), EMA()
trainer = pl.Trainer(
    max_epochs=1, accelerator="cpu", strategy="ddp", devices=2, logger=False, callbacks=[record, ema],
    use_distributed_sampler=False, num_sanity_val_steps=0, enable_checkpointing=False, enable_progress_bar=False,
)
module = DetectorModule(optim=OptimConfig(name="SGD", nbs=16, warmup_epochs=0, clip_norm=0))
trainer.fit(module, YoloDataModule(data, imgsz=32, batch_size=8, workers=0))
trainer.save_checkpoint(Path(out) / "end.ckpt")
torch.save({**vars(record), "end": module.state_dict()}, Path(out) / f"rank{trainer.global_rank}.pt")
"""


def gradient(module: Any, weights: dict[str, Any], batches: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """What one process gets from these batches' losses, summed; batch statistics are each batch's own."""
    module.network.load_state_dict(weights)
    module.network.train().zero_grad()
    for batch in batches:
        module.compute_loss(batch)[0].backward()
    return {name: p.grad.clone() for name, p in module.network.named_parameters() if p.grad is not None}


def check_equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert len(ours) > 100
    assert ours.keys() >= theirs.keys()
    for name, value in theirs.items():
        scale = float(value.abs().max()) or 1.0
        assert float((ours[name] - value).abs().max()) <= 1e-3 * scale + 1e-6, name


def test_the_gradient_is_that_of_all_processes_losses(shapes: Path, tmp_path: Path) -> None:
    """Ultralytics multiplies the loss (a sum over the process's images) by the world size, and DDP averages.

    What is left is the plain sum over processes and accumulated batches; also of what waits at the epoch's end.
    """
    from aigp_lightning.modules.detector import DetectorModule

    (tmp_path / "record.py").write_text(RECORD, encoding="utf-8")
    status, output = torchrun("record.py", shapes, tmp_path, cwd=tmp_path)
    assert status == 0, output
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=False) for rank in range(2)]
    for name, value in ranks[0]["end"].items():
        assert torch.equal(value, ranks[1]["end"][name]), f"{name} differs between processes"
    module = DetectorModule()
    module.network = module.build_network({0: "square", 1: "disc"})

    due = [batch for rank in ranks for batch in rank["batches"][:2]]  # a step every two batches of 4 + 4 images
    check_equal(ranks[0]["gradient"], gradient(module, ranks[0]["weights"][0], due))
    waiting = torch.load(tmp_path / "end.ckpt", weights_only=True)["pending_gradients"]
    waiting = {name.removeprefix("network."): value for name, value in waiting.items()}
    check_equal(waiting, gradient(module, ranks[0]["weights"][2], [rank["batches"][2] for rank in ranks]))
