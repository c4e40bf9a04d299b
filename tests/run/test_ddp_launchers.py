"""Real runs by the other launchers, and what happens when a process dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers import REPO, UNDRAWN, draw_squares, small, tiny_network
from launching import OURS, TWO, check_run, finish, free_port, nodes, slurm, started

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
GATES = "datasets/gates/data.yaml"
"""Of `configs/detector.yaml`, and so made where it is missing."""


def test_two_nodes_with_shares_that_hold_no_label_or_no_image(tmp_path: Path) -> None:
    """One node's batches have no box in them for most of the time, and the one validation image is the other's.

    How many processes there are on how many nodes is torchrun's to say; a folder `gates` from before is not taken.
    """
    for split, count in (("train", 16), ("val", 1)):
        draw_squares(tmp_path, split, count, seed=4)
    for number in range(1, 16):
        (tmp_path / "labels" / "train" / f"{number:03d}.txt").write_text("")
    yaml = tmp_path / "data.yaml"
    yaml.write_text("train: images/train\nval: images/val\nnames: [square, disc]\n", encoding="utf-8")
    before = tmp_path / "runs" / "detect" / "gates" / "weights"
    before.mkdir(parents=True)
    words = [*small(yaml, tmp_path / "runs"), "--data.imgsz", 32, "--data.augment.mosaic", 0, "--trainer.max_epochs", 2]
    words += ["--model.optim.nbs", 8, "--run.json", tmp_path / "m.json", *UNDRAWN]
    runs = nodes("fit", *words, cwd=tmp_path)
    assert [status for status, _ in runs] == [0, 0], runs
    check_run(tmp_path / "runs", epochs=2, name="gates-2", others=["gates"])
    assert list(before.parent.rglob("*")) == [before], "nothing is added to an earlier run's folder"
    assert json.loads((tmp_path / "m.json").read_text())["images"] == 1
    spoken = "".join(output for _, output in runs)
    assert (spoken.count("train: 16 images"), spoken.count("run folder: ")) == (1, 1)


def test_two_slurm_tasks_share_one_run(tmp_path: Path) -> None:
    """Neither has started the other: data is made once, and folder, W&B run and event file are the first one's."""
    made = {"task": "detect", "train": 8, "val": 3, "test": 0, "imgsz": [96, 64]}
    words = ["--config", REPO / "configs" / "logger" / "both.yaml", *small(Path(GATES), tmp_path / "runs")]
    words += ["--data.synthetic", json.dumps(made), "--data.imgsz", 32, "--trainer.max_epochs", 1]
    runs = slurm("fit", *words, cwd=tmp_path, WANDB_MODE="offline")
    assert [status for status, _ in runs] == [0, 0], runs
    check_run(tmp_path / "runs", epochs=1)
    folder = tmp_path / "runs" / "detect" / "gates"
    assert len(list(folder.rglob("*.wandb"))) == 1
    assert len(list(folder.rglob("events.out.*"))) == 1
    spoken = "".join(output for _, output in runs)
    assert spoken.count(f"{GATES} is not there: making 11 pictures") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["datasets", "runs"], "no half of a data set is left"


def wait_for_epoch(process: subprocess.Popen[str], last: Path) -> None:
    """Wait until a run has saved an epoch."""
    while not last.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.2)


def second_process(process: subprocess.Popen[str], last: Path) -> psutil.Process:
    """Wait until a run of two processes has saved an epoch; return the one that the first has started."""
    wait_for_epoch(process, last)
    return next(p for p in psutil.Process(process.pid).children() if p.environ().get("LOCAL_RANK") == "1")


def test_a_killed_process_ends_the_run(shapes: Path, tmp_path: Path) -> None:
    """The second of two gets SIGKILL, as from a system that is out of memory; the first must not wait for it."""
    words = [*small(shapes, tmp_path / "runs"), *tiny_network(tmp_path), *UNDRAWN, "--data.imgsz", 32]
    words += ["--trainer.max_epochs", 10_000, *TWO]
    last = tmp_path / "runs" / "detect" / "gates" / "weights" / "last.ckpt"
    with started([*OURS, "fit", *words], tmp_path, sys.executable) as process:
        second = second_process(process, last)
        os.kill(second.pid, signal.SIGKILL)
        status, output = finish(process)
    complaints = [line for line in output.splitlines() if line.startswith("error: another process of this run is gone")]
    # Lightning's launcher looks every five seconds, and kills the first process too if that has not ended by then.
    assert (status, len(complaints)) == (1, 1) or status == -signal.SIGKILL, output
    assert "Traceback" not in output
    assert last.exists()


def test_ctrl_c_on_two_processes_ends_as_on_one(shapes: Path, tmp_path: Path) -> None:
    """A terminal's signal goes to both, and the first passes its own end on to the second.

    They are started by hand as Lightning starts them, so that the second's status is seen: were it that of a failure,
    Lightning would kill the first, which may draw still.
    """
    words = [*OURS, "fit", *small(shapes, tmp_path / "runs"), *tiny_network(tmp_path), "--data.imgsz", 32]
    words += ["--trainer.max_epochs", 10_000, *TWO]
    last = tmp_path / "runs" / "detect" / "gates" / "weights" / "last.ckpt"
    shared = {"WORLD_SIZE": 2, "NODE_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    with (
        started(words, tmp_path, sys.executable, **shared, LOCAL_RANK=0) as first,
        started(words, tmp_path, sys.executable, **shared, LOCAL_RANK=1) as second,
    ):
        wait_for_epoch(first, last)
        for number, processes in ((signal.SIGINT, (second, first)), (signal.SIGTERM, (second,))):
            for process in processes:
                process.send_signal(number)
        runs = [finish(process) for process in (first, second)]
    assert [status for status, _ in runs] == [130, 0], runs
    spoken = "".join(output for _, output in runs)
    assert "Traceback" not in spoken
    assert spoken.count("stopped by SIGINT. To go on: the same command with --ckpt_path") == 1, spoken
