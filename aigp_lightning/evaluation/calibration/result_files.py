"""The files of a calibration: `thresholds.json`, and the trade-off as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.checkpoints.paths import run_folder_of
from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.bootstrap import Interval
from aigp_lightning.evaluation.calibration.calibrate import Calibration
from aigp_lightning.evaluation.calibration.grid import Combination
from aigp_lightning.evaluation.calibration.rule import FIGURES
from aigp_lightning.files import RECEIPT_FILE, write_atomic
from aigp_lightning.media.encode import encode
from aigp_lightning.media.plots.trade_off import Marked, Slice, draw_slices, draw_trade_off
from aigp_lightning.modules.thresholds import NAME, Thresholds, write_thresholds
from aigp_lightning.run.provenance import package_versions

TRADE_OFF, BY_THRESHOLD = "thresholds/trade_off.png", "thresholds/by_value.png"
"""In a folder of their own: the pictures of a run folder itself are those that its ledger lists."""
DIGITS = 6
"""Decimal places of figures in the file."""
ROWS = (
    ("share", ("usable", "precision", "recall", "f1")),
    ("false alarms a frame without objects", ("false_alarms",)),
    ("position error, metres", ("position_m",)),
    ("corner error, pixels", ("corner_px",)),
)
"""Titles of the rows of panels, and their figures."""


def place_of(model: Path, out: str | None) -> Path:
    """Return the folder for a calibration's files.

    Args:
        model: its file.
        out: that is asked for; None: the run folder, or the folder of the file.

    Raises:
        ConfigError: it is a version of the store, which never changes, or a file.

    Example:
        >>> place_of(Path("runs/detect/gates/weights/best.ckpt"), None).name
        'gates'
    """
    if out is not None:
        folder = Path(out)
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"--out {out} is a file; name a folder.")
        return folder
    folder = run_folder_of(model) or model.parent
    if (folder / RECEIPT_FILE).is_file():
        raise ConfigError(f"{folder} is a version of the model store, which is never changed: name a folder by --out.")
    return folder


def write_results(calibration: Calibration, folder: Path) -> list[Path]:
    """Write thresholds and pictures of a calibration that has chosen some.

    Args:
        calibration: that was made.
        folder: is made where there is none.

    Returns:
        The files, thresholds first.

    Raises:
        ConfigError: they cannot be written.
    """
    best = calibration.best
    assert best is not None, "there are thresholds to write"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [folder / NAME]
        for name, picture in draw(calibration).items():
            (folder / name).parent.mkdir(exist_ok=True)
            write_atomic(folder / name, encode(picture, ".png"))
            written.append(folder / name)
        write_thresholds(folder / NAME, thresholds_from(calibration))  # last: what is there belongs together
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}. Name another folder by --out.") from error
    return written


def thresholds_from(calibration: Calibration) -> Thresholds:
    """Return the chosen thresholds with how they were chosen; those that were not tried stay as they are.

    Args:
        calibration: that has chosen some.
    """
    best, usual = calibration.best, Thresholds()
    assert best is not None
    return Thresholds(
        best.conf,
        usual.keypoint_conf if best.keypoint_conf is None else best.keypoint_conf,
        usual.iou if best.iou is None else best.iou,
        best.reprojection_px,
        calibration.subject.max_det,
        _about(calibration),
    )


ENDS = ("value", "low", "high")


def _about(calibration: Calibration) -> dict[str, Any]:
    frames, subject, choice = calibration.frames, calibration.subject, calibration.choice
    return {
        "rule": str(calibration.rule),
        "targets": [str(target) for target in calibration.rule.targets],
        "maximize" if calibration.rule.maximize else "minimize": calibration.rule.figure,
        "figures": _plain(calibration.chosen),
        "without": {"thresholds": _tried(calibration, subject.now), "figures": _plain(calibration.now)},
        "not_had": {name: why for name, why in calibration.lacking.items() if why},
        "not_tried": list(calibration.notes),
        "frames": {
            "source": frames.source,
            "count": calibration.read,
            "labelled": int(frames.labelled.sum()),
            "empty": int(frames.empty.sum()),
            "trained_on": calibration.trained_on,
            "objects": len(frames.image),
            "sha256": frames.sha256,
        },
        "bootstrap": {"draws": calibration.draws, "frames_a_block": frames.block},
        "model": {"file": subject.file.name, "sha256": subject.sha256},
        "grid": {name: list(values) for name, values in _tried_axes(calibration).items()},
        "combinations": {
            "meeting": choice.meeting,
            "as_good": choice.plateau,
            "all": int(np.prod(calibration.grid.shape)),
        },
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "versions": package_versions(),
    }


def _tried_axes(calibration: Calibration) -> dict[str, tuple[float | None, ...]]:
    """Return the values that were tried, of thresholds that the model has."""
    return {
        name: values
        for name, values in calibration.grid.axes.items()
        if values != (None,) or (name == "reprojection_px" and not calibration.lacking["usable"])
    }


def _tried(calibration: Calibration, combination: Combination) -> dict[str, float | None]:
    return {name: getattr(combination, name) for name in _tried_axes(calibration)}


def _plain(figures: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    """Return figures as plain values for JSON; ends that are not known are null."""
    return {
        name: {key: round(end, DIGITS) if np.isfinite(end := getattr(each, key)) else None for key in ENDS}
        for name, each in figures.items()
    }


# ---- pictures --------------------------------------------------------------------------------------------------------


def draw(calibration: Calibration) -> dict[str, NDArray[np.uint8]]:
    """Draw the pictures of a calibration, (H, W, 3) uint8 RGB by the names of their files.

    Args:
        calibration: that has chosen thresholds.
    """
    found = {BY_THRESHOLD: draw_slices(slices(calibration), rows_of(calibration))}
    if (axes := trade_off_axes(calibration)) is not None:
        x, y = (calibration.figures[name].ravel() for name in axes)
        marked = [
            Marked(name, figures[axes[0]].value, figures[axes[1]].value)
            for name, figures in (("chosen", calibration.chosen), ("without calibration", calibration.now))
            if all(each in figures for each in axes)
        ]
        labels = FIGURES[axes[0]], FIGURES[axes[1]]
        more = calibration.rule.maximize if axes[1] == calibration.rule.figure else True
        found[TRADE_OFF] = draw_trade_off(x, y, labels, marked, less_x=axes[0] != "precision", more_y=more)
    return found


def trade_off_axes(calibration: Calibration) -> tuple[str, str] | None:
    """Return the two figures of the trade-off: what is to be avoided, and what is wanted; None where one is lacking.

    Args:
        calibration: that was made.
    """
    had = [name for name, why in calibration.lacking.items() if not why]
    figure = calibration.rule.figure
    avoided = ["false_alarms", "precision", "position_m"]
    wanted = [figure, "usable", "recall"] if figure not in avoided else ["usable", "recall"]
    pairs = [(one, two) for one in avoided for two in wanted if one in had and two in had and one != two]
    return pairs[0] if pairs else None


def slices(calibration: Calibration) -> list[Slice]:
    """Return the figures against each threshold of which several values were tried, the others as chosen.

    Args:
        calibration: that has chosen thresholds.
    """
    place = calibration.choice.place
    assert place is not None
    found = []
    for axis, (name, values) in enumerate(calibration.grid.axes.items()):
        if len(values) > 1:
            line: tuple[Any, ...] = (*place[:axis], slice(None), *place[axis + 1 :])
            order = slice(None, None, -1) if name in ("iou", "reprojection_px") else slice(None)  # rising at the axis
            figures = {each: np.asarray(array[line])[order] for each, array in calibration.figures.items()}
            chosen = place[axis] if order.step is None else len(values) - 1 - place[axis]
            found.append(Slice(name, values[order], chosen, figures))
    return found


def rows_of(calibration: Calibration) -> list[tuple[str, list[str]]]:
    """Return the rows of panels whose figures could be had.

    Args:
        calibration: that was made.
    """
    had = {name for name, why in calibration.lacking.items() if not why}
    rows = [(title, [name for name in names if name in had]) for title, names in ROWS]
    return [(title, names) for title, names in rows if names]
