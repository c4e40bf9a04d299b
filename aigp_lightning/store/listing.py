"""The versions in a store, as rows of a table: metrics, size, run, and which is latest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aigp_lightning.errors import DataError
from aigp_lightning.files import RECEIPT_FILE
from aigp_lightning.store.agreement import journal_warning
from aigp_lightning.store.checks import group_of
from aigp_lightning.store.history import History, replay
from aigp_lightning.store.journal import read_journal
from aigp_lightning.store.places import StorePlaces
from aigp_lightning.store.receipt import read_receipt


def versions_of(places: StorePlaces) -> list[dict[str, Any]]:
    """List the versions of all names, the latest of each first and its backups behind it.

    Args:
        places: of the store.

    Returns:
        Rows with `name`, `version`, `state` (`latest` or `backup`), `promoted` (when, UTC), `metrics`, `bytes`,
        `files`, `run`, `forced` (the reason, or None) and `receipt` (its SHA-256). What cannot be read is None.

    Raises:
        DataError: there is no store, or its journal cannot be read.
    """
    try:
        journal = read_journal(places.journal)
    except OSError as error:
        raise DataError(f"{places.journal} cannot be read: {error.strerror}.") from error
    if not places.journal.exists():
        if places.version_ids():
            raise DataError(f"{places.journal} is missing, and versions lie there: `models verify` says which.")
        raise DataError(
            f"{places.root} is no store of models: it has no {places.journal.name}. `promote RUN` makes one; "
            "--store names another folder."
        )
    state = replay(journal.lines)
    return [
        _row(places, name, version, history)
        for name, history in sorted(state.names.items())
        for version in ([history.latest] if history.latest else []) + history.backups()
    ]


def unlisted_warnings(places: StorePlaces, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what a table of versions does not show: those that the journal does not know, and what is wrong with it.

    Args:
        places: of the store.
        rows: of `versions_of`.
    """
    warnings = []
    if unlisted := sorted({*places.version_ids()} - {row["version"] for row in rows}):
        warnings.append(
            f"warning: {places.versions} has {len(unlisted)} that the journal does not know, such as {unlisted[0]}: "
            "`models verify` says more."
        )
    warning = journal_warning(places, read_journal(places.journal))
    return [*warnings, warning] if warning is not None else warnings


def _row(places: StorePlaces, name: str, version: str, history: History) -> dict[str, Any]:
    receipt = read_quietly(places.version(version))
    files = receipt.get("files") or {}
    return {
        "name": name,
        "version": version,
        "state": "latest" if version == history.latest else "backup",
        "promoted": history.since.get(version),
        "metrics": group_of(group_of(receipt.get("evaluation")).get("metrics")),
        "bytes": sum(fact["bytes"] for fact in files.values()) if files else None,
        "files": sorted(files),
        "run": (receipt.get("run") or {}).get("name"),
        "forced": (receipt.get("decision") or {}).get("forced"),
        "receipt": history.receipts.get(version),
    }


def read_quietly(folder: Path) -> dict[str, Any]:
    """Return a version's receipt; empty where it cannot be read: `models verify` says why.

    Args:
        folder: of the version.
    """
    with suppress(DataError):
        return read_receipt(folder / RECEIPT_FILE)
    return {}
