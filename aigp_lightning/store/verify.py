"""The check of a whole store: every file against its receipt, receipts against the journal, the journal, the links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aigp_lightning.errors import DataError, UserError
from aigp_lightning.files import RECEIPT_FILE
from aigp_lightning.store.agreement import linked_folders
from aigp_lightning.store.history import StoreState, replay
from aigp_lightning.store.journal import Journal, read_journal
from aigp_lightning.store.locked_store import WAIT, LockedStore
from aigp_lightning.store.model_files import version_id
from aigp_lightning.store.places import JOURNAL, LATEST, VERSIONS, StorePlaces, read_link
from aigp_lightning.store.receipt import FileFact, file_fact, read_receipt

KNOWN = (JOURNAL, LATEST, VERSIONS)


@dataclass(frozen=True)
class Problem:
    """Something that is not as it was written.

    Attributes:
        file: its path in the store, with forward slashes; of the journal with the line's number.
        message: what is wrong with it.
    """

    file: str
    message: str


@dataclass
class Verified:
    """What a check has found.

    Attributes:
        problems: see `Problem`.
        notes: sentences on what is no problem, and worth knowing.
        versions: that were checked.
        files: that were checked.
        lines: of the journal.
    """

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: int = 0
    files: int = 0
    lines: int = 0


def verify_store(places: StorePlaces, wait: float = WAIT) -> Verified:
    """Check a store; what the kill of a promotion has cut short is finished first, where that can be written.

    Args:
        places: of the store.
        wait: seconds for which to wait for a promotion to end.

    Raises:
        DataError: there is no store.
    """
    if not any(os.path.lexists(places.root / name) for name in KNOWN):
        raise DataError(f"{places.root} is no store of models: it has no {JOURNAL}. --store names another folder.")
    if linked_folders(places):  # nothing is to be written through them
        return check(places)
    if not os.access(places.root, os.W_OK):
        result = check(places)
        result.notes.append(f"{places.root} cannot be written to, so a promotion that runs now was not waited for")
        return result
    with LockedStore(places, wait) as store:
        result = check(places)
        if store.finished:
            result.notes.insert(0, "a promotion or rollback had been cut short; it was finished as the journal says")
    return result


def check(places: StorePlaces) -> Verified:
    """Check a store as it is, without a lock and without changing anything.

    Args:
        places: of the store.
    """
    result = Verified()
    try:
        journal = read_journal(places.journal)
    except OSError as error:
        result.problems.append(Problem(JOURNAL, f"it cannot be read: {error.strerror}"))
        journal = Journal()
    state = replay(journal.lines)
    result.lines = len(journal.lines)
    result.problems += [
        Problem(path.name, "it is a link, and none of the store's own") for path in linked_folders(places)
    ]
    result.problems += _journal_problems(places, journal)
    for version in sorted({*places.version_ids(), *_kept(state)}):
        result.versions += 1
        result.problems += _version_problems(places, version, state, result)
    result.problems += _link_problems(places, state)
    result.problems += _strangers(places)
    others = sorted(set(os.listdir(places.root)) - {*KNOWN, ".lock", ".unfinished"})
    result.notes += [f"{places.root / name} is none of the store's files" for name in others]
    return result


def _journal_problems(places: StorePlaces, journal: Journal) -> Iterator[Problem]:
    for number, message in journal.problems:
        yield Problem(f"{JOURNAL} line {number}", message)
    if journal.tail:
        yield Problem(f"{JOURNAL} line {journal.next + 1}", "it has no end: it was cut off, or its end was changed")
    if not os.path.lexists(places.journal):
        yield Problem(JOURNAL, "it is missing")


def _kept(state: StoreState) -> set[str]:
    return {version for history in state.names.values() for version in history.kept}


def _version_problems(places: StorePlaces, version: str, state: StoreState, result: Verified) -> Iterator[Problem]:
    folder, place = places.version(version), f"{VERSIONS}/{version}"
    if folder.is_symlink():
        yield Problem(place, "it is a link, and no folder")
        return
    if not folder.is_dir():
        yield Problem(place, "it is missing, and the journal says that it is kept")
        return
    if not state.is_kept(version):
        yield Problem(place, "the journal knows nothing of it, or says that it was removed")
    try:
        facts = receipt_facts(folder)
        written = file_fact(folder / RECEIPT_FILE).sha256
    except (UserError, OSError) as error:
        yield Problem(f"{place}/{RECEIPT_FILE}", _why(error))
        return
    result.files += 1 + len(facts)
    if written != state.receipts.get(version):
        yield Problem(f"{place}/{RECEIPT_FILE}", "it is not the one that the journal has the hash of")
    if version_id(facts) != version:
        yield Problem(
            f"{place}/{RECEIPT_FILE}", "it is of another version: its files' hashes do not make this one's id"
        )
    for name, problem in file_problems(folder, facts):
        yield Problem(f"{place}/{name}", problem)


def receipt_facts(folder: Path) -> dict[str, FileFact]:
    """Return the files that a version's receipt names.

    Args:
        folder: of the version.

    Raises:
        DataError: there is no receipt.
    """
    files = read_receipt(folder / RECEIPT_FILE)["files"]
    return {str(name): FileFact(str(fact["sha256"]), int(fact["bytes"])) for name, fact in files.items()}


def file_problems(folder: Path, facts: dict[str, FileFact]) -> Iterator[tuple[str, str]]:
    """Yield the files of a version that are not as its receipt says, and what is wrong with each.

    Args:
        folder: of the version.
        facts: see `receipt_facts`.
    """
    there = set(os.listdir(folder)) - {RECEIPT_FILE}
    for name in sorted(there - set(facts)):
        yield name, "the receipt does not name it"
    for name, expected in sorted(facts.items()):
        if name not in there:
            yield name, "it is missing"
            continue
        try:
            if (folder / name).is_symlink():
                yield name, "it is a link, and no file"
            elif (found := file_fact(folder / name)) != expected:
                size = f", and has {found.bytes} bytes instead of {expected.bytes}" * (found.bytes != expected.bytes)
                yield name, f"it is not the file that the receipt has the hash of{size}"
        except OSError as error:
            yield name, _why(error)


def _link_problems(places: StorePlaces, state: StoreState) -> Iterator[Problem]:
    for name in sorted({*places.names(), *state.names}):
        there, expected = read_link(places.link(name)), state.history(name).latest
        place = f"{LATEST}/{name}"
        if expected is None:
            yield Problem(place, "the journal knows no such model")
        elif not os.path.lexists(places.link(name)):
            yield Problem(place, f"it is missing; the journal says that {expected} is the latest")
        elif there is None:
            yield Problem(place, "it names no version of this store")
        elif there != expected:
            yield Problem(place, f"it names {there}; the journal says that {expected} is the latest")


def _strangers(places: StorePlaces) -> Iterator[Problem]:
    """Yield what lies in the store's folders and is none of its files."""
    known = {*places.version_ids()}
    names = os.listdir(places.versions) if places.versions.is_dir() else []
    for name in sorted(set(names) - known):
        yield Problem(f"{VERSIONS}/{name}", "it is no version")
    names = os.listdir(places.links) if places.links.is_dir() else []
    for name in sorted(name for name in names if name.startswith(".")):
        yield Problem(f"{LATEST}/{name}", "it is no link of the store's")


def _why(error: Exception) -> str:
    return f"it cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
