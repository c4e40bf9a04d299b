"""What an earlier start of a run has left in its folder: put in order after a kill, and not handed over twice.

A run that was stopped goes on after its last whole epoch. What its loggers got of the epoch it was in, they have: rows,
scalars and pictures that come again are passed over.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.audit.check_tensorboard import event_files
from aigp_lightning.checkpoints.io import finish_commit
from aigp_lightning.logfiles.event_file import event_cut, read_event_file
from aigp_lightning.logfiles.wandb_records import record_cut
from aigp_lightning.logfiles.wandb_run import MEDIA, WandbRun, read_wandb_run, wandb_folders
from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger
from aigp_lightning.loggers.wandb import ResilientWandbLogger, row_names
from aigp_lightning.media.ledger import LEDGER_FILE, Entry, Ledger, Line, read_ledger
from aigp_lightning.run.folder import LAST

if TYPE_CHECKING:
    import lightning.pytorch as pl

Picture = tuple[str, int, str, int]
"""Key, epoch, SHA-256 and bytes of a picture that a logger has."""
FOUND = "found with the logger when the run went on"
HALF = (".*.part", "*.tmp", "masked/.*.part", "history/*/.*.part")
"""Files that were being written."""


def recover_run(trainer: pl.Trainer, ckpt: str | None) -> None:
    """Prepare a run's folder and loggers for a further start, before any logger is opened.

    Args:
        trainer: its loggers learn what they have.
        ckpt: what the run goes on from. From another file than `last.ckpt` it is told anew what follows: somebody has
            gone back on purpose.
    """
    folder = Path(trainer.default_root_dir)
    repair_run_folder(folder)
    if ckpt is not None and Path(ckpt).resolve() != folder / LAST:
        return
    for logger in trainer.loggers:
        if isinstance(logger, ResilientTensorBoardLogger):
            logger.known = known_scalars(Path(logger.log_dir))
        elif isinstance(logger, ResilientWandbLogger):
            logger.known = known_rows(folder)


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
        _cut(path, event_cut(path))
    for place in _offline(folder):
        _mend(place)
    if (folder / LEDGER_FILE).is_file():
        _complete(folder / LEDGER_FILE, "tensorboard", _in_events(folder))
        _complete(folder / LEDGER_FILE, "wandb", _in_rows(folder))


def known_scalars(folder: Path) -> Counter[tuple[str, int]]:
    """Names and steps of the scalars that event files below a folder have, with how often."""
    return sum((read_event_file(path).points for path in event_files(folder)), Counter[tuple[str, int]]())


def known_rows(folder: Path) -> Counter[tuple[frozenset[str], int]]:
    """Names and step of the rows of metrics that a run's W&B folders have, with how often."""
    return Counter(
        (row_names(row), int(row["trainer/global_step"]))
        for place in wandb_folders(folder)
        for row in read_wandb_run(place).history
        if isinstance(row.get("trainer/global_step"), int)
    )


# ---- files -----------------------------------------------------------------------------------------------------------


def _cut(path: Path, at: int | None) -> None:
    if at is not None:
        with path.open("r+b") as file:
            file.truncate(at)


def _offline(folder: Path) -> list[Path]:
    return [place for place in wandb_folders(folder) if place.name.startswith("offline-")]


def _mend(place: Path) -> None:
    """Make an offline W&B folder one that `wandb sync` takes whole: nothing of it has left this machine."""
    run = read_wandb_run(place)
    if not run.begun:
        shutil.rmtree(place, ignore_errors=True)
        return
    _cut(run.file, record_cut(run.file))
    named = {media.path for media in run.media}
    for name in [name for name in run.mirrored() if name.startswith(MEDIA) and name not in named]:
        (run.mirror / name).unlink(missing_ok=True)  # copied there; the row that names it was not written any more


# ---- the ledger ------------------------------------------------------------------------------------------------------


def _in_events(folder: Path) -> Iterator[Picture]:
    for path in event_files(folder):
        for image in read_event_file(path).images:
            yield image.tag, image.step, image.sha256, image.size


def _in_rows(folder: Path) -> Iterator[Picture]:
    runs: Iterable[WandbRun] = map(read_wandb_run, wandb_folders(folder))
    for media in (media for run in runs for media in run.media):
        if media.epoch is not None and media.sha256:
            yield media.key, media.epoch, media.sha256, media.size


def _complete(path: Path, destination: str, handed: Iterable[Picture]) -> None:
    """Note pictures that were handed over just before the kill, whose line was not written any more."""
    lines = read_ledger(path)
    written = {(line.key, line.epoch): line for line in lines if line.outcome == "written"}
    noted = Counter((x.key, x.epoch, x.sha256) for x in lines if x.destination == destination and x.outcome == "sent")
    ledger = Ledger(path)
    try:
        for key, epoch, digest, size in handed:
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
