"""Objects cut out of their pictures, in a folder a class: the same pixels, names and places as Ultralytics'."""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.files import is_plain_name
from aigp_lightning.paths import short_name

GAIN, PAD = 1.02, 10
"""A crop is larger than its box: by this factor, and by so many pixels, both ways together."""
QUALITY = 95
"""Of the JPEG files, with all of their colour."""


def crop_bounds(boxes: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return the pixels that crops of boxes have.

    Args:
        boxes: (n, 4) left, top, right, bottom in pixels of the picture.
        shape: its height and width.

    Returns:
        (n, 4) in the same order, within the picture; right and bottom are the first pixels outside.

    Example:
        >>> crop_bounds(np.array([[10, 20, 60, 40], [-4, 0, 3, 3]], np.float32), (48, 64)).tolist()
        [[4, 14, 64, 45], [0, 0, 8, 8]]
    """
    boxes = boxes.astype(np.float32)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = ((boxes[:, 2:] - boxes[:, :2]) * np.float32(GAIN) + np.float32(PAD)) / 2
    bounds = np.concatenate([middle - half, middle + half], axis=1).astype(np.int64)
    height, width = shape
    return np.clip(bounds, 0, [width, height, width, height])


def write_crops(
    folder: Path,
    name: str,
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: Mapping[int, str],
) -> list[Path]:
    """Write `<class>/<name>.jpg`, and for more objects of a class `<name>-2.jpg` and so on; no file is written over.

    Args:
        folder: of all classes.
        name: of the picture, without suffix; `/` between folders.
        image: (H, W, 3) RGB.
        boxes: (n, 4) xyxy in its pixels.
        labels: (n,) class ids.
        names: class names by id.

    Returns:
        The files, in the order of the boxes; a box that lies outside of the picture has none.
    """
    from PIL import Image

    written = []
    height, width = image.shape[:2]
    bounds = crop_bounds(boxes, (height, width)).tolist()
    for (left, top, right, bottom), label in zip(bounds, labels.tolist(), strict=True):
        if right <= left or bottom <= top:
            continue
        data = io.BytesIO()
        Image.fromarray(image[top:bottom, left:right]).save(data, "JPEG", quality=QUALITY, subsampling=0)
        written.append(_write_new(folder / folder_name(names.get(label, str(label))) / name, data.getvalue()))
    return written


def folder_name(name: str) -> str:
    """Return the name of a class as a folder can have it; a long one is cut, see `short_name`.

    Example:
        >>> folder_name("gate"), folder_name("gate/left"), folder_name("..")
        ('gate', 'gate_left', '__')
    """
    plain = name.replace("/", "_").replace("\\", "_").replace("\x00", "_")
    return short_name(plain if is_plain_name(plain) else plain.replace(".", "_") or "_")


def _write_new(place: Path, data: bytes) -> Path:
    """Write a file of a name that none has yet, `<place>.jpg`, `<place>-2.jpg` and so on."""
    place.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = place.with_name(f"{place.name}{f'-{number}' if number > 1 else ''}.jpg")
        try:
            with path.open("xb") as file:
                file.write(data)
            return path
        except FileExistsError:
            continue
    raise AssertionError("numbers have no end")
