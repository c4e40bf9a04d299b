"""The training augmentations in order: the one list that says what happens to a training image."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aigp_lightning.data.augment.config import FLIP, MIXUP
from aigp_lightning.errors import ConfigError, UserError, first_line

if TYPE_CHECKING:
    from aigp_lightning.data.augment import Sample
    from aigp_lightning.data.augment.config import AugmentConfig
    from aigp_lightning.data.augment.extra import Transform, UserTransforms
    from aigp_lightning.data.augment.instances import Instances
    from aigp_lightning.data.augment.mixing import Ingredients

RandomState = tuple[np.random.Generator, random.Random]


class Steps(NamedTuple):
    """The transforms in order.

    Attributes:
        placing: up to an image's place in the output; done to each image that others are mixed with, too.
        after: those that follow.
        extra: the user's own, which are one of them; None without.

    Example:
        >>> Steps([], [], None).extra is None
        True
    """

    placing: list[Transform]
    after: list[Transform]
    extra: UserTransforms | None


class TrainPipeline:
    """The augmentations that make a training sample from an image and its mosaic partners, by the seed alone.

    The transforms are Albumentations' and are called one after the other: `A.Compose` checks and converts every label
    before and after, which costs more than the transforms need. The user's spatial transforms do go through it.

    Args:
        imgsz: Side of the square output, pixels.
        config: Strengths and probabilities.
        flip_idx: (K,) keypoint permutation of a left-right mirror; None where there are no keypoints.
        flip_idx_vertical: (K,) keypoint permutation of an upside-down mirror; never derived from the other one.
        keypoints: Samples have keypoints even if there is no permutation.

    Raises:
        ConfigError: A value is out of range, a transform of the user's cannot be built or used, or keypoints would be
            flipped upside down with no permutation for that.

    Example:
        >>> from aigp_lightning.data.augment import AugmentConfig
        >>> sample = {
        ...     "image": np.zeros((48, 64, 3), np.uint8),
        ...     "bboxes": np.array([[0, 0, 32, 24]], np.float32),
        ...     "cls": np.zeros(1, np.int64),
        ...     "keypoints": None,
        ...     "im_file": "000.jpg",
        ... }
        >>> pipeline = TrainPipeline(64, AugmentConfig())
        >>> augmented = pipeline(sample, partners=[sample] * 3, seed=1)
        >>> augmented["image"].shape, len(augmented["bboxes"]) == len(augmented["cls"])
        ((64, 64, 3), True)
    """

    def __init__(
        self,
        imgsz: int,
        config: AugmentConfig,
        flip_idx: Sequence[int] | None = None,
        flip_idx_vertical: Sequence[int] | None = None,
        *,
        keypoints: bool = False,
    ) -> None:
        self.imgsz = imgsz
        self.config = config
        self.flip_idx = None if flip_idx is None else tuple(flip_idx)
        self.flip_idx_vertical = None if flip_idx_vertical is None else tuple(flip_idx_vertical)
        self._built: Steps | None = None
        keypoints = keypoints or flip_idx is not None
        if keypoints:
            self._check_flips()
        if config.extra:
            from aigp_lightning.data.augment.extra import as_spec, check_extras

            permutations = (self.flip_idx, self.flip_idx_vertical) if keypoints else None
            check_extras([as_spec(item) for item in config.extra], imgsz, permutations)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the built transforms: a worker builds its own, with its own scratch memory."""
        return {**self.__dict__, "_built": None}

    @property
    def transforms(self) -> list[Transform]:
        """The transforms that can change an image, in order."""
        steps = self._build()
        own = [] if steps.extra is None else steps.extra.transforms
        after = [own if step is steps.extra else [step] for step in steps.after]
        return [*steps.placing, *(step for group in after for step in group)]

    def __call__(self, sample: Sample, partners: Sequence[Sample], seed: int) -> Sample:
        """Augment one sample; the inputs are left as they are.

        Args:
            sample: Image and labels, the long side at `imgsz` already.
            partners: Three more for a mosaic, or none; the caller decides by `config.mosaic`.
            seed: Not negative; the same inputs and seed give the same sample on any worker.

        Returns:
            (imgsz, imgsz, 3) image with the labels that are left.

        Raises:
            ConfigError: There are keypoints to flip and no permutation to flip them by, or a transform of the user's
                fails on this image.
        """
        from aigp_lightning.data.augment.mixing import Ingredients

        return self.make(Ingredients(sample, partners, seed))

    def make(self, found: Ingredients) -> Sample:
        """Make one sample of an image and all that is mixed with it; the inputs are left as they are.

        Args:
            found: The image, and what is mixed with it.

        Returns:
            (imgsz, imgsz, 3) image with the labels that are left.

        Raises:
            ConfigError: See `__call__`.
        """
        if found.sample["keypoints"] is not None:
            self._check_flips()
        steps, state = self._build(), _random_state(found.seed)
        data = self._place(found, state)
        for name, other in (("mixup", found.mixup), ("cutmix", found.cutmix)):
            data[name] = None if other is None else self._place(other, _random_state(other.seed))
        for step in steps.after:
            step.set_random_state(*state)
            own = step is steps.extra
            data = self._run_extra(step, data, found.sample["im_file"]) if own else step(**data)
        labels: Instances = data["instances"]
        return {
            "image": data["image"],
            "bboxes": labels.bboxes,
            "cls": labels.cls,
            "keypoints": labels.keypoints,
            "segments": labels.segments,
            "im_file": found.sample["im_file"],
        }

    def _place(self, found: Ingredients, state: RandomState) -> dict[str, Any]:
        """Bring an image, with its mosaic and what is pasted on it, to its place in the output."""
        from aigp_lightning.data.augment.instances import Instances

        sample, pasted = found.sample, found.pasted
        data: dict[str, Any] = {
            "image": sample["image"],
            "instances": Instances(sample["bboxes"], sample["cls"], sample["keypoints"], sample.get("segments")),
            "partners": found.partners,
            "ori_shape": sample.get("ori_shape"),
            "laid": False,
            "pasted": found.paste_own if pasted is None else self._place(pasted, _random_state(pasted.seed)),
        }
        for step in self._build().placing:
            step.set_random_state(*state)
            data = step(**data)
        return data

    def _run_extra(self, extra: UserTransforms, data: dict[str, Any], im_file: str) -> dict[str, Any]:
        """Run the user's transforms; an error of theirs names the transform and the image."""
        try:
            return extra(**data)
        except UserError:
            raise
        except Exception as error:  # whatever the user's code raises
            raise ConfigError(
                f"augment.extra: {extra.blame(error)} fails on {im_file}: {type(error).__name__}: {first_line(error)}. "
                "Mend the transform, or take it out of augment.extra."
            ) from error

    def _check_flips(self) -> None:
        """Refuse flips of keypoints that have no permutation."""
        from aigp_lightning.data.augment.instances import require_permutation

        if self.config.fliplr > 0:
            require_permutation(self.flip_idx, 0)
        if self.config.flipud > 0:
            require_permutation(self.flip_idx_vertical, 1)

    def _build(self) -> Steps:
        """Make the transforms at first use; a probability of zero leaves one out."""
        if self._built is not None:
            return self._built
        import albumentations as A  # type: ignore[import-untyped,unused-ignore]

        from aigp_lightning.data.augment.color import RandomHSV, SwapChannels
        from aigp_lightning.data.augment.copy_paste import CopyPaste, Mosaic
        from aigp_lightning.data.augment.extra import UserTransforms, as_spec, build_transform
        from aigp_lightning.data.augment.flip import Flip
        from aigp_lightning.data.augment.mixing import CutMix, MixUp
        from aigp_lightning.data.augment.mosaic import MosaicAffine

        c = self.config
        own, others = (c.copy_paste > 0 and c.copy_paste_mode == mode for mode in (FLIP, MIXUP))
        placing: list[Transform] = [
            Mosaic(self.imgsz, p=float(own)),
            CopyPaste(c.copy_paste, p=float(own)),
            MosaicAffine(
                self.imgsz, degrees=c.degrees, translate=c.translate, scale=c.scale, shear=c.shear,
                perspective=c.perspective, crop=c.crop,
            ),
            CopyPaste(c.copy_paste, p=float(others)),
        ]  # fmt: skip
        user = [build_transform(as_spec(item)) for item in c.extra]
        extra = UserTransforms(user, self.flip_idx, self.flip_idx_vertical) if user else None
        after: list[Transform] = [
            MixUp(p=float(c.mixup > 0)),
            CutMix(p=float(c.cutmix > 0)),
            A.Blur(p=c.blur),
            A.MedianBlur(p=c.median_blur),
            A.ToGray(p=c.to_gray),
            A.CLAHE(p=c.clahe),
            RandomHSV(c.hsv_h, c.hsv_s, c.hsv_v, p=1.0 if c.hsv_h or c.hsv_s or c.hsv_v else 0.0),
            extra,
            Flip(axis=1, permutation=self.flip_idx_vertical, p=c.flipud),
            Flip(axis=0, permutation=self.flip_idx, p=c.fliplr),
            SwapChannels(p=c.bgr),
        ]
        after = [step for step in after if step is not None and (step is extra or step.p)]
        self._built = Steps([step for step in placing if step.p], after, extra)
        return self._built


def _random_state(seed: int) -> RandomState:
    """Return fresh random states of NumPy and Python."""
    return np.random.default_rng(seed), random.Random(seed)
