"""The end of a run: its metrics as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from aigp_lightning.callbacks.best_weights import best_weights_of
from aigp_lightning.callbacks.speed import Speed, speed_line
from aigp_lightning.data.leaks.leak_report import LEAK, MeasuresLeak, leak_warning
from aigp_lightning.files import shell_quoted, write_atomic
from aigp_lightning.media.ledger.anchor import anchor_of
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, read_ledger
from aigp_lightning.run.lightning_internals import datamodule_of
from aigp_lightning.terminal.output import console, print_line, print_tables

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.metrics.corner_report import CornerReport
    from aigp_lightning.modules.metrics.false_alarms import FalseAlarms

MANY = 8
"""A table with more columns than this has short headings."""
SHORT = (("mAP50-95", "mAP\n50-95"), ("precision", "P"), ("recall", "R"), ("pose ", "pose\n"), ("mask ", "mask\n"))
SECOND = ("pose", "mask")
"""Words with which the names of columns begin that are not of boxes."""
BAND_COLUMNS = {
    "band": "distance",
    "gates": "gates",
    "found": "found",
    "solved": "solved",
    "error_px_mean": "px\nmean",
    "error_px_median": "px\nmedian",
    "position_m_mean": "m\nmean",
    "position_m_median": "m\nmedian",
    "rotation_deg_mean": "°\nmean",
    "rotation_deg_median": "°\nmedian",
}
CORNER_COLUMNS = {
    "name": "keypoint",
    "error_px_mean": "px\nmean",
    "error_px_median": "px\nmedian",
    "visible_accuracy": "visibility\nright",
}


@runtime_checkable
class HasCornerReport(Protocol):
    """Metrics that sum up the errors of keypoints.

    Attributes:
        report: of the last validation or test; None before it.
    """

    report: CornerReport | None


@runtime_checkable
class CountsFalseAlarms(Protocol):
    """Metrics that count false alarms in pictures without labels.

    Attributes:
        false_alarms: of the last validation or test; None before it, and where there were no such pictures.
    """

    false_alarms: FalseAlarms | None


def print_report(model: BaseModule, trainer: Trainer | None = None) -> None:
    """Print the last validation or test: a row a class, false alarms, errors of keypoints, and the time for an image.

    Args:
        model: it holds the table, and its metrics a `CornerReport` where it finds keypoints.
        trainer: its callback has measured the time.
    """
    print_table(model.table or [])
    if isinstance(model.metrics, CountsFalseAlarms) and model.metrics.false_alarms is not None:
        print_line(model.metrics.false_alarms)
    if (report := _corner_report(model)) is not None:
        print_corners(report)
    if trainer is not None and (speed := speed_of(trainer)) is not None:
        print_line(speed_line(speed))


def speed_of(trainer: Trainer) -> dict[str, Any] | None:
    """Return what the trainer's callback measured, see `Speed.report`; None where there is none."""
    each = next((callback for callback in cast("Any", trainer).callbacks if isinstance(callback, Speed)), None)
    return each.report() if each is not None else None


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print one row a class, `all` first; classes without labels have no row."""
    if not rows:
        return
    shown = rows if len(rows) > 2 else rows[:1]  # noqa: PLR2004  one class says the same twice
    _print({column: _heading(column, len(rows[0]) > MANY) for column in rows[0]}, shown)


def print_corners(report: CornerReport) -> None:
    """Print the errors of keypoints by distance and by keypoint; nothing where there were no objects.

    Pixels are of the original pictures, metres and degrees are how far off the solved poses are.
    """
    if not len(report.rows):
        return
    _print(BAND_COLUMNS, report.bands())
    corners = report.corners()
    if any(value is not None for row in corners for key, value in row.items() if key != "name"):
        _print(CORNER_COLUMNS, corners)


def _corner_report(model: BaseModule) -> CornerReport | None:
    return model.metrics.report if isinstance(model.metrics, HasCornerReport) else None


def _heading(column: str, short: bool) -> str:
    if not short:
        return column
    heading = column
    for long, brief in SHORT:
        heading = heading.replace(long, brief)
    return f"box\n{heading}" if (heading != column and not column.startswith(SECOND)) or column == "mAP50" else heading


def _print(headings: Mapping[str, str], rows: Sequence[dict[str, Any]]) -> None:
    """Print a table; columns that nothing is known about are left out.

    Args:
        headings: of columns, by the key of their values; the first column is words.
        rows: None is an unknown figure.
    """
    from rich.measure import Measurement
    from rich.table import Table

    screen = console()
    kept = [key for key in headings if any(row[key] is not None for row in rows)]
    table = Table()
    for place, key in enumerate(kept):
        # Numbers stay whole whatever the width; only names may be broken.
        table.add_column(headings[key], justify="right" if place else "left", vertical="bottom", no_wrap=place > 0)
    for row in rows:
        table.add_row(*(_cell(row[key]) for key in kept))
    if Measurement.get(screen, screen.options.update(max_width=10_000), table).maximum > screen.width:
        table.padding = (0, 0, 0, 0)
    print_tables(table, on=screen)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def write_json(path: Path, trainer: Trainer, model: BaseModule, data: YoloDataModule) -> None:
    """Write the metrics of the last validation or test, with `keypoints` (their errors) and `speed` (ms an image).

    Where pictures without labels were among them, `false_alarms` has their counts.
    After a training also `split_leak`: what its validation split has in common with the training split.

    Args:
        path: the file.
        trainer: it holds the logged metrics.
        model: it holds the table.
        data: its image size is written along.
    """
    found = {key: float(value) for key, value in trainer.callback_metrics.items()}
    metrics = {key: None if math.isnan(value) else value for key, value in found.items()}  # JSON knows no NaN
    content: dict[str, Any] = {
        "metrics": {key: value for key, value in metrics.items() if not key.startswith(("train/", "lr/"))},
        "imgsz": data.imgsz,
        "images": model.table[0]["images"] if model.table else 0,
        "classes": list(model.table or []),
    }
    if isinstance(model.metrics, CountsFalseAlarms) and model.metrics.false_alarms is not None:
        content["false_alarms"] = asdict(model.metrics.false_alarms)
    if (report := _corner_report(model)) is not None:
        content["keypoints"] = {"bands": report.bands(), "corners": report.corners(), "scalars": report.scalars()}
    if (speed := speed_of(trainer)) is not None:
        content["speed"] = speed
    if isinstance(data, MeasuresLeak) and data.leak is not None:
        content[LEAK] = dict(data.leak)
    write_atomic(path, json.dumps(content, indent=2).encode())


def print_trial(trainer: Trainer) -> None:
    """Print, on the first process, that a `fast_dev_run` went through.

    Args:
        trainer: that ran it.
    """
    if trainer.is_global_zero:
        print_line("fast_dev_run: training and validation went through. Nothing was kept, logged or sent.")


def print_places(trainer: Trainer, model: BaseModule, measured: bool, left_out: Sequence[str] = ()) -> None:
    """Print, on the first process, where a run's files are, and the ledger's head.

    Args:
        trainer: that trained.
        model: what it trained; the best weights are named where there are any.
        measured: whether they are those of a validated epoch.
        left_out: see `print_ledger`.
    """
    if trainer.is_global_zero:
        weights = best_weights_of(trainer, model)
        folder, note = Path(trainer.default_root_dir), "" if measured else " (the last epoch's: none was validated)"
        print_line(f"run folder: {folder}", *([f"best weights: {weights}{note}"] if weights.is_file() else []))
        data = datamodule_of(trainer)
        if isinstance(data, MeasuresLeak) and (text := leak_warning(data.leak)):
            print_line(f"warning: {text}")
        print_ledger(folder, left_out)


def print_ledger(folder: Path, left_out: Sequence[str] = ()) -> None:
    """Print which loggers got nothing, the ledger's head, and the command that compares it later.

    Args:
        folder: the run folder. Nothing is said of a ledger where no picture was drawn.
        left_out: loggers of the configuration that got nothing, each with the reason.
    """
    if left_out:
        print_line(f"left out, so they got nothing of this run: {', '.join(left_out)}")
    try:
        anchor = anchor_of(read_ledger(folder / LEDGER_FILE))
    except OSError:
        return  # the run is over and saved, whatever became of its ledger
    if anchor.lines:
        command = f"python -m aigp_lightning audit {shell_quoted(folder)} --head {anchor.head}"
        print_line(anchor, f"to compare it later: {command}")
