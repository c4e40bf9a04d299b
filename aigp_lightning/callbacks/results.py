"""One line an epoch: on the terminal and in `results.csv`.

Longer than 250 lines: the file's rows are written, read and judged in one place.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from aigp_lightning.callbacks.monitoring import EpochFigures
from aigp_lightning.errors import ConfigError, warn_user
from aigp_lightning.files import is_plain_name, open_regular, write_atomic
from aigp_lightning.modules.metrics.false_alarms import FALSE_ALARMS
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    import lightning.pytorch as pl

HIDDEN = {"fitness"}
PARTS = ("train/", "metrics/", "val/", "corners/", "gate/", "lr/")
"""Beginnings of the columns' names, in the file's order."""
LAST_EPOCH = 10_000_000
"""A row of a later one was not written by a run."""
BEST = ("metrics/", "corners/", "gate/")
"""Figures of the best epoch that a run's summary has, so that runs can be ranked by them."""
RISING = ("metrics/", "corners/visible_")
"""Columns in which more is better, but for false alarms; in all others, less is."""
SECOND = {"pose": "(P)", "mask": "(M)"}
"""Marks of what is judged beside boxes, in the names of metrics."""


@runtime_checkable
class SummarizesRun(Protocol):
    """A logger with figures of the run as a whole, beside its rows."""

    def summarize(self, values: Mapping[str, float | int | str]) -> None:
        """Set figures, numbers and words by name."""


class Results(EpochFigures):
    """Write losses, metrics and learning rates of every epoch to `results.csv`, in Ultralytics' columns.

    A row has a figure only if that was measured in its epoch; where an epoch has several validations, by the last one.
    A resumed run adds to the same file. A row that the disk does not take is kept and written with the next. On the
    first process, `last` holds the value of each figure when it was measured last, and `best` its best with the epoch,
    counted from 1: the highest of the metrics, the lowest of losses and errors.

    Args:
        filename: file in the run folder.
        print_lines: print a line an epoch as well.

    Example:
        >>> import tempfile
        >>> import lightning.pytorch as pl
        >>> from lightning.pytorch.demos.boring_classes import BoringModel
        >>> quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     trainer = pl.Trainer(
        ...         accelerator="cpu", max_epochs=2, limit_train_batches=1, limit_val_batches=0,
        ...         default_root_dir=folder, enable_model_summary=False, callbacks=[Results(print_lines=False)],
        ...         **quiet,
        ...     )
        ...     trainer.fit(BoringModel())
        ...     [row["epoch"] for row in read_rows(Path(folder) / "results.csv")]
        ['1', '2']
    """

    def __init__(self, filename: str = "results.csv", print_lines: bool = True) -> None:
        if not is_plain_name(filename):
            raise ConfigError(f"--results.filename {filename}: a file's plain name, such as results.csv.")
        self.filename, self.print_lines = filename, print_lines
        self._started = time.monotonic()
        self.last: dict[str, float] = {}
        self.best: dict[str, tuple[float, int]] = {}
        self._waiting: list[dict[str, str]] = []

    @property
    def seconds(self) -> float:
        """Time the run has trained, what came before it was resumed included."""
        return time.monotonic() - self._started

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; drop rows of epochs that a resumed run will train again."""
        self._started = time.monotonic()
        path = self._path(trainer)
        if trainer.is_global_zero and path.is_file():
            rows = _intact_rows(path)
            kept = [row for row in rows if (epoch_of_row(row) or 0) <= trainer.current_epoch]
            if kept:
                self._started -= float(kept[-1]["time"])
            for row in kept:
                values = {key: float(value) for key, value in row.items() if value and "/" in key}
                self._keep(values, epoch_of_row(row) or 0)
            if len(kept) < len(rows) or not path.read_bytes().endswith(b"\n"):
                _write(path, kept)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row, and print its line."""
        metrics = self.figures(trainer)  # the processes exchange what they logged: all of them ask
        if not trainer.is_global_zero:
            return
        values = {key: float(value) for key, value in metrics.items() if key not in HIDDEN}
        order = [key for part in PARTS for key in values if key.startswith(part)]
        seconds = self.seconds
        row = {"epoch": str(trainer.current_epoch + 1), "time": f"{seconds:.6g}"}
        row.update({key: f"{values[key]:.6g}" for key in order})
        self._add(self._path(trainer), row)
        self._keep({key: float(value) for key, value in metrics.items()}, trainer.current_epoch + 1)
        if self._is_best(trainer):
            best = {f"best/{key}": values[key] for key in order if key.startswith(BEST)}
            for logger in trainer.loggers:
                if isinstance(logger, SummarizesRun):
                    logger.summarize({"best/epoch": trainer.current_epoch, **best})
        if self.print_lines:
            self._print(trainer, values, seconds)

    def _add(self, path: Path, row: dict[str, str]) -> None:
        self._waiting.append(row)
        try:
            while self._waiting:
                _append(path, self._waiting[0])
                self._waiting.pop(0)
        except OSError as error:  # whether the run can go on is for its checkpoint to say
            warn_user(f"{path} could not be written ({error.strerror}); the row is kept and written with the next")

    def _keep(self, values: dict[str, float], epoch: int) -> None:
        self.last = {**self.last, **values}  # another one: the dashboard's thread reads it
        for key, value in values.items():
            sign = 1 if key in HIDDEN or (key.startswith(RISING) and key != FALSE_ALARMS) else -1
            if value == value and (key not in self.best or sign * value > sign * self.best[key][0]):  # noqa: PLR0124  NaN
                self.best[key] = value, epoch

    def state_dict(self) -> dict[str, Any]:
        """Return what no file holds: the best fitness, and rows that could not be written."""
        best = {key: self.best[key] for key in HIDDEN if key in self.best}
        return {**best, "waiting": list(self._waiting)} if self._waiting else best

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best fitness, and rows that could not be written."""
        state = dict(state_dict)
        self._waiting = list(state.pop("waiting", []))
        self.best.update({key: (float(value), int(epoch)) for key, (value, epoch) in state.items()})

    def _is_best(self, trainer: pl.Trainer) -> bool:
        """True if the epoch's fitness is the best so far."""
        return self.best.get("fitness", (0, 0))[1] == trainer.current_epoch + 1

    def _print(self, trainer: pl.Trainer, values: dict[str, float], seconds: float) -> None:
        mark = " *" if self._is_best(trainer) else ""
        losses = "  ".join(
            f"{short_loss_name(key[6:])} {value:.3f}" for key, value in values.items() if key.startswith("train/")
        )
        metrics = "  ".join(
            _words({key[8:]: values[key] for key in values if key.startswith("metrics/") and key != FALSE_ALARMS})
        )
        if (error := values.get("corners/error_px_median")) is not None:
            metrics += f"  corners {error:.2f} px"
        if (alarms := values.get(FALSE_ALARMS)) is not None:
            metrics += f"  false alarms {alarms:.3f}"
        metrics = metrics or "not validated"
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        print_line(f"{epoch}  loss: {losses}  {metrics}{mark}  {seconds:.0f} s")

    def _path(self, trainer: pl.Trainer) -> Path:
        return Path(trainer.default_root_dir) / self.filename


def _words(metrics: dict[str, float]) -> list[str]:
    """Format the metrics; where more than boxes is judged only the two by which models are compared, to fit a line."""
    sets = {"box": "(B)", **{what: mark for what, mark in SECOND.items() if any(n.endswith(mark) for n in metrics)}}
    if len(sets) == 1:
        return [f"{name} {value:.3f}" for name, value in metrics.items()]
    shown = [
        (what, name, metrics.get(f"{name}{mark}")) for what, mark in sets.items() for name in ("mAP50", "mAP50-95")
    ]
    return [f"{what} {name} {value:.3f}" for what, name, value in shown if value is not None]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a results file; a last line that a kill has cut off is left out.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "results.csv"
        ...     with path.open("w") as file:
        ...         print("epoch,val/loss", "1,0.5", "2,0.", sep=chr(10), end="", file=file)
        ...     read_rows(path)
        [{'epoch': '1', 'val/loss': '0.5'}]
    """
    with os.fdopen(open_regular(path), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if line.endswith("\n")))


def epoch_of_row(row: Mapping[str, Any]) -> int | None:
    """Return the epoch that a row of a results file is of, from 1; None where it says none that a run can have had.

    Args:
        row: values by column.

    Example:
        >>> [epoch_of_row({"epoch": text}) for text in ("3", "3.0", "", "2.5", "0", "nan", "inf", "1e400", "1e18")]
        [3, 3, None, None, None, None, None, None, None]
    """
    try:
        epoch = float(row["epoch"])
    except (KeyError, TypeError, ValueError):
        return None
    return int(epoch) if 1 <= epoch <= LAST_EPOCH and epoch.is_integer() else None


def _intact_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows that this callback could have written; the file is copied before others are dropped."""
    try:
        rows = read_rows(path)
        kept = [row for row in rows if _is_intact(row)]
    except (UnicodeDecodeError, csv.Error):
        rows, kept = [{}], []
    if len(kept) < len(rows):
        copy = path.with_name(f"{path.name}.damaged")
        shutil.copyfile(path, copy)
        warn_user(f"{path} is damaged: {len(kept)} of its rows can be read. The rest is only in {copy.name}.")
        _write(path, kept)
    return kept


def _is_intact(row: dict[str, Any]) -> bool:
    try:
        numbers = [float(value) for value in row.values() if value]
        complete = None not in row and None not in row.values() and len(numbers) > 1
        return complete and epoch_of_row(row) is not None and float(row["time"]) >= 0
    except (KeyError, TypeError, ValueError):
        return False


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    write_atomic(path, _lines(list(rows[0]), rows, heading=True) if rows else b"", own=True)


def _lines(columns: list[str], rows: list[dict[str, Any]], heading: bool = False) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=columns, restval="")
    if heading:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add a row, complete or not at all; a new column (validation began later) rewrites the file.

    A row is appended, not written with the whole file anew: in a long run that would be megabytes an epoch.
    """
    rows: list[dict[str, Any]] = list(read_rows(path)) if path.exists() else []
    new = [key for key in row if rows and key not in rows[0]]
    if rows and not new:
        line, size = _lines(list(rows[0]), [row]), path.stat().st_size
        with path.open("ab", buffering=0) as file:
            try:
                done = 0
                while done < len(line):
                    done += file.write(line[done:])
            except OSError:
                file.truncate(size)
                raise
        return
    columns = [*(rows[0] if rows else []), *(new or row)]
    _write(path, [{column: old.get(column, "") for column in columns} for old in [*rows, row]])


def short_loss_name(name: str) -> str:
    """Return the name of a loss component where the word loss stands beside it.

    Example:
        >>> [short_loss_name(name) for name in ("box_loss", "loss_giou", "loss")]
        ['box', 'giou', 'total']
    """
    return name.removesuffix("_loss").removeprefix("loss_").replace("loss", "total")
