"""A file's accuracy on the validation split, beside that of the module it was made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.deploy.converted import NOT_MEASURED
from aigp_lightning.errors import warn_user

if TYPE_CHECKING:
    from rich.table import Table

    from aigp_lightning.deploy.options import ExportOptions
    from aigp_lightning.modules.trained_with import TrainedWith

DECIDING = ("metrics/mAP50-95(B)", "metrics/mAP50-95(P)", "metrics/mAP50-95(M)")
"""Metrics of which a file may lose no more than `--max_drop`: of boxes, keypoints and masks."""
UNITS = {
    **{name: name.removeprefix("metrics/") for name in DECIDING},
    "corners/error_px_median": "corners px",
    "gate/position_m_median": "position m",
    "gate/rotation_deg_median": "rotation °",
}
"""Metrics of the table, and the heads of their columns; of corners and poses medians."""

DIGITS = 4
"""Of figures in the table; less than these show is rounding."""

Figures = Mapping[str, float | None]
"""Metrics by name; None is not known."""


@dataclass
class Row:
    """A file in the table.

    Attributes:
        name: of the file.
        megabytes: of it, with its `.bin`.
        figures: None where it was not measured.
        note: such as `not written`.
    """

    name: str
    megabytes: float
    figures: Figures | None
    note: str = ""


@dataclass
class Comparison:
    """Measures files and the module they were made of on the same validation split, in squares of the files' size.

    Attributes:
        source: the module's file.
        run: the options of its run.
        data_yaml: the data set.
        options: of the export.
        about: what the module was measured on, once it has been: `split`, `images`, `data`, `data_sha256`.
    """

    source: Path
    run: TrainedWith
    data_yaml: str
    options: ExportOptions
    about: dict[str, Any] = field(default_factory=dict)
    _module: Figures | None = None
    _labels: int = 0

    @property
    def can_measure(self) -> bool:
        """True if an object is labelled in the split: without one there is no mAP.

        Raises:
            UserError: the module cannot be measured.
        """
        return bool(self.module) and self._labels > 0

    @property
    def module(self) -> Figures:
        """The module's figures.

        Raises:
            UserError: it cannot be measured.
        """
        if self._module is None:
            free = self.options.nms_free
            run = self.run if free is None else replace(self.run, model={**self.run.model, "nms_free": free})
            self._module = self._measured(self.source, run)
            if self._labels and not any(self._module.get(name) for name in DECIDING):
                warn_user("mAP50-95 of the model on the validation split is 0, so that no file can be worse by it")
        return self._module

    def figures(self, path: Path) -> Figures:
        """Return a file's figures.

        Args:
            path: of the file.

        Raises:
            UserError: it cannot be measured.
        """
        return self._measured(path, self.run)

    def lost(self, figures: Figures) -> str:
        """Say by which metrics a file has lost more than it may; empty where it has not.

        Args:
            figures: of the file.
        """
        too_much = []
        for name in DECIDING:
            before, after = self.module.get(name), figures.get(name)
            if before is None:
                continue
            if after is None or round(before - after, DIGITS) > self.options.max_drop:
                now = "nothing" if after is None else f"{after:.4f}"
                too_much.append(f"{name.removeprefix('metrics/')} {now}, the module's {before:.4f}")
        return "; ".join(too_much)

    def _measured(self, path: Path, run: TrainedWith) -> Figures:
        from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate

        data = EvaluationData(self.data_yaml, rect=False, imgsz=self.options.imgsz)
        if self.data_yaml == run.validated_by.get("data_yaml"):
            data = replace(data, data_yaml=None)  # the part of it that the run was validated on counts
        about = evaluate(path, data, run).about
        known = about["data"]
        self._labels = int(known["labels"])
        self.about = {"split": "val", "images": known["images"], "data": Path(self.data_yaml).name}
        self.about["data_sha256"] = known["sha256"]
        return figures_of(about["metrics"])


def figures_of(metrics: Mapping[str, float]) -> Figures:
    """Return the metrics of the table, None for what is no number.

    Args:
        metrics: all of a validation.

    Example:
        >>> figures_of({"metrics/mAP50-95(B)": 0.5, "gate/position_m_median": float("nan"), "val/loss": 1.0})
        {'metrics/mAP50-95(B)': 0.5, 'gate/position_m_median': None}
    """
    return {name: float(metrics[name]) if math.isfinite(metrics[name]) else None for name in UNITS if name in metrics}


def differences(module: Figures, figures: Figures) -> Figures:
    """Return by how much a file's figures differ from the module's.

    Args:
        module: of the module.
        figures: of the file.

    Example:
        >>> differences({"metrics/mAP50-95(B)": 0.5}, {"metrics/mAP50-95(B)": 0.25})
        {'metrics/mAP50-95(B)': -0.25}
    """
    found = {}
    for name, before in module.items():
        after = figures.get(name)
        found[name] = None if before is None or after is None else after - before
    return found


def accuracy_table(module: Figures | None, rows: Sequence[Row]) -> Table:
    """Make the table of accuracy: the module's figures, and by how much those of each file differ.

    Args:
        module: its figures; None where nothing was measured.
        rows: a file each.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    known = {name: unit for name, unit in UNITS.items() if module is not None and name in module}
    title = "on the validation split: the module, and by how much the files differ from it"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("file", "MB", *known.values()):
        table.add_column(column, no_wrap=True)
    if module is not None:
        table.add_row("the module", "", *(_shown(module[name]) for name in known))
    for row in rows:
        gaps = {} if row.figures is None or module is None else differences(module, row.figures)
        note = row.note or ("" if gaps else NOT_MEASURED)
        name = f"{row.name}\n({note})" if note else row.name
        table.add_row(name, f"{row.megabytes:.1f}", *(_shown(gaps.get(name), "+.4f") for name in known))
    return table


def _shown(value: float | None, form: str = ".4f") -> str:
    return "–" if value is None else f"{value:{form}}"
