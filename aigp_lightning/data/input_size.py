"""The sizes of input that a model takes, and the size at which its training pictures are loaded."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from aigp_lightning.errors import ConfigError

USUAL_SIZE = 640
"""Side of the network's input, pixels, where a model does not say at which it was trained."""

STRIDE = 32
"""Sides of the input of most networks are multiples of it, pixels."""


@runtime_checkable
class SizesImages(Protocol):
    """A module whose network takes other sizes than multiples of 32, or trains at several.

    Example:
        >>> class Windowed:
        ...     def check_input(self, imgsz, resize): ...
        ...     def training_size(self, imgsz):
        ...         return imgsz + 160
        >>> isinstance(Windowed(), SizesImages)
        True
    """

    def check_input(self, imgsz: int, resize: str) -> None:
        """Refuse a side of the input in pixels, or a way to resize pictures to it, that the network does not take."""

    def training_size(self, imgsz: int) -> int:
        """Return the side of training pictures as they are loaded, pixels."""


@runtime_checkable
class ShrinksInput(Protocol):
    """A module that may train on smaller pictures than its input in some batches.

    Attributes:
        smaller_by: the option that makes them so, with its value; empty where all have the input's size.

    Example:
        >>> class Varied:
        ...     smaller_by = "--model.multi_scale 0.5"
        >>> isinstance(Varied(), ShrinksInput)
        True
    """

    smaller_by: str


def check_size(model: object, imgsz: int, resize: str) -> None:
    """Refuse a size of the input that a model does not take.

    Args:
        model: the module of the run, or None.
        imgsz: side of the input, pixels.
        resize: `letterbox` or `stretch`.

    Raises:
        ConfigError: it says which sizes near it there are.

    Example:
        >>> try:
        ...     check_size(None, 100, "letterbox")
        ... except ConfigError as error:
        ...     print(error)
        --data.imgsz is 100; it must be a multiple of 32, such as 96.
    """
    if isinstance(model, SizesImages):
        model.check_input(imgsz, resize)
    elif imgsz % STRIDE:
        near = max(round(imgsz / STRIDE), 1) * STRIDE
        raise ConfigError(f"--data.imgsz is {imgsz}; it must be a multiple of {STRIDE}, such as {near}.")


def training_size(model: object, imgsz: int) -> int:
    """Return the side of training pictures as they are loaded, pixels.

    Args:
        model: the module of the run, or None.
        imgsz: side of the input, pixels.

    Example:
        >>> training_size(None, 640)
        640
    """
    return model.training_size(imgsz) if isinstance(model, SizesImages) else imgsz
