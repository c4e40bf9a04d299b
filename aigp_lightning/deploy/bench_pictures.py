"""Pictures that models are timed on: the user's, those of a validation split, or a drawn one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.images import read_image
from aigp_lightning.data.listing import list_images
from aigp_lightning.data.sources import SourceDataset, open_sources
from aigp_lightning.data.video import VideoReader
from aigp_lightning.deploy.difference import example_picture
from aigp_lightning.errors import DataError, UserError, printable

Picture = NDArray[np.uint8]
MOST = 16
"""Pictures that are kept in memory."""
DRAWN = (360, 640)
"""Height and width of the drawn picture, pixels."""
SIDE = 640
"""Image size by which sources are opened; they are read at their own."""


def pictures_for(source: str | None, data_yamls: Iterable[str]) -> tuple[list[Picture], str]:
    """Read the pictures that models are timed on, spread over all that there are.

    Args:
        source: a picture, a folder, a glob or a video.
        data_yamls: data sets of which the first that is there gives its validation split, where there is no source.

    Returns:
        (H, W, 3) uint8 RGB each; what they are, in words.

    Raises:
        DataError: there is nothing in the source that can be read.

    Example:
        >>> pictures, told = pictures_for(None, [])
        >>> pictures[0].shape, told
        ((360, 640, 3), 'a drawn picture, 640 × 360')
    """
    if source is not None:
        found = _from_source(source)
        return found, f"{len(found)} picture{'s' * (len(found) != 1)} of {printable(source)}"
    for data_yaml in data_yamls:
        with suppress(UserError, OSError):
            files = list_images(read_data_yaml(data_yaml), "val")
            found = [read_image(files[place]) for place in _spread(len(files))]
            return found, f"{len(found)} picture{'s' * (len(found) != 1)} of the validation split of {data_yaml}"
    return [drawn_picture()], f"a drawn picture, {DRAWN[1]} × {DRAWN[0]}"


def drawn_picture() -> Picture:
    """Draw a picture of shapes and noise, the same each time.

    Returns:
        (360, 640, 3) uint8 RGB.

    Example:
        >>> drawn_picture().shape
        (360, 640, 3)
    """
    height, width = DRAWN
    square = example_picture(width)[0].mul(255).byte().permute(1, 2, 0).numpy()
    top = (width - height) // 2
    picture: Picture = np.ascontiguousarray(square[top : top + height])
    return picture


def _from_source(source: str) -> list[Picture]:
    dataset = open_sources(source, SIDE)
    read = (_read(dataset, place) for place in _spread(len(dataset)))
    found = [picture for picture in read if picture is not None]
    if not found:
        raise DataError(f"--data.source {printable(source)}: no picture of it can be decoded.")
    return found


def _read(dataset: SourceDataset, place: int) -> Picture | None:
    file, frame = dataset.locate(place)
    if frame is None:
        return read_image(file.path)
    reader: Any = VideoReader(file.path)
    try:
        found: Picture | None = reader.frame(frame)
        return found
    finally:
        reader.close()


def _spread(count: int) -> list[int]:
    """Return the numbers of up to `MOST` pictures, evenly spread.

    Example:
        >>> _spread(3), _spread(31)[:3]
        ([0, 1, 2], [0, 2, 4])
    """
    places: list[int] = np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(int)).tolist()
    return places


def data_set_of(told: dict[str, Any]) -> str | None:
    """Return the data set that a model's run had, if it is still there.

    Args:
        told: options of the data that its file carries.

    Example:
        >>> data_set_of({"data_yaml": "no/such/data.yaml"}) is None
        True
    """
    named = told.get("data_yaml")
    return named if isinstance(named, str) and Path(named).is_file() else None
