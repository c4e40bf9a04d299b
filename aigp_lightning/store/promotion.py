"""The change of a store by which files become a version, and the latest one; or an earlier version does again.

The order of the steps, and what a kill between them leaves, is in the docstring of the package.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import RECEIPT_FILE
from aigp_lightning.store.journal import Entry
from aigp_lightning.store.locked_store import PENDING, LockedStore, remove
from aigp_lightning.store.model_files import BESIDE, copy_hashed, version_id
from aigp_lightning.store.places import STAGING, StorePlaces, sync_folder
from aigp_lightning.store.receipt import FileFact, file_fact

WriteReceipt = Callable[[Path, str, Mapping[str, FileFact]], None]
"""Writes the receipt at a path, of a version of an id, with these files."""


@dataclass(frozen=True)
class Promoted:
    """A promotion that has been made.

    Attributes:
        version: its id.
        before: the version that was latest; None if there was none.
        was_there: the store had this version already.
        removed: versions that are not kept any more.
        receipt: SHA-256 of the receipt.
    """

    version: str
    before: str | None
    was_there: bool
    removed: Sequence[str]
    receipt: str


def promote_files(
    store: LockedStore,
    name: str,
    files: Mapping[str, Path],
    write_receipt: WriteReceipt,
    keep: int,
    gates: Sequence[Mapping[str, Any]] = (),
    reason: str = "",
) -> Promoted:
    """Make files a version, and that the latest of a name.

    Args:
        store: locked.
        name: of the model.
        files: by the names they are to have.
        write_receipt: see `WriteReceipt`.
        keep: backups that stay.
        gates: that were passed, for the journal.
        reason: of a promotion that was forced.

    Raises:
        ConfigError: something else stands in the place of the link, or of the version's folder.
        OSError: a file could not be read or written, as on a full disk. The store is as before.
    """
    check_link(store.places, name)
    places = store.places
    staging = places.versions / f"{STAGING}{uuid.uuid4().hex}"
    undo: list[Callable[[], object]] = [lambda: remove(staging)]
    try:
        places.versions.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        facts = {each: copy_hashed(path, staging / each) for each, path in files.items()}
        version = version_id(facts)
        folder = places.version(version)
        if folder.is_symlink():
            raise ConfigError(f"{folder} is a link, and no folder of a version. Move it.")
        was_there = folder.is_dir()
        store.mark(name=name, version=version, new=not was_there)
        undo.insert(0, store.unmark)
        if was_there:
            facts = _complete(folder, staging, facts)
            pending = folder / f"{PENDING}new.json"
        else:
            pending = staging / RECEIPT_FILE
        undo.insert(0, lambda: remove(pending))
        write_receipt(pending, version, facts)
        receipt = file_fact(pending).sha256
        _sync_file(pending)
        if was_there:
            pending = pending.rename(folder / f"{PENDING}{receipt}.json")
            sync_folder(folder)
        else:
            sync_folder(staging)
            undo.insert(0, lambda: store.remove_version(version))
            os.rename(staging, folder)
            sync_folder(places.versions)
        entry = Entry("promoted", name, version, receipt, gates, reason)
        return _commit(store, entry, keep, pending if was_there else None, undo)
    except BaseException:
        _take_back(undo)
        raise
    finally:
        remove(staging)


def _commit(
    store: LockedStore, entry: Entry, keep: int, pending: Path | None, undo: list[Callable[[], object]]
) -> Promoted:
    """Write the line that makes a promotion count, and do what follows from it."""
    name, version = entry.name, entry.version
    before = store.latest(name)
    prepared = store.prepare_link(name, version)
    undo.insert(0, lambda: remove(prepared))
    gone = _beyond(store, name, version, keep)
    store.write([entry, *(Entry("removed", name, each) for each in gone)])
    undo.clear()  # the mark stays until all is done, so that the next writer does what this one may not come to
    if pending is not None:
        os.replace(pending, store.places.version(version) / RECEIPT_FILE)
    store.switch_link(name, prepared)
    for each in gone:
        if not store.state.is_kept(each):
            store.remove_version(each)
    store.unmark()
    return Promoted(version, before, pending is not None, gone, entry.receipt)


def make_latest(store: LockedStore, name: str, version: str) -> None:
    """Make an earlier version the latest again; nothing is removed.

    Args:
        store: locked.
        name: of the model.
        version: one that the store has.

    Raises:
        OSError: the disk is full. The store is as before.
    """
    check_link(store.places, name)
    undo: list[Callable[[], object]] = [store.unmark]
    try:
        store.mark(name=name, version=version, new=False)
        prepared = store.prepare_link(name, version)
        undo.insert(0, lambda: remove(prepared))
        store.write([Entry("rolled back", name, version, store.state.receipts.get(version, ""))])
        undo.clear()
        store.switch_link(name, prepared)
        store.unmark()
    finally:
        _take_back(undo)


def refuse(store: LockedStore, name: str, version: str, gates: Sequence[Mapping[str, Any]], reason: str) -> None:
    """Note in the journal that a promotion was refused; nothing else is changed.

    Args:
        store: locked.
        name: of the model.
        version: that its files would have been.
        gates: what was asked for and measured.
        reason: in a line.

    Raises:
        OSError: the disk is full. The store is as before.
    """
    store.mark(name=name, version=version, new=False)
    try:
        store.write([Entry("refused", name, version, "", gates, reason)])
    finally:
        store.unmark()


def check_link(places: StorePlaces, name: str) -> None:
    """Refuse a name whose link cannot take its place, since somebody has put something else there.

    Raises:
        ConfigError: there is a folder or something else.
    """
    link = places.link(name)
    if os.path.lexists(link) and not link.is_symlink() and not link.is_file():
        raise ConfigError(f"{link} is in the way: a link of the store's stands there. Move it.")


def _complete(folder: Path, staging: Path, facts: Mapping[str, FileFact]) -> dict[str, FileFact]:
    """Put files back that a version has lost, or that are damaged; returns the files that it has then."""
    for name, fact in facts.items():
        there = folder / name
        with suppress(OSError):
            if name in BESIDE or file_fact(there) == fact:
                continue
        if name not in BESIDE:
            remove(there) if there.is_dir() else None
            os.replace(staging / name, there)
    beside = {name: file_fact(folder / name) for name in BESIDE if name != RECEIPT_FILE and (folder / name).is_file()}
    return {**{name: fact for name, fact in facts.items() if name not in BESIDE}, **beside}


def _beyond(store: LockedStore, name: str, version: str, keep: int) -> list[str]:
    """List the backups that are too many once a version is latest; none while the journal cannot be relied upon."""
    if not store.journal.is_whole or store.journal.tail:
        return []
    history = store.state.history(name)
    kept = sorted((each for each in history.kept if each != version), key=lambda each: -history.kept[each])
    return kept[max(keep, 1) :]


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _take_back(undo: Sequence[Callable[[], object]]) -> None:
    for step in undo:
        with suppress(OSError):
            step()


def staged_id(files: Mapping[str, Path]) -> str:
    """Return the id of the version that files would be, without copying them.

    Args:
        files: by the names they are to have.

    Raises:
        OSError: one of them cannot be read.
    """
    return version_id({name: file_fact(path) for name, path in files.items() if name not in BESIDE})
