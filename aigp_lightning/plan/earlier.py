"""The earlier starts of the run that a plan is about: where it goes on, and what has left already."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aigp_lightning.checkpoints.load import read_checkpoint, read_metadata
from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.errors import DataError, first_line
from aigp_lightning.logfiles.folders import find_wandb_folders
from aigp_lightning.logfiles.wandb_places import waits_for_sync
from aigp_lightning.media.ledger.counts import LedgerCounts
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, LEFT, read_ledger
from aigp_lightning.run.folder import RunConfig
from aigp_lightning.run.start import find_folder


@dataclass
class EarlierStarts:
    """The state of a run that is to be resumed: its folder, next epoch, and what has left.

    Attributes:
        folder: its folder; None where the run begins.
        epoch: the first that is to come, from 0.
        counts: what its ledger says.
        waiting: bytes of that which W&B has offline on this disk, not synced yet.
        checkpoint: that it goes on from; None without one.
        names: class names by the ids of the model in it.
    """

    folder: Path | None = None
    epoch: int = 0
    counts: LedgerCounts = field(default_factory=LedgerCounts)
    waiting: int = 0
    checkpoint: str | None = None
    names: dict[int, str] = field(default_factory=dict)


def earlier_starts(config: RunConfig, task: str, checkpoint: str | None) -> EarlierStarts:
    """Find the run that `fit` would go on with; nothing is written there.

    Args:
        config: of the run.
        task: `detect`, `pose` or `segment`.
        checkpoint: `--ckpt_path`: a file, a run folder, `last`, or None.

    Raises:
        ConfigError: `last`, and there is no run of this name.
        DataError: its ledger cannot be read.
        WeightsError: its checkpoint cannot be read.
    """
    parent = Path(config.root) / task
    folder, resuming = find_folder(config, parent, checkpoint), True
    if checkpoint is None or checkpoint == "last" or Path(checkpoint).is_dir():
        checkpoint = str(folder / LAST) if folder is not None and (folder / LAST).is_file() else None
    if folder is None and config.exist_ok and (parent / config.name).is_dir():
        folder, resuming = parent / config.name, False
    epoch = 0 if checkpoint is None or not resuming else _epochs_of(checkpoint)
    counts = LedgerCounts()
    if folder is not None and (path := folder / LEDGER_FILE).is_file():
        try:
            for line in read_ledger(path):
                counts.count(line)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({first_line(error)}): what has left is not known.") from error
    if not resuming:
        counts.forget()
    names = {} if checkpoint is None or not resuming else read_metadata(Path(checkpoint))["names"]
    waiting = 0 if folder is None else _waiting(folder, counts)
    return EarlierStarts(folder, epoch, counts, waiting, checkpoint if names else None, names)


def _waiting(folder: Path, counts: LedgerCounts) -> int:
    """Return the bytes at those W&B loggers all of whose folders wait to be synced."""
    waits: dict[str, bool] = {}
    for destination, place in find_wandb_folders(folder):
        waits[destination] = waits.get(destination, True) and waits_for_sync(place)
    names = [name for name, all_of_it in waits.items() if all_of_it]
    return sum(counts.total(outcome, names) for outcome in LEFT)


def _epochs_of(checkpoint: str) -> int:
    """Return how many epochs a checkpoint has behind it."""
    epoch = read_checkpoint(checkpoint).get("epoch", -1)
    return epoch + 1 if isinstance(epoch, int) else 0
