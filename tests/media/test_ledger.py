"""The ledger: lines as designed, a chain that shows every change, runs that go on."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import pytest

from aigp_lightning.media.ledger.chain import parse_lines
from aigp_lightning.media.ledger.ledger import Entry, Ledger, read_ledger
from aigp_lightning.media.ledger.lines import IN_FLIGHT, RemoteEntry


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


# ---- lines that stand for pictures until their outcome is known ------------------------------------------------------


def handed_over(path: Path, *outcomes: Entry) -> tuple[bytes, bytes]:
    """A ledger of one file, and pictures that are handed over; returns it as it was meanwhile, and at the end."""
    ledger = Ledger(path)
    ledger.add(entry())
    with ledger.hand_over(outcomes) as noted:
        meanwhile = path.read_bytes()
        noted.extend(outcomes)
    ledger.close()
    return meanwhile, path.read_bytes()


OUTCOMES = (
    entry(destination="wandb"),
    entry("val_batch1_pred", destination="wandb", outcome="unknown", reason="no answer"),
    entry("val_batch2_pred", destination="wandb", outcome="failed", reason="a long story " * 30),
)


def test_until_its_outcome_is_known_a_picture_is_unknown(tmp_path: Path) -> None:
    meanwhile, after = handed_over(tmp_path / "media.jsonl", *OUTCOMES)
    before = parse_lines(meanwhile)
    assert before.problems == []
    assert [line.outcome for line in before] == ["written", *["unknown"] * 3]
    assert {line.reason for line in before[1:]} == {IN_FLIGHT}
    lines = parse_lines(after)
    assert lines.problems == []
    assert [line.entry for line in lines] == [entry(), *OUTCOMES]
    assert [line.n for line in lines] == [0, 1, 2, 3]


@pytest.mark.parametrize("short", [True, False], ids=["shorter", "longer"])
def test_a_kill_while_outcomes_are_written(short: bool, tmp_path: Path) -> None:
    """Blanks at the end are no line, before the outcomes are written and after."""
    path = tmp_path / "media.jsonl"
    meanwhile, after = handed_over(path, *(OUTCOMES[:2] if short else OUTCOMES))
    room = max(len(meanwhile), len(after))
    for left in (meanwhile, after):
        path.write_bytes(left.ljust(room))
        assert read_ledger(path).problems == []
        ledger = Ledger(path)
        ledger.add(entry(epoch=5))
        ledger.close()
        lines = read_ledger(path)
        assert lines.problems == []
        assert lines[:-1] == parse_lines(left)
        assert path.read_bytes().startswith(left)


def test_whatever_ends_a_hand_over_its_pictures_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    ledger = Ledger(path)
    with pytest.raises(KeyboardInterrupt), ledger.hand_over(OUTCOMES):
        raise KeyboardInterrupt
    assert [line.outcome for line in read_ledger(path)] == ["unknown"] * 3
    assert ledger.left == sum(one.bytes for one in OUTCOMES)
    assert ledger.doubts("wandb", "val_batch0_pred", 0)
    ledger.add(entry())
    ledger.close()
    assert read_ledger(path).problems == []


def test_no_line_comes_between(tmp_path: Path) -> None:
    """Another thread waits for its turn; this one has made a mistake."""
    path = tmp_path / "media.jsonl"
    ledger = Ledger(path)
    thread = threading.Thread(target=lambda: ledger.add(entry(epoch=9)))
    with ledger.hand_over(OUTCOMES) as noted:
        thread.start()
        noted.extend(OUTCOMES)
        with pytest.raises(RuntimeError, match="settle"):
            ledger.add(entry())
        assert read_ledger(path)[-1].outcome == "unknown"
    thread.join()
    ledger.close()
    lines = read_ledger(path)
    assert lines.problems == []
    assert [line.entry for line in lines] == [*OUTCOMES, entry(epoch=9)]


def test_what_was_in_flight_can_be_settled_later(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    meanwhile, _ = handed_over(path, *OUTCOMES)
    for kept in range(4):
        path.write_bytes(meanwhile)
        ledger = Ledger(path, reopen=True)
        assert [one.key for one in ledger.in_flight] == [one.key for one in OUTCOMES]
        assert ledger.left == 0
        ledger.settle(OUTCOMES[:kept])
        assert ledger.in_flight == []
        ledger.add(entry(epoch=3))
        ledger.close()
        lines = read_ledger(path)
        assert lines.problems == []
        assert [line.entry for line in lines] == [entry(), *OUTCOMES[:kept], entry(epoch=3)]
        again = Ledger(path, reopen=True)
        assert again.in_flight == []
        again.close()
    path.write_bytes(meanwhile)
    ledger = Ledger(path, reopen=True)
    ledger.settle(ledger.in_flight)
    ledger.close()
    assert path.read_bytes() == meanwhile, "what stays unknown stays the same line"


def test_only_what_stands_at_the_end_was_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    meanwhile, _ = handed_over(path, *OUTCOMES)
    for more in (b"nonsense\n", b""):
        path.write_bytes(meanwhile + more)
        ledger = Ledger(path, reopen=True)
        assert len(ledger.in_flight) == (0 if more else 3)
        ledger.close()
        assert path.read_bytes() == meanwhile + more


def test_remote_is_said_only_where_the_name_does_not_say_it(tmp_path: Path) -> None:
    """So ledgers of earlier versions have all their keys, and no others."""
    path = tmp_path / "media.jsonl"
    ledger = Ledger(path)
    for destination, remote in (("tensorboard", None), ("tensorboard", True), ("wandb:2", None), ("other:X", None)):
        plain = entry(destination=destination)
        ledger.add(plain if remote is None else RemoteEntry(**asdict(plain), remote=remote))
    ledger.close()
    rows = [json.loads(row) for row in path.read_bytes().splitlines()]
    assert ["remote" in row for row in rows] == [False, True, False, False]
    assert [line.left for line in read_ledger(path)] == [False, True, True, True]
    assert ledger.left == 3000
    odd = path.read_bytes().replace(b'"remote": true', b'"remote": "yes"')
    assert "line 2 is not a line of a ledger." in parse_lines(odd).problems


def test_a_ledger_that_cannot_be_opened_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "media.jsonl"
    path.mkdir()
    with pytest.raises(OSError, match=r"media\.jsonl"):
        Ledger(path)
    ledger = Ledger(path, required=False)
    assert isinstance(ledger.failure, OSError)
    assert ledger.left == 0
    with pytest.raises(OSError, match=r"media\.jsonl"):
        ledger.add(entry())
    with pytest.raises(OSError, match=r"media\.jsonl"), ledger.hand_over(OUTCOMES):
        raise AssertionError("nothing may be handed over")
    ledger.close()
