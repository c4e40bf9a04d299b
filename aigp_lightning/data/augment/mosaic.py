"""Mosaic and random affine in one: every tile is warped once, straight to its place in the output.

The usual way pastes four images on a canvas of twice the size and warps that. The canvas is only imagined here: its
pixels would be touched twice, and most of them thrown away. Under a tilt what can be seen of it is made after all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import albumentations as A  # type: ignore[import-untyped,unused-ignore]
import cv2
import numpy as np

from aigp_lightning.data.augment.canvas import GREY, warp_canvas
from aigp_lightning.data.augment.crop import centred, draw_crop, warp_crop
from aigp_lightning.data.augment.instances import (
    MIN_AREA_LEFT,
    MIN_OUTLINED_AREA_LEFT,
    Instances,
    worth_keeping,
)
from aigp_lightning.data.augment.tiles import Tile, draw_centre, join_labels, lay_tiles, warp_tile

if TYPE_CHECKING:
    from aigp_lightning.data.augment import Sample


class Geometry(NamedTuple):
    """A mosaic centre and an affine or projective map, or a crop, as drawn for one sample.

    Attributes:
        centre: x and y on the canvas where the four tiles meet, whole pixels; None without mosaic.
        matrix: (2, 3) float64, canvas pixels to output pixels; (3, 3) with perspective.
        gain: The scale in the matrix.
        cropped: The output is a part of the picture, and its edge repeats that of the picture.

    Example:
        >>> geometry = MosaicAffine(64, translate=0, scale=0).draw((32, 32), mosaic=False)
        >>> geometry.centre, geometry.matrix.tolist(), geometry.gain
        (None, [[1.0, 0.0, 16.0], [0.0, 1.0, 16.0]], 1.0)
    """

    centre: tuple[int, int] | None
    matrix: np.ndarray
    gain: float
    cropped: bool = False

    @property
    def tilted(self) -> bool:
        """True if the map is projective."""
        return bool(self.matrix.shape[0] == self.matrix.shape[1])

    @property
    def pixels(self) -> np.ndarray:
        """The map of pixels' numbers: the matrix itself by Ultralytics' rule, centres to centres in a crop."""
        return centred(self.matrix) if self.cropped else self.matrix


class MosaicAffine(A.DualTransform):  # type: ignore[misc,unused-ignore]
    """Mosaic of four with random rotation, scale, shear and translation; without partners the affine alone, or a crop.

    The partners come as the key `partners` (three samples or none), the labels as the key `instances`, the shape of the
    picture on disk as `ori_shape` (without it that of the image). With the key `laid`, the partners are on the image.

    Args:
        imgsz: Side of the square output, pixels.
        degrees: Rotation is uniform in plus or minus this, degrees.
        translate: The canvas centre lands uniformly in 0.5 plus or minus this, as a fraction of the output.
        scale: The gain is uniform in 1 - scale to 1 + scale, or between the two of a pair.
        shear: Shear per axis is uniform in plus or minus this, degrees.
        perspective: The tilt per axis is uniform in plus or minus this, a pixel of the canvas.
        crop: Probability of a square crop in place of the affine, where there are no partners; see `crop.draw_crop`.
        p: Probability; anything under 1 leaves images that are not of the output's size.

    Example:
        >>> labels = Instances(np.array([[0, 0, 32, 32]], np.float32), np.zeros(1, np.int64), None)
        >>> centred = MosaicAffine(64, translate=0, scale=0)(
        ...     image=np.zeros((32, 32, 3), np.uint8), instances=labels, partners=()
        ... )
        >>> centred["image"].shape, centred["instances"].bboxes.tolist()
        ((64, 64, 3), [[16.0, 16.0, 48.0, 48.0]])
    """

    def __init__(
        self,
        imgsz: int,
        *,
        degrees: float = 0.0,
        translate: float = 0.1,
        scale: float | tuple[float, float] = 0.5,
        shear: float = 0.0,
        perspective: float = 0.0,
        crop: float = 0.0,
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        self.imgsz = imgsz
        self.degrees = degrees
        self.translate = translate
        self.scale = (1 - scale, 1 + scale) if isinstance(scale, float | int) else tuple(scale)
        self.shear = shear
        self.perspective = perspective
        self.crop = crop
        # Kept from call to call: fresh pages cost as much as the warp.
        self._out = np.empty((imgsz, imgsz, 4), np.uint8)
        self._scratch = np.empty(0, np.uint8)

    @property
    def targets(self) -> dict[str, Callable[..., Any]]:
        """The method for each key of a sample that this transform changes."""
        return {"image": self.apply, "instances": self.apply_to_instances}

    def draw(self, shape: tuple[int, int], mosaic: bool) -> Geometry:
        """Draw a mosaic centre and an affine or projective map.

        Args:
            shape: Height and width of the image, pixels; the canvas where there is no mosaic.
            mosaic: There are partners.
        """
        rng = self.py_random
        centre = None
        if mosaic:
            centre, shape = draw_centre(self.imgsz, rng), (2 * self.imgsz, 2 * self.imgsz)
        tilt = [rng.uniform(-self.perspective, self.perspective) for _ in range(2)] if self.perspective else []
        angle = math.radians(rng.uniform(-self.degrees, self.degrees))
        gain = rng.uniform(*self.scale)
        shear_x, shear_y = (math.tan(math.radians(rng.uniform(-self.shear, self.shear))) for _ in range(2))
        low, high = 0.5 - self.translate, 0.5 + self.translate
        target_x, target_y = rng.uniform(low, high) * self.imgsz, rng.uniform(low, high) * self.imgsz
        cos, sin = math.cos(angle) * gain, math.sin(angle) * gain
        # Shear after rotation: ((1, shear_x), (shear_y, 1)) times ((cos, sin), (-sin, cos)).
        xx, xy = cos - shear_x * sin, sin + shear_x * cos
        yx, yy = shear_y * cos - sin, shear_y * sin + cos
        middle_x, middle_y = shape[1] / 2, shape[0] / 2
        if tilt:  # about the middle, before the others
            to_middle = np.array(
                ((1, 0, -middle_x), (0, 1, -middle_y), (*tilt, 1 - np.dot(tilt, (middle_x, middle_y))))
            )
            return Geometry(centre, np.array(((xx, xy, target_x), (yx, yy, target_y), (0, 0, 1))) @ to_middle, gain)
        shift_x = target_x - xx * middle_x - xy * middle_y
        shift_y = target_y - yx * middle_x - yy * middle_y
        return Geometry(centre, np.array(((xx, xy, shift_x), (yx, yy, shift_y))), gain)

    def draw_crop(self, shape: tuple[int, int], original: tuple[int, int]) -> Geometry | None:
        """Draw whether the image is cropped, and where; None where it is not. Without crops nothing is drawn.

        Args:
            shape: Height and width of the image, pixels.
            original: Those of the picture on disk.
        """
        if not self.crop or self.py_random.random() >= self.crop:
            return None
        crop = draw_crop(shape, original, self.py_random)
        return Geometry(None, crop.matrix(self.imgsz), crop.gain(self.imgsz), cropped=True)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the geometry, and lay the tiles on the canvas.

        Args:
            params: Albumentations' own.
            data: With `image`, `instances` and, for a mosaic, `partners`; for a crop `ori_shape`.
        """
        image: np.ndarray = data["image"]
        partners: Sequence[Sample] = data.get("partners", ())
        shape = image.shape[0], image.shape[1]
        geometry = None if partners else self.draw_crop(shape, data.get("ori_shape") or shape)
        if geometry is None:
            geometry = self.draw(shape, bool(partners) and not data.get("laid"))
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
        if geometry.cropped:
            return warp_crop(img, geometry.pixels, self.imgsz)
        if geometry.tilted:
            canvas = (2 * self.imgsz, 2 * self.imgsz) if geometry.centre else (img.shape[1], img.shape[0])
            return warp_canvas(tiles, geometry.matrix, canvas, self.imgsz)
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
        """Move boxes, keypoints and outlines with the pixels, and drop those that are no longer visible.

        Args:
            instances: Labels of the first image.
            geometry: The draw.
            tiles: One, or four.
            partners: Samples of the other tiles.
            **params: Albumentations' own.
        """
        if geometry.centre is None:
            # Labels may reach a little beyond their image: what is there is grey.
            instances = instances.clipped(*tiles[0].image.shape[1::-1])
        else:
            instances = join_labels(instances, partners, tiles, 2 * self.imgsz)
        after = instances.moved(geometry.matrix).boxed(self.imgsz, self.imgsz).clipped(self.imgsz, self.imgsz)
        area = MIN_AREA_LEFT if instances.segments is None else MIN_OUTLINED_AREA_LEFT
        return after.select(worth_keeping(instances.bboxes, after.bboxes, geometry.gain, area))
