"""The check of a store names whatever is not as it was written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from promoted_files import promote_bytes

from aigp_lightning.errors import DataError
from aigp_lightning.store.journal import read_journal
from aigp_lightning.store.locked_store import LockedStore
from aigp_lightning.store.places import StorePlaces
from aigp_lightning.store.promotion import refuse
from aigp_lightning.store.verify import check, verify_store

EVERY = 5
"""Of so many bytes one is changed, and those at both ends."""


def named(places: StorePlaces) -> list[str]:
    return [problem.file for problem in check(places).problems]


def files_in(places: StorePlaces) -> list[Path]:
    return [path for path in sorted(places.root.rglob("*")) if path.is_file() and not path.is_symlink()]


@pytest.fixture
def store(places: StorePlaces) -> StorePlaces:
    """Two versions of one name, whose link is a text file, one of another, and a refusal as the last line."""
    for name, content in (("gates", b"one" * 30), ("gates", b"two" * 30), ("other", b"three")):
        promote_bytes(places, name, content, links=name != "gates")
    with LockedStore(places) as locked:
        refuse(locked, "gates", "0" * 16, [], "worse")
    assert named(places) == []
    return places


def test_a_changed_byte_in_any_file_is_found_and_named(store: StorePlaces) -> None:
    paths = files_in(store)
    assert len(paths) == 3 * 3 + 1 + 1
    for path in paths:
        data = path.read_bytes()
        place = path.relative_to(store.root).as_posix()
        lines = data.count(b"\n")
        for at in {*range(0, len(data), EVERY), *range(len(data) - 4, len(data))}:
            path.write_bytes(data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :])
            found = named(store)
            if place == "journal.jsonl":
                line = data.count(b"\n", 0, at) + 1
                assert f"{place} line {line}" in found, (at, found)
                assert line < lines or found == [f"{place} line {line}"]
            elif path.name == "receipt.json":
                assert place in found, (at, found)
            elif data[at : at + 1].isspace() and path.parent.name == "latest":
                assert found in ([], [place])  # the line end of a link that is a text file
            else:
                assert found == [place], (at, found)
        path.write_bytes(data)
    assert named(store) == []


def test_what_is_missing_and_what_is_too_much_is_named(store: StorePlaces) -> None:
    for path in files_in(store):
        data, place = path.read_bytes(), path.relative_to(store.root).as_posix()
        path.unlink()
        assert place in named(store)
        path.write_bytes(data)
    for place in ("versions/notes.txt", f"versions/{store.version_ids()[0]}/.hidden", "latest/.x", "latest/new"):
        path = store.root / place
        path.write_bytes(b"?")
        assert named(store) == [place]
        path.unlink()
    assert named(store) == []


def test_a_link_that_leads_elsewhere_is_named(store: StorePlaces) -> None:
    link = store.link("other")
    other = next(version for version in store.version_ids() if version not in os.readlink(link))
    for target in (f"../versions/{other}", "../versions", str(store.versions / other)):
        link.unlink()
        link.symlink_to(target)
        assert named(store) == ["latest/other"], target
    link.unlink()
    assert named(store) == ["latest/other"]


def test_a_version_taken_for_another_one_is_named(store: StorePlaces) -> None:
    one, two, _ = store.version_ids()
    os.rename(store.versions / one, store.versions / "aside")
    os.rename(store.versions / two, store.versions / one)
    os.rename(store.versions / "aside", store.versions / two)
    assert named(store).count(f"versions/{one}/receipt.json") == 2  # by the journal's hash, and by the files' hashes
    assert named(store).count(f"versions/{two}/receipt.json") == 2


def test_lines_taken_out_of_the_journal_are_noticed(store: StorePlaces) -> None:
    lines = store.journal.read_bytes().splitlines(keepends=True)
    store.journal.write_bytes(b"".join([lines[0], *lines[2:]]))
    assert "journal.jsonl line 2" in named(store)
    store.journal.write_bytes(b"".join(lines[:2]))  # the last ones: a promotion that nothing speaks of any more
    assert "latest/other" in named(store)
    store.journal.unlink()
    assert "journal.jsonl" in named(store)


def test_strangers_beside_the_stores_files_are_only_noted(store: StorePlaces) -> None:
    (store.root / "README.txt").write_bytes(b"ours")
    found = verify_store(store)
    assert found.problems == []
    assert found.notes == [f"{store.root / 'README.txt'} is none of the store's files"]
    assert (found.versions, found.files, found.lines) == (3, 9, 4)


def test_no_store(places: StorePlaces, tmp_path: Path) -> None:
    for folder in (places.root, tmp_path):
        with pytest.raises(DataError, match="is no store of models"):
            verify_store(StorePlaces(folder))
    assert not places.root.exists()


def test_the_journal_names_no_machine_and_no_path(store: StorePlaces) -> None:
    text = store.journal.read_text(encoding="ascii")
    assert str(store.root.parent) not in text
    assert os.uname().nodename not in text if hasattr(os, "uname") else True
    line = read_journal(store.journal).lines[0]
    assert (line.n, line.name, line.prev) == (0, "gates", "0" * 64)


@pytest.mark.parametrize("journal", ["empty", "missing"])
def test_versions_without_a_journal_are_pointed_to(
    store: StorePlaces, journal: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    store.journal.write_bytes(b"") if journal == "empty" else store.journal.unlink()
    assert run_cli("models", "--store", store.root) == (0 if journal == "empty" else 2)
    told = capsys.readouterr()
    assert "`models verify` says" in told.err
