"""A run folder is put in order after a kill, before the run is resumed.

A run that was stopped resumes after its last complete epoch. What its loggers got of the epoch it was in, they have:
they find it in their own files and log it once (see `logfiles/logged.py`).
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path

from aigp_lightning.checkpoints.io import finish_commit
from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.logfiles.event_file import event_cut, is_being_written, read_event_file
from aigp_lightning.logfiles.folders import followed_event_files as event_files
from aigp_lightning.logfiles.folders import followed_wandb_folders as wandb_folders
from aigp_lightning.logfiles.wandb_records import record_cut
from aigp_lightning.logfiles.wandb_run import MEDIA, WandbRun, read_wandb_run
from aigp_lightning.media.ledger import LEDGER_FILE, Entry, Ledger, Line, read_ledger

Picture = tuple[str, int, str, int]
"""Key, epoch, SHA-256 and bytes of a picture that a logger has."""
FOUND = "found with the logger when the run went on"
"""Reason in the ledger; runs of earlier versions have it too."""
HALF = (".*.part", "*.tmp", "masked/.*.part", "history/*/.*.part")
"""Files that were being written."""


def repair_run_folder(folder: Path) -> None:
    """Finish or remove what a kill has cut short.

    Checkpoints of one epoch count together or not at all; half-written files and the cut-off ends of event files and of
    offline W&B runs are removed; pictures that a logger has and the ledger does not know yet are noted.

    Args:
        folder: the run's; no other process writes there.
    """
    finish_commit((folder / LAST).parent)
    for path in (path for form in HALF for path in folder.glob(form)):
        path.unlink(missing_ok=True)
    for path in event_files(folder):
        if path.is_relative_to(folder) or not is_being_written(path):  # elsewhere, other runs may write
            _cut(path, event_cut(path))
    for place in _offline_folders(folder):
        _repair_offline_folder(place)
    if (folder / LEDGER_FILE).is_file():
        _note_sent(folder / LEDGER_FILE, "tensorboard", _event_pictures(folder))
        _note_sent(folder / LEDGER_FILE, "wandb", _row_pictures(folder))


# ---- files -----------------------------------------------------------------------------------------------------------


def _cut(path: Path, at: int | None) -> None:
    if at is not None:
        with path.open("r+b") as file:
            file.truncate(at)


def _offline_folders(folder: Path) -> list[Path]:
    return [place for place in wandb_folders(folder) if place.name.startswith("offline-")]


def _repair_offline_folder(place: Path) -> None:
    """Leave in an offline W&B folder what `wandb sync` can send: nothing of it has left this machine yet."""
    run = read_wandb_run(place)
    if not run.begun:
        shutil.rmtree(place, ignore_errors=True)
        return
    _cut(run.file, record_cut(run.file))
    named = {media.path for media in run.media}
    for name in [name for name in run.mirrored() if name.startswith(MEDIA) and name not in named]:
        (run.mirror / name).unlink(missing_ok=True)  # copied there; the row that names it was not written any more


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


def _note_sent(path: Path, destination: str, pictures: Iterable[Picture]) -> None:
    """Add the ledger's lines of pictures that a logger got just before the kill."""
    lines = read_ledger(path)
    written = {(line.key, line.epoch): line for line in lines if line.outcome == "written"}
    noted = Counter((x.key, x.epoch, x.sha256) for x in lines if x.destination == destination and x.outcome == "sent")
    ledger = Ledger(path)
    try:
        for key, epoch, digest, size in pictures:
            if noted[key, epoch, digest] > 0:
                noted[key, epoch, digest] -= 1
            elif (line := written.get((key, epoch))) is not None:
                ledger.add(_sent(line, destination, digest, size))
    finally:
        ledger.close()


def _sent(line: Line, destination: str, digest: str, size: int) -> Entry:
    entry = Entry(**{field.name: getattr(line, field.name) for field in fields(Entry)})
    entry = replace(entry, destination=destination, outcome="sent", reason=FOUND)
    if digest == line.sha256:
        return entry
    return replace(entry, file=f"masked/{line.file}", sha256=digest, bytes=size)  # which cells, only the line would say
