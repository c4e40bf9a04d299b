"""Samples a scene: the camera's attitude, gates, obstacles, clutter and light of one picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aigp_lightning.data.synthetic.clutter import make_clutter, make_legs
from aigp_lightning.data.synthetic.gate import Gate
from aigp_lightning.data.synthetic.gate_body import make_gate
from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.data.synthetic.motion import Array
from aigp_lightning.data.synthetic.objects import MAKERS, Body
from aigp_lightning.data.synthetic.options import CLASSES
from aigp_lightning.data.synthetic.textures import chance
from aigp_lightning.data.targets.built_in import GATE_OUTER

NEAREST, FARTHEST = 2.0, 30.0
NEAREST_FOOT = 2.5
FEET = {**dict.fromkeys(("detect", "pose", "segment"), (4.0, 18.0)), "obstacle": (3.0, 12.0)}
"""By task, from where to where obstacles stand, metres: what an obstacle detector is for is what can soon be hit."""
CLEARANCE = 2.2
OBSTACLES = CLASSES["obstacle"]


@dataclass
class Scene:
    """One moment of a race.

    Args:
        camera: who looks.
        place: what stands behind, a name in `backdrop.PLACES`.
        ground: how far the ground is below the camera, metres.
        light: (3,) unit vector towards the light.
        bodies: everything that stands in the scene.

    Example:
        >>> scene = Scene(Camera(64, 36), "field", ground=1.5, light=np.array([0.0, 0.0, -1.0]))
        >>> scene.camera.width, scene.bodies
        (64, [])
    """

    camera: Camera
    place: str
    ground: float
    light: Array
    bodies: list[Body] = field(default_factory=list)


def attitude(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """Draw a racing drone's attitude: mostly nose down, so that the tilted camera looks about level.

    Args:
        rng: source of randomness.
        size: width and height of the picture, pixels.

    Example:
        >>> attitude(np.random.default_rng(0), (64, 36)).yaw
        0.0
    """
    pitch = np.deg2rad(rng.uniform(-40.0, 8.0))
    roll = np.deg2rad(np.clip(rng.normal(0.0, 10.0), -30.0, 30.0))
    return Camera(size[0], size[1], yaw=0.0, pitch=float(pitch), roll=float(roll))


def _gate_pose(rng: np.random.Generator, camera: Camera, taken: list[Array]) -> Gate | None:
    """Draw a gate somewhere in view and clear of the things at the places taken (3,); None after a few tries."""
    for _ in range(12):
        distance = float(np.exp(rng.uniform(np.log(NEAREST + 0.2), np.log(FARTHEST))))
        edge = 0.0 if chance(rng, 0.15) else 0.1
        u = rng.uniform(edge, 1 - edge) * camera.width
        centre = distance * camera.ray(u, rng.uniform(edge, 1 - edge) * camera.height)
        centre[2] = np.clip(centre[2], -3.0, 3.5)
        if not camera.inside(centre[None])[0] or any(np.linalg.norm(centre - c) < CLEARANCE for c in taken):
            continue
        bearing = float(np.arctan2(centre[1], centre[0]))
        turn = float(np.clip(rng.normal(0.0, 30.0), -68.0, 68.0)) + (180.0 if chance(rng, 0.25) else 0.0)
        lean = 12.0 if chance(rng, 0.2) else 3.0
        pitch, roll = np.deg2rad(rng.normal(0.0, lean, 2).clip(-30, 30))
        return Gate.facing(centre, bearing + np.deg2rad(turn), float(pitch), float(roll))
    return None


def find_foot(
    rng: np.random.Generator, ground: float, hide: Body | None, taken: list[Array], task: str
) -> Array | None:
    """Draw a place to stand: before a thing to hide part of it, or anywhere in view; None after a few tries.

    Args:
        rng: source of randomness.
        ground: how far the ground is below the camera, metres.
        hide: the thing to hide.
        taken: (3,) places of other things.
        task: decides how far away.

    Example:
        >>> float(find_foot(np.random.default_rng(0), 1.5, None, [], "detect")[2])
        1.5
    """
    for _ in range(8):
        if hide is not None:
            distance = float(np.hypot(hide.centre[0], hide.centre[1])) * rng.uniform(0.4, 0.8)
            side = rng.normal(0.0, 1.0) / max(distance, 1.0)
            bearing = float(np.arctan2(hide.centre[1], hide.centre[0])) + side
        else:
            distance = float(np.exp(rng.uniform(*np.log(FEET[task]))))
            bearing = rng.uniform(-0.75, 0.75)
        foot = np.array([distance * np.cos(bearing), distance * np.sin(bearing), ground])
        if distance > NEAREST_FOOT and all(np.linalg.norm((foot - c)[:2]) > CLEARANCE for c in taken):
            return foot
    return None


def sample_scene(rng: np.random.Generator, task: str, background: bool, size: tuple[int, int]) -> Scene:
    """Draw a scene.

    Args:
        rng: source of randomness.
        task: `detect`, `pose`, `segment` or `obstacle`.
        background: leave out what the task labels.
        size: width and height of the picture, pixels.

    Returns:
        The scene, nothing painted yet.

    Example:
        >>> scene = sample_scene(np.random.default_rng(0), "detect", background=True, size=(64, 36))
        >>> any(body.kind == "gate" for body in scene.bodies)
        False
    """
    camera = attitude(rng, size)
    light = np.array([rng.uniform(-1, 0.4), rng.uniform(-1, 1), -rng.uniform(0.4, 1.2)])
    light /= np.linalg.norm(light)
    for_obstacles = task == "obstacle"
    gates = int(rng.integers(0, 3)) if for_obstacles else int(rng.choice([1, 2, 3, 4], p=[0.3, 0.3, 0.25, 0.15]))
    obstacles = int(rng.integers(2, 6)) if for_obstacles else int(rng.integers(0, 4))
    gates, obstacles = (gates * for_obstacles, obstacles * (not for_obstacles)) if background else (gates, obstacles)
    taken: list[Array] = []
    poses: list[Gate] = []
    for _ in range(gates):
        if (pose := _gate_pose(rng, camera, taken)) is not None:
            taken.append(pose.centre)
            poses.append(pose)
    lowest = max([0.4, *(float(p.centre[2]) + GATE_OUTER / 2 for p in poses)])
    ground = lowest + rng.choice([0.03, 1.0], p=[0.5, 0.5]) * rng.uniform(0.5, 1.5)
    place = str(rng.choice(["field", "hall", "abstract"], p=[0.47, 0.38, 0.15]))
    bodies = [make_gate(rng, pose, light) for pose in poses]
    for gate in list(bodies):
        if for_obstacles and np.linalg.norm(gate.centre) > FARTHEST / 2:
            continue  # what hides it would stand far away too
        hide = gate if chance(rng, 0.3) and not background and obstacles > 0 else None
        if hide is not None:
            obstacles -= 1
            _stand(rng, Scene(camera, place, ground, light, bodies), hide, taken, task)
    for _ in range(obstacles):
        _stand(rng, Scene(camera, place, ground, light, bodies), None, taken, task)
    if chance(rng, 0.5) and place != "abstract":
        bodies += [make_legs(rng, pose, ground) for pose in poses]
    bodies += make_clutter(rng, camera, ground, for_obstacles, int(rng.integers(0, 3)) + 2 * background)
    return Scene(camera, place, float(ground), light, bodies)


def _stand(rng: np.random.Generator, scene: Scene, hide: Body | None, taken: list[Array], task: str) -> None:
    """Add one obstacle to the scene, of a kind drawn at random."""
    kind = str(rng.choice(OBSTACLES))
    foot = find_foot(rng, scene.ground, hide, taken, task)
    if foot is None:
        return
    if kind in ("box", "net") and chance(rng, 0.4):  # on a stack or hung up
        foot[2] -= rng.uniform(0.0, max(0.0, scene.ground))
    taken.append(foot)
    scene.bodies.append(MAKERS[kind](rng, foot, scene.light, task == "obstacle"))
