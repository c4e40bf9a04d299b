"""Validation images one by one: what was found, what is labelled, and small pictures, the worst images first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.files import read_regular
from aigp_lightning.modules.metrics.corner_report import DISTANCE
from aigp_lightning.modules.metrics.image_results import ImageResults
from aigp_lightning.report.encode import Encoded, in_threads, shrink
from aigp_lightning.report.fitting import Advance
from aigp_lightning.report.results import rounded

CONF = 0.25
"""Confidence from which on detections count at first; the reader of the page can move it."""
FLOORS = (0.05, 0.1, 0.15, 0.2)
"""Weaker detections are left out; the next one where the detections are too many."""
MOST_FOUND, MOST_IMAGES = 60_000, 5000
SIDES = (480, 360, 280)
"""Pixels of the longer side of a small picture at most; the next one where they do not fit."""
SAMPLE = 8


@dataclass
class ImageParts:
    """What a report shows of validation images.

    Attributes:
        items: one an image, see `payload.py`, without pictures yet.
        files: the path of each, empty where the picture may not be shown.
        note: what was left out, and how small pictures are.
        hidden: number of images without name and pixels.
    """

    items: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    note: str = ""
    hidden: int = 0


def image_parts(results: ImageResults, is_hidden: Callable[[str], bool]) -> ImageParts:
    """Describe the images of a validation, those with most errors first.

    Args:
        results: of it.
        is_hidden: tells whether an image is neither named nor shown.
    """
    parts = ImageParts()
    floor = next((floor for floor in FLOORS if (results.found_score >= floor).sum() <= MOST_FOUND), FLOORS[-1])
    rows = _Rows(results, floor)
    order = np.argsort(-rows.errors(), kind="stable")[:MOST_IMAGES]
    for image in order.tolist():
        hidden = is_hidden(results.files[image])
        parts.hidden += hidden
        name = f"private image {parts.hidden}" if hidden else Path(results.files[image].replace("\\", "/")).name
        height, width = results.shapes[image].tolist()
        head = {"file": name, "width": width, "height": height, "picture": None, "masked": hidden}
        parts.items.append({**head, **rows.item(image)})
        parts.files.append("" if hidden else results.files[image])
    notes = [f"Detections below a confidence of {floor:g} are left out."]
    if len(results.files) > len(order):
        notes.append(f"Of {len(results.files)} images the {len(order)} with most errors are listed.")
    parts.note = " ".join(notes)
    return parts


class _Rows:
    """The rows of results, image by image.

    Args:
        results: of a validation.
        floor: detections less sure are left out.
    """

    def __init__(self, results: ImageResults, floor: float) -> None:
        kept = results.found_score >= floor
        count = len(results.files)
        self.found_at = np.searchsorted(results.found_image[kept], np.arange(count + 1))
        self.true_at = np.searchsorted(results.true_image, np.arange(count + 1))
        self._match, self._score = results.match[kept], results.found_score[kept]
        self._image, self._true_image = results.found_image[kept], results.true_image
        local = np.where(self._match >= 0, self._match - self.true_at[self._image], -1)
        columns = (results.found_label[kept].tolist(), rounded(self._score, 4), rounded(results.found_box[kept], 1))
        self._found = [[a, b, *c, d] for a, b, c, d in zip(*columns, local.tolist(), strict=True)]
        distance = _distances(results)
        true = zip(results.true_label.tolist(), rounded(results.true_box, 1), distance, strict=True)
        self._true = [[label, *box, far] for label, box, far in true]
        some = bool(results.found_points.shape[1] or results.true_points.shape[1])
        self._points = [rounded(results.found_points[kept], 2), rounded(results.true_points, 2)] if some else None

    def errors(self) -> NDArray[np.int64]:
        """Count false alarms and misses of each image at the usual confidence."""
        count, sure = len(self.true_at) - 1, self._score >= CONF
        alarms = np.bincount(self._image[sure & (self._match < 0)], minlength=count)
        missed = np.ones(len(self._true_image), np.bool_)
        missed[self._match[sure & (self._match >= 0)]] = False
        return (alarms + np.bincount(self._true_image[missed], minlength=count)).astype(np.int64)

    def item(self, image: int) -> dict[str, Any]:
        """Return what belongs to an image."""
        found, true = slice(*self.found_at[image : image + 2]), slice(*self.true_at[image : image + 2])
        points = (self._points[0][found], self._points[1][true]) if self._points is not None else (None, None)
        return {
            "found": self._found[found],
            "true": self._true[true],
            "found_points": points[0],
            "true_points": points[1],
        }


def _distances(results: ImageResults) -> list[float | None]:
    if results.corner_rows.shape[1] <= DISTANCE:
        return [None] * len(results.true_label)
    return [value if value == value else None for value in rounded(results.corner_rows[:, DISTANCE], 2)]  # noqa: PLR0124


# ---- small pictures --------------------------------------------------------------------------------------------------


def add_pictures(parts: Sequence[ImageParts], room: int, most: int, advance: Advance) -> tuple[dict[str, Encoded], int]:
    """Add small pictures to the images, as many as fit, those with most errors first.

    Args:
        parts: of each run; runs on the same images share their pictures.
        room: bytes of the page that they may take.
        most: pictures of a run.
        advance: called as pictures are done.

    Returns:
        The pictures by id, and the bytes that they take in the page.
    """
    files = list(_in_turn(parts, most))
    side, count = _size_that_fits(files, room)
    chosen, encoded, taken, gone = files[:count], dict[str, Encoded](), 0, 0
    ids: dict[str, str] = {}
    for number, (file, made) in enumerate(zip(chosen, in_threads(_work(chosen, side)), strict=True), 1):
        advance("validation images", number, len(chosen))
        if made is None:
            gone += 1
        elif taken + made.embedded <= room:
            name = f"i{sha256(made.data).hexdigest()[:20]}"
            if name not in encoded:
                taken += made.embedded
            encoded[name], ids[file] = made, name
    for part in parts:
        shown = 0
        for item, file in zip(part.items, part.files, strict=True):
            item["picture"] = ids.get(file) if file else None
            shown += item["picture"] is not None
        part.note = f"{part.note} {_told(part, shown, gone, side)}".strip()
    return encoded, taken


def _told(part: ImageParts, shown: int, gone: int, side: int) -> str:
    if not part.items:
        return ""
    if not shown:
        return "The pictures are not on this disk any more." if gone else "No pictures of them are shown."
    some = "All" if shown == len(part.items) else f"{shown} of {len(part.items)}"
    return f"{some} have a picture, of at most {side} pixels."


def _in_turn(parts: Sequence[ImageParts], most: int) -> Iterator[str]:
    """Yield the files of all runs in turn, each once, the worst of each first."""
    files = [[file for file in part.files if file][:most] for part in parts]
    longest = max(map(len, files), default=0)
    yield from dict.fromkeys(some[place] for place in range(longest) for some in files if place < len(some))


def _size_that_fits(files: Sequence[str], room: int) -> tuple[int, int]:
    """Return the longer side of small pictures, and how many of them fit."""
    for side in SIDES:
        made = [one for one in in_threads(_work(files[:: max(1, len(files) // SAMPLE)][:SAMPLE], side)) if one]
        each = sum(one.embedded for one in made) / len(made) if made else 1.0
        if each * len(files) <= room:
            return side, len(files)
    return SIDES[-1], int(room / each)


def _work(files: Sequence[str], side: int) -> list[Callable[[], Encoded | None]]:
    return [partial(_small, file, side) for file in files]


def _small(file: str, side: int) -> Encoded | None:
    try:
        return shrink(read_regular(Path(file)), side, anew=True)
    except (OSError, ValueError):
        return None
