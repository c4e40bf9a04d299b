"""Starts of the program that a benchmark kills: launched, watched, waited for."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import REPO, environment

from faults.forked import Forked

EPOCHS = 5
LIMIT = 600
"""Seconds after which a run counts as hung."""
NAME = "run"


@dataclass
class Start:
    """One start of the program: its output, read beside it."""

    process: subprocess.Popen[str] | Forked
    lines: list[str] = field(default_factory=list)
    marks: queue.Queue[tuple[str, int, int] | None] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self.process.poll()  # lets go of what was held for it
            if line.startswith("phase:"):
                name, epoch, pid = line[6:].strip().split(",")
                self.marks.put((name, int(epoch), int(pid)))
        self.marks.put(None)


def launch(
    data: Path, root: Path, way: str, first: bool, restarts: int = 0, fork: bool = False, more: Sequence[object] = ()
) -> Start:
    """Start the program, for the first time or again.

    Args:
        data: the data set.
        root: folder of the runs.
        way: how a run is resumed.
        first: whether this is the first start.
        restarts: that torchrun may do.
        fork: from a process that has done the imports.
        more: options.
    """
    words = [
        *("fit", "--config", REPO / "configs/detector.yaml", "--config", REPO / "configs/logger/both.yaml"),
        *("--model.weights", "null"),
        *("--data.synthetic", "null", "--data.data_yaml", data, "--data.imgsz", 64, "--data.batch_size", 8),
        *("--data.workers", 1, "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
        *("--trainer.max_epochs", EPOCHS, "--model.optim.nbs", 32, "--model.optim.warmup_epochs", 2),
        *("--close_mosaic.epochs", 2, "--ema.tau", 20, "--checkpoint.monitor", "val/cls_loss"),
        *("--checkpoint.mode", "max", "--media.max_images", 4, "--media.val_batches", 2),
        *("--run.name", NAME, "--run.root", root, "--trainer.callbacks+", "faults.phases.Phases"),
        *more,
    ]
    head: list[object] = [sys.executable]
    variables = {**environment(root.parent / "settings", 1), "WANDB_MODE": "offline"}
    variables["PYTHONPATH"] = os.pathsep.join([str(REPO / "benchmarks"), variables["PYTHONPATH"]])
    for name in ("AIGP_RUN_FOLDER", "SLURM_JOB_ID", "SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"):
        variables.pop(name, None)
    if way == "slurm":
        variables |= {"SLURM_JOB_ID": "77", "SLURM_RESTART_COUNT": "0" if first else "1"}
    elif way == "torchrun":
        head += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 1, "--max_restarts", restarts]
    elif not first:
        words += ["--ckpt_path", "last"] if (root / "detect" / NAME / "run.json").is_file() else []
    if fork and way != "torchrun":
        pipe = root.with_name(f"{root.name}-{time.monotonic_ns()}.pipe")
        return Start(Forked([str(word) for word in words], variables, pipe))
    process = subprocess.Popen(
        [*map(str, head), "-m", "aigp_lightning", *map(str, words)],
        env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    return Start(process)


def finish(start: Start, killed: bool = False) -> str:
    """Wait for the end; returns the output.

    Raises:
        SystemExit: it failed, or hangs.
    """
    try:
        status = start.process.wait(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(start.process.pid, signal.SIGKILL)
        raise SystemExit("hung:\n" + "".join(start.lines[-40:])) from None
    time.sleep(0 if killed else 0.1)
    text = "".join(start.lines)
    if status and not killed:
        raise SystemExit(f"failed with {status}:\n{''.join(start.lines[-40:])}")
    return text


def alive(pid: int) -> bool:
    """True if the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
