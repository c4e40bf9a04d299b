"""What an Ultralytics `.pt` says of its training."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.load import read_metadata
from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.trained_with import TrainedWith, told_by_checkpoint
from aigp_lightning.modules.yolo.weights import settings_of

SETTINGS = {"imgsz": "imgsz", "data": "data_yaml", "single_cls": "single_cls"}
"""Names of Ultralytics' settings that validation needs, and of our options."""


def told_by_pt(path: Path) -> TrainedWith:
    """Return what a `.pt` says of the run that wrote it.

    Args:
        path: the file. Ours have no folders of a data set; where it lies beside the checkpoint that it was written
            from, as in a run folder, that says more.

    Raises:
        WeightsError: it is no Ultralytics checkpoint.
    """
    task, names, settings = settings_of(path)
    data = {ours: settings[theirs] for theirs, ours in SETTINGS.items() if theirs in settings}
    beside = _checkpoint_beside(path, task, names, data.get("imgsz"))
    if beside is not None:
        return beside
    if not Path(data.get("data_yaml", "")).is_absolute():  # ours keep no folders, and Ultralytics' own are its names
        data.pop("data_yaml", None)
    return TrainedWith("yolo", task, data, {})


def _checkpoint_beside(path: Path, task: str, names: Mapping[int, str], imgsz: Any) -> TrainedWith | None:
    """Return what the checkpoint beside a run's portable file says, if the file was written from it."""
    checkpoint = path.with_suffix(".ckpt")
    with suppress(WeightsError):
        metadata = read_metadata(checkpoint)
        found = told_by_checkpoint(metadata)
        if (metadata["task"], metadata["names"], found.data.get("imgsz")) == (task, dict(names), imgsz):
            return found
    return None
