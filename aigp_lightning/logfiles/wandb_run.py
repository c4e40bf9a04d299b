"""W&B's files of a run on this machine: its run file, and the mirror of the files it uploads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigp_lightning.logfiles.paths import is_file, listing
from aigp_lightning.logfiles.wandb_places import FILE, mirror_entries, wandb_folders
from aigp_lightning.logfiles.wandb_records import read_records
from aigp_lightning.logfiles.wandb_values import integer, media_files, nest, plain

__all__ = ["FILE", "MEDIA", "WandbArtifact", "WandbMedia", "WandbRun", "last_row", "read_wandb_run", "wandb_folders"]

MEDIA = "media/"
TAIL = 1 << 18
"""Bytes at the end of a run file in which its last rows are looked for."""
RUN_FIELDS = (
    *("run_id", "project", "display_name", "config", "summary", "host", "git", "telemetry", "start_time"),
    *("starting_step", "storage_id", "resumed", "resume", "runtime", "forked"),
)
"""Fields of the run's record that say which run it is, or are read one by one."""


@dataclass(frozen=True)
class WandbMedia:
    """A picture, or another media file, that a row of the history names.

    Attributes:
        key: its name; of a file with boxes, the picture's with the name of the boxes.
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


@dataclass(frozen=True)
class WandbArtifact:
    """An artifact that was logged.

    Attributes:
        kind: its type, `model` for weights.
        name: its name.
        size: bytes of its files.
        files: their names.
    """

    kind: str
    name: str
    size: int
    files: tuple[str, ...] = ()


@dataclass
class WandbRun:
    """One W&B folder, `wandb/run-…` or `wandb/offline-run-…`.

    Attributes:
        folder: the folder.
        history: rows, as logged.
        media: what rows name.
        config: hyper-parameters, without W&B's own part.
        own_config: W&B's own part of them.
        summary: figures of the run as a whole.
        metrics: names that were defined for rows.
        files: names of files W&B was told to upload, relative to the mirror.
        console: lines of the terminal's output.
        stats: samples of system metrics.
        artifacts: each that was logged.
        run_id: in the run's record.
        labels: what the run's record has beside names of run and project: entity, notes, tags, group and so on.
        host: in the run's record.
        git: remote and commit in the run's record.
        environment: the environment record, by field.
        others: number of records of kinds not named here; of those named, what they have that W&B's usually have not.
        begun: whether the file has the run's own record, without which nothing of it can be sent.
        ended: whether the file has the run's end.
        damage: what cannot be read, a sentence each.
    """

    folder: Path
    history: list[dict[str, Any]] = field(default_factory=list)
    media: list[WandbMedia] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    own_config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    console: int = 0
    stats: int = 0
    artifacts: list[WandbArtifact] = field(default_factory=list)
    run_id: str = ""
    labels: dict[str, Any] = field(default_factory=dict)
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
        return next((path for path in self.run_files() if path.name.startswith("run-")), self.folder / "run-*.wandb")

    def run_files(self) -> list[Path]:
        """List every run file in the folder: W&B makes one."""
        return [path for path in listing(self.folder, "*.wandb") if is_file(path)]

    def mirrored(self) -> Iterator[str]:
        """List every file of the mirror, relative to it."""
        yield from (name for name, what in self.entries() if what == FILE)

    def entries(self) -> Iterator[tuple[str, str]]:
        """List everything in the mirror but folders, relative to it, and what each is: see `mirror_entries`."""
        yield from mirror_entries(self.mirror)


def read_wandb_run(folder: Path, tail: int | None = None) -> WandbRun:
    """Read a run file, as far as it goes.

    Args:
        folder: one of `wandb_folders`.
        tail: only the records in about this many bytes at its end.

    Raises:
        OSError: the run file cannot be read.
    """
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record

    run = WandbRun(folder)
    if not is_file(run.file):
        run.damage.append("the run file is missing.")
        return run
    for raw in read_records(run.file, run.damage, tail):
        try:
            _add_record(run, Record.FromString(raw))
        except DecodeError:
            run.damage.append("a record is not one of W&B's.")
    return run


def last_row(folder: Path, tail: int = TAIL) -> int:
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
    readers: dict[str, Callable[[WandbRun, Any], None]] = {
        **{"history": _add_history, "run": _add_run, "config": _add_config, "summary": _add_summary},
        **{"metric": _add_metric, "telemetry": _add_telemetry, "artifact": _add_artifact},
    }
    if kind in readers:
        readers[kind](run, content)
    elif kind == "files":
        run.files += [item.path.replace("\\", "/") for item in content.files]
    elif kind in ("output", "output_raw"):
        run.console += 1
    elif kind == "stats":
        run.stats += 1
    elif kind == "environment":
        run.environment.update(plain(content))
    elif kind == "exit":
        run.ended = True
    else:
        run.others[kind] += 1


def _add_artifact(run: WandbRun, content: Any) -> None:
    files = content.manifest.contents
    names = tuple(item.path for item in files)
    run.artifacts.append(WandbArtifact(content.type, content.name, sum(item.size for item in files), names))


def _add_metric(run: WandbRun, content: Any) -> None:
    run.metrics |= {name for name in (content.name, content.glob_name, content.step_metric) if name}


def _add_run(run: WandbRun, content: Any) -> None:
    run.begun, run.run_id = True, content.run_id
    run.host, run.git = content.host, plain(content.git)
    run.labels.update({key: value for key, value in plain(content).items() if key not in RUN_FIELDS})
    _add_config(run, content.config)
    _add_summary(run, content.summary)
    _add_telemetry(run, content.telemetry)


def _add_telemetry(run: WandbRun, content: Any) -> None:
    run.others["telemetry label"] += content.HasField("label")


def _add_summary(run: WandbRun, content: Any) -> None:
    nest(run.summary, content.update)
    for item in content.remove:
        run.summary.pop(item.key or next(iter(item.nested_key), ""), None)


def _add_config(run: WandbRun, content: Any) -> None:
    nest(run.config, content.update)
    for item in content.remove:
        run.config.pop(item.key or next(iter(item.nested_key), ""), None)
    own = run.config.pop("_wandb", None)
    if isinstance(own, dict):
        run.own_config.update(own)
    elif own is not None:
        run.own_config["_wandb"] = own


def _add_history(run: WandbRun, content: Any) -> None:
    row: dict[str, Any] = {}
    nest(row, content.item)
    run.history.append(row)
    epoch = integer(row.get("epoch"), None)
    at = int(content.step.num) if content.HasField("step") else integer(row.get("_step"), len(run.history) - 1)
    for key, value in row.items():
        for name, path, digest, size in media_files(value):
            run.media.append(WandbMedia(f"{key}{name}", epoch, at, path.replace("\\", "/"), digest, size))
