"""Objects pasted with their polygons: mirrored copies of a picture's own, or those of another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import albumentations as A  # type: ignore[import-untyped,unused-ignore]
import cv2
import numpy as np

from aigp_lightning.data.augment.canvas import paste
from aigp_lightning.data.augment.instances import Instances, concatenate
from aigp_lightning.data.augment.mixing import covered
from aigp_lightning.data.augment.tiles import Tile, draw_centre, join_labels, lay_tiles

if TYPE_CHECKING:
    from aigp_lightning.data.augment import Sample

MOST_COVERED = 0.3
"""Objects of which more would be covered keep others from being pasted there."""


class Mosaic(A.DualTransform):  # type: ignore[misc,unused-ignore]
    """Paste the images of a mosaic on a canvas of twice the size; without partners nothing changes.

    Only needed where objects are pasted on the canvas; else `MosaicAffine` does without one.

    Args:
        imgsz: Half of the canvas's side, pixels.
        p: Probability.

    Example:
        >>> labels = Instances(np.array([[0, 0, 32, 32]], np.float32), np.zeros(1, np.int64), None)
        >>> mosaic = Mosaic(64)
        >>> mosaic(image=np.zeros((64, 64, 3), np.uint8), instances=labels, partners=())["image"].shape
        (64, 64, 3)
    """

    def __init__(self, imgsz: int, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.imgsz = imgsz

    @property
    def targets(self) -> dict[str, Callable[..., Any]]:
        """The method for each key of a sample that this transform changes."""
        return {"image": self.apply, "instances": self.apply_to_instances, "laid": self.apply_to_laid}

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the centre, and lay the tiles.

        Args:
            params: Albumentations' own.
            data: With `image` and `partners`.
        """
        partners: Sequence[Sample] = data["partners"]
        tiles: list[Tile] = []
        if partners:
            images = [data["image"], *(partner["image"] for partner in partners)]
            tiles = lay_tiles(images, draw_centre(self.imgsz, self.py_random), 2 * self.imgsz)
        return {"tiles": tiles, "partners": partners}

    def apply(self, img: np.ndarray, tiles: list[Tile], **params: Any) -> np.ndarray:
        """Make the canvas.

        Args:
            img: (h, w, 3) uint8; the first tile holds it already.
            tiles: Four, or none.
            **params: Albumentations' own.
        """
        return paste(tiles, (0, 0, 2 * self.imgsz, 2 * self.imgsz)) if tiles else img

    def apply_to_instances(
        self, instances: Instances, tiles: list[Tile], partners: Sequence[Sample], **params: Any
    ) -> Instances:  # fmt: skip
        """Join the labels.

        Args:
            instances: Labels of the first image.
            tiles: Four, or none.
            partners: Samples of the other tiles.
            **params: Albumentations' own.
        """
        return join_labels(instances, partners, tiles, 2 * self.imgsz) if tiles else instances

    def apply_to_laid(self, laid: bool, tiles: list[Tile], **params: Any) -> bool:
        """Note that the partners are on the image now.

        Args:
            laid: As before.
            tiles: Four, or none.
            **params: Albumentations' own.
        """
        return bool(tiles)


class CopyPaste(A.DualTransform):  # type: ignore[misc,unused-ignore]
    """Paste objects where they cover less than 30 % of each object that is there, those that cover least first.

    The key `pasted` says from where: True, the mirrored picture itself; a sample with `image` and `instances`; False or
    None, from nowhere. Without polygons nothing is pasted.

    Args:
        share: Of the objects that may be pasted, 0…1.
        p: Probability.

    Example:
        >>> square = np.array([[[2, 2], [8, 2], [8, 8], [2, 8]]], np.float32)
        >>> labels = Instances(np.array([[2, 2, 8, 8]], np.float32), np.zeros(1, np.int64), None, square)
        >>> image = np.zeros((32, 32, 3), np.uint8)
        >>> image[2:8, 2:8] = 255
        >>> copied = CopyPaste(share=1.0)(image=image, instances=labels, pasted=True)
        >>> copied["instances"].bboxes.tolist(), int(copied["image"][4, 27, 0])
        ([[2.0, 2.0, 8.0, 8.0], [24.0, 2.0, 30.0, 8.0]], 255)
    """

    def __init__(self, share: float, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.share = share

    @property
    def targets(self) -> dict[str, Callable[..., Any]]:
        """The method for each key of a sample that this transform changes."""
        return {"image": self.apply, "instances": self.apply_to_instances}

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Choose the objects.

        Args:
            params: Albumentations' own.
            data: With `image`, `instances` and `pasted`.
        """
        mine: Instances = data["instances"]
        source, nothing = data.get("pasted"), {"objects": None, "pixels": None}
        if not source or mine.segments is None or not len(mine.segments):
            return nothing
        if source is True:
            image, theirs = cv2.flip(data["image"], 1), mine.flipped(data["image"].shape[1], 0, None)
        else:
            image, theirs = source["image"], source["instances"]
        if theirs.segments is None:
            return nothing
        cover = covered(theirs.bboxes, mine.bboxes)
        allowed = np.flatnonzero((cover < MOST_COVERED).all(1))
        order = allowed[np.argsort(cover.max(1)[allowed], kind="stable")]
        chosen = order[: round(self.share * len(order))]
        return {"objects": theirs.select(chosen), "pixels": image} if len(chosen) else nothing

    def apply(self, img: np.ndarray, objects: Instances | None, pixels: np.ndarray, **params: Any) -> np.ndarray:
        """Copy the pixels inside of the objects' polygons.

        Args:
            img: (H, W, 3) uint8, left as it is.
            objects: Those that are pasted, or None.
            pixels: (H, W, 3) uint8, where they are.
            **params: Albumentations' own.
        """
        if objects is None or objects.segments is None:
            return img
        mask = np.zeros(img.shape[:2], np.uint8)
        for polygon in objects.segments.astype(np.int32):
            cv2.drawContours(mask, [polygon], -1, 1, cv2.FILLED)
        return np.asarray(cv2.copyTo(pixels, mask, img.copy()), np.uint8)

    def apply_to_instances(self, instances: Instances, objects: Instances | None, **params: Any) -> Instances:
        """Add the labels.

        Args:
            instances: Labels that are there.
            objects: Those that are pasted, or None.
            **params: Albumentations' own.
        """
        return instances if objects is None else concatenate([instances, objects], [(0, 0), (0, 0)])
