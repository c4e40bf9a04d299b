"""The request for a training sample: its image, its seed, and the other images that are mixed with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from aigp_lightning.data.augment.config import FLIP

if TYPE_CHECKING:
    from aigp_lightning.data.augment.config import AugmentConfig


@dataclass(frozen=True)
class TrainRequest:
    """One training sample to make.

    Attributes:
        index: the image.
        seed: of its augmentation.
        partners: the three further images of its mosaic; none when mosaic is closed.
        paste_own: mirrored copies of its own objects are pasted.
        pasted: the sample from which other objects are pasted; None without.
        mixup: the sample that it is blended with; None without.
        cutmix: the sample that a rectangle of it shows; None without.
        shape: (height, width) of the sample, pixels; None for the square of the network's input.

    Example:
        >>> TrainRequest(index=3, seed=7, partners=(0, 1, 2)).partners
        (0, 1, 2)
    """

    index: int
    seed: int
    partners: tuple[int, ...] = ()
    paste_own: bool = False
    pasted: TrainRequest | None = None
    mixup: TrainRequest | None = None
    cutmix: TrainRequest | None = None
    shape: tuple[int, int] | None = None


@dataclass(frozen=True)
class Mixing:
    """Chances by which samples are mixed with further ones; each of these is made as if it stood alone.

    Attributes:
        mosaic: that a further sample is a mosaic.
        mixup: of a blend.
        cutmix: of a rectangle.
        pasted: that objects of another sample are pasted.
        paste_own: each sample gets copies of its own objects.

    Example:
        >>> from aigp_lightning.data.augment.config import AugmentConfig
        >>> Mixing.of(AugmentConfig(mixup=0.1)).mixup, bool(Mixing.of(AugmentConfig()))
        (0.1, False)
    """

    mosaic: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    pasted: float = 0.0
    paste_own: bool = False

    @classmethod
    def of(cls, augment: AugmentConfig, rect: bool = False) -> Mixing:
        """Read the chances from the user's choice.

        Args:
            augment: the choice.
            rect: samples are rectangles, as in Ultralytics' `rect`: nothing is mixed but copies of own objects.
        """
        own = augment.copy_paste_mode == FLIP
        share = augment.copy_paste
        if rect:
            return cls(paste_own=own and share > 0)
        return cls(augment.mosaic, augment.mixup, augment.cutmix, 0.0 if own else share, own and share > 0)

    def __bool__(self) -> bool:
        return bool(self.mixup or self.cutmix or self.pasted or self.paste_own)

    def draw(self, request: TrainRequest, pool: np.ndarray, random: np.random.Generator) -> TrainRequest:
        """Draw what a sample is mixed with.

        Args:
            request: the sample, with its mosaic.
            pool: images to take.
            random: source of the draws.
        """
        request = self._pasting(request, pool, random)
        mixup, cutmix = (
            self._pasting(self._further(pool, random), pool, random) if random.random() < chance else None
            for chance in (self.mixup, self.cutmix)
        )
        return replace(request, mixup=mixup, cutmix=cutmix)

    def _pasting(self, request: TrainRequest, pool: np.ndarray, random: np.random.Generator) -> TrainRequest:
        """Draw what objects are pasted from."""
        pasted = self._further(pool, random) if random.random() < self.pasted else None
        return replace(request, paste_own=self.paste_own, pasted=pasted)

    def _further(self, pool: np.ndarray, random: np.random.Generator) -> TrainRequest:
        """Draw a sample of its own, with its mosaic."""
        index, *partners = random.choice(pool, size=4).tolist()
        seed = int(random.integers(2**32))
        return TrainRequest(index, seed, tuple(partners) if random.random() < self.mosaic else ())
