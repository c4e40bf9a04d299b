"""Frames in order as arrays: what is in them, and what a model found there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Columns = TypeVar("Columns", "Frames", "Objects", "Found")
MATCHED, DUPLICATE, FALSE = 0, 1, 2
"""What a detection is: the one of an object, a further one of it, or of none."""
NOBODY = -1
"""Stands for no detection."""


@dataclass(frozen=True)
class Frames:
    """The frames, F of them, flight by flight in order.

    Attributes:
        flight: (F,) number of the flight.
        position: (F,) place in the flight; of two frames that follow each other it differs by one.
        time: (F,) seconds.
        turning: (F,) how fast the camera turns, rad/s; NaN where nobody said.
        labelled: (F,) whether it is known what is in it.
    """

    flight: Ints
    position: Ints
    time: Floats
    turning: Floats
    labelled: Bools


@dataclass(frozen=True)
class Objects:
    """Objects that are there, m rows: each object in each frame, by its labels or, without those, by its track.

    Attributes:
        frame: (m,) row of the frame.
        track: (m,) number of the object, the same in all frames of its visit.
        cls: (m,) class.
        box: (m, 4) xyxy, pixels of the picture.
        points: (m, K, 2) keypoints, pixels of the picture; NaN where not known.
        could: (m, K) whether a keypoint could be seen: visible and within the picture.
        distance: (m,) metres from the camera; NaN where not known.
        place: (m, 3) metres in the camera's frame, by the truth; NaN without.
        match: (m,) row of its detection, or `NOBODY`.
    """

    frame: Ints
    track: Ints
    cls: Ints
    box: Floats
    points: Floats
    could: Bools
    distance: Floats
    place: Floats
    match: Ints


@dataclass(frozen=True)
class Found:
    """What the model found, n rows.

    Attributes:
        frame: (n,) row of the frame.
        cls: (n,) class.
        score: (n,) confidence.
        box: (n, 4) xyxy, pixels of the picture.
        points: (n, K, 3) x and y, pixels of the picture, and confidence.
        seen: (n, K) whether a keypoint is sure enough.
        kind: (n,) `MATCHED`, `DUPLICATE` or `FALSE`.
        usable: (n,) whether there is a pose that may be used.
        position: (n, 3) of that pose, metres in the camera's frame; NaN without.
        rotation: (n, 3, 3) of that pose; NaN without.
        reprojection_px: (n,) of that pose; NaN without.
        ambiguity: (n,) of that pose, see `TargetPoses`.
    """

    frame: Ints
    cls: Ints
    score: Floats
    box: Floats
    points: Floats
    seen: Bools
    kind: Ints
    usable: Bools
    position: Floats
    rotation: Floats
    reprojection_px: Floats
    ambiguity: Floats


@dataclass(frozen=True)
class Recording:
    """Flights with what is in them and what was found.

    Attributes:
        names: of the flights.
        keypoints: (K,) names of the keypoints; empty for a model that finds none.
        hz: frames a second.
        frames, objects, found: see there.
        metric: whether poses could be solved for: the camera and the places of the keypoints are known.
    """

    names: tuple[str, ...]
    keypoints: tuple[str, ...]
    hz: float
    frames: Frames
    objects: Objects
    found: Found
    metric: bool

    @property
    def is_labelled(self) -> bool:
        """Whether it is known what is in the frames."""
        return bool(self.frames.labelled.any())

    def of_flight(self, flight: int) -> Recording:
        """Return one flight alone.

        Args:
            flight: its number.
        """
        frames = self.frames.flight == flight
        objects, found = frames[self.objects.frame], frames[self.found.frame]
        row = np.cumsum(frames) - 1
        match, new = self.objects.match[objects], np.cumsum(found) - 1
        return replace(
            self,
            names=(self.names[flight],),
            frames=replace(_rows(self.frames, frames), flight=np.zeros(int(frames.sum()), np.int64)),
            objects=replace(
                _rows(self.objects, objects),
                frame=row[self.objects.frame[objects]],
                match=np.where(match < 0, NOBODY, new[match] if len(new) else NOBODY),
            ),
            found=replace(_rows(self.found, found), frame=row[self.found.frame[found]]),
        )


def _rows(columns: Columns, chosen: Bools) -> Columns:
    return replace(columns, **{each.name: getattr(columns, each.name)[chosen] for each in fields(columns)})


def joined(parts: Sequence[Recording]) -> Recording:
    """Put flights into one recording.

    Args:
        parts: one flight each, of one model.
    """
    frames = np.cumsum([0, *(len(part.frames.flight) for part in parts)])
    found = np.cumsum([0, *(len(part.found.frame) for part in parts)])
    tracks = np.cumsum([0, *(int(part.objects.track.max(initial=-1)) + 1 for part in parts)])
    shifted = [
        replace(
            part,
            frames=replace(part.frames, flight=np.full(len(part.frames.flight), number)),
            objects=replace(
                part.objects,
                frame=part.objects.frame + frames[number],
                track=part.objects.track + tracks[number],
                match=np.where(part.objects.match < 0, NOBODY, part.objects.match + found[number]),
            ),
            found=replace(part.found, frame=part.found.frame + frames[number]),
        )
        for number, part in enumerate(parts)
    ]
    return replace(
        parts[0],
        names=tuple(name for part in parts for name in part.names),
        frames=_stacked([part.frames for part in shifted]),
        objects=_stacked([part.objects for part in shifted]),
        found=_stacked([part.found for part in shifted]),
        metric=any(part.metric for part in parts),
    )


def _stacked(parts: Sequence[Columns]) -> Columns:
    columns: dict[str, Any] = {
        each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(parts[0])
    }
    return replace(parts[0], **columns)


def followers(recording: Recording) -> tuple[Ints, Bools]:
    """Order objects by track and frame, and say which follow the row before: the same object, one frame later.

    Args:
        recording: of any number of flights.

    Returns:
        (m,) order of the rows, and (m,) in that order whether a row follows the one before it.
    """
    objects, frames = recording.objects, recording.frames
    position = frames.position[objects.frame]
    order = np.lexsort((position, objects.track))
    track, place = objects.track[order], position[order]
    follows = np.zeros(len(order), np.bool_)
    follows[1:] = (track[1:] == track[:-1]) & (place[1:] == place[:-1] + 1)
    return order, follows
