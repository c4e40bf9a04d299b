"""The user's choice of augmentation, as plain data: the command line's options are made from these fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import SHARE, Range, check_range, check_ranges

RANGES = {
    **dict.fromkeys(("mosaic", "crop", "fliplr", "flipud", "blur", "median_blur", "to_gray", "clahe"), SHARE),
    **dict.fromkeys(("mixup", "cutmix", "copy_paste", "bgr"), SHARE),
    **dict.fromkeys(("translate", "hsv_h", "hsv_s", "hsv_v"), SHARE),
    "degrees": Range(0, 180),
    "shear": Range(0, 89),
    "perspective": Range(0, 0.01),
}
SCALE, FACTOR = Range(0, 0.99), Range(0.01, 100)
"""The range of `scale` as one number, and of each of a pair."""
PAIR = 2
FLIP, MIXUP = "flip", "mixup"
"""What `copy_paste` pastes: mirrored copies of an image's own objects, or those of another image."""
COPY_PASTE = "copy_paste"
MIXING = ("mosaic", "mixup", "cutmix", COPY_PASTE)
"""Augmentations that put several images, or copies of objects, into one sample; they end with `close_mosaic`."""


@dataclass
class TransformSpec:
    """One of the user's own Albumentations transforms, by name.

    Args:
        class_path: Importable path of the class, such as `albumentations.RandomFog`.
        init_args: Keyword arguments of its constructor; a value may itself be a class_path/init_args mapping
            (or a list of them), so that `albumentations.OneOf` can be written in YAML.

    Example:
        >>> TransformSpec("albumentations.MotionBlur", {"p": 0.1})
        TransformSpec(class_path='albumentations.MotionBlur', init_args={'p': 0.1})
    """

    class_path: str
    init_args: dict[str, Any] = field(default_factory=dict)


@dataclass
class AugmentConfig:
    """Strength and probability of every augmentation; the defaults are Ultralytics' own.

    Args:
        mosaic: Probability that a sample is a mosaic of four images.
        degrees: Rotation is drawn from plus or minus this many degrees.
        translate: The centre moves by up to this fraction of the image size, per axis.
        scale: The size is multiplied by a factor from 1 - scale to 1 + scale; of two, from one to the other.
        shear: Shear is drawn from plus or minus this many degrees, per axis.
        perspective: The picture is tilted: sizes change along each axis by up to this share a pixel, as if the camera
            had been turned. Ultralytics recommends no more than 0.001.
        mixup: Probability that a sample is blended with another one, about half and half; it has the objects of both.
        cutmix: Probability that a rectangle without objects shows another sample, with the objects there.
        copy_paste: Share of the objects that may be pasted that are; only objects labelled by polygons can be.
        copy_paste_mode: `flip`: mirrored copies of the sample's own objects are pasted; `mixup`: those of another
            sample, and `copy_paste` is the probability of that, too.
        crop: Probability that a sample without mosaic is a square crop of its picture, which fills the output in place
            of rotation, scale, shear and translation; RF-DETR trains with 0.5. The square has 384 pixels or more of the
            picture's short side, which is taken as 400, 500 or 600 of them, by chance.
        hsv_h: Largest hue shift, as a fraction of the colour circle.
        hsv_s: Largest relative change of saturation.
        hsv_v: Largest relative change of brightness.
        fliplr: Probability of a left-right flip.
        flipud: Probability of an upside-down flip.
        blur: Probability of a box blur.
        median_blur: Probability of a median blur.
        to_gray: Probability of turning grey.
        clahe: Probability of a local contrast equalisation.
        bgr: Probability that red and blue change places.
        extra: The user's own Albumentations transforms, run after the colour changes and before the flips; each is
            `{class_path: albumentations.MotionBlur, init_args: {p: 0.1}}`.

    Raises:
        ConfigError: a probability or a strength is out of its range, or `copy_paste_mode` is no mode.

    Example:
        >>> config = AugmentConfig(mosaic=0.5, extra=[{"class_path": "albumentations.MotionBlur"}])
        >>> config.mosaic, config.fliplr
        (0.5, 0.5)
    """

    mosaic: float = 1.0
    degrees: float = 0.0
    translate: float = 0.1
    scale: float | tuple[float, float] = 0.5
    shear: float = 0.0
    perspective: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    copy_paste: float = 0.0
    copy_paste_mode: str = FLIP
    crop: float = 0.0
    hsv_h: float = 0.015
    hsv_s: float = 0.7
    hsv_v: float = 0.4
    fliplr: float = 0.5
    flipud: float = 0.0
    blur: float = 0.01
    median_blur: float = 0.01
    to_gray: float = 0.01
    clahe: float = 0.01
    bgr: float = 0.0
    extra: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_ranges("--data.augment", self, RANGES)
        _check_scale(self.scale)
        if self.copy_paste_mode not in (FLIP, MIXUP):
            raise ConfigError(f"--data.augment.copy_paste_mode {self.copy_paste_mode}: it is {FLIP} or {MIXUP}.")

    @property
    def factors(self) -> tuple[float, float]:
        """The smallest and the largest factor of the size."""
        if isinstance(self.scale, float | int):
            return 1 - self.scale, 1 + self.scale
        return self.scale[0], self.scale[1]

    @property
    def mixing(self) -> tuple[str, ...]:
        """Names of the augmentations in use that put several images, or copies of objects, into one sample."""
        return tuple(name for name in MIXING if getattr(self, name) > 0)


def _check_scale(scale: float | tuple[float, float]) -> None:
    """Refuse a range of sizes that there is not."""
    option = "--data.augment.scale"
    if isinstance(scale, float | int):
        return check_range(option, scale, SCALE)
    if len(scale) != PAIR or scale[0] > scale[1]:
        raise ConfigError(f"{option} {list(scale)}: one number, or two of which the smaller comes first.")
    for factor in scale:
        check_range(option, factor, FACTOR)
    return None
