"""The place of a flight: gates, things that stand about, hall or field; the same in all frames. World is NED."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from aigp_lightning.data.camera_profiles import PROFILES
from aigp_lightning.data.synthetic.clutter import make_legs
from aigp_lightning.data.synthetic.courses import COURSES, Course
from aigp_lightning.data.synthetic.gate import Gate
from aigp_lightning.data.synthetic.gate_body import painted_gate
from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.data.synthetic.hall_scene import HALL_PROFILE
from aigp_lightning.data.synthetic.motion import Array, Floats
from aigp_lightning.data.synthetic.objects import MAKERS, Body
from aigp_lightning.data.synthetic.orange import make_banner, orange, orange_paint
from aigp_lightning.data.synthetic.surroundings import field, hall
from aigp_lightning.data.synthetic.textures import Color, Paint, Pixels, gate_paint

Behind = Callable[[Camera, Array, Floats | None], Pixels]
"""Paints what stands behind everything, as a camera at a place (3,) sees it."""
FREE = 2.6
"""Nothing else stands nearer than this to the flight's path or to a gate, metres."""
STANDING = {"hall": ("banner",) * 12 + ("box", "pillar", "box", "pillar"), "field": ("box", "pillar", "tree") * 5}
LARGE = 8.0
"""Nothing reaches further than this from its middle, its shadow included, metres."""


@dataclass(frozen=True)
class Thing:
    """Something that stands on the ground.

    Attributes:
        make: builds it from chance, its foot (3,) with the camera as the origin, and the light (3,).
        foot: (3,) world.
        seed: of the chance, so that it is the same each time.
    """

    make: Callable[[np.random.Generator, Array, Array], Body]
    foot: Array
    seed: int


@dataclass(frozen=True)
class World:
    """Everything that does not move while a drone flies.

    Attributes:
        gates: place, attitude and paint by id.
        things: what else stands there.
        behind: hall or field.
        light: (3,) unit vector towards the light.
        is_hall: lamps above, and not the sun.
        legs: seed of the gates' legs; None where they stand on the floor.
    """

    gates: list[tuple[Gate, Paint]]
    things: list[Thing]
    behind: Behind
    light: Array
    is_hall: bool
    legs: int | None

    def seen_from(self, camera: Camera, eye: Array) -> list[Body]:
        """Build what may be in view of a camera at a place (3,), with that place as the origin."""
        bodies = []
        for number, (gate, paint) in enumerate(self.gates):
            if not _may_be_seen(camera, gate.centre - eye):
                continue
            moved = replace(gate, centre=gate.centre - eye)
            bodies.append(painted_gate(paint, moved, self.light, number))
            if self.legs is not None:
                bodies.append(make_legs(np.random.default_rng([self.legs, number]), moved, float(-eye[2])))
        for thing in self.things:
            if _may_be_seen(camera, thing.foot - eye):
                bodies.append(thing.make(np.random.default_rng(thing.seed), thing.foot - eye, self.light))
        return bodies


def _may_be_seen(camera: Camera, offset: Array) -> bool:
    """True if something around a point (3,), with the camera as the origin, can reach into the picture."""
    (x, y), z = np.abs(camera.axes[:2] @ offset), camera.axes[2] @ offset
    reach = 2 * LARGE
    return bool(
        z > -LARGE
        and x < reach + max(z, 0.0) * camera.width / 2 / camera.focal
        and y < reach + max(z, 0.0) * camera.height / 2 / camera.focal
    )


def make_world(rng: np.random.Generator, profile: str, path: Array) -> World:
    """Set up the place of a flight.

    Args:
        rng: source of randomness.
        profile: of the camera, whose course it is.
        path: (n, 3) places of the flight, world, to be kept free.

    Example:
        >>> world = make_world(np.random.default_rng(0), "ts-005", np.zeros((1, 3)))
        >>> len(world.gates), world.is_hall, float(world.gates[8][0].centre[2])  # the upper opening of the double gate
        (11, True, -4.05)
    """
    course, depth, is_hall = COURSES[profile], PROFILES[profile].gate_depth, profile == HALL_PROFILE
    color = orange(rng)
    paints = [orange_paint(rng, color) if is_hall else gate_paint(rng) for _ in course.gates()]
    places = [Gate.facing(at, heading, depth=depth) for at, heading in course.gates()]
    light = np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), -rng.uniform(0.5, 1.2)])
    light = (light * (1, 1, 1.5) if is_hall else light * (2, 2, 1)) / np.linalg.norm(light)
    return World(
        gates=list(zip(places, paints, strict=True)),
        things=_things(rng, course, path, STANDING["hall" if is_hall else "field"], color),
        behind=hall(rng, course, color) if is_hall else field(rng, course, light / np.linalg.norm(light)),
        light=light / np.linalg.norm(light),
        is_hall=is_hall,
        legs=None if is_hall else int(rng.integers(2**31)),
    )


def _things(rng: np.random.Generator, course: Course, path: Array, kinds: tuple[str, ...], color: Color) -> list[Thing]:
    """Put things where they are in nobody's way."""
    taken = np.concatenate([path[:, :2], *(place[None, :2] for place, _ in course.gates())])
    things = []
    for kind in kinds:
        for _ in range(20):
            foot = rng.uniform(course.south_west, course.north_east)
            if np.linalg.norm(taken - foot, axis=1).min() >= FREE:
                taken = np.concatenate([taken, foot[None]])
                things.append(Thing(_maker(kind, color), np.array([*foot, 0.0]), int(rng.integers(2**31))))
                break
    return things


def _maker(kind: str, color: Color) -> Callable[[np.random.Generator, Array, Array], Body]:
    """Return what builds a thing of this kind."""
    if kind == "banner":
        return lambda rng, foot, light: make_banner(rng, foot, color, light)
    return lambda rng, foot, light: MAKERS[kind](rng, foot, light, False)
