"""Several processes: one run folder, the gradient of all, metrics of every image once, nothing left hanging."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_python import executable
from helpers import REPO, small
from launching import TWO, check_run, cli, torchrun

from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.media.ledger.ledger import read_ledger
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, read_results

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


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
    results = read_results(tmp_path / "runs" / "detect" / "gates" / RESULTS_FILE)  # each image once, as of one process
    data = YoloDataModule(str(shapes), imgsz=64, batch_size=8, workers=0)
    assert list(results.files) == list(data.pictures("val").files)
    assert (len(results.true_label), results.about["table"][0]["instances"]) == (22, 22)


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


def test_validation_is_the_same_on_one_two_and_three_processes(tmp_path: Path) -> None:
    """Groups of 12: the last of 25 images is alone in its group, and other processes have nothing to do there."""
    done = subprocess.run(
        [executable(), str(REPO / "benchmarks" / "ddp" / "equality.py"), "--images", "25", "--json", "out.json"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPO)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    figures = found["figures"]
    assert figures["pictures counted"] == {"images": 25}
    assert figures["boxes: precision, recall, mAP"]["metrics/mAP50-95(B)"] > 0.02
    assert figures["keypoints: precision, recall, mAP"]["metrics/mAP50-95(P)"] > 0.02
    assert figures["corners and gates: errors"]["gate/position_m_mean"] > 0
    assert sum(figures["confusion matrix"]["counts"]) > 50
    assert figures["validation losses"]["val/kobj_loss"] > 0
    assert len(figures["curves"]) == 10
    assert found["differences"].keys() == figures.keys()
    for group, by_processes in found["differences"].items():
        assert by_processes.keys() == {"2", "3"}
        assert max(by_processes.values()) <= 1e-5, group


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
from aigp_lightning.modules.yolo.optim import OptimConfig

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
module = DetectorModule(optim=OptimConfig(name="SGD", nbs=20, warmup_epochs=0, clip_norm=0))
trainer.fit(module, YoloDataModule(data, imgsz=64, batch_size=10, workers=0))
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
    for name, value in theirs.items():
        scale = float(value.abs().max()) or 1.0
        mine = ours.get(name, torch.zeros_like(value))  # one that is all zeros is not kept
        assert float((mine - value).abs().max()) <= 1e-3 * scale + 1e-6, name


def test_the_gradient_is_that_of_all_processes_losses(shapes: Path, tmp_path: Path) -> None:
    """Ultralytics multiplies the loss (a sum over the process's images) by the world size, and DDP averages.

    What is left is the plain sum over processes and accumulated batches; also of what waits at the epoch's end, an
    incomplete batch: 24 images are 5 + 5 and 5 + 5, which make a step, and 2 + 2.
    """
    from aigp_lightning.modules.detector import DetectorModule

    (tmp_path / "record.py").write_text(RECORD, encoding="utf-8")
    status, output = torchrun("record.py", shapes, tmp_path, cwd=tmp_path)
    assert status == 0, output
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=False) for rank in range(2)]
    for name, value in ranks[0]["end"].items():
        assert torch.equal(value, ranks[1]["end"][name]), f"{name} differs between processes"
    assert [len(batch["img"]) for batch in ranks[1]["batches"]] == [5, 5, 2]
    module = DetectorModule()
    module.network = module.build_network({0: "square", 1: "disc"})

    due = [batch for rank in ranks for batch in rank["batches"][:2]]  # a step every two batches
    check_equal(ranks[0]["gradient"], gradient(module, ranks[0]["weights"][0], due))
    waiting = torch.load(tmp_path / "end.ckpt", weights_only=True)["pending_gradients"]
    waiting = {name.removeprefix("network."): value for name, value in waiting.items()}
    check_equal(waiting, gradient(module, ranks[0]["weights"][2], [rank["batches"][2] for rank in ranks]))
