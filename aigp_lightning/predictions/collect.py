"""Pictures worth training on: something is found in them that is not labelled, as a detector's false alarms are.

Only labels, or the user, can say that there is no object: a picture without a label file is not labelled yet, and is
listed apart.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import to_pixels, xywh_to_xyxy
from aigp_lightning.data.images import IMAGE_SUFFIXES, label_path
from aigp_lightning.data.labels import parse_label_file
from aigp_lightning.data.video import VIDEO_SUFFIXES
from aigp_lightning.errors import ConfigError, printable
from aigp_lightning.modules.metrics.pairing import overlapping
from aigp_lightning.paths import expand_home

if TYPE_CHECKING:
    from aigp_lightning.media.detections import ImageDetections

LEAST = 0.45
"""A detection that overlaps a labelled object of any class by more than this is of that object, however rough it is."""
SUFFIX = ".txt"
LABELLED, EMPTY, STATED = "labelled", "empty", "stated"
UNLABELLED, UNREADABLE, HELD_OUT = "unlabelled", "unreadable", "held out"
LISTED = (LABELLED, EMPTY, STATED)
"""Kinds of pictures that go into the list. Of others nothing says what is in them, or they measure what is trained."""
LOOKED_AT = IMAGE_SUFFIXES | VIDEO_SUFFIXES
LEFT_OUT, SHEET, FRAMES = "-left-out", ".jpg", "-frames"
"""What the names of further files end in, after the list's own without its ending."""


@dataclass(frozen=True)
class CollectOptions:
    """Where pictures are collected.

    Args:
        target: the list, for `train` of a data.yaml: one absolute path a line.
        backgrounds: pictures, folders and videos in which there is no object, as the user says.
        kpt_shape: how many keypoints labels have, and numbers for each; None for boxes.

    Example:
        >>> CollectOptions(Path("hard.txt")).beside("-left-out.txt").name
        'hard-left-out.txt'
    """

    target: Path
    backgrounds: Sequence[str] = ()
    kpt_shape: tuple[int, int] | None = field(default=None, compare=False)

    def check(self) -> None:
        """Refuse a list that cannot be written.

        Raises:
            ConfigError: it has another ending or is there already, or a background is not there. A list of what was
                left out alone, as of a run that collected nothing, is written anew.
        """
        if self.target.suffix != SUFFIX:
            raise ConfigError(f"--output.collect {self.target}: the name of a list ends in {SUFFIX}.")
        left_out = self.beside(f"{LEFT_OUT}{SUFFIX}")
        taken = [path for path in (self.target, left_out) if path.exists()]
        if taken and (taken[0] == self.target or not _is_left_out(left_out)):
            raise ConfigError(f"--output.collect: {taken[0]} is there already, and is not written over. Name another.")
        if missing := [path for path in self.backgrounds if not os.path.exists(expand_home(path))]:
            raise ConfigError(f"--output.collect_backgrounds {printable(missing[0])}: there is no such file or folder.")

    def beside(self, ending: str) -> Path:
        """Return the path of a further file or folder.

        Args:
            ending: of its name.
        """
        return self.target.with_name(f"{self.target.stem}{ending}")

    def sources(self) -> list[str]:
        """Return the pictures and videos of the backgrounds, absolute: of folders, those in subfolders too.

        Raises:
            ConfigError: a folder has none.
        """
        found: list[str] = []
        for given in self.backgrounds:
            place = os.path.abspath(expand_home(given))
            files = [place] if os.path.isfile(place) else _below(place)
            if not files:
                raise ConfigError(f"--output.collect_backgrounds {printable(given)}: it has no pictures and no videos.")
            found += files
        return found

    def is_background(self, path: str) -> bool:
        """True if the user says that there is no object in a picture or video.

        Args:
            path: of it.
        """
        places = (os.path.abspath(expand_home(each)) for each in self.backgrounds)
        whole = os.path.abspath(path)
        return any(whole == place or whole.startswith(os.path.join(place, "")) for place in places)


def _below(folder: str) -> list[str]:
    """List the pictures and videos in a folder and below it, hidden ones left out."""
    found: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        known = (name for name in names if name[0] != "." and os.path.splitext(name)[1].lower() in LOOKED_AT)
        found += [os.path.join(parent, name) for name in known]
    return sorted(found)


def _is_left_out(path: Path) -> bool:
    """True if a file is a list of pictures that were left out, a path and a reason a line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return False
    return bool(lines) and all(b"\t" in line for line in lines)


def judge(path: str, frame: int | None, found: ImageDetections, options: CollectOptions) -> dict[str, Any] | None:
    """Return what is found in a picture and not labelled; None where all is, or nothing is found.

    Args:
        path: of the picture or video.
        frame: of the video, which has no labels; None for a picture.
        found: in its own pixels, with at least the confidence that counts.
        options: see there.

    Returns:
        Plain values: `path` (absolute), `frame`, `kind` (of `LISTED`, `UNLABELLED` or `UNREADABLE`), `why`, and the
        `boxes`, `labels` and `scores` of what is not labelled.
    """
    if not len(found.boxes):
        return None
    assert found.shape is not None, "what is collected is in pixels of a picture of known size"
    kind, why, boxes = _labels(path, frame, found.shape, options)
    chosen = np.ones(len(found.boxes), np.bool_)
    if len(boxes):
        images = (np.zeros(len(found.boxes), np.int64), np.zeros(len(boxes), np.int64))
        chosen[overlapping(found.boxes.astype(np.float32), boxes, *images, LEAST)[0]] = False
    if not chosen.any():
        return None
    values = {name: getattr(found, name)[chosen].tolist() for name in ("boxes", "labels", "scores")}
    return {"path": os.path.abspath(path), "frame": frame, "kind": kind, "why": why, **values}


def _labels(
    path: str, frame: int | None, shape: tuple[int, int], options: CollectOptions
) -> tuple[str, str, NDArray[np.float32]]:
    """Return what is known of a picture's objects, in a word and in words, and their boxes, xyxy pixels."""
    nothing = np.zeros((0, 4), np.float32)
    file = label_path(path) if frame is None else ""
    if not file or not os.path.isfile(file):
        if options.is_background(path):
            return STATED, "", nothing
        return UNLABELLED, "a video has no labels" if frame is not None else "there is no label file", nothing
    _, rows, _, problems = parse_label_file(file, 1, options.kpt_shape, single_cls=True, boxes_only=True)
    if fatal := [problem for problem in problems if problem.fatal]:
        return UNREADABLE, f"its label file cannot be used: {fatal[0].text}", nothing
    if not len(rows):
        return EMPTY, "", nothing
    return LABELLED, "", xywh_to_xyxy(to_pixels(rows, shape)).astype(np.float32)
