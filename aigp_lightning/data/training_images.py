"""Images as training sees them before augmentation, at training size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigp_lightning.data.opencv_images import JPEG_START, decode_rgb, largest_divisor, read_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_training_image(path: str, shape: tuple[int, int], imgsz: int) -> NDArray[np.uint8]:
    """Read an image, its long side at `imgsz`; a JPEG twice as large or more is decoded at reduced size.

    Validation and prediction decode all pixels and resize them. The pixels differ a little from that, as those of
    another resize would: what is finer than the reduced size is averaged, where `cv2.resize` skips some of it.

    Args:
        path: image file.
        shape: height and width that a scan found, pixels; a file with other ones is decoded in full.
        imgsz: length of the long side, pixels.

    Returns:
        uint8 (h, w, 3) RGB, of the size that `letterbox.load_size` says.

    Raises:
        DataError: the file cannot be read or decoded; see `images.read_image`.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = cv2.imwrite(f"{folder}/000.jpg", np.zeros((720, 1280, 3), np.uint8))
        ...     read_training_image(f"{folder}/000.jpg", (720, 1280), 640).shape
        (360, 640, 3)
    """
    from aigp_lightning.data.augment.letterbox import load_size, resize_long_side
    from aigp_lightning.data.images import decode_image

    data = read_bytes(path)
    divisor = largest_divisor(max(shape), imgsz)
    if divisor > 1 and data[:3].tobytes() == JPEG_START:
        image = decode_rgb(data, divisor)
        if image is not None and image.shape[:2] == (-(-shape[0] // divisor), -(-shape[1] // divisor)):
            return _resized(image, load_size(shape, imgsz))
    return resize_long_side(decode_image(data, path), imgsz)


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize to (height, width); the very same array where it is that large already."""
    import cv2
    import numpy as np

    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
