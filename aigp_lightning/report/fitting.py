"""Makes the pictures of a report fit into its size: one scale for all, and at the very last fewer epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from aigp_lightning.logfiles.stored_pictures import StoredPicture
from aigp_lightning.report.encode import WEBP, Encoded, as_it_is, in_threads, shrink
from aigp_lightning.report.mosaics import RunPictures, every_so_many

SIDES = (2560, 2240, 1920, 1600, 1440, 1280, 1120, 1024, 900, 800, 720, 640, 576, 512, 450, 400, 360, 320)
"""Pixels that the longer side of a picture has at most, one after the other, until all fit."""
SMALLEST_CHART = 1000
"""Charts and their texts have at least so many pixels."""
SAMPLE = 32
"""Pictures that are encoded to estimate what all of them take."""
MARGIN = 0.97
GROWTH, DOUBT = 1.5, 1.5
"""Bytes grow with the side to this power; a side is tried if by that it needs at most so many times the room."""
Advance = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""


@dataclass
class Fitted:
    """The pictures of a report as they are embedded.

    Attributes:
        encoded: by the hash of the original.
        side: of the longer side, pixels, at most; None where they are as they were.
        epochs: that are shown, by number of the run; None is all.
        step: of so many epochs one is shown.
        unreadable: pictures that could not be read or decoded.
        smaller: some mosaic has fewer pixels than it had.
        anew: some picture was encoded anew.
    """

    encoded: dict[str, Encoded] = field(default_factory=dict)
    side: int | None = None
    epochs: list[set[int] | None] = field(default_factory=list)
    step: int = 1
    unreadable: int = 0
    smaller: bool = False
    anew: bool = False

    @property
    def embedded(self) -> int:
        """Bytes that they take in the page."""
        return sum(picture.embedded for picture in self.encoded.values())


def fit_pictures(runs: Sequence[RunPictures], best: Sequence[int | None], room: int, advance: Advance) -> Fitted:
    """Encode the pictures of all runs so that they fit.

    Args:
        runs: their pictures.
        best: best epoch of each run.
        room: bytes of the page that they may take.
        advance: called as pictures are done.
    """
    every: list[set[int] | None] = [None] * len(runs)
    single, mosaics = _unique(runs, every)
    total = sum(picture.size for picture in [*single, *mosaics]) * 4 / 3
    sides = [None] if total + 200 * len(single + mosaics) <= room else _likely_sides(single, mosaics, room)
    for side in sides:
        if side is not None and _needed(single, mosaics, side) > room * MARGIN:
            continue
        fitted = _encode_all(single, mosaics, side, room, advance)
        if fitted is not None:
            return _with_epochs(fitted, every, 1)
    return _fewer_epochs(runs, best, room, advance)


def _likely_sides(single: Sequence[StoredPicture], mosaics: Sequence[StoredPicture], room: int) -> list[int | None]:
    """Return the sides at which all may fit, longest first, judged by the smallest one, which is encoded fastest."""
    charts, least = _estimate(single, SMALLEST_CHART), _estimate(mosaics, SIDES[-1])
    return [side for side in SIDES if charts + least * (side / SIDES[-1]) ** GROWTH <= room * DOUBT]


def _needed(single: Sequence[StoredPicture], mosaics: Sequence[StoredPicture], side: int) -> float:
    return _estimate(single, max(side, SMALLEST_CHART)) + _estimate(mosaics, side)


def _fewer_epochs(runs: Sequence[RunPictures], best: Sequence[int | None], room: int, advance: Advance) -> Fitted:
    """Leave epochs out evenly, then all mosaics, then everything."""
    side = SIDES[-1]
    longest = max((len(mosaic.epochs) for run in runs for mosaic in run.mosaics.values()), default=1)
    step = 2
    while step < 2 * longest:
        every: list[set[int] | None] = [
            every_so_many(sorted({e for mosaic in run.mosaics.values() for e in mosaic.epochs}), step, [kept])
            for run, kept in zip(runs, best, strict=True)
        ]
        single, mosaics = _unique(runs, every)
        needed = _needed(single, mosaics, side)
        if needed <= room * MARGIN:
            fitted = _encode_all(single, mosaics, side, room, advance)
            if fitted is not None:
                return _with_epochs(fitted, every, step)
        step = max(step + 1, min(int(step * needed / room), 2 * step))
    nothing: list[set[int] | None] = [set() for _ in runs]
    single, _ = _unique(runs, nothing)
    fitted = _encode_all(single, [], SIDES[-1], room, advance) or Fitted(side=side)
    return _with_epochs(fitted, nothing, 0)


def _with_epochs(fitted: Fitted, epochs: list[set[int] | None], step: int) -> Fitted:
    fitted.epochs, fitted.step = epochs, step
    return fitted


def _unique(
    runs: Sequence[RunPictures], epochs: Sequence[set[int] | None]
) -> tuple[list[StoredPicture], list[StoredPicture]]:
    """Return charts and training pictures, and mosaics of some epochs; each picture once."""
    single = {picture.sha256: picture for run in runs for picture in run.single()}
    mosaics = {
        picture.sha256: picture
        for run, some in zip(runs, epochs, strict=True)
        for picture in run.of_epochs(some)
        if picture.sha256 not in single
    }
    return list(single.values()), list(mosaics.values())


def _estimate(pictures: Sequence[StoredPicture], side: int) -> float:
    """Return the bytes that pictures take in the page, from a sample of them."""
    if not pictures:
        return 0.0
    sample = pictures[:: max(1, len(pictures) // SAMPLE)][:SAMPLE]
    made = list(in_threads([partial(_encode, one, side) for one in sample]))
    known = [one.embedded for one in made if one is not None]
    return sum(known) / len(known) * len(pictures) if known else 0.0


def _encode_all(
    single: Sequence[StoredPicture], mosaics: Sequence[StoredPicture], side: int | None, room: int, advance: Advance
) -> Fitted | None:
    """Encode all pictures; None as soon as they take more than there is room for."""
    fitted, pictures, taken = Fitted(side=side), [*single, *mosaics], 0
    chart = None if side is None else max(side, SMALLEST_CHART)
    work = [partial(_encode, one, chart if number < len(single) else side) for number, one in enumerate(pictures)]
    for number, (picture, made) in enumerate(zip(pictures, in_threads(work), strict=True), 1):
        advance("pictures", number, len(pictures))
        if made is None:
            fitted.unreadable += 1
            continue
        taken += made.embedded
        if taken > room:
            return None
        fitted.encoded[picture.sha256] = made
        fitted.smaller |= made.smaller and number > len(single)
        fitted.anew |= made.mime == WEBP
    return fitted


def _encode(picture: StoredPicture, side: int | None) -> Encoded | None:
    try:
        data = picture.read()
    except OSError:
        return None
    return as_it_is(data) if side is None else shrink(data, side)


def names_of(hashes: Iterable[str]) -> dict[str, str]:
    """Return an id for each picture: the beginning of its hash.

    Args:
        hashes: SHA-256, hexadecimal.
    """
    return {digest: f"m{digest[:20]}" for digest in hashes}
