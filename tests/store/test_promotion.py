"""Files become versions, and these the latest: what is in the store then, and what is not after a failure."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from helpers import largest_file
from promoted_files import ReceiptWriter, files_of, promote_bytes

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import DISK_FULL
from aigp_lightning.store.journal import read_journal
from aigp_lightning.store.locked_store import LockedStore
from aigp_lightning.store.places import StorePlaces, read_link, through_links
from aigp_lightning.store.promotion import promote_files, refuse
from aigp_lightning.store.receipt import file_fact, read_receipt
from aigp_lightning.store.verify import check, verify_store


def contents(places: StorePlaces) -> dict[str, object]:
    """Everything in a store: files by their bytes, links by where they lead."""
    return {
        path.relative_to(places.root).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(places.root.rglob("*"))
    }


def events(places: StorePlaces) -> list[tuple[str, str, str]]:
    return [(line.event, line.name, line.version) for line in read_journal(places.journal).lines]


@pytest.mark.parametrize("links", [True, False])
def test_a_version_is_made_of_the_files_and_latest_names_it(places: StorePlaces, links: bool) -> None:
    first = promote_bytes(places, "gates", b"one", links=links)
    second = promote_bytes(places, "gates", b"two", links=links)
    again = promote_bytes(places, "gates", b"one", links=links)
    assert first.version == again.version != second.version
    assert (first.before, second.before, again.before) == (None, first.version, second.version)
    assert (first.was_there, second.was_there, again.was_there) == (False, False, True)
    folder = places.versions / first.version
    assert places.latest("gates") == folder
    assert sorted(path.name for path in folder.iterdir()) == ["best.ckpt", "best.onnx", "receipt.json"]
    assert (folder / "best.ckpt").read_bytes() == b"one"
    assert read_receipt(folder / "receipt.json")["files"]["best.onnx"]["bytes"] == 3
    link = places.link("gates")
    assert link.is_symlink() == links
    if links:
        assert os.readlink(link) == f"../versions/{first.version}"
        assert (link / "best.ckpt").read_bytes() == b"one"
    else:
        assert link.read_text(encoding="ascii") == f"../versions/{first.version}\n"
    assert through_links(link / "best.ckpt").read_bytes() == b"one"
    assert through_links(places.root / "latest" / "other" / "x") == places.root / "latest" / "other" / "x"
    assert check(places).problems == []


def test_names_of_files_are_part_of_a_version_and_receipts_are_not(places: StorePlaces) -> None:
    files = files_of(places.root.parent, b"one")
    with LockedStore(places) as store:
        as_pt = {"best.pt": files["best.ckpt"], "best.onnx": files["best.onnx"]}
        one = promote_files(store, "a", files, ReceiptWriter(), 5)
        other = promote_files(store, "b", as_pt, ReceiptWriter(), 5)
        noted = promote_files(store, "c", files, ReceiptWriter("for c"), 5)
    assert one.version == noted.version != other.version
    assert one.receipt != noted.receipt == file_fact(places.versions / one.version / "receipt.json").sha256
    assert places.names() == ["a", "b", "c"]
    assert check(places).problems == []  # of one version, the receipt of its last promotion counts


def test_as_many_backups_stay_as_asked_for(places: StorePlaces) -> None:
    a, b, c, d = (promote_bytes(places, "gates", content, keep=2).version for content in (b"a", b"b", b"c", b"d"))
    assert places.version_ids() == sorted([b, c, d])
    assert ("removed", "gates", a) in events(places)
    promote_bytes(places, "other", b"c")
    e = promote_bytes(places, "gates", b"e", keep=1).version
    assert places.version_ids() == sorted([c, d, e])  # the other name's latest is needed there
    assert events(places)[-3:] == [("promoted", "gates", e), ("removed", "gates", c), ("removed", "gates", b)]
    f = promote_bytes(places, "gates", b"f", keep=0).version  # never fewer than one
    assert places.version_ids() == sorted([c, e, f])
    assert check(places).problems == []


def test_a_refusal_is_a_line_of_the_journal_and_nothing_else(places: StorePlaces) -> None:
    promote_bytes(places, "gates", b"one")
    before = contents(places)
    with LockedStore(places) as store:
        refuse(store, "gates", "0" * 16, [{"gate": "mAP >= 0.5", "passed": False}], "0.4 is not >= 0.5")
    after = contents(places)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {"journal.jsonl"}
    line = read_journal(places.journal).lines[-1]
    assert (line.event, line.reason, line.gates[0]["gate"]) == ("refused", "0.4 is not >= 0.5", "mAP >= 0.5")
    assert check(places).problems == []


def test_a_full_disk_changes_nothing_at_whatever_step(places: StorePlaces) -> None:
    promote_bytes(places, "gates", b"one")
    promote_bytes(places, "gates", b"two")
    files = files_of(places.root.parent, b"three")
    before, failed = contents(places), set()
    for limit in (0, 4, 5, 60, 200, 300, 400, len(places.journal.read_bytes()) + 30, 100_000):
        try:
            with largest_file(limit), LockedStore(places) as store:
                promote_files(store, "gates", files, ReceiptWriter(), 1)
        except OSError as error:
            assert error.errno in DISK_FULL
            failed.add(str(error.filename).rpartition("/")[2])
            assert contents(places) == before, limit
        else:
            assert limit == 100_000
    assert {"best.ckpt", "receipt.json", ".unfinished", "journal.jsonl"} <= failed, failed
    assert places.latest("gates") is not None
    assert check(places).problems == []


def test_a_full_disk_leaves_no_store_where_there_was_none(places: StorePlaces) -> None:
    with pytest.raises(OSError, match="too large"), largest_file(2):
        promote_bytes(places, "gates", b"one")
    assert not places.root.exists()


def test_a_file_that_cannot_be_read_changes_nothing(places: StorePlaces, tmp_path: Path) -> None:
    promote_bytes(places, "gates", b"one")
    before = contents(places)
    with LockedStore(places) as store, pytest.raises(FileNotFoundError):
        promote_files(store, "gates", {"best.ckpt": tmp_path / "none"}, ReceiptWriter(), 1)
    assert contents(places) == before


def test_two_promotions_take_turns(places: StorePlaces, capsys: pytest.CaptureFixture[str]) -> None:
    promote_bytes(places, "gates", b"one")
    made: list[str] = []
    second = threading.Thread(target=lambda: made.append(promote_bytes(places, "gates", b"two", wait=30).version))
    with LockedStore(places) as store:
        second.start()
        printed, end = "", time.monotonic() + 60
        while "waiting for another" not in printed and time.monotonic() < end:
            time.sleep(0.02)
            printed += capsys.readouterr().out
        assert made == []
        third = promote_files(store, "gates", files_of(places.root.parent, b"three"), ReceiptWriter(), 5)
    second.join()
    assert [version for _, _, version in events(places)][1:] == [third.version, *made]
    assert places.latest("gates") == places.versions / made[0]
    printed += capsys.readouterr().out
    assert printed.count("waiting for another promotion or rollback") == 1
    assert check(places).problems == []


def test_nobody_waits_for_ever(places: StorePlaces) -> None:
    with LockedStore(places), pytest.raises(ConfigError, match="in use by another promotion"):
        promote_bytes(places, "gates", b"one", wait=0.1)


def test_something_in_the_place_of_a_link_is_left_alone(places: StorePlaces) -> None:
    places.link("gates").mkdir(parents=True)
    (places.link("gates") / "best.pt").write_bytes(b"by hand")
    with pytest.raises(ConfigError, match=r"latest/gates is in the way"):
        promote_bytes(places, "gates", b"one")
    assert contents(places) == {"latest": None, "latest/gates": None, "latest/gates/best.pt": b"by hand"}


def test_the_same_files_promoted_again_heal_a_damaged_version(places: StorePlaces) -> None:
    version = promote_bytes(places, "gates", b"one").version
    (places.versions / version / "best.ckpt").write_bytes(b"0ne")
    (places.versions / version / "best.onnx").unlink()
    assert len(check(places).problems) == 2
    assert promote_bytes(places, "gates", b"one").version == version
    assert check(places).problems == []


def test_half_a_line_that_a_kill_has_left_is_trimmed(places: StorePlaces) -> None:
    promote_bytes(places, "gates", b"one")
    whole = places.journal.read_bytes()
    places.journal.write_bytes(whole + whole[:99])
    places.unfinished.write_text('{"name": "gates", "version": "", "new": false}', encoding="ascii")
    found = verify_store(places)
    assert found.problems == []
    assert found.notes[0].startswith("a promotion or rollback had been cut short")
    assert places.journal.read_bytes() == whole


def test_half_a_line_without_a_kill_is_damage_and_stays(places: StorePlaces) -> None:
    promote_bytes(places, "gates", b"one")
    whole = places.journal.read_bytes()
    places.journal.write_bytes(whole + whole[:99])
    assert [problem.file for problem in verify_store(places).problems] == ["journal.jsonl line 2"]
    version = promote_bytes(places, "gates", b"two", keep=1).version
    assert places.journal.read_bytes().startswith(whole + whole[:99] + b"\n")
    found = verify_store(places).problems
    assert [problem.file for problem in found] == ["journal.jsonl line 2"]
    assert read_link(places.link("gates")) == version


def test_nothing_is_removed_while_the_journal_is_damaged(places: StorePlaces) -> None:
    for content in (b"a", b"b", b"c"):
        promote_bytes(places, "gates", content)
    data = places.journal.read_bytes()
    places.journal.write_bytes(data.replace(b"promoted", b"promotEd", 1))
    promote_bytes(places, "gates", b"d", keep=1)
    assert len(places.version_ids()) == 4
