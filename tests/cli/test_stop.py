"""What is said when a run is stopped can be typed as it stands, and goes on with that run."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import UNDRAWN, small, tiny_network
from lightning.pytorch.callbacks import Callback

from aigp_lightning.checkpoints.paths import resume_hint
from aigp_lightning.cli.stop import repeated_command, report_stop
from aigp_lightning.files import shell_quoted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and shells are POSIX")
STUB = """#!/bin/sh
printf '%s\\0' "$PWD" "$AIGP_WANDB" "$@"
"""


class Interrupts(Callback):
    """Is sent SIGTERM once in a run's life.

    Args:
        at: epoch in which.
        before: already when the data is read.
        mark: file that says that it has.
    """

    def __init__(self, at: int, before: bool, mark: str) -> None:
        self.at, self.before, self.mark = at, before, Path(mark)

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if self.before:
            self._interrupt()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.current_epoch == self.at:
            self._interrupt()

    def _interrupt(self) -> None:
        if not self.mark.exists():
            self.mark.touch()
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Types a command into a shell in another folder: returns folder, AIGP_WANDB and words as a program gets them."""
    stub = tmp_path / "a python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stub))

    def type_in(command: str) -> list[str]:
        done = subprocess.run(["bash", "-c", command], cwd="/", capture_output=True, check=True)
        return os.fsdecode(done.stdout).split("\0")[:-1]

    return type_in


@pytest.mark.parametrize(
    ("at", "before", "said", "epochs"),
    [(3, False, "To go on: the same command with --ckpt_path", ["3", "4"]),
     (0, False, "No epoch was complete yet. To go on: the same command with --ckpt_path", ["1"]),
     (0, True, "Nothing was trained yet, and nothing is left; the same command begins again", [])],
    ids=["with a checkpoint", "in its first epoch", "before it"],
)  # fmt: skip
def test_what_is_said_works(
    at: int, before: bool, said: str, epochs: list[str], finished: Path, shapes: Path, tmp_path: Path,
    typed: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The folder got a number, `last` would be another run's; paths are relative; a YAML names a checkpoint too."""
    name, runs = "it's $ü", Path("my runs/detect")
    shutil.copytree(finished / "weights", runs / name / "weights")  # a run whose checkpoint is newer than ours
    os.utime(runs / name / "weights" / "last.ckpt", (4e9, 4e9))
    shutil.copy(finished / "weights" / "last.ckpt", "epoch 2.ckpt")
    Path("a config.yaml").write_text(f"ckpt_path: {'epoch 2.ckpt' if at == 3 else 'null'}\n", encoding="utf-8")
    monkeypatch.setenv("AIGP_WANDB", "0")
    stop = f'{{"class_path": "{__name__}.Interrupts", "init_args": {{"at": {at}, "before": {str(before).lower()}, '
    words = ["--config", "a config.yaml", *small(shapes, Path("my runs")), "--run.name", name]
    words += ["--trainer.callbacks+", stop + '"mark": "the mark"}}', "--trainer.max_epochs", at + 1]
    words += ["--model.optim.nbs", 8, "--trainer.limit_train_batches", 1]
    words += ["--extend"] if at == 3 else ["--data.imgsz", 32, *tiny_network(Path())]
    words += [*UNDRAWN, "--trainer.logger", "false"]
    assert run_cli("fit", *words) == 143
    (line, command) = capfd.readouterr().err.splitlines()[-2:]
    assert line.startswith(f"stopped by SIGTERM. {said}"), line
    folder, aigp_wandb, *rest = typed(command)
    assert (Path(folder), aigp_wandb, rest[:3]) == (tmp_path, "0", ["-m", "aigp_lightning", "fit"])
    assert (runs / f"{name}-2").exists() is not before
    if before:
        assert rest[2:] == ["fit", *map(str, words)]
        return
    assert run_cli(*rest[2:]) == 0
    assert sorted(path.name for path in runs.iterdir()) == [name, f"{name}-2"]
    with (runs / f"{name}-2" / "results.csv").open(newline="", encoding="utf-8") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == epochs
    last = torch.load(runs / f"{name}-2" / "weights" / "last.ckpt", map_location="cpu", weights_only=True)
    assert last["epoch"] + 1 == int(epochs[-1])


@pytest.mark.parametrize(
    "name", ["a b", "it's", 'say "x"', "$HOME `id` !x", "ü-日本", "a\nb", "\x1b[31m", "x\\n'\t", "é\udce9"]
)
def test_any_path_is_quoted(name: str, tmp_path: Path, typed: Callable[[str], list[str]]) -> None:
    """Also one with a newline, an escape code or bytes that are no text; none of these is printed as it is."""
    last = tmp_path / name / "weights" / "last.ckpt"
    last.parent.mkdir(parents=True)
    last.touch()
    hint = resume_hint(tmp_path / name)
    assert hint.startswith(" To go on then: the same command with --ckpt_path ") and hint.isprintable()
    option = hint.partition(" with ")[2]
    assert typed(f"{shell_quoted(sys.executable)} {option}")[2:] == ["--ckpt_path", str(last)]
    command = repeated_command("fit", ["--config", name, "--ckpt_path", "a", "--x", "--ckpt_path=b"], Path(name))
    assert command is not None and command.isprintable()
    words = ["fit", "--config", name, "--x", "--ckpt_path", str(tmp_path / name)]
    assert typed(command)[4:] == words


def test_where_a_launcher_knows_the_command_none_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And no address with a password is."""
    monkeypatch.setenv("WANDB_BASE_URL", "https://me:secret@example.org")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert report_stop(signal.SIGTERM, None, "fit", ["--data.imgsz", "64"]) == 143
    said = capsys.readouterr().err
    assert (
        said.splitlines()[1]
        == "stopped by SIGTERM. Nothing was trained yet, and nothing is left; the same command begins again"
    )
    assert said.endswith(" -m aigp_lightning fit --data.imgsz 64\n") and "secret" not in said
    assert " && WANDB_MODE=offline " in said
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "7")
    report_stop(signal.SIGTERM, None, "fit", [])
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_folder_that_is_no_runs_is_no_checkpoint(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor is one that a checkpoint lies in, as in a collection of weights: a run does not write there."""
    (tmp_path / "mine" / "weights").mkdir(parents=True)
    assert run_cli("fit", *small(shapes, tmp_path / "runs"), "--ckpt_path", tmp_path / "mine") == 2
    assert f"--ckpt_path {tmp_path / 'mine'} is a folder, and no run's" in capfd.readouterr().err
    assert run_cli("fit", *small(shapes, tmp_path / "runs"), "--ckpt_path", tmp_path / "mine/weights/best.ckpt") == 2
    assert [path.name for path in (tmp_path / "mine").rglob("*")] == ["weights"]
