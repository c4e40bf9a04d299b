"""Ways to bring a picture to the size of the network's input: `--data.resize`.

All that makes samples, of training, evaluation and prediction, asks one object for sizes and pixels, so that the
pictures of a run are resized in one way only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.augment.letterbox import input_shape, load_size
from aigp_lightning.data.items import Item, letterboxed, letterboxed_by_itself, stretch, stretched
from aigp_lightning.errors import ConfigError

if TYPE_CHECKING:
    from aigp_lightning.data.records import ImageRecord

Shape = tuple[int, int]
"""Height and width, pixels."""


class Resizing(ABC):
    """A way to resize pictures.

    Attributes:
        name: of the option.
        keeps_aspect: evaluation may go by rectangles that fit the pictures.
        antialiased: pixels are averaged where a picture becomes smaller, none is skipped.

    Example:
        >>> [each.name for each in Resizing.__subclasses__()]
        ['letterbox', 'stretch']
    """

    name: str
    keeps_aspect: bool
    antialiased: bool

    @abstractmethod
    def identity(self) -> tuple[str, ...]:
        """Return what pixels of training depend on, beside their size and OpenCV's version; first the name."""

    @abstractmethod
    def training_size(self, shape: Shape, imgsz: int) -> Shape:
        """Return the size of a picture before augmentation.

        Args:
            shape: of the picture on disk.
            imgsz: side of the network's input, pixels.
        """

    @abstractmethod
    def training_image(self, record: ImageRecord, imgsz: int) -> NDArray[np.uint8]:
        """Read a picture as it is before augmentation.

        Args:
            record: of the image file.
            imgsz: side of the network's input, pixels.

        Returns:
            uint8 (h, w, 3) RGB, of the size that `training_size` says.

        Raises:
            DataError: the file cannot be read or decoded.
        """

    @abstractmethod
    def evaluated(self, image: NDArray[np.uint8], im_file: str, imgsz: int, shape: Shape) -> Item:
        """Make the sample of an evaluation, without its labels.

        Args:
            image: (H, W, 3) RGB.
            im_file: its name.
            imgsz: length of the input's long side, pixels.
            shape: of the input.
        """

    @abstractmethod
    def prediction_size(self, shape: Shape, imgsz: int) -> Shape:
        """Return height and width of the network's input for a picture or a video that is predicted.

        Args:
            shape: of the picture.
            imgsz: length of the input's long side, pixels.
        """

    @abstractmethod
    def predicted(self, image: NDArray[np.uint8], im_file: str, imgsz: int, expected: Shape) -> Item:
        """Make the sample of a prediction.

        Args:
            image: (H, W, 3) RGB.
            im_file: its name.
            imgsz: length of the input's long side, pixels.
            expected: height and width by which the input was planned.
        """


class Letterbox(Resizing):
    """Pictures keep their aspect ratio, and the rest of the input is grey, as Ultralytics does it.

    Example:
        >>> Letterbox().training_size((720, 1280), 640), Letterbox().prediction_size((720, 1280), 640)
        ((360, 640), (384, 640))
    """

    name = "letterbox"
    keeps_aspect = True
    antialiased = False

    def identity(self) -> tuple[str, ...]:
        """Return nothing: caches of before there was a choice are of these pictures."""
        return ()

    def training_size(self, shape: Shape, imgsz: int) -> Shape:
        """Return the size whose long side is `imgsz`."""
        return load_size(shape, imgsz)

    def training_image(self, record: ImageRecord, imgsz: int) -> NDArray[np.uint8]:
        """Read a picture, its long side at `imgsz`."""
        from aigp_lightning.data.training_images import read_training_image

        return read_training_image(record.im_file, record.shape, imgsz)

    def evaluated(self, image: NDArray[np.uint8], im_file: str, imgsz: int, shape: Shape) -> Item:
        """Fit a picture into the input of its batch."""
        return letterboxed(image, im_file, imgsz, shape)

    def prediction_size(self, shape: Shape, imgsz: int) -> Shape:
        """Return the smallest rectangle around the picture."""
        return input_shape(shape, imgsz)[1]

    def predicted(self, image: NDArray[np.uint8], im_file: str, imgsz: int, expected: Shape) -> Item:
        """Fit a picture into the smallest rectangle around it."""
        return letterboxed_by_itself(image, im_file, imgsz, expected)


class Stretch(Resizing):
    """Every picture fills a square, whatever its aspect ratio, as RF-DETR is trained.

    Example:
        >>> Stretch().training_size((720, 1280), 640), Stretch().prediction_size((720, 1280), 640)
        ((640, 640), (640, 640))
    """

    name = "stretch"
    keeps_aspect = False
    antialiased = True

    def identity(self) -> tuple[str, ...]:
        """Return the option, and the version of the library that resizes."""
        import PIL

        return self.name, PIL.__version__

    def training_size(self, shape: Shape, imgsz: int) -> Shape:
        """Return the square."""
        return imgsz, imgsz

    def training_image(self, record: ImageRecord, imgsz: int) -> NDArray[np.uint8]:
        """Read a picture and stretch it; it is decoded in full, since half of it would be other averages."""
        from aigp_lightning.data.images import read_image

        return stretch(read_image(record.im_file), (imgsz, imgsz))

    def evaluated(self, image: NDArray[np.uint8], im_file: str, imgsz: int, shape: Shape) -> Item:
        """Stretch a picture to the input of its batch, a square like all."""
        return stretched(image, im_file, shape)

    def prediction_size(self, shape: Shape, imgsz: int) -> Shape:
        """Return the square."""
        return imgsz, imgsz

    def predicted(self, image: NDArray[np.uint8], im_file: str, imgsz: int, expected: Shape) -> Item:
        """Stretch a picture to the square."""
        return stretched(image, im_file, (imgsz, imgsz))


LETTERBOX, STRETCH = Letterbox(), Stretch()


def find_resizing(value: Any) -> Resizing:
    """Return the way to resize that the option names.

    Args:
        value: from wherever.

    Raises:
        ConfigError: there is none of this name.

    Example:
        >>> find_resizing("stretch").keeps_aspect
        False
    """
    for each in (LETTERBOX, STRETCH):
        if value == each.name:
            return each
    raise ConfigError(f"--data.resize {value}: it is {LETTERBOX.name} or {STRETCH.name}.")
