"""One frame of a flight with its labels and its truth, from the seed, the flight and the frame's number alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from aigp_lightning.data.camera_profiles import PROFILES
from aigp_lightning.data.synthetic.annotate import keypoints, label_line, labelled
from aigp_lightning.data.synthetic.courses import COURSES
from aigp_lightning.data.synthetic.effects import encode, grain, ground_shadows, light_up
from aigp_lightning.data.synthetic.flight_world import World, make_world
from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.data.synthetic.hall_scene import EXPOSURE
from aigp_lightning.data.synthetic.motion import Array, Motion, blurred
from aigp_lightning.data.synthetic.options import CLASSES, EMPTY, KEYPOINTS, SPLITS, MakeDataOptions
from aigp_lightning.data.synthetic.render import Picture, paint
from aigp_lightning.data.synthetic.trajectory import Flight, fly

OF_FLIGHTS = len(SPLITS)
"""Stands in a flight's seed where pictures have their split's number; in that of one without gates the next does."""
GRAIN = (1.0, 6.0)
"""A flight's noise is between these, grey levels."""
MICRO, PICO = 6, 12
"""Decimals of metres, pixels and seconds, and of rotations."""


@dataclass(frozen=True)
class Prepared:
    """A flight and its place, ready to be drawn frame by frame.

    Attributes:
        flight: the camera's motion.
        world: what it flies past.
        seed: of the light, the same in all frames.
        exposure: of a row, seconds; 0 for a profile without blur.
        noise: of the sensor, grey levels.
    """

    flight: Flight
    world: World
    seed: int
    exposure: float
    noise: float


@lru_cache(maxsize=2)
def prepare(profile: str, seed: int, flight: str, frames: int, fps: float) -> Prepared:
    """Plan a flight and set up its place.

    Args:
        profile: of camera and course.
        seed: of the data set.
        flight: its name; one that begins with `empty_` has no gates.
        frames: how many.
        fps: a second.

    Example:
        >>> prepared = prepare("ts-005", seed=0, flight="flight_000", frames=10, fps=30.0)
        >>> prepared.flight.position.shape, len(prepared.world.gates)
        ((10, 3), 11)
    """
    rng = np.random.default_rng([seed, *_place(flight)])
    path = fly(COURSES[profile], rng, frames, fps)
    world = make_world(rng, profile, path.position)
    if flight.startswith(EMPTY):
        world = replace(world, gates=[])
    exposure = float(np.exp(rng.uniform(*np.log(EXPOSURE)))) if PROFILES[profile].rolling_ms else 0.0
    return Prepared(path, world, int(rng.integers(2**31)), exposure, float(rng.uniform(*GRAIN)))


def _place(flight: str) -> tuple[int, int]:
    """Return what stands for a flight in a seed."""
    return OF_FLIGHTS + flight.startswith(EMPTY), int(flight.rsplit("_", 1)[1])


def camera_at(options: MakeDataOptions, prepared: Prepared, index: int) -> Camera:
    """Return the camera of a frame, at the world's origin.

    Args:
        options: of the data set.
        prepared: its flight.
        index: of the frame.

    Example:
        >>> options = MakeDataOptions(profile="ts-005", sequences=1, frames=10)
        >>> camera = camera_at(options, prepare("ts-005", 0, "flight_000", 10, 30.0), 3)
        >>> camera.width, round(camera.focal, 1), camera.motion.rolling
        (640, 424.7, 0.016)
    """
    flight, rolling = prepared.flight, PROFILES[options.profile].rolling_ms / 1000
    yaw, pitch, roll = (float(angle) for angle in flight.angles[index])
    motion = None
    if rolling:
        velocity = flight.rotation[index].T @ flight.velocity[index]
        motion = Motion(velocity, flight.rate[index], rolling, prepared.exposure)
    width, height = (int(side) for side in options.imgsz)
    return Camera(width, height, yaw, pitch, roll, profile=options.profile, motion=motion, exact=True)


def draw_frame(options: MakeDataOptions, flight: str, index: int) -> tuple[bytes, list[str], str]:
    r"""Make one frame of a flight.

    Args:
        options: the data set's, checked.
        flight: its name.
        index: the frame's number.

    Returns:
        JPEG bytes, label lines, and the frame's line of truth.

    Example:
        >>> options = MakeDataOptions(imgsz=(64, 36), sequences=1, frames=10)
        >>> data, lines, truth = draw_frame(options, "flight_000", 2)
        >>> data[:2], len(lines) == len(json.loads(truth)["objects"]), json.loads(truth)["image"]
        (b'\xff\xd8', True, 'images/flight_000/000002.jpg')
    """
    prepared = prepare(options.profile, options.seed, flight, options.frames, float(options.fps))
    camera, world, eye = camera_at(options, prepared, index), prepared.world, prepared.flight.position[index]
    nearness = np.zeros((camera.height, camera.width), np.float32) if camera.motion is not None else None
    image, bodies = world.behind(camera, eye, nearness), world.seen_from(camera, eye)
    if not world.is_hall:
        ground_shadows(image, camera, bodies, float(-eye[2]), world.light)
    picture = paint(image, camera, bodies, nearness)
    image = picture.image
    if camera.motion is not None and nearness is not None:
        image = blurred(image, nearness, camera.motion, camera.focal)
    image = light_up(np.random.default_rng(prepared.seed), image, soft=True, glare=0.0)
    rng = np.random.default_rng([options.seed, *_place(flight), index])
    found = labelled(picture, camera, options.task)
    target = KEYPOINTS[options.keypoints]
    lines = [(each, label_line(picture, camera, options.task, target, *each)) for each in found]
    kept = [each for each, line in lines if line]
    truth = {
        "image": f"images/{flight}/{index:06d}.jpg",
        "t": round(index / options.fps, MICRO),
        "camera": {"position": _rounded(eye), "rotation": _rounded(prepared.flight.rotation[index], PICO)},
        "velocity": _rounded(prepared.flight.velocity[index]),
        "angular_rate": _rounded(prepared.flight.rate[index]),
        "objects": [_object(picture, camera, options.task, target, *each) for each in kept],
    }
    line = json.dumps(truth, separators=(",", ":"))
    return encode(rng, grain(rng, image, prepared.noise)), [text for _, text in lines if text], line


def _object(picture: Picture, camera: Camera, task: str, target: str, index: int, box: Array) -> dict[str, Any]:
    """Describe a labelled gate: which it is, where it is as the camera sees it, and its label in pixels."""
    body = picture.bodies[index]
    assert body.gate is not None
    middle, axes = body.gate.near_face(camera)
    return {
        "id": body.id,
        "cls": CLASSES[task].index(body.kind),
        "position": _rounded(camera.to_camera(middle)),
        "rotation": _rounded(camera.axes @ axes, PICO),
        "box": _rounded(box),
        "keypoints": [[*row[:2], int(row[2])] for row in _rounded(keypoints(picture, camera, index, target))],
    }


def _rounded(values: Array, decimals: int = MICRO) -> Any:
    """Turn an array into lists of rounded numbers, without negative zeros."""
    return (np.round(values, decimals) + 0.0).tolist()
