"""`exports.json` beside exported files: which file is of which model, in which precision, and what it measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aigp_lightning.files import sha256_of, write_atomic

EXPORTS_FILE, FORMAT = "exports.json", "aigp-exports-1"


def write_exports(
    folder: Path, model: Path, module: Mapping[str, Any] | None, entries: Sequence[dict[str, Any]]
) -> None:
    """Write what is known of the exported files of a folder; what an earlier export wrote there of others stays.

    Entries of files that are gone or have changed since are left out, and so are those of another model's files.

    Args:
        folder: of the files.
        model: that they were made of.
        module: the model's figures and what it was measured on; None where it was not.
        entries: of the files that are new, see `entry_of`.

    Raises:
        OSError: it cannot be written.
    """
    digest = sha256_of(model)
    before = read_exports(folder)
    new = {entry["file"] for entry in entries}
    same = before.get("model", {}).get("sha256") == digest
    kept = [
        entry for entry in before.get("files", []) if same and entry["file"] not in new and is_as_told(folder, entry)
    ]
    if module is None and same:
        module = before.get("module")
    content = {
        "format": FORMAT, "model": {"file": model.name, "sha256": digest}, "module": module, "files": [*kept, *entries],
    }  # fmt: skip
    write_atomic(folder / EXPORTS_FILE, json.dumps(content, indent=1).encode())


def read_exports(folder: Path) -> dict[str, Any]:
    """Return what is known of the exported files of a folder; empty where that is nothing, or cannot be read.

    Args:
        folder: of the files.
    """
    with suppress(OSError, ValueError):
        found = json.loads((folder / EXPORTS_FILE).read_text(encoding="utf-8"))
        if isinstance(found, dict) and found.get("format") == FORMAT and _is_whole(found):
            return found
    return {}


def _is_whole(found: Mapping[str, Any]) -> bool:
    """True if a file's model and entries have the form that `write_exports` gives them."""
    model, files = found.get("model"), found.get("files")
    if not (isinstance(model, dict) and isinstance(files, list)):
        return False
    texts = ("file", "sha256", "format", "precision")
    return all(isinstance(each, dict) and all(isinstance(each.get(name), str) for name in texts) for each in files)


def entry_of(files: Sequence[Path]) -> dict[str, Any]:
    """Return the part of an entry that tells the files apart.

    Args:
        files: of one export: the file itself, and of OpenVINO's its weights.
    """
    first, *others = files
    found: dict[str, Any] = {"file": first.name, "sha256": sha256_of(first)}
    found["bytes"] = sum(each.stat().st_size for each in files)
    return {**found, "beside": {each.name: sha256_of(each) for each in others}}


def is_as_told(folder: Path, entry: Mapping[str, Any]) -> bool:
    """True if a file of an entry, and what it has beside it, are there and have not changed since.

    Args:
        folder: of the files.
        entry: of `exports.json`.
    """
    others = entry.get("beside")
    said = {str(entry["file"]): entry["sha256"], **(others if isinstance(others, dict) else {})}
    try:
        return all(sha256_of(folder / Path(name).name) == digest for name, digest in said.items())
    except OSError:
        return False
