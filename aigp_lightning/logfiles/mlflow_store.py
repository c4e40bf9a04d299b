"""Reads MLflow's folders on a disk as data: where runs keep artifacts, the pictures among these, scalars.

A store is `<root>/<experiment>/<run>/`, with `meta.yaml`, `artifacts/`, `metrics/`, `tags/`; an SQLite database has the
same rows, and artifacts in such folders.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from aigp_lightning.logfiles.paths import is_dir, is_file, is_link, listing, reason_of, walk
from aigp_lightning.logfiles.run_config import read_yaml

PICTURES = "pictures"
EPOCH = re.compile(r"epoch(\d{4,})\.\w+")
HALF = ".artifact.uploading."
"""Name of an artifact that MLflow has not written in full."""
LARGEST = 1 << 20
"""Bytes of a tag or of a list of values that are read."""


@dataclass(frozen=True)
class StoredPicture:
    """A picture among a run's artifacts.

    Attributes:
        key: the logger's name for it.
        epoch: from 0; None where its name says none.
        sha256: of its bytes.
        size: bytes.
        path: of the file.
    """

    key: str
    epoch: int | None
    sha256: str
    size: int
    path: Path


@dataclass
class StoredRun:
    """The contents of a run's artifact folder, and of what is beside it in a store of folders.

    Attributes:
        artifacts: the folder.
        pictures: all of them.
        others: names of other artifacts, relative to the folder.
        damage: names of what cannot be read, and why.
        values: how many values each scalar has.
        tags: by name.
    """

    artifacts: Path
    pictures: list[StoredPicture] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    damage: list[tuple[str, str]] = field(default_factory=list)
    values: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def read_stored_run(artifacts: Path) -> StoredRun:
    """Read a run's artifact folder.

    Args:
        artifacts: the folder.
    """
    run, unread = StoredRun(artifacts), list[tuple[Path, str]]()
    for place, _, names in walk(artifacts, unread):
        inside = place.relative_to(artifacts)
        for name in names:
            _add(run, place / name, inside.parts)
    run.damage += [(path.relative_to(artifacts).as_posix(), why) for path, why in unread]
    beside = artifacts.parent
    run.values = {name: data.count(b"\n") for name, data in _files(beside / "metrics")}
    run.tags = {name: data.decode("utf-8", errors="replace") for name, data in _files(beside / "tags")}
    return run


def _add(run: StoredRun, path: Path, folders: tuple[str, ...]) -> None:
    name = path.relative_to(run.artifacts).as_posix()
    if (
        folders[:1] != (PICTURES,)
        or not folders[1:]
        or path.name.startswith(HALF)
        or is_link(path)
        or not is_file(path)
    ):
        run.others.append(name)
        return
    try:
        data = path.read_bytes()
    except OSError as error:
        run.damage.append((name, reason_of(error)))
        return
    match = EPOCH.fullmatch(path.name)
    epoch = int(match[1]) if match else None
    run.pictures.append(StoredPicture("/".join(folders[1:]), epoch, sha256(data).hexdigest(), len(data), path))


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names, relative to a folder, and contents of what a store keeps a value each in."""
    for place, _, names in walk(folder):
        for path in (place / name for name in names):
            try:
                with path.open("rb") as file:
                    yield path.relative_to(folder).as_posix(), file.read(LARGEST)
            except OSError:
                continue


def half_written(artifacts: Path) -> Iterator[Path]:
    """Find artifacts that a kill has kept from being written in full."""
    for place, _, names in walk(artifacts):
        yield from (place / name for name in names if name.startswith(HALF))


def artifact_location(store: Path, experiment: str, run_id: str | None = None) -> str | None:
    """Return the address below which an experiment, or one run of it, keeps artifacts; None if there is none yet.

    Args:
        store: the folder of a store, or the file of an SQLite database.
        experiment: its name.
        run_id: of a run that is there already, whatever its experiment.

    Raises:
        OSError: it is there, and cannot be read.
    """
    if is_file(store):
        return _of_database(store, experiment, run_id)
    for meta in (path / "meta.yaml" for path in listing(store, "*") if is_dir(path)):
        paths = [meta] if run_id is None else [meta.parent / run_id / "meta.yaml"]
        for path in paths:
            if not is_file(path):
                continue
            content, problem = read_yaml(path)
            if problem or not isinstance(content, dict):
                raise OSError(f"{path} {problem}")
            if run_id is not None:
                return str(content.get("artifact_uri"))
            if content.get("name") == experiment:
                return str(content.get("artifact_location"))
    return None


def _of_database(file: Path, experiment: str, run_id: str | None) -> str | None:
    question = ("select artifact_location from experiments where name = ?", experiment)
    if run_id is not None:
        question = ("select artifact_uri from runs where run_uuid = ?", run_id)
    try:
        with closing(sqlite3.connect(f"file:{os.path.abspath(file)}?mode=ro", uri=True)) as database:
            row = database.execute(question[0], question[1:]).fetchone()
    except sqlite3.Error as error:
        if "no such table" in str(error):
            return None
        raise OSError(f"{file}: {error}") from error
    return None if row is None else str(row[0])
