"""The video of a flight with what was found: boxes, corners that are sure enough, axes of poses, usable or not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import RunError
from aigp_lightning.evaluation.sequence.flights import Flight
from aigp_lightning.evaluation.sequence.frames import FrameReader
from aigp_lightning.evaluation.sequence.poses import axes_in_picture, camera_of
from aigp_lightning.evaluation.sequence.recording import Recording
from aigp_lightning.evaluation.sequence.steadiness import usable_frames
from aigp_lightning.media.plots.overlay import draw_overlay
from aigp_lightning.predictions.drawn_video import CODECS

if TYPE_CHECKING:
    from aigp_lightning.evaluation.sequence.assemble import Setup

AXIS = 0.75
"""Length of a pose's axes, metres: half the side of a gate's opening."""
NO_ENCODER = "this OpenCV has no encoder for MP4 or AVI"
FULL = "the file stopped growing; is the disk full?"


def write_video(
    flight: Flight, recording: Recording, setup: Setup, target: Path, advance: Callable[[int], None]
) -> tuple[Path | None, str]:
    """Write the video of a flight, under its name only once it is whole.

    Args:
        flight: the frames.
        recording: of this flight alone.
        setup: the model's.
        target: file to write, without its ending.
        advance: is told how many frames are done.

    Returns:
        The file, or None where it could not be written, and why.

    Raises:
        DataError: a frame cannot be decoded.
        RunError: the disk takes no more.
    """
    reader = FrameReader(flight.files)
    shape = flight.files[0].shape
    writer, unfinished, path = _opened(target, flight.hz, shape)
    if writer is None:
        return None, NO_ENCODER
    usable = usable_frames(recording) if recording.metric else None
    try:
        for number in range(len(reader)):
            writer.write(_frame(reader.image(number), number, shape, recording, setup, usable))
            advance(1)
        writer.release()
        if not unfinished.is_file() or not unfinished.stat().st_size:
            return None, FULL
        os.replace(unfinished, path)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        writer.release()
        reader.close()
        unfinished.unlink(missing_ok=True)
    return path, ""


def _opened(target: Path, hz: float, shape: tuple[int, int]) -> tuple[Any, Path, Path]:
    """Open a file to write with the first encoder that is there; None without one."""
    import cv2

    for suffix, codec in CODECS:
        unfinished = target.parent / f".{target.name}.unfinished{suffix}"
        writer = cv2.VideoWriter(str(unfinished), cv2.VideoWriter.fourcc(*codec), max(hz, 1.0), shape[::-1])
        if writer.isOpened():
            return writer, unfinished, target.parent / f"{target.name}{suffix}"
        unfinished.unlink(missing_ok=True)
    return None, target, target


def _frame(
    image: NDArray[np.uint8], number: int, shape: tuple[int, int], recording: Recording, setup: Setup,
    usable: NDArray[np.bool_] | None,
) -> NDArray[np.uint8]:  # fmt: skip
    """Return a frame as it is written: drawn, BGR, of the video's size."""
    import cv2

    found = recording.found
    rows = np.flatnonzero(found.frame == number)
    points = np.where(found.seen[rows][..., None], found.points[rows], np.nan) if recording.keypoints else None
    poses = rows[found.usable[rows]]
    camera = None if setup.camera is None else camera_of(setup.camera, (image.shape[0], image.shape[1]))
    axes = np.zeros((0, 4, 2))
    if camera is not None and len(poses):
        axes = axes_in_picture(found.position[poses], found.rotation[poses], camera, AXIS)
    good = None if usable is None else bool(usable[number])
    edges = setup.keypoints.edges if setup.keypoints is not None else ()
    drawn = draw_overlay(
        image, found.box[rows], found.cls[rows], found.score[rows], setup.names, points, edges, axes,
        _status(recording, number, good), good,
    )  # fmt: skip
    if drawn.shape[:2] != shape:  # the encoder drops frames of another size without a word
        drawn = np.asarray(cv2.resize(drawn, shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), np.uint8)


def _status(recording: Recording, number: int, usable: bool | None) -> str:
    """Return the line of a frame: its number and time, and the nearest usable pose's distance."""
    found, frames = recording.found, recording.frames
    words = f"{int(frames.position[number])}  {frames.time[number]:.2f} s"
    if usable is None:
        return words
    rows = np.flatnonzero((found.frame == number) & found.usable)
    far = f"  {np.linalg.norm(found.position[rows], axis=1).min():.1f} m" if len(rows) else ""
    return f"{words}  {'usable' if usable else 'not usable'}{far if usable else ''}"
