"""Whole runs against a W&B server on this machine: what arrives, going on after a stop, and every way to fail."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import REPO, small, tiny_network
from wandb_standin import WandbStandin, forget, serve

from aigp_lightning.loggers.config import arguments_of, resolve_loggers
from aigp_lightning.loggers.wandb import ResilientWandbLogger, open_wandb
from aigp_lightning.loggers.wandb_closing import finish_wandb
from aigp_lightning.loggers.wandb_opening import all_records, sync_command
from aigp_lightning.loggers.wandb_options import WandbOptions

QUICK = ("--trainer.limit_train_batches", 1, "--trainer.limit_val_batches", 1, "--media.val_batches", 0)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbStandin]:
    monkeypatch.setenv("HOME", str(tmp_path))  # nobody's ~/.netrc
    monkeypatch.delenv("NETRC", raising=False)
    yield from serve(monkeypatch)


def fit(run_cli: Callable[..., int], data: Path, root: Path, *words: object, overlay: str = "wandb") -> int:
    configs = ("--config", REPO / "configs/detector.yaml", "--config", REPO / f"configs/logger/{overlay}.yaml")
    return run_cli("fit", *configs, *small(data, root), *tiny_network(root), "--run.name", "online", *words)


def typed(command: str, folder: Path, **variables: str) -> int:
    """Run a printed command as it stands, in a shell that finds a `wandb` and a `python` of this environment."""
    programs = folder / "THE-PROGRAMS"
    programs.mkdir()
    (programs / "wandb").write_text(f"#!{sys.executable}\nfrom wandb.cli.cli import cli\ncli()\n", encoding="utf-8")
    (programs / "wandb").chmod(0o755)
    dropped = ("WANDB_SERVICE", "WANDB_ERROR_REPORTING", "WANDB_MODE", "WANDB_DIR", "WANDB_DISABLE_WEAVE")
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    found = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment.update(variables, PATH=found)
    ran = subprocess.run(command, shell=True, env=environment, capture_output=True, timeout=600, check=False)
    return ran.returncode


def said(captured: Any) -> list[str]:
    return [line for line in captured.readouterr().err.splitlines() if line.startswith("W&B: ")]


# ---- everything goes well --------------------------------------------------------------------------------------------


def test_a_run_and_its_second_half_arrive_and_nothing_else(
    server: WandbStandin, shapes: Path, tmp_path: Path, run_cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "THE-PLACE"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for words in (("init", "-q"), ("remote", "add", "origin", "https://THE-GIT-USER@example.com/a.git")):
        subprocess.run(["git", *words], check=True)
    monkeypatch.setattr(sys, "orig_argv", ["python", "--token=THE-ARGUMENT"])
    monkeypatch.setattr(sys, "argv", ["python", "--token=THE-ARGUMENT"])
    monkeypatch.setenv("A_TOKEN", "THE-ENVIRONMENT")
    assert fit(run_cli, shapes, folder, "--trainer.max_epochs", 2) == 0
    run = folder / "detect" / "online"
    known = json.loads((run / "run.json").read_text())["wandb_run_id"]
    first = server.rows(known)
    assert fit(run_cli, shapes, folder, "--trainer.max_epochs", 3, "--extend", "--ckpt_path", "last") == 0

    assert list(server.runs) == [known]
    assert json.loads((run / "run.json").read_text())["wandb_run_id"] == known
    rows = server.rows(known)
    assert rows[: len(first)] == first
    assert [row["_step"] for row in rows] == list(range(len(rows)))
    assert [row["epoch"] for row in rows if "metrics/mAP50-95(B)" in row] == [0, 1, 2]
    assert [row["epoch"] for row in rows if "train/box_loss" in row] == [0, 1, 2]

    assert {name for name in server.files if "/" not in name} == {"config.yaml", "wandb-summary.json"}
    assert {name.rsplit("/", 1)[0] for name in server.files if "/" in name} == {"media/images"}
    assert server.unknown == []
    text = server.texts()
    leaks = ["THE-PLACE", "THE-GIT-USER", "THE-ARGUMENT", "THE-ENVIRONMENT", str(shapes.parent), str(tmp_path)]
    leaks += [str(Path.home()), str(REPO), f'"{socket.gethostname()}"', "requirements.txt", "output.log", "diff.patch"]
    assert [leak for leak in leaks if leak.encode() in text] == []
    assert server.config["model"]["optim"]["lr0"] == 0.01
    assert server.config["data"]["imgsz"] == 96


def test_offline_goes_on_with_the_same_id(
    server: WandbStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two records of one run, for `wandb sync` to put together; every line about them is ours."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    for resumed in (False, True):
        opened(tmp_path, WandbOptions(), resumed).log_metrics({"a": 1.0}, step=0)
        finish_wandb()
    known = json.loads((tmp_path / "run.json").read_text())["wandb_run_id"]
    records = [path.name for path in tmp_path.glob("wandb/offline-run-*")]
    assert len(records) == 2
    assert all(f"-{known}" in name for name in records)
    assert server.requests == []
    monkeypatch.delenv("WANDB_MODE")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("W&B: recorded offline. To send it: ") for line in lines), lines
    assert typed(lines[-1].split(": ")[-1], tmp_path) == 0
    assert [row["a"] for row in server.rows(known)] == [1.0, 1.0]


def named(folder: Path, run: str) -> list[str]:
    """What a shell makes of it."""
    words = f"printf '%s\\n' {all_records(folder, run)}"
    return subprocess.run(words, shell=True, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.skipif(os.name != "posix", reason="shells of this form")
def test_folders_are_named_so_that_a_shell_reads_them_right(tmp_path: Path) -> None:
    place = tmp_path / "it's a $(place)"
    run, other = "a b;[1]", "a b;1"
    records = [place / f"offline-run-20260101_00000{number}-{run}" for number in range(2)]
    for record in (*records, place / f"offline-run-20260101_000000-{other}"):
        record.mkdir(parents=True)
        (record / f"run-{other if record not in records else run}.wandb").touch()
    assert named(records[0], run) == [str(record) for record in records]
    again = place / f"offline-run-20260101_000001-{run}-1"  # a second start within the same second
    again.mkdir()
    (again / f"run-{run}.wandb").touch()
    assert named(again, run) == [str(record) for record in (*records, again)]
    alone = place / f"offline-run-20260101_000000-{other}"
    assert named(alone, other) == [str(alone)]


def test_disabled_says_so_and_keeps_nothing(
    server: WandbStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    opened(tmp_path, WandbOptions(code=True)).log_metrics({"a": 1.0}, step=0)
    finish_wandb()
    told = ["W&B: WandbLogger gets nothing, as W&B's mode is disabled."]
    assert (said(capfd), server.requests, list(tmp_path.glob("wandb/*run-*"))) == (told, [], [])


# ---- a run that W&B cannot take is trained all the same --------------------------------------------------------------


def break_install(monkeypatch: pytest.MonkeyPatch, server: WandbStandin) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)


def log_out(monkeypatch: pytest.MonkeyPatch, server: WandbStandin) -> None:
    monkeypatch.delenv("WANDB_API_KEY")


def kill_soon(monkeypatch: pytest.MonkeyPatch, server: WandbStandin) -> None:
    def wait() -> None:
        while not server.runs:
            time.sleep(0.01)
        server.stop()

    threading.Thread(target=wait, daemon=True).start()


def switch_off(monkeypatch: pytest.MonkeyPatch, server: WandbStandin) -> None:
    monkeypatch.setenv("AIGP_WANDB", "False")


@pytest.mark.parametrize(
    ("trouble", "line", "record"),
    [
        (break_install, "not installed", None),
        (log_out, "not logged in", "offline-run-*"),
        (kill_soon, "wandb sync --include-online", "run-*"),
        (switch_off, "WandbLogger is left out, as AIGP_WANDB is False.", None),
    ],
)
def test_training_goes_on(
    trouble: Callable[..., None],
    line: str,
    record: str | None,
    server: WandbStandin,
    shapes: Path,
    tmp_path: Path,
    run_cli: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Exit status, results, weights and TensorBoard are those of any run; one line says what happened to W&B."""
    trouble(monkeypatch, server)
    words = (*QUICK, "--trainer.max_epochs", 1, "--wandb.finish_timeout", 2)
    assert fit(run_cli, shapes, tmp_path, *words, overlay="both") == 0
    run = tmp_path / "detect" / "online"
    assert len((run / "results.csv").read_text().splitlines()) == 2
    assert {path.name for path in (run / "weights").iterdir()} >= {"best.ckpt", "last.ckpt", "best.pt"}
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))
    printed = capfd.readouterr()
    lines = [text for text in printed.err.splitlines() if text.startswith("W&B:")]
    assert [text for text in lines if line in text] == lines[:1]
    why = {break_install: "wandb is not installed", switch_off: "AIGP_WANDB is False"}.get(trouble)
    assert ("left out, so they got nothing of this run" in printed.out) == (why is not None)
    assert why is None or f"of this run: WandbLogger ({why})\n" in printed.out
    found = [path.name for path in run.glob("wandb/*run-*") if path.name != "latest-run"]
    assert len(found) == (record is not None)
    if record is not None:
        assert (run / "wandb" / found[0]).match(record)
    if trouble in (break_install, log_out, switch_off):
        assert server.requests == []


def opened(folder: Path, options: WandbOptions, resumed: bool = False) -> Any:
    """The logger after what the command line does before training."""
    from lightning.pytorch import Trainer

    entry = {"class_path": "lightning.pytorch.loggers.WandbLogger"}
    entry["init_args"] = {"project": "p", "name": "n", "save_dir": str(folder)}  # type: ignore[assignment]
    flushed = resolve_loggers(entry, folder, options, resumed)
    trainer = Trainer(
        logger=ResilientWandbLogger(**arguments_of(flushed)), default_root_dir=folder, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    open_wandb(trainer, flushed, options, {})
    return trainer.loggers[0]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "refuses the key"),
        (403, "refuses the key"),
        (500, "does not answer in time"),
        (None, "not answer in time"),
    ],
)
def test_a_server_that_turns_away_leaves_an_offline_record(
    status: int | None, words: str, server: WandbStandin, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """None: nobody listens there."""
    server.refuse = status
    if status is None:
        server.stop()
    began = time.monotonic()
    logger = opened(tmp_path, WandbOptions(init_timeout=1))
    assert time.monotonic() - began < 60
    logger.log_metrics({"a_figure": 1.0}, step=0)
    finish_wandb()
    printed = capfd.readouterr().err.splitlines()
    first, last = (line for line in printed if line.startswith("W&B: "))
    assert words in first
    assert not any("syncing is set to `offline`" in line or "wandb leet" in line for line in printed)
    record = next(tmp_path.glob("wandb/offline-run-*"))
    assert last == f"W&B: recorded offline. To send it: {sync_command(str(record))}"
    assert b"a_figure" in next(record.glob("run-*.wandb")).read_bytes()
    assert list(tmp_path.glob("wandb/run-*")) == []


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals to make here")
def test_at_a_terminal_nobody_is_asked(
    server: WandbStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """wandb would show a menu; answering it with "do not visualize" would lose the run."""
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("TERM", "xterm")
    master, slave = os.openpty()
    os.write(master, b"3\n")
    with open(slave, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        logger = opened(tmp_path, WandbOptions())
        assert logger.experiment.offline
        assert os.environ["TERM"] == "xterm"
        finish_wandb()
        monkeypatch.undo()
    os.close(master)
    assert "not logged in" in said(capfd)[0]


def test_what_a_dead_server_missed_can_be_sent_later(
    server: WandbStandin, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = opened(tmp_path, WandbOptions(finish_timeout=1))
    logger.log_metrics({"a": 0.0}, step=0)
    server.stop()
    for number in range(1, 6):
        logger.log_metrics({"a": float(number)}, step=number)
    began = time.monotonic()
    finish_wandb()
    assert time.monotonic() - began < 30
    command = said(capfd)[-1].split(": ")[-1]
    assert "sync --include-online" in command
    forget()
    server.start()
    assert typed(command, tmp_path) == 0
    assert [row["a"] for row in server.history] == [0, 1, 2, 3, 4, 5]
    assert str(tmp_path).encode() not in server.texts()
    assert f'"{socket.gethostname()}"'.encode() not in server.texts()


def test_the_printed_command_sends_what_was_recorded_and_nothing_else(
    server: WandbStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without its variables, `wandb sync` tells the path of the program `wandb`, and asks where reports may go."""
    place = tmp_path / "THE PLACE"
    place.mkdir()
    for words in (("init", "-q"), ("remote", "add", "origin", "https://THE-GIT-USER@example.com/a.git")):
        subprocess.run(["git", *words], cwd=place, check=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("WANDB_MODE", "offline")
    opened(place, WandbOptions()).log_metrics({"a": 1.5}, step=0)
    finish_wandb()
    command = said(capfd)[-1].split(": ")[-1]
    people = {"USER": "THE-USER", "LOGNAME": "THE-USER", "USERNAME": "THE-USER", "A_TOKEN": "THE-TOKEN"}
    doors = {"WANDB_HOST": "THE-HOST", "WANDB_GIT_COMMIT": "THE-COMMIT", "WANDB_DOCKER": "THE-DOCKER"}
    doors |= {"WANDB_USERNAME": "THE-NAME", "WANDB_EMAIL": "THE-MAIL", "WANDB_USER_EMAIL": "THE-MAIL"}
    doors |= {"WANDB_X_EXTRA_HTTP_HEADERS": '{"X-A": "THE-HEADER"}'}
    Path("wandb").mkdir(exist_ok=True)
    text = '[default]\nusername = THE-NAME\nemail = THE-MAIL\nx_extra_http_headers = {"X-B": "THE-HEADER"}\n'
    Path("wandb/settings").write_text(text, encoding="utf-8")
    assert typed(command, tmp_path, **people, **doors) == 0
    assert not any("THE-" in request.headers for request in server.requests)
    assert [row["a"] for row in server.history] == [1.5]
    assert server.unknown == []
    text = server.texts()
    assert b"THE-" not in text
    assert b"THE PLACE" not in text
    leaks = (str(tmp_path), str(REPO), str(Path.home()), sys.prefix, f'"{socket.gethostname()}"')
    assert [leak for leak in leaks if leak.encode() in text] == []
    assert not any("otel" in request.path for request in server.requests)


def test_weights_for_a_dead_server_end_no_run(
    server: WandbStandin, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Lightning uploads in the middle of `fit`, and passes on whatever goes wrong."""
    import wandb
    from lightning.pytorch.callbacks import ModelCheckpoint

    logger = opened(tmp_path, WandbOptions(weights=True, finish_timeout=1))
    checkpoint = ModelCheckpoint(dirpath=tmp_path)
    checkpoint.best_model_path = str(tmp_path / "best.ckpt")
    (tmp_path / "best.ckpt").write_bytes(b"weights")
    logger.after_save_checkpoint(checkpoint)
    wandb.run.finish()  # uploading now fails at once; with a dead server it does so after half a minute
    logger.finalize("success")
    logger.log_metrics({"a": 1.0}, step=0)
    assert ["could not be uploaded" in line for line in said(capfd)] == [True]
