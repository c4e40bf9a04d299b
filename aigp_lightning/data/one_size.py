"""Pictures in an input of one size, for exported files that take no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigp_lightning.data.resizing import Letterbox, Resizing, Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aigp_lightning.data.items import Item


class OneSize(Letterbox):
    """Every picture in an input of one size, for exported files that take no other.

    Args:
        size: height and width, pixels.
        resizing: as the model was trained.
    """

    def __init__(self, size: Shape, resizing: Resizing) -> None:
        self._size, self._resizing = size, resizing

    def prediction_size(self, shape: Shape, imgsz: int) -> Shape:
        """Return the one size."""
        return self._size

    def predicted(self, image: NDArray[np.uint8], im_file: str, imgsz: int, expected: Shape) -> Item:
        """Bring a picture to the one size."""
        return self._resizing.evaluated(image, im_file, imgsz, self._size)
