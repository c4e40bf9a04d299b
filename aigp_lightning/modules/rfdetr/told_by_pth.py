"""The training that an RF-DETR weights file tells of."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.load import read_metadata
from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.rfdetr.pth_file import FAMILY
from aigp_lightning.modules.rfdetr.weights import FoundWeights, read_weights
from aigp_lightning.modules.trained_with import TrainedWith, told_by_checkpoint

USED = ("imgsz", "resize", "single_cls")
"""Settings of the data that validation needs."""


def told_by_pth(path: Path) -> TrainedWith:
    """Return what a `.pth` says of the run that wrote it.

    Args:
        path: the file. Ours have no folders of a data set; where it lies beside the checkpoint that it was written
            from, as in a run folder, that says more.

    Raises:
        WeightsError: it holds no RF-DETR.
    """
    found = read_weights(path)
    beside = _checkpoint_beside(found)
    if beside is not None:
        return beside
    data: dict[str, Any] = {name: found.settings[name] for name in USED if name in found.settings}
    return TrainedWith(FAMILY, "detect", data, {})


def _checkpoint_beside(found: FoundWeights) -> TrainedWith | None:
    """Return what the checkpoint beside a run's weights file says, if the file was written from it."""
    with suppress(WeightsError):
        metadata = read_metadata(found.path.with_suffix(".ckpt"))
        told = told_by_checkpoint(metadata)
        if (told.family, metadata["names"], told.data.get("imgsz")) == (FAMILY, found.names, found.settings["imgsz"]):
            return told
    return None
