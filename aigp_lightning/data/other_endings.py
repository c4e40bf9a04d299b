"""Finds images that are passed over because of how their names end."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from aigp_lightning.data.images import FORMATS, open_image
from aigp_lightning.data.problems import Problem
from aigp_lightning.run.exhausted import raise_if_exhausted

OTHER_FORMATS = ("PPM", "PCX", "PSD", "SGI", "SUN", "DDS", "QOI")
"""Kinds of image that are not read, by Pillow's names."""
STARTS = {b"v/1\x01": "OpenEXR", b"\0\0\0\x0cJXL ": "JPEG XL", b"\xff\x0a": "JPEG XL", b"#?RADIANCE": "Radiance HDR"}
"""First bytes of further kinds, which Pillow does not know."""
LOOKED_INTO = 1000
"""Files with one ending that are opened, evenly spread; all of them, if there is an image among these."""
ENDING = re.compile(r"\.[a-z][a-z0-9]{0,7}")
NOT_READ = "left out"


def other_endings(passed: Sequence[str]) -> list[Problem]:
    """Find the images among files that were passed over because of how their names end.

    Args:
        passed: the files.

    Returns:
        One problem an image, by ending.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp(dir=".")) / "a.bin"
        >>> _ = file.write_bytes(b"P6 1 1 255 abc")
        >>> [(problem.kind, problem.text) for problem in other_endings([str(file)])]
        [('image ending .bin is not read', 'its content is PPM; save it as PNG or JPEG')]
    """
    by_ending: dict[str, list[str]] = defaultdict(list)
    for file in passed:
        ending = os.path.splitext(file)[1].lower()
        by_ending[ending if ENDING.fullmatch(ending) else ""].append(file)
    return [problem for ending in sorted(by_ending) for problem in _images(ending, sorted(by_ending[ending]))]


def _images(ending: str, files: list[str]) -> Iterator[Problem]:
    """Find the images among files with the same ending."""
    step = len(files) // LOOKED_INTO + 1
    sample = [(file, _kind(file)) for file in files[::step]]
    if step > 1 and any(kind for _, kind in sample):
        sample = [(file, _kind(file)) for file in files]
    name = f"image ending {ending} is not read" if ending else "image without a known ending"
    for file, kind in sample:
        if kind is not None:
            what = "rename it" if kind in FORMATS else "save it as PNG or JPEG"
            yield Problem(file, None, name, f"its content is {kind}; {what}", False, NOT_READ)


def _kind(file: str) -> str | None:
    """Return what kind of image a file holds, None for none."""
    try:
        if not os.path.isfile(file):
            return None
        with open(file, "rb") as stream:
            start = stream.read(16)
            if known := next((kind for begins, kind in STARTS.items() if start.startswith(begins)), None):
                return known
            stream.seek(0)
            return open_image(stream, file, (*FORMATS, *OTHER_FORMATS)).format
    except Exception as error:  # Pillow raises nearly anything on files that are no images
        raise_if_exhausted(error)
        return None
