"""Whole runs whose output goes nowhere, or to a terminal that is closed, on a data set whose names are hostile."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from helpers import REPO, draw_squares, small, tiny_network

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes and terminals of Linux")
NAMES = {0: "[/bold] :smile: 100%s", 1: "$x^$ {0}"}
FILE = "evil\x1b[31m\x1b]0;title\x07\u202e.png"
PIPE_SIZE = 1031  # F_SETPIPE_SZ
LIMIT = 240


@dataclass
class Run:
    """What a run left: its status, its folder, and what came out."""

    status: int
    folder: Path
    output: bytes

    def check(self, epochs: int) -> None:
        """Weights that open, and pictures none of which failed."""
        assert torch.load(self.folder / "weights/last.ckpt", weights_only=True)["epoch"] >= epochs - 1
        lines = [json.loads(line) for line in (self.folder / "media.jsonl").read_text().splitlines()]
        assert {line["outcome"] for line in lines if "outcome" in line} <= {"written", "sent", "withheld"}, lines


def words(data: Path, root: Path, *more: object) -> list[str]:
    return [sys.executable, "-m", "aigp_lightning", "fit", *map(str, (*small(data, root), *tiny_network(root), *more))]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1", "TERM": "xterm-256color", "COLUMNS": "120"}


@contextmanager
def with_nobody(data: Path, root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Nobody reads stdout, a pipe of 4 kB that is full; stdin and stderr are closed."""
    import fcntl

    def close() -> None:
        os.close(0)
        os.close(2)

    reader, writer = os.pipe()
    fcntl.fcntl(writer, PIPE_SIZE, 4096)
    os.write(writer, bytes(4096))
    typed = words(data, root, "--trainer.max_epochs", 1)
    process = subprocess.Popen(typed, stdout=writer, preexec_fn=close, env=environment())
    os.close(writer)
    try:
        yield process
    finally:
        process.kill()
        os.close(reader)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    draw_squares(folder, "train", 12, seed=1)
    draw_squares(folder, "val", 6, seed=2)
    (folder / "images" / "train" / FILE).write_bytes(b"no picture")
    content = {"train": "images/train", "val": "images/val", "names": NAMES}
    (folder / "data.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Two at once: with nobody, and on a terminal that goes away after the first epoch."""
    roots = {name: tmp_path_factory.mktemp(name) for name in ("nobody", "terminal")}
    folders = {name: root / "detect" / "gates" for name, root in roots.items()}
    with with_nobody(data, roots["nobody"]) as nobody:
        status, output = on_a_terminal(data, roots["terminal"], folders["terminal"] / "weights" / "last.ckpt")
        yield {
            "nobody": Run(nobody.wait(LIMIT), folders["nobody"], b""),
            "terminal": Run(status, folders["terminal"], output),
        }


def on_a_terminal(data: Path, root: Path, last: Path) -> tuple[int, bytes]:
    """Run on a terminal, with the live view, and close the terminal once there are weights: status and output."""
    import pty

    shown = words(data, root, "--trainer.max_epochs", 1000)
    place = shown.index("--trainer.enable_progress_bar")
    shown[place + 1] = "true"
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, shown, environment())
    output, end = b"", time.monotonic() + LIMIT
    os.set_blocking(terminal, False)
    try:
        while time.monotonic() < end and not (last.exists() and output.count(b"epoch 1/1000") > 0):
            try:
                output += os.read(terminal, 1 << 16)
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # it has ended
                break
        os.close(terminal)  # SIGHUP, and EIO for whoever writes
        while time.monotonic() < end:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status), output
            time.sleep(0.05)
    finally:
        if time.monotonic() >= end:
            os.kill(child, signal.SIGKILL)
    pytest.fail("the run does not end")


def test_a_run_that_nobody_reads_trains_to_its_end(runs: dict[str, Run]) -> None:
    run = runs["nobody"]
    assert run.status == 0
    run.check(epochs=1)
    kept = (run.folder / "unprinted.txt").read_text(encoding="utf-8")
    assert "epoch 1/1  loss: " in kept
    assert "│[/bold] :smile: 100%s" in kept.replace("│ ", "│")
    assert "$x^$ {0}" in kept
    assert "\x1b" not in kept


def test_a_run_whose_terminal_is_closed_keeps_its_weights(runs: dict[str, Run]) -> None:
    run = runs["terminal"]
    assert run.status == 128 + signal.SIGHUP, run.output[-2000:]
    run.check(epochs=1)
    assert "stopped by SIGHUP. To go on: the same command" in (run.folder / "unprinted.txt").read_text(encoding="utf-8")


def test_a_terminal_gets_no_command_from_a_name(runs: dict[str, Run]) -> None:
    output = runs["terminal"].output
    commands = re.findall(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|.)", output)
    assert [each for each in commands if not re.fullmatch(rb"\x1b\[(\?25[lh]|2K|1A|[0-9;]*m)", each)] == []
    assert b"\x1b[31m" not in output
    assert rb"\x1b[31m\x1b]0;title\x07\u202e" in re.sub(rb"\r\n", b"", output)
    assert "\u202e".encode() not in output
