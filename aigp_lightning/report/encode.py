"""Makes pictures smaller for a report: fewer pixels, and WebP, which every browser shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"
QUALITY = 72
LARGEST_WEBP = 16383
"""Pixels of a side that the format can hold."""


@dataclass(frozen=True)
class Encoded:
    """A picture as it stands in a report.

    Attributes:
        mime: its type.
        data: its bytes.
        smaller: it has fewer pixels than it had.
    """

    mime: str
    data: bytes
    smaller: bool = False

    @property
    def embedded(self) -> int:
        """Bytes that it takes in the page: base64, and its element."""
        return (len(self.data) + 2) // 3 * 4 + 120


def as_it_is(data: bytes) -> Encoded | None:
    """Return a picture unchanged; None if it is none such as runs draw.

    Args:
        data: a file's bytes.
    """
    from aigp_lightning.media.encode import PNG_START, picture_size

    try:
        picture_size(data)
    except ValueError:
        return None
    return Encoded(PNG if data.startswith(PNG_START) else JPEG, data)


def shrink(data: bytes, longest: int, anew: bool = False) -> Encoded | None:
    """Encode a picture anew, with fewer pixels where it has more; what would only grow by it stays as it is.

    Args:
        data: a file's bytes.
        longest: side that it has at most, pixels.
        anew: in any case, so that nothing stays of what a camera has noted in the file.

    Returns:
        The picture; None if the bytes are none.
    """
    import cv2

    try:
        way = _reduction(data, longest)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), way)
        if pixels is None:
            return None
        height, width = pixels.shape[:2]
        factor = min(1.0, min(longest, LARGEST_WEBP) / max(height, width))
        if factor < 1:
            size = max(1, round(width * factor)), max(1, round(height * factor))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        done, encoded = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    except cv2.error:
        return None
    if not done:
        return None
    smaller = factor < 1 or way != cv2.IMREAD_COLOR
    known = None if anew or smaller or len(encoded) < len(data) else as_it_is(data)
    return known or Encoded(WEBP, encoded.tobytes(), smaller)


def _reduction(data: bytes, longest: int) -> int:
    """Return the way of decoding: a JPEG comes at a half, a quarter or an eighth of its size for a part of the time."""
    import cv2

    from aigp_lightning.media.encode import picture_size

    try:
        side = max(picture_size(data))
    except ValueError:
        return int(cv2.IMREAD_COLOR)
    flags = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
    return int(next((flag for by, flag in flags.items() if side // by >= longest), cv2.IMREAD_COLOR))


def in_threads(work: Sequence[Callable[[], Encoded | None]]) -> Iterator[Encoded | None]:
    """Do work in as many threads as there are cores, and yield its results in order, few of them in advance.

    Args:
        work: each decodes and encodes one picture, in which Python's lock is not held.
    """
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        waiting = [pool.submit(one) for one in work[: 2 * cores]]
        for number in range(len(work)):
            if number + 2 * cores < len(work):
                waiting.append(pool.submit(work[number + 2 * cores]))
            yield waiting[number].result()
            waiting[number] = None  # type: ignore[call-overload]
