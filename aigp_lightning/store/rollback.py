"""An earlier version made the latest again, once all its files are known to be whole."""

from __future__ import annotations

from dataclasses import dataclass

from aigp_lightning.errors import ConfigError, DataError, UserError
from aigp_lightning.files import RECEIPT_FILE
from aigp_lightning.store.locked_store import WAIT, LockedStore, warn_of_journal
from aigp_lightning.store.places import StorePlaces
from aigp_lightning.store.promotion import make_latest
from aigp_lightning.store.receipt import file_fact
from aigp_lightning.store.verify import file_problems, receipt_facts

SHORTEST = 4
"""Characters by which a version can be named, if no other one begins so."""


@dataclass(frozen=True)
class RolledBack:
    """A rollback that has been made.

    Attributes:
        name: of the model.
        version: that is latest now.
        before: that was.
    """

    name: str
    version: str
    before: str | None


def rollback(places: StorePlaces, name: str | None = None, to: str | None = None, wait: float = WAIT) -> RolledBack:
    """Make an earlier version the latest again.

    Args:
        places: of the store.
        name: of the model; None where the store has one alone.
        to: the version, or its beginning; None: the one before the latest.
        wait: seconds for which to wait for a promotion to end.

    Raises:
        ConfigError: there is no such name or version, or none before the latest.
        DataError: there is no store, or the version is not whole.
        OSError: the disk is full. The store is as before.
    """
    if not places.journal.exists():
        raise DataError(
            f"{places.root} is no store of models: it has no {places.journal.name}. `promote RUN` makes one; "
            "--store names another folder."
        )
    with LockedStore(places, wait) as store:
        warn_of_journal(store)
        chosen = _chosen_name(store, name)
        before = store.latest(chosen)
        version = _chosen_version(store, chosen, to)
        if version == before == store.state.history(chosen).latest:
            raise ConfigError(f"{version} is the latest version of {chosen} already.")
        _check_whole(store, version)
        make_latest(store, chosen, version)
    return RolledBack(chosen, version, before)


def _chosen_name(store: LockedStore, name: str | None) -> str:
    names = sorted(store.state.names)
    if name is None and len(names) == 1:
        return names[0]
    if name is None or name not in names:
        given = "which model? Give --name" if name is None else f"--name {name}: there is no such model"
        raise ConfigError(f"{given}; {store.places.root} has {', '.join(names) or 'none'}.")
    return name


def _chosen_version(store: LockedStore, name: str, to: str | None) -> str:
    history = store.state.history(name)
    kept = [version for version in history.kept if version != history.latest]
    listed = ", ".join(history.backups()) or "none"
    if to is None:
        before = history.before()
        if before is None:
            raise ConfigError(f"{name} has no version before the latest. Backups that --to may name: {listed}.")
        return before
    known = [*kept, *([history.latest] if history.latest else [])]
    found = [version for version in known if version.startswith(to)] if len(to) >= SHORTEST else []
    if len(found) != 1:
        problem = "is the beginning of several versions" if found else "is no version that is kept"
        raise ConfigError(f"--to {to} {problem} of {name}. Backups: {listed}.")
    return found[0]


def _check_whole(store: LockedStore, version: str) -> None:
    """Refuse a version that is damaged: nobody is to fly it by mistake.

    Raises:
        DataError: a file is missing, or another one than was promoted.
    """
    folder = store.places.version(version)
    if folder.is_symlink():
        raise DataError(f"{folder} is a link, and no folder of a version; it was not made the latest.")
    try:
        problems = [f"{name}: {problem}" for name, problem in file_problems(folder, receipt_facts(folder))]
        if file_fact(folder / RECEIPT_FILE).sha256 != store.state.receipts.get(version):
            problems.insert(0, f"{RECEIPT_FILE}: it is not the one that the journal has the hash of")
    except (UserError, OSError) as error:
        problems = [str(error)]
    if problems:
        raise DataError(
            f"{folder} is not whole, and was not made the latest: {problems[0]}. `models verify` lists all."
        )
