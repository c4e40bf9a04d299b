"""Promotions of files of a few bytes, with as little as a receipt needs: the store's protocol without a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aigp_lightning.store.locked_store import WAIT, LockedStore
from aigp_lightning.store.places import LINKS, StorePlaces
from aigp_lightning.store.promotion import Promoted, promote_files
from aigp_lightning.store.receipt import FileFact, write_receipt


def promote_bytes(
    places: StorePlaces,
    name: str,
    content: bytes,
    keep: int = 5,
    links: bool = LINKS,
    note: str = "",
    wait: float = WAIT,
) -> Promoted:
    """Promote a checkpoint and an export of these bytes."""
    with LockedStore(places, wait, links) as store:
        return promote_files(store, name, files_of(places.root.parent, content), ReceiptWriter(note), keep)


def files_of(folder: Path, content: bytes = b"") -> dict[str, Path]:
    """Two files of the bytes, in a folder beside the store."""
    source = folder / f"run-{content[:8].decode('ascii')}"
    if not source.is_dir():
        source.mkdir(parents=True)
        (source / "best.ckpt").write_bytes(content)
        (source / "best.onnx").write_bytes(content[::-1])
    return {name: source / name for name in ("best.ckpt", "best.onnx")}


class ReceiptWriter:
    """Writes a receipt of the files alone."""

    def __init__(self, note: str = "") -> None:
        self.note = note

    def __call__(self, path: Path, version: str, facts: Mapping[str, FileFact]) -> None:
        files = {name: {"sha256": fact.sha256, "bytes": fact.bytes} for name, fact in facts.items()}
        write_receipt(path, {"receipt": 1, "files": files, "decision": {"note": self.note}})
