"""W&B's files of a run on this machine: its run file, and the mirror of the files it uploads."""

from __future__ import annotations

import glob
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aigp_lightning.logfiles.wandb_records import read_records

MEDIA = "media/"
Number = TypeVar("Number", int, None)


@dataclass(frozen=True)
class WandbMedia:
    """A picture, or another media file, that a row of the history names.

    Attributes:
        key: its name.
        epoch: what the row says; None if it says nothing.
        row: W&B's own step.
        path: relative to the mirror.
        sha256: as the row says; empty if it says nothing, as for a list of pictures.
        size: bytes, as the row says; 0 if it says nothing.
    """

    key: str
    epoch: int | None
    row: int
    path: str
    sha256: str
    size: int


@dataclass
class WandbRun:
    """One W&B folder, `wandb/run-…` or `wandb/offline-run-…`.

    Attributes:
        folder: the folder.
        history: rows, as logged.
        media: what rows name.
        config: hyper-parameters, without W&B's own part.
        files: names of files W&B was told to upload, relative to the mirror.
        console: lines of the terminal's output.
        stats: samples of system metrics.
        artifacts: `(type, name, bytes)` of each.
        host: in the run's record.
        git: remote and commit in the run's record.
        environment: the environment record, by field.
        others: number of records of kinds not named here.
        begun: whether the file has the run's own record, without which nothing of it can be sent.
        ended: whether the file has the run's end.
        damage: what cannot be read, a sentence each.
    """

    folder: Path
    history: list[dict[str, Any]] = field(default_factory=list)
    media: list[WandbMedia] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    console: int = 0
    stats: int = 0
    artifacts: list[tuple[str, str, int]] = field(default_factory=list)
    host: str = ""
    git: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    begun: bool = False
    ended: bool = False
    damage: list[str] = field(default_factory=list)

    @property
    def mirror(self) -> Path:
        """Folder of the files that are uploaded."""
        return self.folder / "files"

    @property
    def file(self) -> Path:
        """The run file, if there is one."""
        return next(iter(sorted(self.folder.glob("run-*.wandb"))), self.folder / "run-*.wandb")

    def mirrored(self) -> Iterator[str]:
        """List every file of the mirror, relative to it."""
        yield from (path.relative_to(self.mirror).as_posix() for path in self.mirror.rglob("*") if path.is_file())


def wandb_folders(run: Path, run_id: str | None = None) -> list[Path]:
    """Find W&B's folders of a run, one for each start, oldest first; `latest-run` is only a link to one of them.

    Args:
        run: the run folder.
        run_id: only folders of this W&B run.
    """
    form = "*run-*" if run_id is None else f"*run-*-{glob.escape(run_id)}"
    folders = (path for path in (run / "wandb").glob(form) if path.is_dir() and not path.is_symlink())
    return sorted(folders, key=lambda path: path.name.partition("run-")[2])


def read_wandb_run(folder: Path) -> WandbRun:
    """Read a run file, as far as it goes.

    Args:
        folder: one of `wandb_folders`.

    Raises:
        OSError: the run file cannot be read.
    """
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record

    run = WandbRun(folder)
    if not run.file.exists():
        run.damage.append("the run file is missing.")
        return run
    for raw in read_records(run.file, run.damage):
        try:
            _add_record(run, Record.FromString(raw))
        except DecodeError:
            run.damage.append("a record is not one of W&B's.")
    return run


def last_row(folder: Path, tail: int = 1 << 18) -> int:
    """Return W&B's own step of the last row that is on disk; -1 for none.

    Args:
        folder: one of `wandb_folders`.
        tail: bytes at the end of the run file in which to look.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    file, step = WandbRun(folder).file, -1
    for raw in read_records(file, [], tail) if file.exists() else ():
        record = Record.FromString(raw)
        if record.WhichOneof("record_type") == "history":
            step = int(record.history.step.num)
    return step


def _add_record(run: WandbRun, record: Any) -> None:
    kind: str = record.WhichOneof("record_type") or "unknown"
    content: Any = getattr(record, kind, None)
    if kind == "history":
        _add_history(run, content)
    elif kind in ("run", "config"):
        _add_config(run, content.config if kind == "run" else content)
        if kind == "run":
            run.begun = True
            run.host, run.git = content.host, _plain(content.git)
    elif kind == "files":
        run.files += [item.path.replace("\\", "/") for item in content.files]
    elif kind in ("output", "output_raw"):
        run.console += 1
    elif kind == "stats":
        run.stats += 1
    elif kind == "environment":
        run.environment.update(_plain(content))
    elif kind == "artifact":
        size = sum(item.size for item in content.manifest.contents)
        run.artifacts.append((content.type, content.name, size))
    elif kind == "exit":
        run.ended = True
    else:
        run.others[kind] += 1


def _plain(message: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    plain: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return {key: value for key, value in plain.items() if not key.startswith("_")}


def _add_config(run: WandbRun, content: Any) -> None:
    _nest(run.config, content.update)
    for item in content.remove:
        run.config.pop(item.key or next(iter(item.nested_key), ""), None)
    run.config.pop("_wandb", None)


def _add_history(run: WandbRun, content: Any) -> None:
    row: dict[str, Any] = {}
    _nest(row, content.item)
    run.history.append(row)
    epoch = row.get("epoch")
    at = int(content.step.num) if content.HasField("step") else _integer(row.get("_step"), len(run.history) - 1)
    for key, value in row.items():
        for path, digest, size in _media(value):
            run.media.append(WandbMedia(key, _integer(epoch, None), at, path.replace("\\", "/"), digest, size))


def _nest(into: dict[str, Any], items: Any) -> None:
    """Put items back together: W&B writes a dict as one item for each of its leaves."""
    for item in items:
        *outer, last = list(item.nested_key) or [item.key]
        place = into
        for name in outer:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                inner = place[name] = {}
            place = inner
        place[last] = _value(item)


def _value(item: Any) -> Any:
    """Read a value; some of W&B's versions have fields for plain ones beside JSON."""
    text = item.value_json
    if not text:
        kind = next((name for name in ("boolean", "integer", "number", "text", "json") if _has(item, name)), None)
        if kind != "json":
            return None if kind is None else getattr(item, kind)
        text = item.json
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _integer(value: Any, otherwise: Number) -> int | Number:
    """Convert a value to an integer; returns `otherwise` if it is no number, or NaN or infinite."""
    try:
        return int(value) if isinstance(value, int | float) else otherwise
    except (ValueError, OverflowError):  # NaN, infinity
        return otherwise


def _has(item: Any, name: str) -> bool:
    return name in item.DESCRIPTOR.fields_by_name and bool(item.HasField(name))


def _media(value: Any) -> Iterator[tuple[str, str, int]]:
    """Yield path, SHA-256 and size of every media file in a value, at any depth."""
    if not isinstance(value, dict):
        return
    if "_type" in value and isinstance(value.get("path"), str):
        yield value["path"], str(value.get("sha256", "")), _integer(value.get("size"), 0)
    elif "_type" in value and isinstance(value.get("filenames"), list):
        yield from ((str(name), "", 0) for name in value["filenames"])
    else:
        for inner in value.values():
            yield from _media(inner)
