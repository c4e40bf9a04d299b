"""A run folder is put in order after a kill, before the run is resumed.

Only what a run of ours has made is cut or removed: the user may keep other things in the folder.

A run that was stopped resumes after its last complete epoch. What its loggers got of the epoch it was in, they have:
they find it in their own files and log it once (see `logfiles/logged.py`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from aigp_lightning.checkpoints.io import finish_commit
from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.files import is_half_written
from aigp_lightning.logfiles.event_file import event_cut, is_being_written, read_event_file
from aigp_lightning.logfiles.folders import followed_event_files as event_files
from aigp_lightning.logfiles.folders import followed_wandb_folders as wandb_folders
from aigp_lightning.logfiles.folders import logger_folders, wandb_ids
from aigp_lightning.logfiles.mlflow_store import half_written, read_stored_run
from aigp_lightning.logfiles.wandb_places import is_of_run
from aigp_lightning.logfiles.wandb_records import record_cut
from aigp_lightning.logfiles.wandb_run import MEDIA, WandbRun, read_wandb_run
from aigp_lightning.media.ledger.ledger import FOUND, LEDGER_FILE, Entry, Ledger, Line, read_ledger, settled
from aigp_lightning.run.folder import IMAGE_RESULTS, PICTURES, TEXTS
from aigp_lightning.run.moved_store import follow_moved_stores

__all__ = ["FOUND", "repair_run_folder"]

Picture = tuple[str, int, str, int]
"""Key, epoch, SHA-256 and bytes of a picture that a logger has."""
WRITTEN = {
    "": (*TEXTS, *PICTURES, IMAGE_RESULTS),
    "masked": PICTURES,
    "history/epoch*": PICTURES,
    "nonfinite": ("epoch*.jpg", "epoch*.json", "epoch*.pt"),
}
"""Folders of a run in which it writes files atomically, beside the one of its weights, and patterns of their names."""
COPY = re.compile(r"(?P<key>.+)_[0-9]+_[0-9a-f]{20}\.(jpg|png|boxes2D\.json)")
"""Name of W&B's copy of a picture, or of its boxes: logger key, row, beginning of the SHA-256."""


def repair_run_folder(folder: Path) -> None:
    """Finish or remove what a kill has cut short.

    Checkpoints of one epoch count together or not at all; half-written files and the cut-off ends of event files and of
    offline W&B runs are removed; pictures that a logger has and the ledger does not know yet are noted.

    Args:
        folder: the run's; no other process writes there.
    """
    finish_commit((folder / LAST).parent)
    for below, names in WRITTEN.items():
        for path in folder.glob(f"{below}/.*.part".lstrip("/")):
            if path.is_file() and is_half_written(path, names):
                path.unlink(missing_ok=True)
    for path in event_files(folder):
        if path.is_relative_to(folder) or not is_being_written(path):  # elsewhere, other runs may write
            _cut(path, event_cut(path))
    follow_moved_stores(folder)
    artifacts = [each.folder for each in logger_folders(folder, "mlflow") if each.folder is not None and each.is_there]
    for path in (path for place in artifacts for path in half_written(place)):
        path.unlink(missing_ok=True)
    ledger = folder / LEDGER_FILE
    usable = ledger.is_file() and os.access(ledger, os.R_OK | os.W_OK)
    keys = {line.key for line in read_ledger(ledger)} if usable else set()
    for place in _offline_folders(folder):
        _repair_offline_folder(place, keys)
    if usable:  # else the run says so, and sends nothing
        pictures = {"tensorboard": list(_event_pictures(folder)), "wandb": list(_row_pictures(folder))}
        pictures["mlflow"] = list(_stored_pictures(artifacts))
        _settle(folder, pictures)
        for kind, those in pictures.items():
            _note_sent(ledger, kind, those)


# ---- files -----------------------------------------------------------------------------------------------------------


def _cut(path: Path, at: int | None) -> None:
    if at is not None:
        with path.open("r+b") as file:
            file.truncate(at)


def _offline_folders(folder: Path) -> list[Path]:
    """Find the folders of this run's own W&B runs; others that lie there are somebody else's."""
    offline = [place for place in wandb_folders(folder) if place.name.startswith("offline-")]
    return [place for place in offline if any(is_of_run(place, run_id) for run_id in wandb_ids(folder))]


def _repair_offline_folder(place: Path, keys: Collection[str]) -> None:
    """Leave in an offline W&B folder what `wandb sync` can send: nothing of it has left this machine yet.

    Args:
        place: the folder.
        keys: logger keys of the run's pictures.
    """
    run = read_wandb_run(place)
    if not run.begun:
        if {path.name for path in place.iterdir()} <= {"files", "logs", "tmp", run.file.name}:
            shutil.rmtree(place, ignore_errors=True)
        return
    _cut(run.file, record_cut(run.file))
    named = {media.path for media in run.media}
    for name in [name for name in run.mirrored() if name.startswith(MEDIA) and name not in named]:
        copy = COPY.fullmatch(name.rpartition("/")[2])
        if copy is not None and copy["key"] in keys:
            (run.mirror / name).unlink(missing_ok=True)  # the row that names it was not written any more


# ---- the ledger ------------------------------------------------------------------------------------------------------


def _event_pictures(folder: Path) -> Iterator[Picture]:
    for path in event_files(folder):
        for image in read_event_file(path).images:
            yield image.tag, image.step, image.sha256, image.size


def _row_pictures(folder: Path) -> Iterator[Picture]:
    runs: Iterable[WandbRun] = map(read_wandb_run, wandb_folders(folder))
    for media in (media for run in runs for media in run.media):
        if media.epoch is not None and media.sha256:
            yield media.key, media.epoch, media.sha256, media.size


def _stored_pictures(artifacts: Iterable[Path]) -> Iterator[Picture]:
    for picture in (picture for place in dict.fromkeys(artifacts) for picture in read_stored_run(place).pictures):
        if picture.epoch is not None:
            yield picture.key, picture.epoch, picture.sha256, picture.size


def _settle(folder: Path, pictures: Mapping[str, Sequence[Picture]]) -> None:
    """Say in the ledger what became of the pictures that were being handed over when the run ended.

    Those that the logger has are sent. Those that it certainly has not are as if they had not been begun, and are
    handed over again. The rest stays unknown.
    """
    path = folder / LEDGER_FILE
    ledger = Ledger(path, reopen=True)
    try:
        if not ledger.in_flight:
            return
        kind = _kind(ledger.in_flight[0])
        lines = [line for line in read_ledger(path) if _kind(line) == kind]
        there = Counter((key, epoch, digest) for key, epoch, digest, _ in pictures.get(kind, ()))
        there -= Counter(_identity(line) for line in lines if line.outcome == "sent")
        outcomes = []
        for entry in ledger.in_flight:
            if there[_identity(entry)] > 0:
                there[_identity(entry)] -= 1
                outcomes.append(replace(entry, outcome="sent", reason=FOUND))
            elif _may_have_left(entry, folder, len({line.destination for line in lines})):
                outcomes.append(entry)
        ledger.settle(outcomes)
    finally:
        ledger.close()


def _may_have_left(entry: Entry, folder: Path, loggers: int) -> bool:
    """True if a picture may be with its logger although the logger's files do not show it.

    Args:
        entry: of the picture.
        folder: the run's.
        loggers: that the run has of this kind.
    """
    kind = _kind(entry)
    if kind == "mlflow":  # an artifact is there in full, or it is not; of a server nobody here knows
        noted = [x.folder for x in logger_folders(folder, kind) if x.destination == entry.destination]
        return not noted or not all(x and (x.is_dir() or x.is_relative_to(folder)) for x in noted)
    if kind == "tensorboard":  # the files of a logger in a bucket, or of one that keeps them nobody knows where
        noted = [x.folder for x in logger_folders(folder, kind) if x.noted and x.destination == entry.destination]
        if entry.is_remote or noted:
            return entry.is_remote or not all(x and (x.is_dir() or x.is_relative_to(folder)) for x in noted)
        return len({path.parent for path in event_files(folder)}) < loggers
    if kind != "wandb" or not (places := wandb_folders(folder)):
        return True
    if places[-1].name.startswith("offline-"):
        return False
    copies = WandbRun(places[-1]).mirrored()  # what is uploaded is copied there first
    return any(name.startswith(MEDIA) and f"_{entry.sha256[:20]}." in name for name in copies)


def _note_sent(path: Path, kind: str, pictures: Iterable[Picture]) -> None:
    """Add the ledger's lines of pictures that a logger has and the ledger does not say it was sent.

    Args:
        path: the ledger.
        kind: of logger; where a run has two of it, the first that lacks the picture counts as the one that has it.
        pictures: with loggers of this kind.
    """
    lines = read_ledger(path)
    mine = [line for line in settled(lines) if _kind(line) == kind]
    written = {(line.key, line.epoch): line for line in lines if line.outcome == "written"}
    noted = Counter(_identity(line) for line in mine if line.outcome == "sent")
    unknown = [line for line in mine if line.outcome == "unknown"]
    known = {(line.destination, line.key, line.epoch) for line in mine}
    names = list(dict.fromkeys(line.destination for line in mine))
    ledger = Ledger(path)
    try:
        for key, epoch, digest, size in pictures:
            doubt = next((line for line in unknown if _identity(line) == (key, epoch, digest)), None)
            if noted[key, epoch, digest] > 0:
                noted[key, epoch, digest] -= 1
            elif doubt is not None:
                unknown.remove(doubt)
                ledger.add(replace(doubt.entry, outcome="sent", reason=FOUND))
            elif (line := written.get((key, epoch))) is not None:
                name = next((name for name in names if (name, key, epoch) not in known), kind)
                known.add((name, key, epoch))
                ledger.add(_sent(line, name, digest, size))
    finally:
        ledger.close()


def _kind(entry: Entry) -> str:
    return entry.destination.partition(":")[0]


def _identity(entry: Entry) -> tuple[str, int, str]:
    return entry.key, entry.epoch, entry.sha256


def _sent(line: Line, destination: str, digest: str, size: int) -> Entry:
    entry = replace(line.entry, destination=destination, outcome="sent", reason=FOUND)
    if digest == line.sha256:
        return entry
    return replace(entry, file=f"masked/{line.file}", sha256=digest, bytes=size)  # which cells, only the line would say
