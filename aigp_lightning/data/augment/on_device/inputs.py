"""A batch as it goes to the device before it is augmented: the pixels that can be seen, and what was drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor

from aigp_lightning.data.augment.on_device.jpeg import EncodedPicture, FileInBatch
from aigp_lightning.data.augment.on_device.warp import GREY, NOWHERE
from aigp_lightning.errors import ConfigError

if TYPE_CHECKING:
    from aigp_lightning.data.augment.on_device.draws import Draws
    from aigp_lightning.data.augment.tiles import Tile

INPUTS = "augment_inputs"
"""Key under which a batch whose pictures are still to be made has its `AugmentInputs`."""
ORDER = ("blur", "median_blur", "to_gray", "clahe")
"""Transforms that few samples get, in the order in which a sample gets them."""
MOST_TILES = 4
ROWS = 2  # of the matrix of an affine map
UNUSED = (0, 0, 0, 0, 0, 0)


class AugmentInputs(TypedDict):
    """Inputs from which the device makes the pictures of a batch.

    Attributes:
        size: side of the pictures, pixels.
        straight: no picture is turned or sheared.
        recolour: the pictures get other colours.
        pixels: (n, 3) uint8 RGB, parts of pictures, one after the other; the first pixel is grey.
        files: (b,) uint8, the bytes of JPEG files that are still to be decoded; they stay with the processor.
        encoded: these files; their pictures come after `pixels`, whole.
        tiles: (B, T, 6) int32, see `warp`.
        to_canvas: (B, 2, 3) float32, output pixels to canvas pixels; (B, 3, 3) where some are tilted.
        cropped: (B,) bool, pictures whose edge repeats that of the picture they are a part of; (0,) if none is one.
        colour: (B, 3) float32, see `shift_hsv`.
        rare: of each transform that few samples get, its name, a number of its own, and from where to where the
            samples stand in `rows`; in order.
        rows: (R, 2) int64, samples, and a number for each.
        swapped: (S,) int64, samples whose red and blue change places.
    """

    size: int
    straight: bool
    recolour: bool
    pixels: Tensor
    files: Tensor
    encoded: list[FileInBatch]
    tiles: Tensor
    to_canvas: Tensor
    cropped: Tensor
    colour: Tensor
    rare: list[tuple[str, int, int, int]]
    rows: Tensor
    swapped: Tensor


class Part(NamedTuple):
    """The part of a picture that an augmented picture can show.

    Attributes:
        image: the whole picture, (h, w, 3) uint8.
        offset: x and y of its first pixel on the canvas.
        rect: left, top, right and bottom of the part on the canvas.

    Example:
        >>> Part(np.zeros((4, 6, 3), np.uint8), offset=(10, 20), rect=(12, 20, 16, 24)).cut.shape
        (4, 4, 3)
    """

    image: Any
    offset: tuple[int, int]
    rect: tuple[int, int, int, int]

    @property
    def cut(self) -> np.ndarray:
        """The pixels of the part, (h, w, 3) uint8, a view."""
        (x, y), (left, top, right, bottom) = self.offset, self.rect
        return np.asarray(self.image[top - y : bottom - y, left - x : right - x])


def visible_parts(tiles: Sequence[Tile], to_canvas: np.ndarray, size: int) -> list[Part]:
    """Find the parts of a sample's pictures that its augmented picture can show.

    Args:
        tiles: the pictures and their places on the canvas.
        to_canvas: (2, 3) or (3, 3) output pixels to canvas pixels.
        size: side of the output, pixels.

    Example:
        >>> from aigp_lightning.data.augment.tiles import Tile
        >>> tile = Tile(np.zeros((48, 64, 3), np.uint8), rect=(0, 0, 64, 48), offset=(0, 0), seams=(False, False))
        >>> [part.rect for part in visible_parts([tile], np.array([[0.5, 0, 0], [0, 0.5, 30]]), size=64)]
        [(0, 30, 33, 48)]
    """
    first_x, first_y, end_x, end_y = (_tilted_hull if len(to_canvas) > ROWS else _hull)(to_canvas, size)
    parts = []
    for tile in tiles:
        (x, y), (x1, y1, x2, y2) = tile.offset, tile.rect
        left, top = max(x1 + x, first_x), max(y1 + y, first_y)
        right, bottom = min(x2 + x, end_x), min(y2 + y, end_y)
        if left < right and top < bottom:
            parts.append(Part(tile.image, tile.offset, (left, top, right, bottom)))
    return parts


def _hull(to_canvas: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what an affine map can show of the canvas."""
    ((xx, xy, shift_x), (yx, yy, shift_y)), last = to_canvas.tolist(), size - 1
    # The extremes of a sum over x and y are the sums of the extremes; one more pixel on the right to interpolate with.
    return (
        math.floor(min(0, xx * last) + min(0, xy * last) + shift_x),
        math.floor(min(0, yx * last) + min(0, yy * last) + shift_y),
        math.floor(max(0, xx * last) + max(0, xy * last) + shift_x) + 2,
        math.floor(max(0, yx * last) + max(0, yy * last) + shift_y) + 2,
    )


def _tilted_hull(to_canvas: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """Return the same for a projective map: all of the canvas where the output has the vanishing line."""
    end = size - 1
    corners = np.array(((0, 0, 1), (end, 0, 1), (end, end, 1), (0, end, 1))) @ to_canvas.T
    if (depth := corners[:, 2]).min() <= 0 <= depth.max():
        return NOWHERE, NOWHERE, -NOWHERE, -NOWHERE
    (x1, y1), (x2, y2) = np.sort(np.floor(corners[:, :2] / depth[:, None]).astype(int), axis=0)[[0, -1]].tolist()
    return x1, y1, x2 + 2, y2 + 2


def pack_inputs(draws: Sequence[Draws], size: int, *, straight: bool, recolour: bool) -> AugmentInputs:
    """Put the draws of a batch, and the pixels that they need, into a few tensors.

    Args:
        draws: of each sample.
        size: side of the output, pixels.
        straight: no sample is turned or sheared.
        recolour: samples get other colours.

    Example:
        >>> from aigp_lightning.data.augment.instances import Instances
        >>> from aigp_lightning.data.augment.on_device.draws import Draws
        >>> from aigp_lightning.data.augment.tiles import Tile
        >>> tile = Tile(np.full((2, 2, 3), 255, np.uint8), rect=(0, 0, 2, 2), offset=(0, 0), seams=(False, False))
        >>> nothing = Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), None)
        >>> draws = Draws(nothing, [tile], np.eye(2, 3), (0, 1.0, 1.0), {"blur": 3})
        >>> inputs = pack_inputs([draws], size=2, straight=True, recolour=False)
        >>> inputs["pixels"][:, 0].tolist(), inputs["tiles"].shape, inputs["rare"], inputs["rows"].tolist()
        ([114, 255, 255, 255, 255], torch.Size([1, 4, 6]), [('blur', 3, 0, 1)], [[0, 3]])
    """
    parts = [visible_parts(each.tiles, each.to_canvas, size) for each in draws]
    pixels, files, encoded, starts = _sources([part for mine in parts for part in mine])
    table = []
    for mine in parts:
        lines = [(*next(starts), *part.rect) for part in mine]
        table.append(lines + [UNUSED] * (MOST_TILES - len(lines)))
    rare, rows = _rare([each.rare for each in draws])
    cropped = [each.cropped for each in draws]
    return {
        "size": size,
        "straight": straight,
        "recolour": recolour,
        "pixels": pixels,
        "files": files,
        "encoded": encoded,
        "tiles": torch.tensor(table, dtype=torch.int32).reshape(-1, MOST_TILES, len(UNUSED)),
        "to_canvas": _matrices([each.to_canvas for each in draws]),
        "cropped": torch.tensor(cropped if any(cropped) else [], dtype=torch.bool),
        "colour": torch.tensor([each.colour for each in draws], dtype=torch.float32).reshape(-1, 3),
        "rare": rare,
        "rows": torch.tensor(rows, dtype=torch.int64).reshape(-1, 2),
        "swapped": torch.tensor([row for row, each in enumerate(draws) if each.swapped], dtype=torch.int64),
    }


def _matrices(maps: Sequence[np.ndarray]) -> Tensor:
    """Stack maps: (B, 2, 3) float32, or (B, 3, 3) if one is projective."""
    tilted = any(len(each) > ROWS for each in maps)
    same = [np.vstack((each, (0, 0, 1))) if tilted and len(each) == ROWS else each for each in maps]
    return torch.from_numpy(np.array(same, np.float32).reshape(-1, ROWS + tilted, 3))


def _sources(parts: Sequence[Part]) -> tuple[Tensor, Tensor, list[FileInBatch], Iterator[tuple[int, int]]]:
    """Put what the parts are cut from behind each other: decoded parts, then whole files, each once.

    Returns:
        Pixels, bytes of files, the files, and for each part the place that the canvas pixel (0, 0) would have among
        all pixels, and the pixels of a row.

    Raises:
        ConfigError: there are more pixels than the device can count.
    """
    cuts = [part.cut for part in parts if not isinstance(part.image, EncodedPicture)]
    pictures = {id(part.image): part.image for part in parts if isinstance(part.image, EncodedPicture)}
    ordered = sorted(pictures.values(), key=lambda picture: (picture.full, picture.shape))
    ends = list(accumulate((len(picture.data) for picture in ordered), initial=0))
    files = [
        FileInBatch(start, end, picture.full, picture.shape[:2], picture.im_file, picture.antialiased)
        for start, end, picture in zip(ends, ends[1:], ordered, strict=False)
    ]
    code = np.concatenate([np.zeros(0, np.uint8), *(picture.data for picture in ordered)])
    rooms = [1, *(cut.shape[0] * cut.shape[1] for cut in cuts)]
    places = list(accumulate((*rooms, *(picture.shape[0] * picture.shape[1] for picture in ordered))))
    if places[-1] >= -NOWHERE:
        raise ConfigError(f"--data.augment_on device: a batch with {places[-1]:,} pixels is too large; use cpu.")
    whole = {id(picture): place for picture, place in zip(ordered, places[len(cuts) :], strict=False)}
    return _joined(cuts, sum(rooms)), torch.from_numpy(code), files, _starts(parts, iter(places), whole)


def _starts(parts: Sequence[Part], places: Iterator[int], whole: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Yield place and row length of each part; see `_sources`."""
    for part in parts:
        left, top, right, _ = part.rect
        if (place := whole.get(id(part.image))) is not None:
            (left, top), width = part.offset, part.image.shape[1]
        else:
            place, width = next(places), right - left
        yield place - top * width - left, width


def _joined(images: Sequence[np.ndarray], room: int) -> Tensor:
    """Copy all pixels into one tensor after a grey one, (room, 3)."""
    pixels = torch.empty(room, 3, dtype=torch.uint8)
    flat = pixels.numpy()
    flat[0], end = GREY, 1
    for image in images:
        height, width = image.shape[:2]
        flat[end : end + height * width].reshape(image.shape)[:] = image
        end += height * width
    return pixels


def _rare(drawn: Sequence[dict[str, int]]) -> tuple[list[tuple[str, int, int, int]], list[tuple[int, int]]]:
    """Sort samples by the rare transforms that they get: the blurs of one size together."""
    groups: list[tuple[str, int, int, int]] = []
    rows: list[tuple[int, int]] = []
    for name in ORDER:
        found = [(row, each[name]) for row, each in enumerate(drawn) if name in each]
        sizes = sorted({number for _, number in found}) if name.endswith("blur") else [0][: len(found)]
        for size in sizes:
            mine = [pair for pair in found if size in (0, pair[1])]
            groups.append((name, size, len(rows), len(rows) + len(mine)))
            rows += mine
    return groups, rows
