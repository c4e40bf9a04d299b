"""Images as training sees them before augmentation, at training size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigp_lightning.data.opencv_images import JPEG_START, decode_rgb, read_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HALF = 2
"""By which the sides of a JPEG are divided when it is decoded at half its size."""


def read_training_image(path: str, shape: tuple[int, int], imgsz: int) -> NDArray[np.uint8]:
    """Read an image, its long side at `imgsz`; a JPEG exactly twice as large is decoded at half its size.

    A resize by two averages the same four pixels, so the two hardly differ. Larger pictures are decoded in full: a
    resize by more than two skips pixels, so that pictures decoded at a half, a quarter or an eighth of their size would
    be up to 45 % less sharp than those that validation and prediction see, and networks trained on them are worse.

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

    data, needed = read_bytes(path), load_size(shape, imgsz)
    if shape == (HALF * needed[0], HALF * needed[1]) and data[:3].tobytes() == JPEG_START:
        image = decode_rgb(data, half=True)
        if image is not None and image.shape[:2] == needed:
            return image
    return resize_long_side(decode_image(data, path), imgsz)
