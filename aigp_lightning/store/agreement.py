"""Agreement of a store's links with its journal: before a gate counts, both have to name the same latest version."""

from __future__ import annotations

import os
from pathlib import Path

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import typed_command
from aigp_lightning.store.history import StoreState
from aigp_lightning.store.journal import Journal
from aigp_lightning.store.places import StorePlaces, read_link

USUAL_STORE = "models"


def linked_folders(places: StorePlaces) -> list[Path]:
    """List those of the store's own folders and files that are links: what is written there would land elsewhere.

    Args:
        places: of the store; its own folder may be a link.
    """
    return [path for path in (places.versions, places.links, places.journal) if path.is_symlink()]


def check_folders(places: StorePlaces) -> None:
    """Refuse a store of which a folder or the journal is a link.

    Raises:
        ConfigError: one is.
    """
    for path in linked_folders(places):
        raise ConfigError(
            f"{path} is a link to {os.readlink(path)}, and would be written through to there. Put the store's own in "
            "its place; --store may name a folder elsewhere."
        )


def agreed_latest(places: StorePlaces, state: StoreState, name: str) -> str | None:
    """Return the version that is latest by the journal and by the link; None if neither has one.

    Args:
        places: of the store.
        state: what its journal comes to.
        name: of the model.

    Raises:
        ConfigError: the two disagree, or the version's folder is a link: a gate would compare with something else than
            was promoted, or with nothing.
    """
    link, expected = places.link(name), state.history(name).latest
    there = read_link(link)
    if there == expected:
        if expected is None and os.path.lexists(link):
            raise ConfigError(
                f"{link} is in the way: it names no version of this store, and the journal knows no model {name}. "
                "Move it, or give another --name."
            )
        if expected is not None and places.version(expected).is_symlink():
            raise ConfigError(f"{places.version(expected)}, the latest version of {name}, is a link, and no folder.")
        return expected
    if expected is None:
        raise ConfigError(
            f"{link} names {there}, and the journal knows no model {name}. `models verify` says what is missing; move "
            "the link, or give another --name."
        )
    said = f"names {there}" if there else "names no version of this store" if os.path.lexists(link) else "is missing"
    where = () if str(places.root) == USUAL_STORE else ("--store", places.root)
    repair = typed_command("rollback", "--name", name, "--to", expected, *where)
    raise ConfigError(f"{link} {said}; the journal says that {expected} is the latest. To put it right: {repair}")


def journal_warning(places: StorePlaces, journal: Journal) -> str | None:
    """Return a line on what is wrong with the journal; None if it is whole.

    Args:
        places: of the store.
        journal: as it was read.
    """
    found = [f"line {number}: {message}" for number, message in journal.problems]
    if journal.tail:
        found.append(f"line {journal.next + 1}: it has no end: it was cut off, or its end was changed")
    if not found:
        return None
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return (
        f"warning: {places.journal} {found[0]}{more}. Backups are not removed while that is so; `models verify` "
        "lists everything."
    )
