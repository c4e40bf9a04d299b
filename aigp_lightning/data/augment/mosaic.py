"""Mosaic and random affine in one: every tile is warped once, straight to its place in the output.

The usual way pastes four images on a canvas of twice the size and warps that. The canvas is only thought of here: its
pixels would be touched twice, and most of them thrown away. Warping goes through four channels, since OpenCV's
vectorised kernel takes those three times as fast as three; the values are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import albumentations as A  # type: ignore[import-untyped,unused-ignore]
import cv2
import numpy as np

from aigp_lightning.data.augment.instances import Instances, areas, concatenate, worth_keeping

if TYPE_CHECKING:
    from aigp_lightning.data.augment import Sample

GREY = 114
TILES = 4


class Geometry(NamedTuple):
    """One draw.

    Attributes:
        centre: x and y on the canvas where the four tiles meet, whole pixels; None without mosaic.
        matrix: (2, 3) float64, canvas pixels to output pixels.
        gain: The scale in it.
    """

    centre: tuple[int, int] | None
    matrix: np.ndarray
    gain: float


class Tile(NamedTuple):
    """One image's place on the canvas.

    Attributes:
        image: (h, w, 3) uint8.
        rect: x1, y1, x2, y2 of the part that lies on the canvas, pixels of `image`.
        offset: x and y from image pixels to canvas pixels.
        seams: Whether a tile drawn later begins at its right edge, and at its bottom edge.
    """

    image: np.ndarray
    rect: tuple[int, int, int, int]
    offset: tuple[int, int]
    seams: tuple[bool, bool]


def lay_tiles(images: Sequence[np.ndarray], centre: tuple[int, int], canvas: int) -> list[Tile]:
    """Place four images around a point: top left, top right, bottom left, bottom right.

    Args:
        images: Four (h, w, 3) arrays.
        centre: x and y of the point, canvas pixels.
        canvas: Side of the canvas, pixels; what reaches beyond it is cut.
    """
    tiles = []
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        right, bottom = index % 2, index // 2
        dx, dy = centre[0] - (0 if right else width), centre[1] - (0 if bottom else height)
        rect = (max(-dx, 0), max(-dy, 0), min(width, canvas - dx), min(height, canvas - dy))
        tiles.append(Tile(image, rect, (dx, dy), (not right, not bottom)))
    return tiles


def warp_tile(tile: Tile, matrix: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> None:
    """Warp one tile into the output, blending its edge over what lies there.

    Args:
        tile: The tile.
        matrix: (2, 3) canvas pixels to output pixels.
        out: (H, W, 4) uint8, written in place; the fourth channel means nothing.
        scratch: uint8 memory for four channels of the tile and one more row and column.
    """
    height, width = out.shape[:2]
    to_out = matrix.copy()
    to_out[:, 2] += matrix[:, :2] @ tile.offset
    # Only source pixels that the output can see, and two more for the interpolation.
    x1, y1, x2, y2 = _hull(cv2.invertAffineTransform(to_out), (0, 0, width - 1, height - 1))
    left, top = max(tile.rect[0], math.floor(x1) - 2), max(tile.rect[1], math.floor(y1) - 2)
    right, bottom = min(tile.rect[2], math.ceil(x2) + 3), min(tile.rect[3], math.ceil(y2) + 3)
    if left >= right or top >= bottom:
        return
    # Where a later tile joins, one repeated row or column lets that tile's edge blend with this one, not with grey.
    pad_x, pad_y = (int(seam) for seam in tile.seams)
    shape = (bottom - top + pad_y, right - left + pad_x, 4)
    source = scratch[: math.prod(shape)].reshape(shape)
    cv2.cvtColor(tile.image[top:bottom, left:right], cv2.COLOR_RGB2RGBA, dst=source[: bottom - top, : right - left])
    if pad_x:
        source[:, shape[1] - 1] = source[:, shape[1] - 2]
    if pad_y:
        source[shape[0] - 1] = source[shape[0] - 2]
    to_out[:, 2] += to_out[:, :2] @ (left, top)
    u1, v1, u2, v2 = _hull(to_out, (-1, -1, shape[1], shape[0]))
    first_x, first_y = max(math.floor(u1), 0), max(math.floor(v1), 0)
    last_x, last_y = min(math.ceil(u2) + 1, width), min(math.ceil(v2) + 1, height)
    if first_x >= last_x or first_y >= last_y:
        return
    to_out[:, 2] -= (first_x, first_y)
    cv2.warpAffine(
        source,
        to_out,
        (last_x - first_x, last_y - first_y),
        dst=out[first_y:last_y, first_x:last_x],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def _hull(matrix: np.ndarray, rect: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Bounds x1, y1, x2, y2 of a rectangle's image under an affine map."""
    xx, xy, shift_x, yx, yy, shift_y = (float(value) for value in matrix.flat)
    x1, y1, x2, y2 = rect
    corners = ((x1, y1), (x1, y2), (x2, y1), (x2, y2))
    xs = [xx * x + xy * y + shift_x for x, y in corners]
    ys = [yx * x + yy * y + shift_y for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


class MosaicAffine(A.DualTransform):  # type: ignore[misc,unused-ignore]
    """Mosaic of four with random rotation, scale, shear and translation; without partners the affine alone.

    The partners come as the key `partners` (three samples or none), the labels as the key `instances`.

    Args:
        imgsz: Side of the square output, pixels.
        degrees: Rotation is uniform in plus or minus this, degrees.
        translate: The canvas centre lands uniformly in 0.5 plus or minus this, as a fraction of the output.
        scale: The gain is uniform in 1 - scale to 1 + scale.
        shear: Shear per axis is uniform in plus or minus this, degrees.
        p: Probability; anything under 1 leaves images that are not of the output's size.
    """

    def __init__(
        self,
        imgsz: int,
        *,
        degrees: float = 0.0,
        translate: float = 0.1,
        scale: float = 0.5,
        shear: float = 0.0,
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        self.imgsz = imgsz
        self.degrees = degrees
        self.translate = translate
        self.scale = scale
        self.shear = shear
        # Kept from call to call: fresh pages cost as much as the warp.
        self._out = np.empty((imgsz, imgsz, 4), np.uint8)
        self._scratch = np.empty(0, np.uint8)

    @property
    def targets(self) -> dict[str, Callable[..., Any]]:
        """What this transform changes."""
        return {"image": self.apply, "instances": self.apply_to_instances}

    def draw(self, shape: tuple[int, int], mosaic: bool) -> Geometry:
        """Draw a mosaic centre and an affine map.

        Args:
            shape: Height and width of the image, pixels; the canvas where there is no mosaic.
            mosaic: Whether there are partners.
        """
        rng = self.py_random
        centre = None
        if mosaic:
            size = self.imgsz
            centre = (int(rng.uniform(size / 2, size * 1.5)), int(rng.uniform(size / 2, size * 1.5)))
            shape = (2 * size, 2 * size)
        angle = math.radians(rng.uniform(-self.degrees, self.degrees))
        gain = rng.uniform(1 - self.scale, 1 + self.scale)
        shear_x, shear_y = (math.tan(math.radians(rng.uniform(-self.shear, self.shear))) for _ in range(2))
        low, high = 0.5 - self.translate, 0.5 + self.translate
        target_x, target_y = rng.uniform(low, high) * self.imgsz, rng.uniform(low, high) * self.imgsz
        cos, sin = math.cos(angle) * gain, math.sin(angle) * gain
        # Shear after rotation: ((1, shear_x), (shear_y, 1)) times ((cos, sin), (-sin, cos)).
        xx, xy = cos - shear_x * sin, sin + shear_x * cos
        yx, yy = shear_y * cos - sin, shear_y * sin + cos
        middle_x, middle_y = shape[1] / 2, shape[0] / 2
        shift_x = target_x - xx * middle_x - xy * middle_y
        shift_y = target_y - yx * middle_x - yy * middle_y
        return Geometry(centre, np.array(((xx, xy, shift_x), (yx, yy, shift_y))), gain)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw, and lay the tiles on the canvas.

        Args:
            params: Albumentations' own.
            data: With `image`, `instances` and, for a mosaic, `partners`.
        """
        image: np.ndarray = data["image"]
        partners: Sequence[Sample] = data.get("partners", ())
        geometry = self.draw((image.shape[0], image.shape[1]), bool(partners))
        if geometry.centre is None:
            tiles = [Tile(image, (0, 0, image.shape[1], image.shape[0]), (0, 0), (False, False))]
        else:
            images = [image, *(partner["image"] for partner in partners)]
            tiles = lay_tiles(images, geometry.centre, 2 * self.imgsz)
        return {"geometry": geometry, "tiles": tiles, "partners": partners}

    def apply(self, img: np.ndarray, geometry: Geometry, tiles: list[Tile], **params: Any) -> np.ndarray:
        """Warp every tile into a new grey image.

        Args:
            img: (h, w, 3) uint8; the first tile holds it already.
            geometry: The draw.
            tiles: One, or four.
            **params: Albumentations' own.
        """
        out = self._out
        out.fill(GREY)
        room = 4 * max((tile.image.shape[0] + 1) * (tile.image.shape[1] + 1) for tile in tiles)
        if self._scratch.size < room:
            self._scratch = np.empty(room, np.uint8)
        for tile in tiles:
            warp_tile(tile, geometry.matrix, out, self._scratch)
        return np.asarray(cv2.cvtColor(out, cv2.COLOR_RGBA2RGB), np.uint8)

    def apply_to_instances(
        self, instances: Instances, geometry: Geometry, tiles: list[Tile], partners: Sequence[Sample], **params: Any
    ) -> Instances:
        """Move boxes and keypoints with the pixels, and drop what is no longer to be seen.

        Args:
            instances: Labels of the first image.
            geometry: The draw.
            tiles: One, or four.
            partners: Samples of the other tiles.
            **params: Albumentations' own.
        """
        labels = [instances]
        if geometry.centre is not None:
            labels += [Instances(item["bboxes"], item["cls"], item["keypoints"]) for item in partners]
        # Labels may reach a little beyond their image: what is there belongs to the next tile, or is grey.
        labels = [one.clipped(*tile.image.shape[1::-1]) for one, tile in zip(labels, tiles, strict=True)]
        instances = labels[0]
        if geometry.centre is not None:
            instances = concatenate(labels, [tile.offset for tile in tiles])
            instances = instances.clipped(2 * self.imgsz, 2 * self.imgsz)
            instances = instances.take(areas(instances.bboxes) > 0)
        after = instances.moved(geometry.matrix).clipped(self.imgsz, self.imgsz)
        return after.take(worth_keeping(instances.bboxes, after.bboxes, geometry.gain))
