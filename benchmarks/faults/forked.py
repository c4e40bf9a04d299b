"""Starts of the command line that share the seconds its imports take: forked from a process that has done them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

IMPORTS = [
    *("aigp_lightning", "aigp_lightning.cli.training", "aigp_lightning.modules.yolo.weights", "torch._dynamo"),
    *("aigp_lightning.data.augment.pipeline", "aigp_lightning.modules.metrics.detection", "torch.utils.tensorboard"),
    *("tensorboard.summary.writer.event_file_writer", "wandb", "faults.phases"),
]


class Forked:
    """As much of `subprocess.Popen` as is needed here.

    Args:
        words: of the command line, the verb first.
        variables: its environment.
        pipe: a path, at which a pipe is made for its output.
    """

    def __init__(self, words: Sequence[str], variables: Mapping[str, str], pipe: Path) -> None:
        pipe.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(pipe)
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        writing = os.open(pipe, os.O_WRONLY)  # held open until the child has opened it too, or is gone
        os.set_blocking(reading, True)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTS)
        self._process = context.Process(target=_work, args=(list(words), dict(variables), str(pipe)))
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self.stdout: Any = os.fdopen(reading, encoding="utf-8", errors="replace")
        self._writing: int | None = writing
        self.opened = pipe.with_suffix(".opened")

    def poll(self) -> int | None:
        """Return the exit status, if the process has ended; minus the signal's number if one has ended it."""
        if self._writing is not None and (self.opened.exists() or not self._process.is_alive()):
            os.close(self._writing)
            self._writing = None
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        """As `poll`."""
        return self.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            TimeoutExpired: it still runs.
        """
        self.poll()
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("aigp_lightning", timeout or 0)
        return status


def _work(words: list[str], variables: dict[str, str], pipe: str) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    output = os.open(pipe, os.O_WRONLY)
    Path(pipe).with_suffix(".opened").touch()
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, encoding="utf-8") for number in (1, 2))
    os.environ.clear()
    os.environ.update(variables)
    from aigp_lightning.cli.main import main

    status = main(words)
    sys.stdout.flush()
    sys.exit(status)
