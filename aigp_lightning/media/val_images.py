"""Reads validation images with their labels as cells of a mosaic, and keeps those that are shown again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from aigp_lightning.errors import DataError
from aigp_lightning.media.detections import NOTHING
from aigp_lightning.media.letterbox import inside_letterbox
from aigp_lightning.media.plots.masks import masks_of_image
from aigp_lightning.media.plots.mosaic import Cell

GREY = 114
CACHE_BYTES = 512 * 2**20
"""Memory that letterboxed images may keep, so that pictures of the same images are not read every epoch."""


class SplitImages(Protocol):
    """The images of a split one by one, as `HasPictures.pictures` gives them.

    Attributes:
        files: (n,) path of every image, in the loader's order.

    Example:
        >>> class Split:
        ...     files = ["a.jpg"]
        ...     def __getitem__(self, place):
        ...         image, boxes = np.zeros((8, 8, 3), np.uint8), np.zeros((0, 4))
        ...         return {"image": image, "bboxes": boxes, "cls": np.zeros(0), "keypoints": None}
        >>> Split()[0]["image"].shape
        (8, 8, 3)
    """

    files: list[str]

    def __getitem__(self, place: int) -> Any:
        """Read an image: `image`, `bboxes` xyxy in its pixels, `cls`, `keypoints`."""


class ValImages:
    """The images of a validation split as cells, with their labels.

    Args:
        pictures: the split's images.

    Example:
        >>> class Split:
        ...     files = ["a.jpg"]
        ...     def __getitem__(self, place):
        ...         image, boxes = np.zeros((8, 8, 3), np.uint8), np.zeros((0, 4))
        ...         return {"image": image, "bboxes": boxes, "cls": np.zeros(0), "keypoints": None}
        >>> [cell.caption for cell in ValImages(Split()).cells(["a.jpg"])]
        ['a.jpg']
    """

    def __init__(self, pictures: SplitImages) -> None:
        self._pictures = pictures
        self.places = {file: place for place, file in enumerate(pictures.files)}
        self._kept: dict[str, Cell] = {}
        self._only: Collection[str] | None = None

    def keep_only(self, files: Collection[str] | None) -> None:
        """Keep in memory no images but these, which are shown again; None: any."""
        self._only = files
        if files is not None:
            self._kept = {file: cell for file, cell in self._kept.items() if file in files}

    def cells(self, files: Sequence[str]) -> list[Cell]:
        """Read images; a grey cell stands for one that is lost, so that the others of its mosaic are drawn."""
        return [self._cell(file) for file in files]

    def read(self, file: str) -> Cell:
        """Read an image.

        Raises:
            DataError: it cannot be read.
        """
        if file in self._kept:
            return self._kept[file]
        item = self._pictures[self.places[file]]
        masks = item.get("masks")
        if masks is not None:
            masks = masks_of_image(masks[None], 0, len(item["cls"]), 0) if masks.ndim == 2 else masks  # noqa: PLR2004
        parts = item["bboxes"], item["cls"], None, item["keypoints"], Path(file).name, masks
        cell = Cell(item["image"], *parts, window=inside_letterbox(item))
        room = CACHE_BYTES - sum(each.image.nbytes for each in self._kept.values())
        if item["image"].nbytes <= room and (self._only is None or file in self._only):
            self._kept[file] = cell
        return cell

    def _cell(self, file: str) -> Cell:
        try:
            return self.read(file)
        except DataError:  # it was there at the start
            grey = np.full((64, 64, 3), GREY, np.uint8)
            return Cell(grey, NOTHING.boxes, NOTHING.labels, caption=f"{Path(file).name} (lost)")
