"""Any logger with Lightning's customary `log_image` as a destination of pictures."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from aigp_lightning.media.hand_over import HandOver


@runtime_checkable
class LogsImages(Protocol):
    """A logger with Lightning's customary method for images.

    Example:
        >>> isinstance(object(), LogsImages)
        False
    """

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Log images under a key."""


class OtherSink:
    """Any other logger with Lightning's customary `log_image(key, images, step)`.

    Example:
        >>> class Board:
        ...     def log_image(self, key, images, step=None):
        ...         print(key, images, step)
        >>> OtherSink(Board()).name
        'other:Board'
    """

    destination = "other"
    remote, waits = True, False  # nobody here knows where it keeps them

    def __init__(self, logger: LogsImages) -> None:
        self.logger = logger
        self.name = f"other:{type(logger).__name__}"

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        """Pass on the files' paths. Whether a call that fails has sent anything, nobody here knows."""
        for image in hand_over.images:
            hand_over.begin([image])
            self.logger.log_image(key=image.key, images=[str(image.path)], step=epoch)
            hand_over.took([image])
