"""The ledger: lines as designed, a chain that shows every change, runs that go on."""

from __future__ import annotations

import json
import sys
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from aigp_lightning.media.ledger import Entry, Ledger, read_ledger


def entry(key: str = "val_batch0_pred", epoch: int = 0, destination: str = "file", **other: object) -> Entry:
    values = {
        "kind": "val_pred",
        "key": key,
        "file": f"{key}.jpg",
        "sha256": sha256(f"{key} {epoch}".encode()).hexdigest(),
        "bytes": 1000 + epoch,
        "step": 10 * epoch,
        "epoch": epoch,
        "sources": ["data/ä 1.png", "data/2.png"],
        "destination": destination,
        "outcome": "written" if destination == "file" else "sent",
        **other,
    }
    return Entry(**values)  # type: ignore[arg-type]


def filled(path: Path, count: int = 5) -> list[bytes]:
    """A ledger of so many epochs; returns its lines."""
    ledger = Ledger(path)
    for epoch in range(count):
        ledger.add(entry(epoch=epoch))
    ledger.close()
    return path.read_bytes().splitlines(keepends=True)


def test_a_line_has_the_fields_in_order_and_the_hash_of_the_line_before(tmp_path: Path) -> None:
    first, second = filled(tmp_path / "media.jsonl", 2)
    content = json.loads(first)
    of_picture = ["kind", "key", "file", "sha256", "bytes", "step", "epoch", "sources"]
    assert list(content) == ["n", "time", *of_picture, "destination", "outcome", "reason", "prev"]
    assert (content["n"], content["prev"], content["reason"]) == (0, "0" * 64, "")
    assert len(content["time"]) == len("2026-11-23T00:00:00Z")
    assert content["time"].endswith("Z")
    assert json.loads(second)["prev"] == sha256(first.removesuffix(b"\n")).hexdigest()
    assert "data/ä 1.png".encode() in first
    assert b"\r" not in first


def test_entries_come_back(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    ledger = Ledger(path)
    ledger.add(entry(epoch=3, destination="wandb", outcome="withheld", reason="budget"))
    ledger.close()
    (line,) = read_ledger(path)
    assert (line.n, line.number, line.epoch, line.outcome, line.reason) == (0, 1, 3, "withheld", "budget")
    assert line.sources == ["data/ä 1.png", "data/2.png"]


def test_a_path_that_is_not_unicode_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    ledger = Ledger(path)
    ledger.add(entry(sources=["data/\udcff.png"]))
    ledger.close()
    assert read_ledger(path)[0].sources == ["data/\udcff.png"]
    path.read_text(encoding="utf-8")


def test_a_resumed_run_goes_on_in_the_chain_and_knows_what_was_sent(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    ledger = Ledger(path)
    ledger.add(entry(epoch=0))
    ledger.add(entry(epoch=0, destination="wandb"))
    ledger.add(entry(epoch=1, destination="wandb", outcome="failed"))
    ledger.close()
    again = Ledger(path)
    assert again.problems == []
    assert again.has("wandb", "val_batch0_pred", 0)
    assert not again.has("wandb", "val_batch0_pred", 1)
    assert not again.has("tensorboard", "val_batch0_pred", 0)
    assert again.has("file", "val_batch0_pred", 0)
    again.add(entry(epoch=1, destination="other:CometLogger"))
    assert again.has("other:CometLogger", "val_batch0_pred", 1)
    assert again.total() == 1000 + 1001
    assert again.total(destinations=["wandb"]) == 1000
    assert again.total(destinations=["other", "tensorboard"]) == 1001
    assert again.total("failed") == 1001
    again.close()
    again.close()
    lines = read_ledger(path)
    assert [line.n for line in lines] == [0, 1, 2, 3]
    assert lines.problems == []


@pytest.mark.parametrize("lost", [1, 5, 200])
def test_a_torn_last_line_is_trimmed_and_the_chain_goes_on(lost: int, tmp_path: Path) -> None:
    """However much of it was written; only its line end missing, it is whole and stays."""
    path = tmp_path / "media.jsonl"
    lines = filled(path, 3)
    path.write_bytes(b"".join(lines)[:-lost])
    assert read_ledger(path).problems == ["line 3 is cut off: the run was killed while writing it, or still runs."]
    ledger = Ledger(path)
    assert ledger.problems == []
    ledger.add(entry(epoch=7))
    ledger.close()
    after = read_ledger(path)
    assert after.problems == []
    assert [line.epoch for line in after] == ([0, 1, 2, 7] if lost == 1 else [0, 1, 7])
    assert [line.n for line in after] == list(range(len(after)))


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (
            lambda rows: [rows[0], rows[1].replace(b'"bytes": 1001', b'"bytes": 1002'), *rows[2:]],
            ["line 3 ", "line 2 "],
        ),
        (lambda rows: [rows[0], *rows[2:]], ["line 2 ", "number 2", "number 1"]),
        (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], ["line 2 ", "line 3 ", "line 4 "]),
        (lambda rows: rows[1:], ["line 1 ", "number 0"]),
        (lambda rows: [*rows[:2], b"nonsense\n", *rows[2:]], ["line 3 is not a line", "line 4 "]),
        (lambda rows: [*rows[:2], b'{"n": 2}\n', *rows[2:]], ["line 3 is not a line"]),
        (lambda rows: [*rows, rows[-1]], ["line 6 "]),
    ],
    ids=["edited", "removed", "swapped", "first removed", "nonsense added", "half a line added", "repeated"],
)
def test_every_change_breaks_the_chain_but_not_the_run(tamper, told: list[str], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "media.jsonl"
    path.write_bytes(b"".join(tamper(filled(path))))
    problems = read_ledger(path).problems
    assert problems
    for words in told:
        assert any(words in problem for problem in problems), problems
    ledger = Ledger(path)
    assert ledger.problems == problems
    ledger.add(entry(epoch=9))
    ledger.close()
    assert read_ledger(path).problems == problems  # the new line is chained to the last as it is
    assert read_ledger(path)[-1].epoch == 9


def test_threads_share_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    ledger = Ledger(path)

    def add(thread: int) -> None:
        for epoch in range(50):
            ledger.add(entry(f"key{thread}", epoch))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    lines = read_ledger(path)
    assert lines.problems == []
    assert {(line.key, line.epoch) for line in lines} == {(f"key{i}", e) for i in range(4) for e in range(50)}


def test_a_line_is_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "é" / "media.jsonl"
    ledger = Ledger(path)
    ledger.add(entry())
    assert len(read_ledger(path)) == 1
    ledger.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_full_disk_leaves_whole_lines_only(tmp_path: Path) -> None:
    """A limit on the file's size stands in for the disk: half a line fits."""
    import resource
    import signal

    path = tmp_path / "media.jsonl"
    ledger = Ledger(path)
    ledger.add(entry(epoch=0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, limits[1]))
        with pytest.raises(OSError, match="too large"):
            ledger.add(entry(epoch=1, destination="wandb"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not ledger.has("wandb", "val_batch0_pred", 1)
    ledger.add(entry(epoch=2))
    ledger.close()
    lines = read_ledger(path)
    assert lines.problems == []
    assert [line.epoch for line in lines] == [0, 2]
