"""One line an epoch: on the terminal and in `results.csv`."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    import lightning.pytorch as pl

HIDDEN = {"fitness"}
PARTS = ("train/", "metrics/", "val/", "corners/", "gate/", "lr/")
"""Columns of the file, in this order."""
RISING = ("metrics/", "corners/visible_")
"""Of these, more is better; of all others, less."""
POSE = "(P)"


class Results(Callback):
    """Write losses, metrics and learning rates of every epoch to `results.csv`, in Ultralytics' columns.

    A resumed run goes on in the same file. On the first process, `last` holds the last epoch's values by name and
    `best` each one's best with its epoch, counted from 1: the highest of the metrics, the lowest of losses and errors.

    Args:
        filename: file in the run folder.
        print_lines: print a line an epoch as well.
    """

    def __init__(self, filename: str = "results.csv", print_lines: bool = True) -> None:
        self.filename, self.print_lines = filename, print_lines
        self._started = time.monotonic()
        self.last: dict[str, float] = {}
        self.best: dict[str, tuple[float, int]] = {}

    @property
    def seconds(self) -> float:
        """Time the run has trained, what came before it was resumed included."""
        return time.monotonic() - self._started

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; drop rows of epochs that a resumed run will train again."""
        self._started = time.monotonic()
        path = self._path(trainer)
        if trainer.is_global_zero and path.exists():
            rows = read_rows(path)
            kept = [row for row in rows if int(float(row["epoch"])) <= trainer.current_epoch]
            if kept:
                self._started -= float(kept[-1]["time"])
            for row in kept:
                values = {key: float(value) for key, value in row.items() if value and "/" in key}
                self._keep(values, int(float(row["epoch"])))
            if len(kept) < len(rows) or not path.read_bytes().endswith(b"\n"):
                _write(path, kept)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row."""
        metrics = trainer.callback_metrics  # asking makes the processes exchange what they logged: all of them ask
        if not trainer.is_global_zero:
            return
        values = {key: float(value) for key, value in metrics.items() if key not in HIDDEN}
        order = [key for part in PARTS for key in values if key.startswith(part)]
        seconds = self.seconds
        row = {"epoch": trainer.current_epoch + 1, "time": f"{seconds:.6g}"}
        row.update({key: f"{values[key]:.6g}" for key in order})
        _append(self._path(trainer), row)
        self._keep({key: float(value) for key, value in metrics.items()}, trainer.current_epoch + 1)
        if self.print_lines:
            self._print(trainer, values, seconds)

    def _keep(self, values: dict[str, float], epoch: int) -> None:
        self.last = values
        for key, value in values.items():
            sign = 1 if key in HIDDEN or key.startswith(RISING) else -1
            if value == value and (key not in self.best or sign * value > sign * self.best[key][0]):  # noqa: PLR0124  NaN
                self.best[key] = value, epoch

    def state_dict(self) -> dict[str, Any]:
        """The best fitness, which no file holds."""
        return {key: self.best[key] for key in HIDDEN if key in self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.best.update({key: (float(value), int(epoch)) for key, (value, epoch) in state_dict.items()})

    def _print(self, trainer: pl.Trainer, values: dict[str, float], seconds: float) -> None:
        mark = " *" if self.best.get("fitness", (0, 0))[1] == trainer.current_epoch + 1 else ""
        losses = "  ".join(f"{key[6:-5]} {value:.3f}" for key, value in values.items() if key.startswith("train/"))
        metrics = "  ".join(_words({key[8:]: value for key, value in values.items() if key.startswith("metrics/")}))
        if (error := values.get("corners/error_px_median")) is not None:
            metrics += f"  corners {error:.2f} px"
        print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss: {losses}  {metrics}{mark}  {seconds:.0f} s",
            flush=True,
        )

    def _path(self, trainer: pl.Trainer) -> Path:
        return Path(trainer.default_root_dir) / self.filename


def _words(metrics: dict[str, float]) -> list[str]:
    """Every metric; of boxes and keypoints together only the two by which models are compared, so that it is a line."""
    if not any(name.endswith(POSE) for name in metrics):
        return [f"{name} {value:.3f}" for name, value in metrics.items()]
    sets = {"box": "(B)", "pose": POSE}
    shown = [
        (what, name, metrics.get(f"{name}{mark}")) for what, mark in sets.items() for name in ("mAP50", "mAP50-95")
    ]
    return [f"{what} {name} {value:.3f}" for what, name, value in shown if value is not None]


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a results file, as they are written; a last line that a kill has cut off is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if line.endswith("\n")))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    temporary.replace(path)


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add a row; a column that was not there before (validation began later) rewrites the file."""
    rows: list[dict[str, Any]] = list(read_rows(path)) if path.exists() else []
    new = [key for key in row if rows and key not in rows[0]]
    if rows and not new:
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, fieldnames=list(rows[0]), restval="").writerow(row)
        return
    columns = [*(rows[0] if rows else []), *(new or row)]
    _write(path, [{column: old.get(column, "") for column in columns} for old in [*rows, row]])
