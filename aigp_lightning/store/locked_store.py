"""One writer at a time: the lock of a store, and the finishing of what an earlier writer's kill has cut short.

Longer than 250 lines: what a writer does under the lock, and what the next one finishes, are read together.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import DISK_FULL, RECEIPT_FILE, is_half_written, read_regular, write_atomic
from aigp_lightning.run.file_lock import UNSUPPORTED, FileLock
from aigp_lightning.store.agreement import agreed_latest, check_folders, journal_warning
from aigp_lightning.store.history import StoreState, replay
from aigp_lightning.store.journal import Entry, Journal, append_entries, read_journal
from aigp_lightning.store.places import (
    LINKS,
    STAGING,
    UNFINISHED,
    VERSION,
    StorePlaces,
    make_link,
    read_link,
    sync_folder,
)
from aigp_lightning.terminal.output import print_line

WAIT = 600.0
"""Seconds for which a promotion waits for another one to end."""
QUIET = 0.5
"""Seconds of waiting that are not spoken of."""
PERIOD = 0.05
PENDING = ".receipt-"
"""Begins the name of a receipt that takes another one's place: `.receipt-<SHA-256>.json`."""


class LockedStore:
    """A store that this process may change: a context that holds its lock.

    What a kill has cut short is finished on entering, as the journal says.

    Args:
        places: of the store; it is made if it isn't there.
        wait: seconds for which to wait for another writer.
        links: make symbolic links; else text files.

    Attributes:
        journal: as it is now.
        state: what the journal comes to.
        finished: True if something was found to be finished.
    """

    def __init__(self, places: StorePlaces, wait: float = WAIT, links: bool = LINKS) -> None:
        self.places, self._wait, self._links = places, wait, links
        self._lock: FileLock | None = FileLock(places.lock)
        self.journal, self.state = Journal(), StoreState()
        self.finished = False

    def __enter__(self) -> LockedStore:
        """Take the lock, and finish what was cut short.

        Raises:
            ConfigError: another one has held it for too long, nothing may be written here, or a folder of it is a link.
            OSError: the disk is full, or something cannot be read.
        """
        check_folders(self.places)
        try:
            self._acquire()
            self.read()
            self._finish()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._release()

    def read(self) -> None:
        """Read the journal anew."""
        self.journal = read_journal(self.places.journal)
        self.state = replay(self.journal.lines)

    def latest(self, name: str) -> str | None:
        """Return the version that is latest: what the link says, which readers follow."""
        return read_link(self.places.link(name))

    def agreed_latest(self, name: str) -> str | None:
        """Return the version that is latest by the link and by the journal.

        Raises:
            ConfigError: they disagree.
        """
        return agreed_latest(self.places, self.state, name)

    def mark(self, **what: Any) -> None:
        """Note on the disk that a change begins.

        Raises:
            OSError: the disk is full.
        """
        write_atomic(self.places.unfinished, json.dumps(what).encode("ascii"), own=True)
        sync_folder(self.places.root)

    def unmark(self) -> None:
        """Note that a change has ended, in whichever way."""
        self.places.unfinished.unlink(missing_ok=True)

    def write(self, entries: Sequence[Entry]) -> None:
        """Add lines to the journal. From here on they count.

        Raises:
            OSError: they could not be written; the journal is as before.
        """
        append_entries(self.places.journal, entries, trim=False)
        sync_folder(self.places.root)
        self.read()

    def prepare_link(self, name: str, version: str) -> Path:
        """Make the link of a version under another name; returns that name's path.

        Raises:
            OSError: the disk is full.
        """
        path = self.places.links / f".{name}.{os.getpid()}.new"
        path.unlink(missing_ok=True)
        make_link(path, version, self._links)
        return path

    def switch_link(self, name: str, prepared: Path) -> None:
        """Let a link take its place, in one step."""
        os.replace(prepared, self.places.link(name))
        sync_folder(self.places.links)

    def remove_version(self, version: str) -> None:
        """Remove a version's folder; for readers it is gone at once."""
        folder = self.places.version(version)
        aside = self.places.versions / f"{STAGING}removed-{version}-{os.getpid()}"
        with suppress(FileNotFoundError):
            os.rename(folder, aside)
        remove(aside)

    def _acquire(self) -> None:
        began, told = time.monotonic(), False
        while not self._try():
            spent = time.monotonic() - began
            if spent > self._wait:
                raise ConfigError(
                    f"{self.places.root} is in use by another promotion or rollback, and has been for {spent:.0f} s. "
                    "Try again when that has ended."
                )
            if spent > QUIET and not told:
                told = True
                print_line(f"waiting for another promotion or rollback in {self.places.root} to end")
            time.sleep(PERIOD)

    def _try(self) -> bool:
        assert self._lock is not None
        try:
            self.places.root.mkdir(parents=True, exist_ok=True)
            return self._lock.acquire()
        except FileNotFoundError:  # another one has removed a store in which nothing was
            return False
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            if error.errno not in UNSUPPORTED:
                raise ConfigError(f"{self.places.root} cannot be a store: {error.strerror}.") from error
            print_line(
                f"warning: {self.places.root}: this file system keeps no locks ({error.strerror}). Nothing keeps two "
                "promotions from changing it at once; see to it yourself.",
                err=True,
            )
            self._lock = None
            return True

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
        for folder in (self.places.links, self.places.versions, self.places.root):
            with suppress(OSError):
                folder.rmdir()  # which is refused where something is in it

    def _finish(self) -> None:
        """Finish what was cut short; without the mark of a kill, nothing but copies that no one uses are removed."""
        cut = self.places.unfinished.exists()
        if cut:
            self.finished = True
            if self.journal.tail:
                append_entries(self.places.journal, [], trim=True)
                self.read()
            if self.journal.is_whole:
                self._follow_journal(_read_mark(self.places))
        if self._lock is not None:  # else they may be those of a writer who lives
            for path in self.places.leftovers():
                remove(path)
            for path in self.places.root.glob(f".{UNFINISHED}.*.part"):
                if is_half_written(path, [UNFINISHED]):
                    path.unlink(missing_ok=True)
        if cut:
            self.unmark()

    def _follow_journal(self, mark: dict[str, Any]) -> None:
        version = str(mark.get("version", ""))
        new = mark.get("new") is True and VERSION.fullmatch(version) and not self.state.is_kept(version)
        for each in [*self.state.removed, *([version] if new else [])]:
            self.remove_version(each)
        if VERSION.fullmatch(version):
            self._settle_receipt(version)
        for name, history in self.state.names.items():
            latest = history.latest
            if latest and self.latest(name) != latest and self.places.version(latest).is_dir():
                self.switch_link(name, self.prepare_link(name, latest))

    def _settle_receipt(self, version: str) -> None:
        """Put a receipt in its place that the journal has, and remove others that were to take it, whole or not."""
        folder = self.places.version(version)
        for path in folder.glob(".*"):
            if path.name == f"{PENDING}{self.state.receipts.get(version)}.json":
                os.replace(path, folder / RECEIPT_FILE)
            else:
                remove(path)


def latest_of(places: StorePlaces, name: str, wait: float = WAIT) -> str | None:
    """Return the version that is latest by the link and by the journal, without a lock if they agree at once.

    Args:
        places: of the store; nothing has to be there.
        name: of the model.
        wait: seconds for which to wait for a promotion that runs.

    Raises:
        ConfigError: they disagree, and no promotion that runs, or was killed, is why.
    """
    check_folders(places)
    try:
        return agreed_latest(places, replay(read_journal(places.journal).lines), name)
    except ConfigError:
        if not places.root.is_dir():
            raise
    with LockedStore(places, wait) as store:
        return store.agreed_latest(name)


def warn_of_journal(store: LockedStore) -> None:
    """Say what is wrong with the journal, if anything is."""
    warning = journal_warning(store.places, store.journal)
    if warning is not None:
        print_line(warning, err=True)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder; one that is gone already is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _read_mark(places: StorePlaces) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(read_regular(places.unfinished))
        return content if isinstance(content, dict) else {}
    return {}
