"""What goes wrong while a run trains: one line that says what happened, and everything written before is intact."""

from __future__ import annotations

import csv
import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch
from helpers import REPO, draw_squares, small, tiny_network
from lightning.pytorch.callbacks import Callback
from wandb.proto.wandb_internal_pb2 import Record

from aigp_lightning.callbacks.media import Media
from aigp_lightning.data.lost_files import Lost, LostFiles
from aigp_lightning.errors import RunError
from aigp_lightning.logfiles.wandb_records import read_records
from aigp_lightning.media.ledger.ledger import read_ledger

Run = Callable[..., int]


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """A data set of its own, to be damaged: 12 train and 5 val pictures; returns its data.yaml."""
    for split, count in (("train", 12), ("val", 5)):
        draw_squares(tmp_path / "data", split, count, seed=3)
    yaml = tmp_path / "data" / "data.yaml"
    yaml.write_text("train: images/train\nval: images/val\nnames: {0: square, 1: disc}\n", encoding="utf-8")
    return yaml


def words(data: Path, root: Path, callback: str = "", **arguments: Any) -> list[object]:
    """A run of two epochs of three layers at 32 pixels, with a callback of this file."""
    given = json.dumps({"class_path": f"{__name__}.{callback}", "init_args": arguments})
    more = ("--trainer.callbacks+", given) if callback else ()
    return [
        *("fit", *small(data, root), *tiny_network(data.parent), "--data.imgsz", 32, "--data.batch_size", 4),
        *("--run.name", "run"),
        *("--trainer.max_epochs", 2, "--model.optim.nbs", 4, "--trainer.logger", "false", "--media.val_batches", 1),
        *("--model.optim.warmup_epochs", 0, *more),
    ]


def complaint(captured: Any) -> str:
    """The one line that ended a run; there is no traceback anywhere."""
    output = captured.out + captured.err
    assert "Traceback" not in output
    found = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(found) == 1, captured.err
    assert captured.err.rstrip().endswith(found[0])
    return found[0]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True)


def check_kept(folder: Path, epoch: int, room: bool = True) -> dict[str, Any]:
    """The epochs that were finished are there: their checkpoint, row, weights (given room for them) and pictures."""
    content = load(folder / "weights" / "last.ckpt")
    assert content["epoch"] == epoch
    assert all(value.isfinite().all() for value in content["state_dict"].values())
    assert [row["epoch"] for row in rows(folder)][: epoch + 1] == [str(number + 1) for number in range(epoch + 1)]
    assert (folder / "weights" / "best.pt").is_file() == room
    assert load(folder / "weights" / "best.ckpt")["epoch"] <= epoch
    lines = read_ledger(folder / "media.jsonl")
    assert lines.problems == []
    assert {"train_batch0", "val_batch0_pred"} <= {line.key for line in lines if line.outcome == "written"}
    assert not list(folder.rglob(".*")), "no half a file is left"
    return content


# ---- processes, memory, the folder -----------------------------------------------------------------------------------


class KillWorker(Callback):
    """The system's OOM killer, in the second epoch."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1:
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_a_killed_worker(squares: Path, tmp_path: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_cli(*words(squares, tmp_path, "KillWorker"), "--data.workers", 1) == 1
    said, folder = complaint(capfd.readouterr()), tmp_path / "detect" / "run"
    assert "a process that loads images was killed" in said
    assert "--data.workers" in said
    assert f"--ckpt_path {folder / 'weights' / 'last.ckpt'}" in said
    check_kept(folder, epoch=0)


class Raise(Callback):
    """Raises what the machine raises, in the second epoch."""

    def __init__(self, what: str) -> None:
        self.what = what

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1 and self.what == "memory":
            np.empty(2**60, np.uint8)
        elif trainer.current_epoch == 1 and self.what == "folder":
            while Path(trainer.default_root_dir).exists():  # a checkpoint may just be written there
                shutil.rmtree(trainer.default_root_dir, ignore_errors=True)
            self.what = ""


class NoGpuMemory(Callback):
    """What torch raises in a step that a GPU has no memory for."""

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of …")


def test_no_gpu_memory(squares: Path, tmp_path: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """Where there is no GPU to measure on, half the batch is the guess."""
    assert run_cli(*words(squares, tmp_path, "NoGpuMemory")) == 1
    said = complaint(capfd.readouterr())
    assert "the GPU's memory is full: a batch of 4 images at 32 pixels does not fit. Try --data.batch_size 2, " in said


def test_no_memory(squares: Path, tmp_path: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """Also: what a run leaves at W&B that ended in an error."""
    wandb = json.dumps(
        {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"save_dir": "{run_folder}"}}
    )
    assert run_cli(*words(squares, tmp_path, "Raise", what="memory"), "--trainer.logger", wandb) == 1
    said, folder = complaint(capfd.readouterr()), tmp_path / "detect" / "run"
    assert "the machine's memory is full (Unable to allocate 1.00 EiB" in said
    assert "): a batch of 4 images at 32 pixels does not fit. Try --data.batch_size 2, " in said
    assert "fewer --data.workers" in said
    assert f"--ckpt_path {folder / 'weights' / 'last.ckpt'}" in said
    check_kept(folder, epoch=0)
    (record,) = folder.glob("wandb/offline-run-*/*.wandb")
    damage: list[str] = []
    records = [Record.FromString(data) for data in read_records(record, damage)]
    assert [each.exit.exit_code for each in records if each.WhichOneof("record_type") == "exit"] == [1], "it failed"
    assert damage == []


def test_a_deleted_run_folder(squares: Path, tmp_path: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """What was trained is saved in a new one; then the run ends, since it can keep no more promises."""
    folder = tmp_path / "detect" / "run"
    assert run_cli(*words(squares, tmp_path, "Raise", what="folder"), "--trainer.max_epochs", 4) == 1
    said = complaint(capfd.readouterr())
    assert f"the run folder {folder} was deleted or moved while training" in said
    assert f"--ckpt_path {folder / 'weights' / 'last.ckpt'}" in said
    assert load(folder / "weights" / "last.ckpt")["epoch"] == 1


def test_a_run_folder_that_cannot_be_made(squares: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]) -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs a file system on which nobody makes folders")
    assert run_cli(*words(squares, Path("/proc/runs"))) == 2
    said = complaint(capfd.readouterr())
    assert "cannot make the run folder /proc/runs/detect/run" in said
    assert "--run.root" in said


# ---- the user's own code in a worker ---------------------------------------------------------------------------------


class Fails(A.ImageOnlyTransform):
    """Works on the noise on which transforms are tried, and not on dark pictures."""

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        return img if img.mean() > 100 else img // (1 // 0)


def test_a_transform_that_fails_in_a_worker(
    squares: Path, tmp_path: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    extra = json.dumps([{"class_path": f"{__name__}.Fails", "init_args": {"p": 1.0}}])
    options = ("--data.augment.extra", extra, "--data.augment.mosaic", 0, "--data.workers", 1)
    assert run_cli(*words(squares, tmp_path), *options) == 2
    said = complaint(capfd.readouterr())
    assert f"augment.extra: {__name__}.Fails fails on " in said
    assert f"{squares.parent / 'images' / 'train'}" in said
    assert ".png: ZeroDivisionError: " in said
    assert "Mend the transform, or take it out of augment.extra" in said


# ---- images that vanish or break -------------------------------------------------------------------------------------


class Lose(Callback):
    """Somebody tidies up when training has started: one picture is gone, one is cut off, and one of validation."""

    def __init__(self, everything: bool = False) -> None:
        self.everything = everything

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        images = Path(trainer.datamodule.spec.root) / "images"
        if self.everything:
            shutil.rmtree(images / "train")
            return
        damage(images)


def damage(images: Path) -> None:
    (images / "train" / "003.png").unlink()
    whole = (images / "train" / "005.png").read_bytes()
    (images / "train" / "005.png").write_bytes(whole[: len(whole) // 2])
    (images / "val" / "002.png").unlink()


def test_lost_images_are_replaced_and_listed(
    squares: Path, tmp_path: Path, run_cli: Run, caplog: pytest.LogCaptureFixture
) -> None:
    options = ("--data.lost_limit", 0.2, "--run.json", tmp_path / "m.json")
    with caplog.at_level("INFO"):
        assert run_cli(*words(squares, tmp_path, "Lose"), *options) == 0
    folder, images = tmp_path / "detect" / "run", squares.parent / "images"
    listed = (folder / "lost_files.txt").read_text(encoding="utf-8").splitlines()
    assert len(listed) == 3, "each once, though every epoch asks for it"
    for split, name in (("train", "003"), ("train", "005"), ("val", "002")):
        file = f"{images / split / name}.png"
        assert sum(line.startswith(f"{split} {file}: ") for line in listed) == 1
        assert sum(file in message for message in caplog.messages if message.startswith("warning: ")) == 1
    check_kept(folder, epoch=1)
    assert json.loads((tmp_path / "m.json").read_text())["images"] == 4
    lines = [line for line in read_ledger(folder / "media.jsonl") if line.key.startswith("train_batch")]
    shown = {Path(source).name for line in lines for source in line.sources}
    assert len(shown) > 4
    assert shown.isdisjoint({"003.png", "005.png"})


@pytest.mark.parametrize("workers", [0, 1])
def test_partners_of_a_mosaic_are_replaced_too(workers: int, squares: Path) -> None:
    """Batches stay whole, by any number of workers, and say what they lack; what replaces it is the same each time."""
    from aigp_lightning.data.datamodule import YoloDataModule

    data = YoloDataModule(str(squares), imgsz=32, batch_size=4, workers=workers)
    data.prepare_data()
    damage(squares.parent / "images")

    def look() -> tuple[list[Any], set[str]]:
        batches = list(data.train_dataloader())
        lost = {Path(each.im_file).name for batch in batches for each in batch.get("lost", [])}
        return [batch["sources"] for batch in batches], lost

    sources, lost = look()
    assert lost == {"003.png", "005.png"}
    assert [len(batch) for batch in sources] == [4, 4, 4]
    assert {len(each) for batch in sources for each in batch} == {4}
    assert {Path(file).name for batch in sources for each in batch for file in each}.isdisjoint(lost)
    assert look()[0] == sources
    val = list(data.val_dataloader())
    assert [len(batch["im_file"]) for batch in val] == [4]
    assert [Path(each.im_file).name for each in val[0]["lost"]] == ["002.png"]


def test_a_data_set_that_is_gone(
    squares: Path, tmp_path: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(*words(squares, tmp_path, "Lose", everything=True), "--data.workers", 1) == 1
    said = complaint(capfd.readouterr())
    assert "21 training images in a row cannot be read, the last: " in said
    assert str(squares.parent / "images" / "train") in said
    assert "Is the disk with the data still there?" in said


@pytest.mark.parametrize(("limit", "allowed"), [(0.0, 0), (0.001, 1), (0.05, 2)])
def test_too_many_lost_files(limit: float, allowed: int, tmp_path: Path) -> None:
    files = LostFiles("train", 40, limit, tmp_path)
    for number in range(allowed):
        files.add([Lost(f"{number}.png", f"{number}.png: gone")] * 2)
    with pytest.raises(RunError, match=rf"{allowed + 1} of 40 train images .* the last: x\.png: gone\. .*lost_limit"):
        files.add([Lost("0.png", "0.png: gone"), Lost("x.png", "x.png: gone")][not allowed :])
    assert (tmp_path / "lost_files.txt").read_text().splitlines()[-1] == "train x.png: gone"


def test_a_private_image_that_is_lost_is_not_named_on_the_terminal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A logger may record the terminal; the list in the run folder has the name."""
    caplog.set_level("INFO")
    files = LostFiles("train", 40, 0.05, tmp_path, private={"secret.png"})
    files.add([Lost("a.png", "a.png: gone"), Lost("secret.png", "secret.png: gone")])
    with pytest.raises(RunError, match=r"the last: b\.png: gone"):
        files.add([Lost("b.png", "b.png: gone")])
    assert "a.png: gone" in caplog.text
    assert "a private image cannot be read (lost_files.txt names it)" in caplog.text
    assert "secret" not in caplog.text
    assert "train secret.png: gone" in (tmp_path / "lost_files.txt").read_text()


# ---- losses that are no number ---------------------------------------------------------------------------------------


class Poison(Callback):
    """Makes batches no numbers; keeps the weights before and after in a file."""

    def __init__(self, epoch: int = 1, batches: int = 1) -> None:
        self.epoch, self.batches = epoch, range(1, 1 + batches)
        self.before: dict[str, torch.Tensor] = {}

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        now = {key: value.clone() for key, value in pl_module.network.state_dict().items()}
        if self.before:
            torch.save([self.before, now], Path(trainer.default_root_dir) / "seen.pt")
            self.before = {}
        if trainer.current_epoch == self.epoch and batch_idx in self.batches:
            self.before = now
            batch["img"].mul_(float("nan"))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        assert bool(outputs["loss"].isfinite()) == (
            trainer.current_epoch != self.epoch or batch_idx not in self.batches
        )


def test_a_loss_that_is_no_number_stops_the_run(
    squares: Path, tmp_path: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(*words(squares, tmp_path, "Poison")) == 1
    said, folder = complaint(capfd.readouterr()), tmp_path / "detect" / "run"
    assert "epoch 2, batch 2: the loss is no number (box_loss " in said
    assert str(folder / "nonfinite") in said
    assert f"{folder / 'weights' / 'last.ckpt'} has the weights of the epoch before" in said
    check_kept(folder, epoch=0)
    stem = folder / "nonfinite" / "epoch0002_batch00002"
    assert sorted(path.name for path in stem.parent.iterdir()) == [
        f"{stem.name}{end}" for end in (".jpg", ".json", ".pt")
    ]
    told = json.loads(stem.with_suffix(".json").read_text())
    kept = load(stem.with_suffix(".pt"))["batch"]
    assert [image["im_file"] for image in told["images"]] == kept["im_file"]
    assert all(Path(source).is_file() for image in told["images"] for source in image["sources"])
    assert kept["img"].shape == (4, 3, 32, 32)
    assert kept["img"].isnan().all()


def test_a_step_that_is_no_number_is_left_out(
    squares: Path, tmp_path: Path, run_cli: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Adam without momentum moves nothing for a gradient of zero; batch statistics are those from before."""
    optim = ("--model.optim.name", "Adam", "--model.optim.momentum", 0, "--model.optim.weight_decay", 0)
    optim += ("--model.variant", "yolo11n")
    with caplog.at_level("INFO"):
        assert run_cli(*words(squares, tmp_path, "Poison", epoch=0), "--nonfinite.action", "skip", *optim) == 0
    before, after = load(tmp_path / "detect" / "run" / "seen.pt")
    assert len(before) > 300
    assert [key for key in before if "num_batches" not in key and not torch.equal(before[key], after[key])] == []
    content = check_kept(tmp_path / "detect" / "run", epoch=1)
    assert all(value.isfinite().all() for value in content["current_model_state"].values())
    told = [message for message in caplog.messages if message.startswith("warning: epoch 1")]
    assert len(told) == 2
    assert "epoch 1, batch 2: the loss is no number" in told[0]
    assert "epoch 1: 1 batches had a loss" in told[1]


def test_too_many_steps_left_out(
    squares: Path, tmp_path: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    skip = ("--nonfinite.action", "skip", "--nonfinite.limit", 1)
    assert run_cli(*words(squares, tmp_path, "Poison", batches=2), *skip) == 1
    said = complaint(capfd.readouterr())
    assert "epoch 2, batch 3: the loss is no number" in said
    assert "--nonfinite.limit 1" in said
    check_kept(tmp_path / "detect" / "run", epoch=0)


# ---- a full disk -----------------------------------------------------------------------------------------------------


class FillDisk(Callback):
    """Somebody else fills the disk, in the second epoch, once the first one's pictures and checkpoints are written."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            while not all(each.flushed() for each in trainer.callbacks if isinstance(each, Media)):
                time.sleep(0.01)
            while not trainer.strategy.checkpoint_io.is_written():
                time.sleep(0.01)
            with open(Path(trainer.default_root_dir).parents[2] / "filler", "wb", buffering=0) as file:
                try:
                    while file.write(bytes(2**20)):
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC


FULL_DISK = """
mount -t tmpfs -o size=170m none disk || exit 99
export WANDB_MODE=offline
"$@" --trainer.callbacks+ '{"class_path": "run.test_faults.FillDisk"}'; echo "status $?"
cp -r disk/runs/detect/run full
rm disk/filler
"$@" --ckpt_path last; echo "status $?"
cp -r disk/runs/detect/run resumed
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system of its own")
def test_a_full_disk(squares: Path, tmp_path: Path, run_cli: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """A real one, of a few megabytes: pictures and events are let go, the checkpoint ends the run, and it goes on."""
    (tmp_path / "disk").mkdir()
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "disk"], check=False).returncode:
        pytest.skip("nobody may mount here without privileges")
    command = [sys.executable, "-m", "aigp_lightning", *map(str, words(squares, tmp_path / "disk" / "runs"))]
    command += ["--model.variant", "yolo11n"]  # its checkpoint is what fills the disk
    at = command.index("--trainer.logger")
    del command[at : at + 2]  # TensorBoard, then
    environment = {**os.environ, "PYTHONPATH": f"{REPO}{os.pathsep}{REPO / 'tests'}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", FULL_DISK, "-", *command],
        env=environment, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert "Traceback" not in output, output
    assert [line for line in done.stdout.splitlines() if line.startswith("status")] == ["status 1", "status 0"], output
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    folder = tmp_path / "disk" / "runs" / "detect" / "run"
    assert f"the disk is full while writing {folder / 'weights'}" in said
    assert " MB are needed, 0.0 MB are free). Everything written before is intact: free some space." in said
    assert f"--ckpt_path {folder / 'weights' / 'last.ckpt'}" in said
    check_kept(tmp_path / "full", epoch=0, room=False)
    failed = [line for line in read_ledger(tmp_path / "full" / "media.jsonl") if line.outcome == "failed"]
    assert {"val_batch0_pred"} <= {line.key for line in failed}
    assert all("No space left" in line.reason for line in failed)
    check_kept(tmp_path / "resumed", epoch=1)
    assert [row["epoch"] for row in rows(tmp_path / "resumed")] == ["1", "2"]
    for name in ("full", "resumed"):
        status = run_cli("audit", tmp_path / name)
        differences = capfd.readouterr().out.partition("difference")[2]
        assert status == 0 or "the run was killed while writing it" in differences, differences
