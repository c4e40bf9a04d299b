"""Flips that a pose data set allows: a mirrored corner needs the index of its mirror image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.errors import ConfigError, warn_user
from aigp_lightning.types import Keypoints

Fits = Callable[[int], "Sequence[int] | None"]
"""By axis (0 left-right, 1 upside-down), the permutation that fits the labels, where one can be told."""


def allowed_flips(config: AugmentConfig, keypoints: Keypoints, data_yaml: Path, fits: Fits) -> AugmentConfig:
    """Leave out the left-right flip where no `flip_idx` is given, as Ultralytics does, and warn of it.

    The upside-down flip is off by default: who asks for it without a permutation gets an error.

    Args:
        config: the user's choice, left as it is.
        keypoints: of the data set, with its mirror orders.
        data_yaml: the file that lacks a mirror order.
        fits: finds a permutation to propose.

    Raises:
        ConfigError: an upside-down flip is asked for, and its permutation is not known.

    Example:
        >>> gate = Keypoints(2, 3, ("left", "right"), flip_idx=(1, 0))
        >>> allowed_flips(AugmentConfig(fliplr=0.5), gate, Path("data.yaml"), fits=lambda axis: None).fliplr
        0.5
    """
    if config.flipud > 0 and keypoints.flip_idx_vertical is None:
        raise ConfigError(
            f"{data_yaml}: --data.augment.flipud {config.flipud:g} turns keypoints upside down, but nothing says which "
            f"keypoint takes whose place; add {_line('flip_idx_vertical', keypoints.count, fits(1))}, or set it to 0."
        )
    if config.fliplr > 0 and keypoints.flip_idx is None:
        warn_user(
            f"{data_yaml}: no 'flip_idx', so no left-right flips: --data.augment.fliplr is taken as 0. To have them, "
            f"add {_line('flip_idx', keypoints.count, fits(0))}."
        )
        return replace(config, fliplr=0.0)
    return config


def _line(key: str, count: int, permutation: Sequence[int] | None) -> str:
    """Write the line that data.yaml lacks."""
    if permutation is not None:
        return f"'{key}: {list(permutation)}', which fits its labels"
    return f"'{key}: […]' with, for each of the {count} keypoints, the one that takes its place in the mirror"
