"""Flights past gates, rendered with truth; and detections of them that lose corners by a known process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aigp_lightning.data.targets.built_in import square
from aigp_lightning.evaluation.sequence.assemble import Setup, assemble
from aigp_lightning.evaluation.sequence.flights import Flight, find_flights
from aigp_lightning.evaluation.sequence.recording import Found, Frames, Objects, Recording
from aigp_lightning.media.detections import ImageDetections
from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.modules.thresholds import Thresholds
from aigp_lightning.types import Keypoints

HZ = 30.0
CAMERA = GateCamera(width=160, height=96, fx=80.0, fy=80.0, cx=80.0, cy=48.0)
NAMES = ("tl", "tr", "br", "bl")
KEYPOINTS = Keypoints(4, 3, NAMES, edges=((0, 1), (1, 2), (2, 3), (3, 0)), points=square(1.5))
YAML = """train: images
val: images
names: {0: gate}
kpt_shape: [4, 3]
kpt_names: {0: [tl, tr, br, bl]}
object_points: gate-4
"""
SPACING, SPEED = 9.0, 4.5
"""Metres between gates, and metres a second."""


def write_flights(folder: Path, flights: int = 1, frames: int = 60, seed: int = 0, pictures: bool = True) -> Path:
    """Write a data set of flights with pictures, labels and truth; returns its data.yaml."""
    random = np.random.default_rng(seed)
    (folder / "truth").mkdir(parents=True)
    for number in range(flights):
        write_flight(folder, f"flight_{number:03d}", frames, random, pictures)
    (folder / "data.yaml").write_text(YAML, encoding="utf-8")
    return folder / "data.yaml"


def write_flight(folder: Path, name: str, frames: int, random: np.random.Generator, pictures: bool = True) -> None:
    """Write one flight: straight on past gates that stand in a row, looking a little to both sides."""
    import cv2

    images, labels = folder / "images" / name, folder / "labels" / name
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    black = cv2.imencode(".png", np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8))[1].tobytes()
    phase, lines = random.uniform(0, 2 * np.pi), []
    empty = range(frames - 5, frames)  # as when looking at the ground
    for frame in range(frames):
        time = frame / HZ
        yaw, rate = 0.25 * np.sin(2 * time + phase), 0.5 * np.cos(2 * time + phase)
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])  # camera to world
        here = np.array([0.3 * np.sin(time), 0.1, SPEED * time])
        objects = [] if frame in empty else [each for gate in range(40) if (each := seen(gate, here, turn)) is not None]
        path = images / f"{frame:06d}.png"
        picture = random.integers(0, 60, (CAMERA.height, CAMERA.width, 3), dtype=np.uint8) if pictures else None
        for each in objects:
            corners = np.array(each["keypoints"])[:, :2].clip(-500, 500).round().astype(np.int32)
            if picture is not None:
                cv2.polylines(picture, [corners], True, (60, 60, 240), 3)
        path.write_bytes(black if picture is None else cv2.imencode(".png", picture)[1].tobytes())
        (labels / f"{frame:06d}.txt").write_text("\n".join(map(row_of, objects)), encoding="utf-8")
        lines.append({
            "image": f"images/{name}/{path.name}", "t": time,
            "camera": {"position": here.tolist(), "rotation": turn.tolist()},
            "velocity": [0.0, 0.0, SPEED], "angular_rate": [0.0, rate, 0.0], "objects": objects,
        })  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "truth" / f"{name}.jsonl").write_text(text, encoding="utf-8")


def seen(gate: int, here: np.ndarray, turn: np.ndarray) -> dict[str, object] | None:
    """One gate as the camera sees it; None where it does not, or from very far."""
    middle = turn.T @ (np.array([0.2 * (-1) ** gate, 0.0, 4.0 + SPACING * gate]) - here)
    if not 1.0 < middle[2] < 30:
        return None
    points = middle + np.array(square(1.5)) @ turn
    pixels = points[:, :2] / points[:, 2:] * (CAMERA.fx, CAMERA.fy) + (CAMERA.cx, CAMERA.cy)
    size = np.array([CAMERA.width, CAMERA.height])
    inside = ((pixels >= 0) & (pixels < size)).all(1)
    low, high = pixels.min(0).clip(0, size), pixels.max(0).clip(0, size)
    if not inside.any() or (high - low).min() < 3:
        return None
    keypoints = np.column_stack((np.where(inside[:, None], pixels, 0), np.where(inside, 2, 0)))
    return {
        "id": gate, "cls": 0, "position": middle.tolist(), "rotation": turn.T.tolist(),
        "box": [*low.tolist(), *high.tolist()], "keypoints": keypoints.tolist(),
    }  # fmt: skip


def row_of(each: dict[str, object]) -> str:
    size = np.array([CAMERA.width, CAMERA.height])
    x1, y1, x2, y2 = each["box"]  # type: ignore[misc]
    box = [(x1 + x2) / 2 / size[0], (y1 + y2) / 2 / size[1], (x2 - x1) / size[0], (y2 - y1) / size[1]]
    points = np.array(each["keypoints"]) / [*size, 1]
    return " ".join(["0", *(f"{value:.6f}" for value in box), *(f"{value:.6f}" for value in points.ravel())])


# ---- detections without a network ------------------------------------------------------------------------------------


def setup(**thresholds: float) -> Setup:
    return Setup({0: "gate"}, KEYPOINTS, CAMERA, Thresholds(**thresholds), "best.ckpt")  # type: ignore[arg-type]


def flights_of(data_yaml: Path) -> list[Flight]:
    return find_flights(str(data_yaml), "val", None, {0: "gate"}, KEYPOINTS)


def chain(shape: tuple[int, ...], rate: float, stay: float, random: np.random.Generator) -> np.ndarray:
    """Losses, (frames, …), of chains with this share of losses and this chance that one stays."""
    lost = np.empty(shape, bool)
    lost[0] = random.random(shape[1:]) < rate
    begin = rate * (1 - stay) / (1 - rate)
    for frame in range(1, shape[0]):
        lost[frame] = random.random(shape[1:]) < np.where(lost[frame - 1], stay, begin)
    return lost


def detections(
    flight: Flight, rate: float = 0.13, stay: float = 0.81, seed: int = 0, noise: float = 0.0
) -> list[ImageDetections]:
    """What a model would find that loses each corner of each gate by a chain of its own."""
    random, labels = np.random.default_rng(seed), flight.labels
    assert labels is not None
    idents = np.unique(labels.ident)
    lost = chain((len(flight.position), len(idents), 4), rate, stay, random)
    found = []
    for frame in range(len(flight.position)):
        rows = np.flatnonzero(labels.frame == frame)
        gone = lost[frame, np.searchsorted(idents, labels.ident[rows])]
        points = labels.points[rows].copy()
        points[..., :2] += random.normal(0, noise, points[..., :2].shape)
        points[..., 2] = np.where((points[..., 2] == 2) & ~gone, 0.9, 0.1)
        found.append(
            ImageDetections(labels.box[rows], np.full(len(rows), 0.8), np.zeros(len(rows), np.int64), points, (96, 160))
        )
    return found


def recorded(flight: Flight, found: Sequence[ImageDetections], **thresholds: float) -> Recording:
    return assemble(flight, found, setup(**thresholds))


def placed(place: np.ndarray, true: np.ndarray | None = None, usable: np.ndarray | None = None) -> Recording:
    """One object in frames that follow each other, its pose estimated to be there."""
    count, rows = len(place), np.arange(len(place))
    zeros, boxes = np.zeros(count, np.int64), np.tile([0.0, 0, 10, 10], (count, 1))
    none = np.zeros((count, 0))
    truth = np.full((count, 3), np.nan) if true is None else true
    return Recording(
        ("a",), (), 30.0,
        Frames(zeros, rows, rows / 30, np.full(count, np.nan), np.ones(count, bool)),
        Objects(rows, zeros, zeros, boxes, none[..., None], none > 0, np.linalg.norm(place, axis=1), truth, rows),
        Found(
            rows, zeros, np.ones(count), boxes, np.zeros((count, 0, 3)), none > 0, zeros,
            np.ones(count, bool) if usable is None else usable, place, np.tile(np.eye(3), (count, 1, 1)),
            np.zeros(count), np.zeros(count),
        ),
        True,
    )  # fmt: skip
