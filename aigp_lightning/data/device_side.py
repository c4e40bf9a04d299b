"""The choice of who augments and decodes, processor or training device, and the device's part when a batch arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aigp_lightning.data.augment.on_device.inputs import INPUTS
from aigp_lightning.data.dataset import TrainDataset
from aigp_lightning.errors import ConfigError, tell_user

if TYPE_CHECKING:
    import torch

    from aigp_lightning.data.augment.config import AugmentConfig

PROCESSOR, DEVICE = "cpu", "device"
NOT_ON_DEVICE = ("mixup", "cutmix", "copy_paste")
"""Augmentations that only the processor has."""
ON_HOST = ("files",)
"""Inputs that the device's decoder takes from the host's memory."""


def check_places(augment_on: str, decode_on: str, augment: AugmentConfig, cache: str | None = None) -> None:
    """Refuse places that there are not, and those that do not go together.

    Args:
        augment_on: who augments.
        decode_on: who decodes.
        augment: the augmentations.
        cache: where decoded pictures are kept, if they are.

    Raises:
        ConfigError: naming the option and what it may be.

    Example:
        >>> from aigp_lightning.data.augment.config import AugmentConfig
        >>> try:
        ...     check_places("cpu", "device", AugmentConfig())
        ... except ConfigError as error:
        ...     print(error)
        --data.decode_on device: the device decodes only what it augments; add --data.augment_on device.
    """
    for name, place in (("augment_on", augment_on), ("decode_on", decode_on)):
        if place not in (PROCESSOR, DEVICE):
            raise ConfigError(f"--data.{name} {place}: it is {PROCESSOR} or {DEVICE}.")
    missing = [f"--data.augment.{name}" for name in NOT_ON_DEVICE if getattr(augment, name) > 0]
    if augment_on == DEVICE and missing:
        raise ConfigError(
            f"--data.augment_on device: the device does not do {', '.join(missing)}; set that to 0, or use "
            "--data.augment_on cpu."
        )
    if decode_on == DEVICE and augment_on != DEVICE:
        raise ConfigError(
            "--data.decode_on device: the device decodes only what it augments; add --data.augment_on device."
        )
    if decode_on == DEVICE and cache is not None:
        raise ConfigError(
            f"--data.decode_on device: the pictures of --data.cache {cache} are decoded; leave one of the two out."
        )
    if decode_on == DEVICE and augment.extra:
        raise ConfigError(
            "--data.decode_on device: the transforms of augment.extra run on the processor, which needs the pictures; "
            "leave one of the two out."
        )


def sample_class(augment_on: str, decode_on: str, augment: AugmentConfig) -> type[TrainDataset]:
    """Return the class of the training samples: the device augments them only without transforms of the user's own.

    Args:
        augment_on: who augments.
        decode_on: who decodes.
        augment: the augmentations.

    Example:
        >>> from aigp_lightning.data.augment.config import AugmentConfig
        >>> own = AugmentConfig(extra=[{"class_path": "albumentations.MotionBlur"}])
        >>> [sample_class("device", "cpu", augment).__name__ for augment in (AugmentConfig(), own)]
        ['DeviceTrainDataset', 'TrainDataset']
    """
    if augment_on != DEVICE or augment.extra:
        return TrainDataset
    from aigp_lightning.data.device_dataset import DeviceTrainDataset, EncodedTrainDataset

    return EncodedTrainDataset if decode_on == DEVICE else DeviceTrainDataset


def settle_places(augment_on: str, decode_on: str, augment: AugmentConfig, on_gpu: bool) -> None:
    """Say where the pictures are augmented, if it is not where the user may think; refuse what this machine cannot.

    Args:
        augment_on: who augments.
        decode_on: who decodes.
        augment: the augmentations.
        on_gpu: training runs on a GPU.

    Raises:
        ConfigError: there is nothing to decode on the device with.

    Example:
        >>> from aigp_lightning.data.augment.config import AugmentConfig
        >>> settle_places("device", "device", AugmentConfig(), on_gpu=True)  # nothing to say
    """
    if decode_on == DEVICE and not on_gpu:
        raise ConfigError(
            "--data.decode_on device: only an NVIDIA GPU decodes, and this run trains on the processor; use "
            "--data.decode_on cpu."
        )
    if decode_on == DEVICE:
        from aigp_lightning.data.augment.on_device.jpeg import decoder

        decoder()
    if augment_on != DEVICE:
        return
    if augment.extra:
        tell_user(
            "--data.augment_on device: the transforms of augment.extra run on the processor, between the others, so "
            "all augmentation does; leave extra out to have the device do it."
        )
    elif not on_gpu:
        tell_user(
            "--data.augment_on device: the device is this processor, which is slower at it than the loader's workers; "
            "--data.augment_on cpu is better here."
        )


def finish_on_device(batch: Any, device: torch.device, move: Callable[[Any], Any]) -> Any:
    """Move a batch to the device, and make its pictures there if that is still to be done.

    Args:
        batch: as the loader gave it.
        device: where it goes.
        move: copies all tensors of a batch there.

    Returns:
        The batch with its pictures, uint8 (B, 3, H, W), as `collate` would have made it.

    Example:
        >>> import torch
        >>> finish_on_device({"cls": torch.zeros(2)}, torch.device("cpu"), move=lambda rest: rest)
        {'cls': tensor([0., 0.])}
    """
    if not isinstance(batch, dict) or INPUTS not in batch:
        return move(batch)
    from aigp_lightning.data.augment.on_device.pictures import make_pictures

    inputs: dict[str, Any] = batch[INPUTS]
    kept = {key: value for key, value in inputs.items() if key in ON_HOST}
    moved = move({**batch, INPUTS: {key: value for key, value in inputs.items() if key not in ON_HOST}})
    arrived: Any = {**moved.pop(INPUTS), **kept}
    return {**moved, "img": make_pictures(arrived)}
