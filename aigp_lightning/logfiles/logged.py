"""Scalars and rows that loggers have on disk, so that a resumed run does not log them a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from aigp_lightning.logfiles.event_file import event_files, read_event_file
from aigp_lightning.logfiles.wandb_run import read_wandb_run, wandb_folders

STEP = "trainer/global_step"


class LoggedScalars(NamedTuple):
    """Scalars that event files hold.

    Attributes:
        points: how often there is a scalar, by name and step.
        epochs: where the files say which epoch it is: steps, and the epochs said there.
    """

    points: Counter[tuple[str, int]]
    epochs: set[tuple[int, float]]


def logged_scalars(folder: Path) -> LoggedScalars:
    """Collect the scalars that event files below a folder hold; each file is read once.

    Raises:
        OSError: a file cannot be read.
    """
    found = LoggedScalars(Counter(), set())
    for file in map(read_event_file, event_files(folder)):
        found.points.update(file.points)
        found.epochs.update(file.epochs)
    return found


def logged_rows(folder: Path, run_id: str | None = None) -> Counter[tuple[frozenset[str], int]]:
    """Count the rows of metrics that W&B's folders hold, by names and step.

    Args:
        folder: the run folder, or wherever else its `wandb` lies.
        run_id: only rows of this W&B run.

    Raises:
        OSError: a file cannot be read.
    """
    return Counter(
        (row_names(row), int(row[STEP]))
        for place in wandb_folders(folder, run_id)
        for row in read_wandb_run(place).history
        if isinstance(row.get(STEP), int)
    )


class SkipsLogged:
    """A mix-in before a logger that skips what an earlier start of the run has logged at the same step.

    Attributes:
        _logged: counts of what is to be skipped, by name and step.

    Example:
        >>> logger = SkipsLogged()
        >>> logger._logged = Counter({("loss", 7): 1, ("loss", 9): 0})
        >>> logger.forget_logged(), logger.forget_logged()
        (7, -1)
    """

    _logged: Counter[Any]

    def forget_logged(self) -> int:
        """Skip nothing any more, since steps count other batches now; return the last step that is logged, else -1."""
        last = max((int(step) for (_, step), count in self._logged.items() if count > 0), default=-1)
        self._logged.clear()
        return last


def row_names(row: Iterable[str]) -> frozenset[str]:
    """Return the names that a row has values for, without the step and what W&B itself adds.

    Example:
        >>> sorted(row_names({"epoch": 1, "loss": 0.5, "_step": 7, "trainer/global_step": 30}))
        ['epoch', 'loss']
    """
    return frozenset(name for name in row if not name.startswith("_") and name != STEP)
