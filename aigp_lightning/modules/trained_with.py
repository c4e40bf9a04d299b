"""What a checkpoint, or a family's own weights file, says of the run that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aigp_lightning.checkpoints.schema import family_of, options_of

VALIDATED_BY: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("imgsz", "batch_size", "mask_ratio"), (int,)),
    **dict.fromkeys(("rect", "single_cls", "overlap_mask"), (bool,)),
    **dict.fromkeys(("data_yaml", "outside", "resize"), (str,)),
    **{"fraction": (int, float, list, dict), "classes": (list,)},
}
"""Options of the data by which a validation comes out the same, and their types."""


@dataclass(frozen=True)
class TrainedWith:
    """The class that opens a file, and the options of the run that wrote it, as far as it says them.

    Attributes:
        family: of its module.
        task: of its module.
        data: options of the data: `data_yaml` (absolute), `imgsz`, `batch_size`, `rect`, `single_cls`, `outside`, …
        model: arguments of the module.

    Example:
        >>> TrainedWith("yolo", "pose", {"imgsz": 160}, {}).data["imgsz"]
        160
    """

    family: str
    task: str
    data: dict[str, Any]
    model: dict[str, Any]

    @property
    def validated_by(self) -> dict[str, Any]:
        """Options of the data by which a validation comes out the same, those of a wrong type left out.

        Example:
            >>> TrainedWith("yolo", "pose", {"imgsz": 160, "rect": "yes", "mosaic": 1.0}, {}).validated_by
            {'imgsz': 160}
        """
        return {name: value for name, value in self.data.items() if type(value) in VALIDATED_BY.get(name, ())}


def told_by_checkpoint(metadata: Mapping[str, Any]) -> TrainedWith:
    """Return what a checkpoint says of its run; no options in those of earlier versions.

    Args:
        metadata: see `checkpoint_metadata`.

    Example:
        >>> metadata = {"family": "yolo", "task": "pose", "run": {"data": {"imgsz": 160}}}
        >>> told_by_checkpoint(metadata).data
        {'imgsz': 160}
    """
    return TrainedWith(
        family_of(metadata), metadata["task"], options_of(metadata, "data"), options_of(metadata, "model")
    )
