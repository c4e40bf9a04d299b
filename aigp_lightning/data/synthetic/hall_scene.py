"""Samples a scene of the physical qualifier: a drone in motion, orange gates on a hall's floor, and banners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aigp_lightning.data.camera_profiles import PROFILES
from aigp_lightning.data.synthetic.clutter import make_clutter
from aigp_lightning.data.synthetic.gate import Gate
from aigp_lightning.data.synthetic.gate_body import painted_gate
from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.data.synthetic.motion import Array, Motion
from aigp_lightning.data.synthetic.objects import MAKERS
from aigp_lightning.data.synthetic.orange import make_banner, orange, orange_paint
from aigp_lightning.data.synthetic.scene import CLEARANCE, FARTHEST, NEAREST, OBSTACLES, Scene, attitude, find_foot
from aigp_lightning.data.synthetic.textures import chance
from aigp_lightning.data.targets.built_in import GATE_OUTER

HALL_PROFILE = "ts-005"
EXPOSURE = (0.0005, 0.008)
"""Shortest and longest exposure of a row, seconds: half a millisecond under bright lamps, half a frame at 60 Hz."""
INDOORS = ("pillar", "net", "box")
MOST_RATE = 4.0
"""Of the drone's turning, rad/s."""


def moving_camera(rng: np.random.Generator, size: tuple[int, int], profile: str = HALL_PROFILE) -> Camera:
    """Draw a camera in flight: its attitude, velocity and angular rate.

    Args:
        rng: source of randomness.
        size: width and height of the picture, pixels.
        profile: of the camera.

    Example:
        >>> camera = moving_camera(np.random.default_rng(0), (64, 36))
        >>> camera.motion.rolling, camera.near > 0.1
        (0.016, True)
    """
    camera = replace(attitude(rng, size), profile=profile, exact=True)
    speed, heading = rng.uniform(0.0, 12.0), rng.normal(0.0, 0.25)
    velocity = np.array([speed * np.cos(heading), speed * np.sin(heading), rng.normal(0.0, 1.0)])
    rate = rng.normal(0.0, (0.8, 1.0, 1.2)).clip(-MOST_RATE, MOST_RATE)
    exposure = float(np.exp(rng.uniform(*np.log(EXPOSURE))))
    return replace(camera, motion=Motion(camera.axes @ velocity, rate, PROFILES[profile].rolling_ms / 1000, exposure))


def sample_hall_scene(
    rng: np.random.Generator, task: str, background: bool, size: tuple[int, int], profile: str = HALL_PROFILE
) -> Scene:
    """Draw a scene of the physical qualifier.

    Args:
        rng: source of randomness.
        task: `detect`, `pose`, `segment` or `obstacle`.
        background: leave out what the task labels; banners in the gates' orange stay.
        size: width and height of the picture, pixels.
        profile: of the camera.

    Returns:
        The scene, nothing painted yet.

    Example:
        >>> scene = sample_hall_scene(np.random.default_rng(0), "detect", background=True, size=(64, 36))
        >>> {body.kind for body in scene.bodies} <= {"clutter", "pillar", "net", "box", "tree"}, scene.place
        (True, 'hall')
    """
    camera = moving_camera(rng, size, profile)
    light = np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), -1.0])
    light /= np.linalg.norm(light)
    ground, color = float(rng.uniform(0.6, 4.6)), orange(rng)
    place = "hall" if chance(rng, 0.92) else "abstract"
    for_obstacles = task == "obstacle"
    taken: list[Array] = []
    bodies = []
    if for_obstacles or not background:
        count = int(rng.integers(0, 3)) if for_obstacles else int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
        for _ in range(count):
            for gate in _gates(rng, camera, ground, taken, PROFILES[profile].gate_depth):
                bodies.append(painted_gate(orange_paint(rng, color), gate, light))
    obstacles = int(rng.integers(2, 6)) * (not background) if for_obstacles else int(rng.integers(0, 3))
    kinds = [str(rng.choice(OBSTACLES if for_obstacles else INDOORS)) for _ in range(obstacles)]
    for kind in kinds:
        if (foot := find_foot(rng, ground, None, taken, task)) is not None:
            taken.append(foot)
            bodies.append(MAKERS[kind](rng, foot, light, for_obstacles))
    for _ in range(int(rng.integers(0, 4)) + 2 * background):
        if (foot := find_foot(rng, ground, None, taken, "detect")) is not None:
            taken.append(foot)
            bodies.append(make_banner(rng, foot, color, light))
    bodies += make_clutter(rng, camera, ground, for_obstacles, int(rng.integers(0, 2)))
    return Scene(camera, place, ground, light, bodies)


def _gates(rng: np.random.Generator, camera: Camera, ground: float, taken: list[Array], depth: float) -> list[Gate]:
    """Draw a gate that stands in view, or a double one, the lower opening first; none after a few tries."""
    for _ in range(12):
        distance = float(np.exp(rng.uniform(np.log(NEAREST + 0.2), np.log(FARTHEST))))
        centre = distance * camera.ray(rng.uniform(0.05, 0.95) * camera.width, camera.height / 2)
        centre[2] = ground - GATE_OUTER / 2
        above = centre - (0.0, 0.0, GATE_OUTER)
        double = chance(rng, 0.2)
        seen = camera.inside(np.stack([centre, above]))
        clear = all(np.linalg.norm((centre - c)[:2]) > CLEARANCE for c in taken)
        if not clear or not (seen[0] or (double and seen[1])) or np.hypot(centre[0], centre[1]) < NEAREST:
            continue
        turn = float(np.clip(rng.normal(0.0, 30.0), -75.0, 75.0)) + (180.0 if chance(rng, 0.25) else 0.0)
        heading = float(np.arctan2(centre[1], centre[0]) + np.deg2rad(turn))
        lean = np.deg2rad(rng.normal(0.0, 1.0, 2).clip(-3, 3)) if not double else np.zeros(2)
        taken.append(centre)
        return [Gate.facing(at, heading, float(lean[0]), float(lean[1]), depth) for at in (centre, above)[: 1 + double]]
    return []
