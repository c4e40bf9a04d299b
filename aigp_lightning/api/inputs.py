"""Pictures of a script, by path or as pixels, as batches of network inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.items import Item
from aigp_lightning.data.predict_batches import PredictBatchSampler
from aigp_lightning.data.resizing import Resizing
from aigp_lightning.data.sources import SourceDataset, open_sources
from aigp_lightning.errors import ConfigError, DataError, warn_user

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = str | Path | NDArray[Any] | Image
    """A path, an array or a picture of Pillow's."""

Channels = Literal["rgb", "bgr"]
GREY, COLOUR = 2, 3
"""Dimensions of an array."""
SHOWN = 3


@dataclass(frozen=True)
class Input:
    """One picture as the network takes it.

    Attributes:
        item: resized; its `im_file` is `name`, or of a frame `name#frame`.
        file: of the picture or video.
        frame: of the video; None for a picture.
        picture: (H, W, 3) uint8 RGB, of what has no file.
    """

    item: Item
    file: str
    frame: int | None = None
    picture: NDArray[np.uint8] | None = None


def check_channels(channels: object) -> None:
    """Refuse a word that is no order of channels, whether there is an array or not.

    Args:
        channels: as the user gave it.

    Raises:
        ConfigError: it is none.

    Example:
        >>> check_channels("RGB")
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: channels 'RGB': 'rgb' or 'bgr'.
    """
    if channels is not None and not (isinstance(channels, str) and channels in ("rgb", "bgr")):
        raise ConfigError(f"channels {channels!r}: 'rgb' or 'bgr'.")


def read_inputs(
    source: Picture | Sequence[Picture], imgsz: int, resizing: Resizing, batch: int, channels: Channels | None
) -> Iterator[list[Input]]:
    """Yield batches of inputs of one shape, in the order of the source; pictures are read as they are asked for.

    Args:
        source: a path of a picture, a folder, a glob or a video; an array or a picture of Pillow's; or a list of these.
        imgsz: length of the input's long side, pixels.
        resizing: way to resize them.
        batch: most pictures of a batch.
        channels: order of the arrays' channels.

    Raises:
        ConfigError: an array is no picture, or nobody says in which order its channels are.
        DataError: a path names nothing that can be read.
    """
    several = list(source) if isinstance(source, list | tuple) else [source]
    if not several:
        return
    if all(isinstance(each, str | Path) for each in several):
        yield from _from_files([str(each) for each in several], imgsz, resizing, batch)
    else:
        yield from _from_pixels(several, imgsz, resizing, batch, channels)


def _from_files(paths: list[str], imgsz: int, resizing: Resizing, batch: int) -> Iterator[list[Input]]:
    dataset = open_sources(paths, imgsz, resizing)
    lost = [f"{path}: {what}" for path, what in dataset.unreadable.items()]
    for indices in PredictBatchSampler(dataset, batch):
        inputs = [found for index in indices if (found := _read(dataset, index, lost)) is not None]
        if inputs:
            yield inputs
    if lost:
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        warn_user(f"{len(lost)} could not be read: {'; '.join(lost[:SHOWN])}{more}")


def _read(dataset: SourceDataset, index: int, lost: list[str]) -> Input | None:
    """Read one picture or frame; one that cannot be read is no reason to lose the others, and is added to `lost`."""
    file, frame = dataset.locate(index)
    try:
        return Input(dataset[index], file.path, frame)
    except DataError as error:
        lost.append(str(error))
        return None


def _from_pixels(
    pictures: Sequence[Any], imgsz: int, resizing: Resizing, batch: int, channels: Channels | None
) -> Iterator[list[Input]]:
    def read() -> Iterator[Input]:
        for number, given in enumerate(pictures):
            image, name = _pixels(given, f"picture {number}", channels)
            item = resizing.predicted(image, name, imgsz, (image.shape[0], image.shape[1]))
            yield Input(item, name, picture=image)

    for _, alike in groupby(read(), lambda each: each.item["image"].shape):
        while inputs := list(islice(alike, batch)):
            yield inputs


def _pixels(given: Any, name: str, channels: Channels | None) -> tuple[NDArray[np.uint8], str]:
    """Return a picture as (H, W, 3) uint8 RGB, upright, and its name.

    Raises:
        ConfigError: it is none.
        DataError: a file cannot be read.
    """
    if isinstance(given, str | Path):
        from aigp_lightning.data.images import read_image

        return read_image(str(given)), str(given)
    if isinstance(given, np.ndarray):
        return _from_array(given, name, channels), name
    from PIL import Image

    from aigp_lightning.data.images import rgb_of

    if not isinstance(given, Image.Image):
        raise ConfigError(
            f"{name} is a {type(given).__name__}; a path, a NumPy array or a picture of Pillow's can be looked at."
        )
    named = str(getattr(given, "filename", "") or name)
    if 0 in given.size:
        raise ConfigError(f"{named} is {given.width} × {given.height}; a picture has pixels.")
    return rgb_of(given, named), named


def _from_array(given: NDArray[Any], name: str, channels: Channels | None) -> NDArray[np.uint8]:
    grey = given.ndim == GREY
    if given.dtype != np.uint8 or not given.size or not (grey or (given.ndim == COLOUR and given.shape[2] == COLOUR)):
        raise ConfigError(f"{name} is {given.shape} {given.dtype}; a picture is (H, W, 3) or (H, W) of uint8.")
    if grey:
        return np.ascontiguousarray(np.repeat(given[..., None], COLOUR, axis=2))
    if channels is None:
        raise ConfigError(
            f'{name}: an array does not say whether red or blue comes first; say channels="bgr" for what cv2.imread '
            'returns, or channels="rgb".'
        )
    return np.ascontiguousarray(given if channels == "rgb" else given[..., ::-1])
