"""The truth of a flight, `truth/<flight>.jsonl`: a line a frame in order, with time, poses and the camera's turning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aigp_lightning.errors import DataError
from aigp_lightning.evaluation.sequence.recording import Floats, Ints
from aigp_lightning.ranges import is_finite_number


@dataclass(frozen=True)
class Labels:
    """Objects that are labelled in frames, m rows.

    Attributes:
        frame: (m,) number of the frame in the flight's list.
        cls: (m,) class ids of the data set.
        box: (m, 4) xyxy, pixels of the picture.
        points: (m, K, 3) x and y, pixels of the picture, and visibility 0, 1 or 2.
        ident: (m,) number of the object; -1 where nobody said.
        place: (m, 3) metres in the camera's frame; NaN where nobody said.
    """

    frame: Ints
    cls: Ints
    box: Floats
    points: Floats
    ident: Ints
    place: Floats


@dataclass(frozen=True)
class Truth:
    """The truth of a flight.

    Attributes:
        images: (F,) the frames' files, as they are written.
        time: (F,) seconds.
        turning: (F,) how fast the camera turns, rad/s; NaN where it is not said.
        labels: the objects; `frame` counts lines.
    """

    images: list[str]
    time: Floats
    turning: Floats
    labels: Labels


def read_truth(path: Path, keypoints: int) -> Truth:
    """Read the truth of a flight.

    Args:
        path: of the file.
        keypoints: K of the data set; 0 without.

    Raises:
        DataError: it cannot be read, or a line is not what it has to be; the message names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}.") from error
    frames: list[Mapping[str, Any]] = []
    rows: list[tuple[int, Mapping[str, Any]]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            frame = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: no JSON: {error}.") from error
        if fault := _fault(frame, keypoints):
            raise DataError(f"{path}:{number}: {fault}.")
        rows += [(len(frames), each) for each in frame["objects"]]
        frames.append(frame)
    if not frames:
        raise DataError(f"{path} has no line; a flight has one for each frame.")
    time = np.array([float(frame["t"]) for frame in frames])
    if (np.diff(time) <= 0).any():
        late = int(np.flatnonzero(np.diff(time) <= 0)[0]) + 2
        raise DataError(f"{path}:{late}: 't' does not rise; frames must be in order.")
    turning = [np.linalg.norm(frame["angular_rate"]) if "angular_rate" in frame else np.nan for frame in frames]
    return Truth([frame["image"] for frame in frames], time, np.array(turning), _labels(rows, keypoints))


def _labels(rows: list[tuple[int, Mapping[str, Any]]], keypoints: int) -> Labels:
    none = [np.nan] * 3
    points = [each.get("keypoints") or [[0, 0, 0]] * keypoints for _, each in rows] if keypoints else []
    return Labels(
        np.array([frame for frame, _ in rows], np.int64),
        np.array([each.get("cls", 0) for _, each in rows], np.int64),
        np.array([each["box"] for _, each in rows], np.float64).reshape(-1, 4),
        np.array(points, np.float64).reshape(len(rows), keypoints, 3),
        np.array([each.get("id", -1) for _, each in rows], np.int64),
        np.array([each.get("position") or none for _, each in rows], np.float64).reshape(-1, 3),
    )


def _fault(frame: Any, keypoints: int) -> str:
    """Say what is wrong with a line; empty where nothing is."""
    if not isinstance(frame, dict) or not isinstance(frame.get("image"), str):
        return "a line must be an object with the frame's 'image'"
    if not is_finite_number(frame.get("t")):
        return "'t' must be a number: seconds"
    if "angular_rate" in frame and not _numbers(frame["angular_rate"], 3):
        return "'angular_rate' must be three numbers: rad/s"
    if not isinstance(frame.get("objects"), list):
        return "'objects' must be a list; [] where there is none"
    return next((fault for each in frame["objects"] if (fault := _object_fault(each, keypoints))), "")


def _object_fault(each: Any, keypoints: int) -> str:
    if not isinstance(each, dict) or not _numbers(each.get("box"), 4):
        return "an object must have a 'box' of four numbers: x1, y1, x2, y2 in pixels"
    if not all(isinstance(each.get(key, 0), int) for key in ("id", "cls")):
        return "an object's 'id' and 'cls' must be whole numbers"
    if each.get("position") is not None and not _numbers(each["position"], 3):
        return "an object's 'position' must be three numbers: metres in the camera's frame"
    points = each.get("keypoints")
    if keypoints and points and not (len(points) == keypoints and all(_numbers(point, 3) for point in points)):
        return f"an object's 'keypoints' must be {keypoints} times x, y in pixels and visibility"
    return ""


def _numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(map(is_finite_number, value))
