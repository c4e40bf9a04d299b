"""Runs of several processes: by Lightning's launcher, by torchrun, by hand as SLURM would."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from forked_python import executable
from helpers import REPO

TIMEOUT = 900
TWO = ("--trainer.strategy", "ddp", "--trainer.devices", 2)
FOREIGN = ("AIGP_", "LOCAL_", "MASTER_", "WORLD_", "NODE_", "RANK", "GROUP_", "ROLE_", "TORCHELASTIC_", "SLURM_")
"""Variables, by their beginnings, that a run before may have left or a cluster may have set."""
TORCHRUN = ("-m", "torch.distributed.run")
OURS = ("-m", "aigp_lightning")


@contextmanager
def started(
    words: Sequence[object], cwd: Path, python: str | None = None, **extra: object
) -> Iterator[subprocess.Popen[str]]:
    """Python with these words, in a process group of its own, none of which is left afterwards.

    Args:
        words: after `python`.
        cwd: where it runs.
        python: a fresh one, where the processes themselves matter; else they are forked with all imports done.
        extra: variables.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    environment |= {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    environment |= {key: str(value) for key, value in extra.items()}
    with subprocess.Popen(
        [python or executable(), *map(str, words)], cwd=cwd, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; return status and output.

    The output ends when the last process that writes to it does: a hang, or a process left over, fails the test.
    """
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        pytest.fail(f"hung: {output[-3000:]}")
    return process.returncode, output


def launch(*words: object, cwd: Path) -> tuple[int, str]:
    """Run Python with these words; return status and output."""
    with started(words, cwd) as process:
        return finish(process)


def together(runs: Sequence[tuple[Sequence[object], dict[str, object]]], cwd: Path) -> list[tuple[int, str]]:
    """Run several at once, each with variables of its own; return status and output of each."""
    with ExitStack() as stack:
        processes = [stack.enter_context(started(words, cwd, **extra)) for words, extra in runs]
        return [finish(process) for process in processes]


def cli(*words: object, cwd: Path) -> tuple[int, str]:
    """Our command line; Lightning starts further processes."""
    return launch(*OURS, *words, cwd=cwd)


def torchrun(*words: object, cwd: Path, processes: int = 2) -> tuple[int, str]:
    """These words under torchrun, on one machine."""
    return launch(*TORCHRUN, "--standalone", "--nproc_per_node", processes, *words, cwd=cwd)


def nodes(*words: object, cwd: Path, count: int = 2) -> list[tuple[int, str]]:
    """Our command line under as many torchruns, each of which takes itself for a machine with one process."""
    shared = [*TORCHRUN, "--nnodes", count, "--nproc_per_node", 1, "--master_addr", "127.0.0.1"]
    shared += ["--master_port", free_port()]
    runs: list[Any] = [([*shared, "--node_rank", node, *OURS, *words], {}) for node in range(count)]
    return together(runs, cwd)


def slurm(*words: object, cwd: Path, tasks: int = 2, started_tasks: int | None = None, **more: object) -> Any:
    """Our command line as srun would start it: the tasks are on one machine and know of each other by variables."""
    job = {
        "SLURM_JOB_ID": 10000 + free_port() % 10000, "SLURM_JOB_NAME": "train", "SLURM_NTASKS": tasks,
        "SLURM_NNODES": 1, "SLURM_NODEID": 0, "SLURM_NODELIST": "127.0.0.1", "SLURM_STEP_ID": 0,
        "MASTER_PORT": free_port(),
    }  # fmt: skip
    runs: list[Any] = [
        ([*OURS, *words], {**job, "SLURM_PROCID": task, "SLURM_LOCALID": task, **more})
        for task in range(tasks if started_tasks is None else started_tasks)
    ]
    return together(runs, cwd)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_run(root: Path, epochs: int, name: str = "gates", others: Sequence[str] = ()) -> None:
    """One run folder, with one row an epoch and one set of weights."""
    assert sorted(path.name for path in (root / "detect").iterdir()) == sorted([name, *others])
    folder = root / "detect" / name
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(epoch + 1) for epoch in range(epochs)]
    assert all(float(row["train/cls_loss"]) > 0 for row in rows)
    assert sorted(path.name for path in (folder / "weights").iterdir()) == ["best.ckpt", "best.pt", "last.ckpt"]
