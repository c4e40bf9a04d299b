"""One run folder, one writer: the lock ends with its process, and whoever comes second changes nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import REPO, small

from aigp_lightning.errors import ConfigError
from aigp_lightning.run import file_lock
from aigp_lightning.run.folder import RunConfig
from aigp_lightning.run.lock import LOCK_FILE, Holder, lock_run_folder, read_holder
from aigp_lightning.run.start import start_run

posix = pytest.mark.skipif(sys.platform == "win32", reason="forks and signals are POSIX")
HOLDS = """
import multiprocessing, os, subprocess, sys, time
from pathlib import Path
from aigp_lightning.run.lock import lock_run_folder
lock = lock_run_folder(Path(sys.argv[1]), "fit")
children = [os.fork()]
if children[0] == 0:
    time.sleep(60)
forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
forked.start()
started = subprocess.Popen(["sleep", "60"], close_fds=False)
print(children[0], forked.pid, started.pid, flush=True)
time.sleep(60)
"""
STARTS = """
import sys, time
from pathlib import Path
from aigp_lightning.errors import ConfigError
from aigp_lightning.run.folder import RunConfig
from aigp_lightning.run.start import start_run
root, resume, begin = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
while time.time() < float(begin):
    pass
try:
    context = start_run(RunConfig("r", root, resume=resume), "detect", None, True)
    print("won", context.folder.name, context.resuming, flush=True)
    sys.stdin.readline()
except ConfigError as error:
    print("lost", error, flush=True)
"""


@contextmanager
def python(code: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """A program beside this one."""
    command = [sys.executable, "-c", code, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@posix
def test_the_lock_ends_with_its_process_while_its_children_live(tmp_path: Path) -> None:
    """They were forked by Python, by multiprocessing as a loader's workers are, and started as W&B's process is."""
    with python(HOLDS, tmp_path) as holder:
        children = [int(pid) for pid in said(holder).split()]
        try:
            with pytest.raises(ConfigError, match=rf"is in use: process {holder.pid} \(fit, since .*\) writes to it"):
                lock_run_folder(tmp_path, "fit", 0)
            holder.kill()
            holder.wait()
            for pid in children:
                os.kill(pid, 0)  # lives
            known = read_holder(tmp_path)
            assert known is not None and known.process == holder.pid, "the kill has left the file"
            with lock_run_folder(tmp_path, "fit", 0):
                assert read_holder(tmp_path) == Holder(
                    os.getpid(), socket.gethostname(), "fit", pytest.approx(time.time(), abs=9)
                )
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_kill_or_a_copy_has_left_locks_nothing(tmp_path: Path) -> None:
    """Even where the process number in it is that of one that lives: the parent's, or this one's own."""
    run, copy = tmp_path / "run", tmp_path / "copy"
    run.mkdir()
    for pid in (os.getppid(), os.getpid()):
        content = {"program": "aigp_lightning", "process": pid, "host": socket.gethostname(), "verb": "fit", "since": 1}
        (run / LOCK_FILE).write_text(json.dumps(content) + "\n" * 400, encoding="utf-8")
        with lock_run_folder(run, "fit", 0):
            with pytest.raises(ConfigError, match=f"process {os.getpid()} "):
                lock_run_folder(run, "fit", 0)
            shutil.copytree(run, copy)
            lock_run_folder(copy, "fit", 0).release()
            assert len((run / LOCK_FILE).read_text().splitlines()) == 1
            with pytest.raises(ConfigError, match="is in use"):  # reading and copying have not let go of it
                lock_run_folder(run, "fit", 0)
        assert list(copy.iterdir()) == []
        copy.rmdir()
    assert list(run.iterdir()) == []


def test_a_holder_on_another_machine_is_named(tmp_path: Path) -> None:
    with lock_run_folder(tmp_path, "ship"):
        content = {"program": "aigp_lightning", "process": 7, "host": "node-17", "verb": "ship", "since": 0}
        (tmp_path / LOCK_FILE).write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(ConfigError, match=r"process 7 on node-17 \(ship, since 19"):
            lock_run_folder(tmp_path, "fit", 0)
        (tmp_path / LOCK_FILE).write_bytes(b"\xff[")
        with pytest.raises(ConfigError, match="another process writes"):
            lock_run_folder(tmp_path, "fit", 0)


@pytest.mark.parametrize("content", [b"poetry's", b'{"program": "other"}', b"[1]", b"\xff\xfe"])
def test_a_file_of_this_name_that_is_somebody_elses_stays(content: bytes, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_bytes(content)
    with lock_run_folder(tmp_path, "fit"), pytest.raises(ConfigError, match="another process"):
        lock_run_folder(tmp_path, "fit", 0)
    assert contents(tmp_path) == {LOCK_FILE: content}


@posix
def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years", encoding="utf-8")
    (tmp_path / LOCK_FILE).symlink_to("thesis.txt")
    with pytest.raises(ConfigError, match=f"{LOCK_FILE} is in the way"):
        lock_run_folder(tmp_path, "fit")
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years"
    (tmp_path / LOCK_FILE).unlink()
    for make in (Path.mkdir, os.mkfifo):
        make(tmp_path / LOCK_FILE)
        with pytest.raises(ConfigError, match=f"{LOCK_FILE} is in the way"):
            lock_run_folder(tmp_path, "fit")
        (tmp_path / LOCK_FILE).rmdir() if make is Path.mkdir else (tmp_path / LOCK_FILE).unlink()
    with pytest.raises(ConfigError, match="there is no run folder"):
        lock_run_folder(tmp_path / "gone", "fit")


@posix
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_a_warning(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file_lock.fcntl, "flock", none)
    with lock_run_folder(tmp_path, "fit"):
        context = start_run(RunConfig("r", str(tmp_path)), "detect", None, True)
    assert [line.split(" (")[0] for line in capsys.readouterr().err.splitlines()] == [
        f"warning: {place}: this file system keeps no locks" for place in (tmp_path, context.folder)
    ]
    assert context.folder == tmp_path / "detect" / "r"
    assert not [path for path in tmp_path.rglob("*") if path.name != "run.json" and path.is_file()]


def test_a_restart_waits_for_the_end_of_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A start by hand does not."""
    import threading

    held = lock_run_folder(tmp_path, "fit")
    began = time.monotonic()
    with pytest.raises(ConfigError, match="is in use"):
        lock_run_folder(tmp_path, "fit")
    assert time.monotonic() - began < 2
    assert capsys.readouterr().out == ""
    threading.Timer(0.8, held.release).start()
    with lock_run_folder(tmp_path, "fit", 10):
        line = f"waiting for the end of process {os.getpid()} (fit, since "
        assert capsys.readouterr().out.startswith(line)


@posix
@pytest.mark.parametrize("resume", ["always", "never"])
def test_starts_at_the_same_instant(resume: str, tmp_path: Path) -> None:
    """Of those that would resume, one begins the run and the others are refused; new ones get folders of their own."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        begin = time.time() + 1.5
        starts = [stack.enter_context(python(STARTS, tmp_path, resume, begin)) for _ in range(4)]
        assert [said(start) for start in starts] == ["ready"] * 4
        for start in starts:
            assert start.stdin is not None
            start.stdin.write("\n")
            start.stdin.flush()
        told = sorted(said(start) for start in starts)
        winners = [line for line in told if line.startswith("won")]
        if resume == "never":
            assert winners == ["won r False", "won r-2 False", "won r-3 False", "won r-4 False"]
            return
        assert winners == ["won r False"]
        numbers = {line.split("is in use: process ")[1].split()[0] for line in told if line.startswith("lost")}
        assert len(numbers) == 1 and numbers < {str(start.pid) for start in starts}
    assert sorted(path.name for path in (tmp_path / "detect").iterdir()) == ["r"]


# ---- the verbs -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def live(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run folder that another process writes to, with a file of the user's and W&B's record of somebody else."""
    run = shutil.copytree(finished, tmp_path_factory.mktemp("live") / "detect" / "gates")
    (run / "notes.tmp").write_text("mine", encoding="utf-8")
    (run / "wandb" / "offline-run-20260101_000000-theirs00").mkdir(parents=True)
    (run / "wandb" / "offline-run-20260101_000000-theirs00" / "run-theirs00.wandb").write_bytes(b"1234567")
    with lock_run_folder(run, "fit"):
        yield run


@pytest.mark.parametrize(
    "words",
    [("fit", "--ckpt_path", "last"), ("fit", "--ckpt_path", "{run}/weights/best.ckpt"), ("fit", "--ckpt_path", "{run}"),
     ("fit", "--run.resume", "always"), ("fit", "--run.exist_ok", "true"),
     ("predict", "--run.name", "gates", "--run.exist_ok", "true", "--ckpt_path", "{run}/weights/best.ckpt")],
    ids=" ".join,
)  # fmt: skip
def test_a_second_writer_is_refused_before_it_changes_anything(
    words: tuple[str, ...], live: Path, shapes: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    before = contents(live)
    source = ("--data.source", shapes.parent / "images" / "val") if words[0] == "predict" else ()
    given = [word.format(run=live) for word in words[1:]]
    assert run_cli(words[0], *small(shapes, live.parents[1]), *given, *source) == 2
    errors = capfd.readouterr().err.splitlines()
    assert [line for line in errors if line.startswith("error: ")] == errors[-1:]
    assert errors[-1].startswith(f"error: {live} is in use: process {os.getpid()} (fit, since ")
    assert contents(live) == before
    assert [path.name for path in live.parent.iterdir()] == ["gates"]


def test_those_that_only_read_go_on(live: Path, shapes: Path, run_cli: Callable[..., int]) -> None:
    before = contents(live)
    words = [*small(shapes, live.parents[1]), "--run.exist_ok", "true", "--ckpt_path"]
    assert run_cli("validate", *words, live / "weights" / "best.ckpt") == 0
    assert run_cli("validate", *words, "last") == 0
    assert run_cli("audit", live) == 1, "somebody else's W&B record is damaged"
    assert contents(live) == before
    assert [path.name for path in live.parent.iterdir()] == ["gates"]


def test_a_refused_start_leaves_an_existing_folder_as_it_was(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """It held no result yet, but the record of a run; and a folder that is no run's is not written over."""
    run = tmp_path / "detect" / "gates"
    record = run / "wandb" / "offline-run-20260101_000000-theirs00" / "run-theirs00.wandb"
    record.parent.mkdir(parents=True)
    record.write_bytes(b"1234567")
    wrong = ("--data.data_yaml", tmp_path / "none.yaml", "--data.synthetic", "null", "--trainer.max_epochs", 1)
    for exist_ok, name in (("true", "gates"), ("false", "gates-2")):
        assert run_cli("fit", *small(shapes, tmp_path), "--run.exist_ok", exist_ok, *wrong) == 2
        assert record.read_bytes() == b"1234567", name
    assert [path.name for path in run.parent.iterdir()] == ["gates"]
    shutil.rmtree(run)
    for name in ("config.yaml", "weights/best.pt", "labels.jpg"):
        (run / name).parent.mkdir(parents=True)
        (run / name).write_bytes(b"theirs")
        capfd.readouterr()
        assert run_cli("fit", *small(shapes, tmp_path), "--run.exist_ok", "true") == 2
        assert f"{Path(name)} would be written over" in capfd.readouterr().err
        assert contents(run) == {str(Path(name)): b"theirs"}
        shutil.rmtree(run)
