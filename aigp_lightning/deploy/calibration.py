"""Pictures by which the ranges of 8 bits are found: training pictures, as a validation would see them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import DataError, tell_user

if TYPE_CHECKING:
    from aigp_lightning.data.records import ImageRecord
    from aigp_lightning.modules.trained_with import TrainedWith

SEED = 0
"""Of the choice among the training pictures."""
OPTIONS = ("resize", "fraction", "single_cls", "outside")
"""Options of the data that say which training pictures there are, and how they are brought to the input's size."""


def data_yaml_of(run: TrainedWith, given: str | None, source: Path, why: str) -> str:
    """Return the data set of a model.

    Args:
        run: of the model.
        given: the one that is to be taken instead.
        source: the model's file, for the error.
        why: that needs it, for the error.

    Raises:
        DataError: it is not on this disk, or nobody says which it is.
    """
    found = given if given is not None else run.validated_by.get("data_yaml")
    if found is None:
        raise DataError(f"{why} needs the data set, and {source} does not say which: --data_yaml data.yaml names it.")
    if not Path(found).exists():
        there = "there is no such file" if given is not None else f"that of {source} is not there any more"
        raise DataError(f"{why} needs the data set: {found}: {there}; --data_yaml data.yaml names another.")
    return str(found)


class CalibrationPictures:
    """Training pictures of a data set, chosen by chance with a fixed seed; each is read when its turn comes.

    Args:
        run: of the model; its options say how pictures are brought to the input's size.
        data_yaml: the data set.
        imgsz: side of the input, pixels.
        count: of the pictures; all where there are fewer.

    Attributes:
        about: plain values for the metadata of a file.

    Raises:
        DataError: the data set cannot be used.
    """

    def __init__(self, run: TrainedWith, data_yaml: str, imgsz: int, count: int) -> None:
        from aigp_lightning.data.datamodule import YoloDataModule

        told = {name: value for name, value in run.validated_by.items() if name in OPTIONS}
        if data_yaml != run.validated_by.get("data_yaml"):
            told.pop("fraction", None)
        self._data = YoloDataModule(data_yaml, imgsz, rect=False, batch_size=1, workers=1, **told)
        records = self._data.scan("train").records
        chosen = np.random.default_rng(SEED).permutation(len(records))[:count]
        self._records: list[ImageRecord] = [records[place] for place in sorted(chosen.tolist())]
        self.about: dict[str, Any] = {"pictures": len(self._records), "split": "train", "seed": SEED}
        told_of = f"{len(self._records)} of {len(records)} training pictures of {data_yaml}"
        tell_user(f"ranges of 8 bits are found on {told_of}, chosen with seed {SEED}")

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield each picture as (1, 3, H, W) float32 RGB, 0…1."""
        from aigp_lightning.data.sample_sets import evaluation_set

        samples, batches = evaluation_set(
            self._records, self._data.imgsz, batch_size=1, rect=False, resizing=self._data.resizing
        )
        for request in (request for batch in batches for request in batch):
            pixels = samples[request]["image"].transpose(2, 0, 1)[None]
            yield np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(255)
