"""Outlines in a split: who asks for them, and a split where some objects have boxes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from aigp_lightning.data.images import label_path
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.scan_cache import Columns
from aigp_lightning.errors import DataError, warn_user

Outlines = Literal["all", "any"] | None
"""Need of the objects' outlines: a task cannot do without, an augmentation can, or nobody reads them."""


@runtime_checkable
class WantsMasks(Protocol):
    """A module that says whether it learns masks.

    Attributes:
        wants_masks: True if batches must have `masks`, and all objects of the data set an outline.

    Example:
        >>> from aigp_lightning.modules.base import BaseModule
        >>> isinstance(BaseModule(), WantsMasks)
        False
    """

    @property
    def wants_masks(self) -> bool:
        """True if batches must have `masks`."""


def settle_outlines(columns: Columns, outlines: Outlines, images: Sequence[str], file: str, split: str) -> Columns:
    """Refuse a split in which some objects have no outline, or leave all outlines out, as Ultralytics does.

    Args:
        columns: the scanned split, with outlines.
        outlines: need of them.
        images: its image files.
        file: the `data.yaml`.
        split: name of the split.

    Raises:
        DataError: all objects need one, and some have none.

    Example:
        >>> from aigp_lightning.data.polygons import no_polygons
        >>> one = np.ones(1, np.int64)
        >>> boxes = Columns(
        ...     one.astype(bool), np.array([[9, 9]]), one, one, np.zeros((1, 4)), None, [], no_polygons(1)
        ... )
        >>> try:
        ...     settle_outlines(boxes, "all", ["0.jpg"], "data.yaml", "val")
        ... except DataError as error:
        ...     print(error)
        data.yaml: 1 of 1 objects in 'val' are boxes without an outline, the first in 0.txt; segmentation needs a \
polygon a row: class x1 y1 x2 y2 x3 y3 …
    """
    polygons = columns.polygons
    if polygons is None or polygons.complete:
        return columns
    without = np.flatnonzero(polygons.counts == 0)
    first = label_path(images[int(np.searchsorted(columns.count.cumsum(), without[0], side="right"))])
    text = f"{file}: {len(without)} of {len(polygons.counts)} objects in '{split}' are boxes without an outline, the "
    text += f"first in {first}"
    if outlines == "all":
        raise DataError(f"{text}; segmentation needs a polygon a row: class x1 y1 x2 y2 x3 y3 …")
    if len(without) < len(polygons.counts):
        warn_user(f"{text}; so only boxes are used, and all outlines are left out.")
    return replace(columns, polygons=None)


def tell_unpasted(records: Sequence[ImageRecord], copy_paste: float, file: str) -> None:
    """Say that no object can be pasted, where some should be and none has a polygon.

    Args:
        records: images and labels of the training split.
        copy_paste: share of the objects that are to be pasted.
        file: the `data.yaml`.

    Example:
        >>> tell_unpasted([], copy_paste=0.0, file="data.yaml")  # nothing to say
    """
    if copy_paste > 0 and not any(record.polygons is not None for record in records):
        objects = sum(len(record.cls) for record in records)
        warn_user(
            f"--data.augment.copy_paste {copy_paste:g} does nothing: it pastes objects by their polygons, and none of "
            f"the {objects} objects in 'train' of {file} has one that can be used."
        )
