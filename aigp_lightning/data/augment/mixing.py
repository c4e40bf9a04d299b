"""Two samples in one: blended (MixUp), or a rectangle of one in the other (CutMix); both by Ultralytics' rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import albumentations as A  # type: ignore[import-untyped,unused-ignore]
import cv2
import numpy as np

from aigp_lightning.data.augment.color import FLOOR
from aigp_lightning.data.augment.instances import Instances, areas, concatenate

if TYPE_CHECKING:
    from aigp_lightning.data.augment import Sample

EVEN = 32.0
"""Both parameters of the beta distribution of a blend's shares: hardly ever outside of 0.3 to 0.7."""
TRIES = 3
"""Rectangles that are drawn, of which one that covers no object is taken."""
LEAST_SHARE = 0.1
"""Share of an object that must lie in the rectangle for it to come along."""
LEAST_SHARE_OF_POLYGONS = 0.01
"""The same where objects have polygons."""


class Ingredients(NamedTuple):
    """An image, and all that is mixed with it to make a sample.

    Attributes:
        sample: the image.
        partners: three more of its mosaic, or none.
        seed: of all that is drawn for it.
        paste_own: mirrored copies of its own objects are pasted.
        pasted: what other objects are pasted from, or None.
        mixup: what it is blended with, or None.
        cutmix: what a rectangle of it shows, or None.

    Example:
        >>> gate, other = ({"im_file": name} for name in ("gate.jpg", "other.jpg"))
        >>> Ingredients(gate, seed=1, mixup=Ingredients(other, seed=2)).files
        ('gate.jpg', 'other.jpg')
    """

    sample: Sample
    partners: Sequence[Sample] = ()
    seed: int = 0
    paste_own: bool = False
    pasted: Ingredients | None = None
    mixup: Ingredients | None = None
    cutmix: Ingredients | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Every image file whose pixels may be in the sample, its own first."""
        return tuple(self._files())

    def _files(self) -> Iterator[str]:
        yield self.sample["im_file"]
        yield from (partner["im_file"] for partner in self.partners)
        for other in (self.pasted, self.mixup, self.cutmix):
            if other is not None:
                yield from other.files


class MixUp(A.DualTransform):  # type: ignore[misc,unused-ignore]
    """Blend with a second sample of the same size, which comes as the key `mixup`; the objects of both stay.

    Args:
        p: Probability; without a second sample nothing happens anyway.

    Example:
        >>> labels = Instances(np.array([[0, 0, 10, 20]], np.float32), np.zeros(1, np.int64), None)
        >>> other = {"image": np.full((32, 32, 3), 200, np.uint8), "instances": labels}
        >>> mixed = MixUp()(image=np.zeros((32, 32, 3), np.uint8), instances=labels, mixup=other)
        >>> bool(40 < mixed["image"].mean() < 160), len(mixed["instances"].cls)
        (True, 2)
    """

    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p=p)

    @property
    def targets(self) -> dict[str, Callable[..., Any]]:
        """The method for each key of a sample that this transform changes."""
        return {"image": self.apply, "instances": self.apply_to_instances}

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the first sample's share.

        Args:
            params: Albumentations' own.
            data: With `mixup`, the second sample with `image` and `instances`, or None.
        """
        other = data.get("mixup")
        return {"other": other, "share": 1.0 if other is None else self.random_generator.beta(EVEN, EVEN)}

    def apply(self, img: np.ndarray, other: dict[str, Any] | None, share: float, **params: Any) -> np.ndarray:
        """Blend the pixels; sums are rounded down, as in Ultralytics.

        Args:
            img: (H, W, 3) uint8.
            other: The second sample, or None.
            share: Of the first one, 0…1.
            **params: Albumentations' own.
        """
        if other is None:
            return img
        return np.asarray(cv2.addWeighted(img, share, other["image"], 1 - share, FLOOR), np.uint8)

    def apply_to_instances(self, instances: Instances, other: dict[str, Any] | None, **params: Any) -> Instances:
        """Join the labels.

        Args:
            instances: Labels of the first sample.
            other: The second sample, or None.
            **params: Albumentations' own.
        """
        return instances if other is None else concatenate([instances, other["instances"]], [(0, 0), (0, 0)])


class CutMix(A.DualTransform):  # type: ignore[misc,unused-ignore]
    """Show a rectangle of a second sample of the same size, which comes as the key `cutmix`, at the same place.

    It covers no object of the first sample, and shows at least one of the second; where no such rectangle is drawn,
    the sample stays as it is.

    Args:
        p: Probability; without a second sample nothing happens anyway.

    Example:
        >>> nothing = Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), None)
        >>> everywhere = Instances(np.array([[0, 0, 32, 32]], np.float32), np.zeros(1, np.int64), None)
        >>> other = {"image": np.full((32, 32, 3), 200, np.uint8), "instances": everywhere}
        >>> cut = CutMix()
        >>> cut.set_random_seed(4)
        >>> mixed = cut(image=np.zeros((32, 32, 3), np.uint8), instances=nothing, cutmix=other)
        >>> int((mixed["image"] > 0).sum()) // 3 == areas(mixed["instances"].bboxes)[0]
        np.True_
    """

    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p=p)

    @property
    def targets(self) -> dict[str, Callable[..., Any]]:
        """The method for each key of a sample that this transform changes."""
        return {"image": self.apply, "instances": self.apply_to_instances}

    def draw(self, width: int, height: int) -> np.ndarray:
        """Draw rectangles: the share that stays is uniform, the middle lies anywhere.

        Args:
            width: Of the image, pixels.
            height: Of the image, pixels.

        Returns:
            (3, 4) int64 xyxy, clipped to the image.
        """
        random, size = self.random_generator, np.array((width, height))
        side = np.sqrt(1 - random.beta(1.0, 1.0, TRIES))[:, None]
        half = (size * side).astype(np.int64) // 2
        middle = random.integers(size, size=(TRIES, 2))
        return np.concatenate((middle - half, middle + half), axis=1).clip(0, np.tile(size, 2))

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw a rectangle, and find what it brings along.

        Args:
            params: Albumentations' own.
            data: With `image`, `instances` and `cutmix`, the second sample with `image` and `instances`, or None.
        """
        other, nothing = data.get("cutmix"), {"rect": None, "rows": None, "other": None}
        if other is None:
            return nothing
        mine: Instances = data["instances"]
        rects = self.draw(data["image"].shape[1], data["image"].shape[0])
        free = np.flatnonzero(covered(rects, mine.bboxes).sum(1) <= 0)
        if not len(free):
            return nothing
        rect = rects[self.random_generator.choice(free)]
        least = LEAST_SHARE if mine.segments is None or not len(mine.segments) else LEAST_SHARE_OF_POLYGONS
        rows = np.flatnonzero(covered(rect[None], other["instances"].bboxes)[0] >= least)
        return {"rect": rect.tolist(), "rows": rows, "other": other} if len(rows) else nothing

    def apply(
        self, img: np.ndarray, rect: list[int] | None, other: dict[str, Any] | None, **params: Any
    ) -> np.ndarray:  # fmt: skip
        """Copy the rectangle's pixels.

        Args:
            img: (H, W, 3) uint8, left as it is.
            rect: x1, y1, x2, y2, pixels; None: nothing happens.
            other: The second sample.
            **params: Albumentations' own.
        """
        if rect is None or other is None:
            return img
        x1, y1, x2, y2 = rect
        out: np.ndarray = img.copy()
        out[y1:y2, x1:x2] = other["image"][y1:y2, x1:x2]
        return out

    def apply_to_instances(
        self, instances: Instances, rect: list[int] | None, rows: np.ndarray, other: dict[str, Any] | None,
        **params: Any,
    ) -> Instances:  # fmt: skip
        """Add the labels in the rectangle, clipped to it.

        Args:
            instances: Labels of the first sample.
            rect: x1, y1, x2, y2, pixels; None: nothing happens.
            rows: (m,) objects of the second sample that come along.
            other: The second sample.
            **params: Albumentations' own.
        """
        if rect is None or other is None:
            return instances
        x1, y1, x2, y2 = rect
        inside = concatenate([other["instances"].select(rows)], [(-x1, -y1)]).clipped(x2 - x1, y2 - y1)
        return concatenate([instances, inside], [(0, 0), (x1, y1)])


def covered(rects: np.ndarray, bboxes: np.ndarray) -> np.ndarray:
    """Compute the share of each box that lies in each rectangle.

    Args:
        rects: (m, 4) xyxy.
        bboxes: (n, 4) xyxy.

    Returns:
        (m, n) from 0 to 1.

    Example:
        >>> covered(np.array([[0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10], [20, 20, 30, 30]])).round(3).tolist()
        [[0.5, 0.0]]
    """
    rects = rects.astype(np.float32)  # the precision of Ultralytics, on which a share at the limit depends
    low, high = np.maximum(rects[:, None, :2], bboxes[:, :2]), np.minimum(rects[:, None, 2:], bboxes[:, 2:])
    return np.asarray((high - low).clip(0).prod(-1) / (areas(bboxes) + 1e-7))
