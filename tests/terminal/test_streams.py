"""Streams that are slow, full, closed or gone: nothing raises, nothing waits, and what is lost is known."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import REPO, largest_file

from aigp_lightning.terminal import delivery
from aigp_lightning.terminal.delivery import NOT_READ
from aigp_lightning.terminal.output import print_line
from aigp_lightning.terminal.safe_stream import SafeStream, harmless
from aigp_lightning.terminal.streams import protect_streams, restore_streams

posix = pytest.mark.skipif(sys.platform == "win32", reason="descriptors of POSIX")
LINES = [f"line {number}\n" for number in range(3000)]


@contextmanager
def pipe(patience: float | None, encoding: str = "utf-8") -> Iterator[tuple[int, SafeStream]]:
    """The reader's end, and a stream at the other; a write to it may still wait when both are closed."""
    reader, writer = os.pipe()
    raw = io.FileIO(writer, "w", closefd=False)
    text = io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding)
    try:
        yield reader, SafeStream(text, raw, patience)
    finally:
        os.close(reader)  # ends a write that waits
        time.sleep(0.02)
        os.close(writer)


def read_all(reader: int, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        data += os.read(reader, 1 << 16)
    return data


@posix
def test_who_reads_at_once_gets_everything_in_order() -> None:
    with pipe(30.0) as (reader, stream):
        thread = threading.Thread(target=lambda: [stream.write(line) for line in LINES])
        thread.start()
        data = read_all(reader, LINES[-1].encode())
        thread.join()
    assert data.decode() == "".join(LINES)
    assert not stream.delivery.lost


@posix
def test_nobody_waits_for_who_does_not_read() -> None:
    with pipe(0.05) as (reader, stream):
        filled = "x" * 70_000 + "\n"
        began = time.monotonic()
        for text in (filled, *LINES):
            stream.write(text)
        assert time.monotonic() - began < 5
        stream.delivery.drain(0.05, 0.5)
        assert time.monotonic() - began < 6
        assert os.read(reader, 65536) == b"x" * 65536  # what fits the pipe
        assert stream.delivery.lost_lines == len(LINES) + 1
        assert stream.delivery.lost_bytes() == (filled + "".join(LINES)).encode()
        assert stream.delivery.why == NOT_READ


@posix
def test_a_reader_who_comes_back_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "QUEUED", 10)
    with pipe(0.05) as (reader, stream):
        for text in ("x" * 70_000 + "\n", *LINES):
            stream.write(text)
        told = read_all(reader, LINES[-1].encode()).decode().lstrip("x\n").splitlines(keepends=True)
        assert told == [f"[{len(LINES) - 10} lines are missing here: {NOT_READ}]\n", *LINES[-10:]]
        stream.write("again\n")  # and at once, as before
        assert read_all(reader, b"again\n") == b"again\n"


@posix
def test_a_result_waits_for_its_reader() -> None:
    with pipe(None) as (reader, stream):
        os.set_blocking(stream.delivery._raw.fileno(), False)  # as a program before may have left it
        got: list[bytes] = []
        text = "y" * 300_000 + "\n"
        thread = threading.Thread(target=lambda: (time.sleep(0.2), got.append(read_all(reader, b"\n"))))
        thread.start()
        stream.write(text)
        thread.join()
        assert got == [text.encode()]


def closed() -> Any:
    raw = io.FileIO(os.open(os.devnull, os.O_WRONLY), "w")
    raw.close()
    return raw


def bad_descriptor() -> Any:
    number = os.open(os.devnull, os.O_WRONLY)
    raw = io.FileIO(number, "w", closefd=False)
    os.close(number)
    return raw


def no_reader() -> Any:
    reader, writer = os.pipe()
    os.close(reader)
    return io.FileIO(writer, "w")


def full() -> Any:
    return io.FileIO("/dev/full", "w")


@posix
@pytest.mark.parametrize("patience", [0.5, None])
@pytest.mark.parametrize(
    ("make", "why", "broken"),
    [
        (closed, "Bad file descriptor", False),
        (bad_descriptor, "Bad file descriptor", False),
        (no_reader, "Broken pipe", True),
        (full, "No space left on device", False),
    ],
)
def test_what_cannot_be_written_raises_nothing(make: Any, why: str, broken: bool, patience: float | None) -> None:
    raw = make()
    stream = SafeStream(io.StringIO(), raw, patience)
    print("one", "two", file=stream, flush=True)
    stream.delivery.drain(1.0, 1.0)
    assert (stream.delivery.why, stream.delivery.broken) == (why, broken)
    assert stream.delivery.lost_bytes() == b"one two\n"
    if make in (no_reader, full):
        raw.close()


def test_a_disk_that_was_full_is_written_to_again(tmp_path: Path) -> None:
    raw = io.FileIO(tmp_path / "out", "w")
    stream = SafeStream(io.StringIO(), raw, 1.0)
    with largest_file(4):
        stream.write("one\n")
        stream.write("two\n")
        stream.write("three\n")
    stream.write("four\n")
    raw.close()
    assert (tmp_path / "out").read_text() == "one\n[2 lines are missing here: File too large]\nfour\n"


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("ascii", rb"T\xfcr \u95e8 \udcff"), ("cp1252", "Tür ".encode("cp1252") + rb"\u95e8 \udcff")],
)
def test_letters_that_an_encoding_lacks_are_escaped(encoding: str, written: bytes) -> None:
    target = io.BytesIO()
    stream = SafeStream(io.TextIOWrapper(io.BytesIO(), encoding=encoding), target)
    stream.write("Tür 门 \udcff\n")
    assert target.getvalue().rstrip() == written


@pytest.mark.parametrize(
    ("text", "elsewhere", "terminal"),
    [
        ("Tür ворота 门 👩‍🚀\tx\r\n", "Tür ворота 门 👩‍🚀\tx\r\n", "Tür ворота 门 👩‍🚀\tx\r\n"),
        ("\x1b[1;31mred\x1b[0m", "red", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[2K\x1b[1A\x1b[?25l", "", "\x1b[2K\x1b[1A\x1b[?25l"),
        ("\x1b[2J\x1bc", r"\x1b[2J\x1bc", r"\x1b[2J\x1bc"),
        ("\x1b]52;c;cm0=\x07", r"\x1b]52;c;cm0=\x07", r"\x1b]52;c;cm0=\x07"),
        ("\x9b31m\x90\x00\x08", r"\x9b31m\x90\x00\x08", r"\x9b31m\x90\x00\x08"),
        ("a\u202eb\u2066\u2028", r"a\u202eb\u2066\u2028", r"a\u202eb\u2066\u2028"),
        ("\x1b[?1049h\x1b[6n\x1b[8m", r"\x1b[?1049h\x1b[6n", "\\x1b[?1049h\\x1b[6n\x1b[8m"),
    ],
)
def test_a_terminals_commands_are_escaped(text: str, elsewhere: str, terminal: str) -> None:
    assert harmless(text, terminal=False) == elsewhere
    assert harmless(text, terminal=True) == terminal


def test_bytes_take_the_same_way() -> None:
    target = io.BytesIO()
    stream = SafeStream(io.StringIO(), target)
    stream.buffer.write("Tür\x1b]0;t\n".encode())
    assert target.getvalue().rstrip() == "Tür\\x1b]0;t".encode()


@posix
def test_a_signal_that_prints_within_a_print_locks_nothing() -> None:
    with pipe(30.0) as (reader, stream):
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.append(read_all(reader, b"end\n")))
        thread.start()
        count = 0

        def handle(number: int, frame: object) -> None:
            nonlocal count
            count += 1
            stream.write("signal\n")

        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            for line in LINES:
                stream.write(line)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        stream.write("end\n")
        thread.join()
        lines = got[0].decode().splitlines(keepends=True)
        assert count > 10
        assert [line for line in lines if line.startswith("line")] == LINES
        assert lines.count("signal\n") == count


@posix
def test_a_signal_that_prints_while_the_thread_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread writes, in order."""
    start, started = threading.Thread.start, list[str]()

    def interrupted(self: threading.Thread) -> None:
        if self.name == "output":
            started.append(self.name)
            signal.raise_signal(signal.SIGALRM)
        start(self)

    with pipe(30.0) as (reader, stream):
        before = signal.signal(signal.SIGALRM, lambda *_: stream.write("signal\n") and None)
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        try:
            stream.write("line\n")
        finally:
            signal.signal(signal.SIGALRM, before)
        stream.write("end\n")
        assert read_all(reader, b"end\n") == b"line\nsignal\nend\n"
    assert started == ["output"]


@posix
def test_a_forked_process_prints_for_itself() -> None:
    """The parent's thread and what it has queued stay with the parent."""
    with pipe(0.05) as (reader, stream):
        stream.write("x" * 70_000 + "\n")
        stream.write("queued\n")
        child = os.fork()
        if child == 0:
            stream.write("child\n")
            stream.delivery.drain(10.0, 10.0)
            os._exit(0)
        data = b""
        while b"queued\n" not in data or b"child\n" not in data:
            data += os.read(reader, 1 << 16)
        os.waitpid(child, 0)
        assert data.count(b"queued\n") == data.count(b"child\n") == 1


def test_a_program_without_streams_gets_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    made = protect_streams(0.5)
    try:
        print("nowhere")
        assert not sys.stdout.isatty()
        print_line("here", err=True)
    finally:
        opened = made[0].stream
        restore_streams(made)
        opened.close()
    assert sys.stderr.getvalue() == "here\n"


def test_libraries_may_watch_what_is_written() -> None:
    """As wandb does to record the console: it replaces `write` of the stream."""
    target, seen = io.StringIO(), []
    stream: Any = SafeStream(target)
    write = stream.write
    stream.write = lambda text: (seen.append(text), write(text))[1]
    print("gate", file=stream)
    assert "".join(seen) == target.getvalue() == "gate\n"


def test_printing_ends_no_program_that_protects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    print_line("Tür")
    assert stream.buffer.getvalue().strip() == rb"T\xfcr"  # type: ignore[attr-defined]
    stream.close()
    print_line("gone")
    monkeypatch.setattr(sys, "stdout", None)
    print_line("gone")


def run(code: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    words = [sys.executable, "-c", code] if "\n" in code else [sys.executable, "-m", "aigp_lightning", *code.split()]
    return subprocess.run(
        words,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        **{"stderr": subprocess.PIPE, **options},
    )


@posix
def test_a_result_that_cannot_be_printed_is_an_error() -> None:
    with open("/dev/full", "wb") as target:
        done = run("lint --help", stdout=target)
    assert done.returncode == 1
    assert done.stderr == b"error: what was to be printed is lost: No space left on device.\n"
    reader, writer = os.pipe()
    os.close(reader)
    done = run("--help", stdout=writer)  # as `| head` leaves it
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


CLOSED = """
import os
for number in (0, 1, 2): os.close(number)
from aigp_lightning.terminal.streams import open_missing_descriptors
open_missing_descriptors()
file = os.open({!r}, os.O_CREAT | os.O_WRONLY)
os.write(file, b"weights")
os.write(1, b"printed in C")
os.write(2, b"printed in C")
os._exit(file)
"""
UNREAD = """
import os
from aigp_lightning.terminal.streams import protect_streams
protect_streams(0.1)
try:
    while True: os.write(1, bytes(4096))
except BlockingIOError:
    os._exit(9)
"""


@posix
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    assert run(CLOSED.format(str(tmp_path / "last.ckpt"))).returncode > 2
    assert (tmp_path / "last.ckpt").read_bytes() == b"weights"


@pytest.mark.skipif(sys.platform != "linux", reason="by /proc")
def test_a_library_in_c_does_not_wait_either_and_others_do() -> None:
    reader, writer = os.pipe()
    assert run(UNREAD, stdout=writer).returncode == 9
    assert os.get_blocking(writer)
    os.close(reader)
    os.close(writer)
