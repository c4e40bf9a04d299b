"""Everything that a page shows of one or several runs, as plain values beside the pictures' bytes.

`version`, `title`, `made`, `private` (`included`, `text`; `masked` and `left_out` count pictures, `without_pixels`
validation images), `notes`, `runs` and `comparison`. A picture is named by its id. Epochs count from 1, as in
`results.csv`; coordinates are pixels of the original pictures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.logfiles.stored_pictures import StoredPicture
from aigp_lightning.modules.metrics.image_results import ImageResults
from aigp_lightning.report.comparison import compare_runs
from aigp_lightning.report.encode import Encoded
from aigp_lightning.report.fitting import Advance, Fitted, fit_pictures, names_of
from aigp_lightning.report.images import add_pictures
from aigp_lightning.report.mosaics import Mosaic, RunPictures, shown_epochs
from aigp_lightning.report.one_run import CollectedRun, collect_runs
from aigp_lightning.report.privacy import private_text

VERSION = 1
MEGABYTE = 1_000_000
PAGE = 400_000
"""Bytes of a page beside the charts' script, its data and its pictures, at most."""
SHARE_OF_IMAGES = 3
"""Validation images get one of so many parts of the room, where there are mosaics too."""
ORIGINALS = "the files as they were drawn stay in the run folder"
FULL_SIZE = "the files in full size stay in the run folder"


@dataclass
class Report:
    """A report, ready to be written.

    Attributes:
        payload: plain values.
        pictures: by id.
    """

    payload: dict[str, Any]
    pictures: dict[str, Encoded] = field(default_factory=dict)

    def files(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield id, type and bytes of each picture; it is forgotten then."""
        while self.pictures:
            name = next(iter(self.pictures))
            picture = self.pictures.pop(name)
            yield name, picture.mime, picture.data


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report.

    Attributes:
        include_private: show private images.
        max_mb: largest size of the page, 10⁶ bytes.
        max_pictures: validation images of a run that are shown, at most.
        evaluate: gives the results of a run that has none, and None where it cannot; None: nothing is evaluated.
        advance: called as pictures are done.
    """

    include_private: bool = False
    max_mb: float = 20.0
    max_pictures: int = 1000
    evaluate: Callable[[Path], ImageResults | None] | None = None
    advance: Advance = lambda what, done, of: None


def build_report(runs: Sequence[Path], options: ReportOptions) -> Report:
    """Collect what a report of some runs shows.

    Args:
        runs: their folders.
        options: of the report.

    Raises:
        ConfigError: the page cannot be as small as is asked.
    """
    collected = collect_runs(runs, options.include_private, options.evaluate)
    payload = _payload(collected, options)
    room = int(options.max_mb * MEGABYTE) - page_size() - len(_json(payload))
    least = math.ceil((int(options.max_mb * MEGABYTE) - room) / MEGABYTE)
    if room <= 0:
        raise ConfigError(f"--max-mb {options.max_mb:g}: text, tables and charts alone take {least} MB; give more.")
    images = [run.images for run in collected]
    pictures = [run.pictures for run in collected]
    share = room // SHARE_OF_IMAGES if any(each.mosaics or each.single() for each in pictures) else room
    small, taken = add_pictures(images, share, options.max_pictures, options.advance)
    best = [run.facts.best_epoch for run in collected]
    fitted = fit_pictures(pictures, best, room - taken - _ids(pictures), options.advance)
    ids = names_of(fitted.encoded)
    for number, (run, content) in enumerate(zip(collected, payload["runs"], strict=True)):
        epochs = fitted.epochs[number]
        content.update(_pictures_of(run.pictures, epochs, ids))
        if content["pictures"] is not None:
            content["pictures"]["scale_note"] = run.images.note or None
    payload["notes"] += list(_scale_notes(fitted, options.max_mb))
    encoded = {ids[digest]: picture for digest, picture in fitted.encoded.items()}
    return Report(payload, {**encoded, **small})


def page_size() -> int:
    """Return the bytes of a page without data and pictures, at most."""
    from plotly.offline import get_plotlyjs

    return len(get_plotlyjs().encode()) + PAGE


def _payload(collected: Sequence[CollectedRun], options: ReportOptions) -> dict[str, Any]:
    """Return everything but ids of pictures."""
    masked = sum(run.pictures.masked for run in collected)
    left_out = sum(run.pictures.left_out for run in collected)
    hidden = sum(run.images.hidden for run in collected)
    some = any(run.privacy.any for run in collected)
    text = private_text(options.include_private, masked, left_out, hidden, some)
    counts = {"masked": masked, "left_out": left_out, "without_pixels": hidden}
    private = {"included": options.include_private, **counts, "text": text}
    names = [run.facts.name for run in collected]
    return {
        "version": VERSION,
        "title": names[0] if len(names) == 1 else f"{len(names)} runs: {', '.join(names)}",
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "private": private,
        "notes": [note for run in collected for note in run.notes()],
        "runs": [run.content for run in collected],
        "comparison": compare_runs([run.content for run in collected]),
    }


def _pictures_of(pictures: RunPictures, epochs: set[int] | None, ids: dict[str, str]) -> dict[str, Any]:
    """Return mosaics, training and closing pictures by their ids; what could not be read is left out."""
    mosaics = [_mosaic(key, mosaic, epochs, ids) for key, mosaic in pictures.mosaics.items()]
    return {
        "mosaics": [mosaic for mosaic in mosaics if mosaic["epochs"]],
        "training": _named(pictures.training, ids),
        "closing": _named(pictures.closing, ids),
    }


def _mosaic(key: str, mosaic: Mosaic, epochs: set[int] | None, ids: dict[str, str]) -> dict[str, Any]:
    labels, pred = (
        {epoch: ids[one.sha256] for epoch, one in shown_epochs(some, epochs).items() if one.sha256 in ids}
        for some in (mosaic.labels, mosaic.pred)
    )
    return {
        "key": key,
        "epochs": sorted({*labels, *pred}),
        "labels": {str(epoch): name for epoch, name in labels.items()},
        "pred": {str(epoch): name for epoch, name in pred.items()},
    }


def _named(pictures: dict[str, StoredPicture], ids: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "picture": ids[one.sha256]} for key, one in pictures.items() if one.sha256 in ids]


def _scale_notes(fitted: Fitted, max_mb: float) -> Iterator[str]:
    limit = f"to fit --max-mb {max_mb:g}"
    if fitted.smaller:
        yield f"Mosaics are scaled to at most {fitted.side} pixels {limit}; {FULL_SIZE}."
    elif fitted.anew:
        yield f"Pictures are encoded anew as WebP {limit}; {ORIGINALS}."
    if not fitted.step:
        yield f"There was no room for the mosaics {limit}; {FULL_SIZE}."
    elif fitted.step > 1:
        yield f"Of {fitted.step} epochs one is shown, and the best and the last, {limit}; {FULL_SIZE}."
    if fitted.unreadable:
        yield f"{fitted.unreadable} picture{'s' * (fitted.unreadable != 1)} could not be read, and are left out."


def _ids(pictures: Sequence[RunPictures]) -> int:
    """Return the bytes of the data that name pictures."""
    return 60 * sum(len(each.of_epochs()) + len(each.single()) for each in pictures)


def _json(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()
