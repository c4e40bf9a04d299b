"""Solid things that stand in a scene, as flat surfaces in the world, listed in the order to paint them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aigp_lightning.data.synthetic.gate import Gate
from aigp_lightning.data.synthetic.motion import Array
from aigp_lightning.data.synthetic.textures import (
    Color,
    Pixels,
    chance,
    contrasting,
    crate_texture,
    dull,
    hsv,
    net_texture,
    vivid,
)

AMBIENT = 0.55


@dataclass
class Surface:
    """A flat, painted piece.

    Args:
        contours: (n, 3) convex outlines in the world; a second one inside the first is a hole.
        color: BGR 0…255, already lit.
        texture: (h, w, 3) picture, or (h, w, 4) with alpha, in place of the colour.
        plane: (3, 3) rows in the world: the texture's top-left corner, its whole width, its whole height.
        light: factor on the texture.
        glow: whether it gives light.
        mounted: on another surface that was painted before, whose depth it has.

    Example:
        >>> wall = Surface([quad(np.array([4.0, -1.0, -1.0]), np.array([0.0, 2.0, 0.0]), np.array([0.0, 0.0, 2.0]))])
        >>> len(wall.contours), wall.color
        (1, (0.0, 0.0, 0.0))
    """

    contours: list[Array]
    color: Color = (0.0, 0.0, 0.0)
    texture: Pixels | None = None
    plane: Array | None = None
    light: float = 1.0
    glow: bool = False
    mounted: bool = False


@dataclass
class Body:
    """One thing in the scene.

    Args:
        kind: `gate`, `pillar`, `net`, `box`, `tree` or `clutter`.
        centre: (3,) in the world; the distance decides who hides whom.
        surfaces: in painting order, those that look away from the camera left out.
        gate: place and attitude, of a gate.
        id: of a gate on a course, the same in all pictures of a flight.

    Example:
        >>> Body("clutter", np.array([4.0, 0.0, 0.0]), surfaces=[]).gate is None
        True
    """

    kind: str
    centre: Array
    surfaces: list[Surface]
    gate: Gate | None = None
    id: int = 0


def quad(origin: Array, across: Array, down: Array) -> Array:
    """Return the corners (4, 3) of the parallelogram that two edges (3,) span from its first corner (3,).

    Example:
        >>> quad(np.zeros(3), np.array([2, 0, 0]), np.array([0, 0, 1])).tolist()
        [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [2.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    """
    return np.stack([origin, origin + across, origin + across + down, origin + down])


def lit(normal: Array, light: Array) -> float:
    """Compute brightness by Lambert's cosine law over an ambient share.

    Args:
        normal: (3,) unit vector.
        light: (3,) unit vector towards the source.

    Example:
        >>> lit(np.array([0.0, 0.0, -1.0]), light=np.array([0.0, 0.0, -1.0]))
        1.0
    """
    return AMBIENT + (1 - AMBIENT) * max(0.0, float(normal @ light))


def shade(color: Color, factor: float) -> Color:
    """Scale a colour.

    Example:
        >>> shade((200.0, 100.0, 0.0), 0.5)
        (100.0, 50.0, 0.0)
    """
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def upright(
    foot: Array, size: tuple[float, float, float], yaw: float, coat: tuple[Color, Pixels | None], light: Array
) -> list[Surface]:
    """Build a cuboid that stands on the ground, seen sides only.

    Args:
        foot: (3,) the point it stands on, with the camera as the origin.
        size: width, depth and height, metres.
        yaw: of its sides.
        coat: colour, and the texture of its sides or None.
        light: (3,) unit vector towards the light.

    Example:
        >>> coat, light = ((0.0, 0.0, 255.0), None), np.array([0.0, 0.0, -1.0])
        >>> len(upright(np.array([5.0, 0.0, 1.0]), (1.0, 1.0, 2.0), 0.0, coat, light))  # higher than the camera
        1
    """
    (width, depth, height), (color, texture) = size, coat
    x, y = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    up = np.array([0.0, 0.0, -height])
    sides = [(x, y, depth, width), (-x, -y, depth, width), (y, -x, width, depth), (-y, x, width, depth)]
    surfaces = []
    for normal, along, reach, breadth in sides:
        origin = foot + normal * (breadth / 2) - along * (reach / 2) + up
        if -origin @ normal > 0:
            contour = quad(origin, along * reach, -up)
            plane = np.stack([origin, along * reach, -up])
            factor = lit(normal, light)
            surfaces.append(Surface([contour], shade(color, factor), texture, plane, factor))
    top = foot + up
    if -top @ np.array([0.0, 0.0, -1.0]) > 0:
        contour = quad(top - x * width / 2 - y * depth / 2, x * width, y * depth)
        surfaces.append(Surface([contour], shade(color, lit(np.array([0.0, 0.0, -1.0]), light))))
    return surfaces


def _make_pillar(rng: np.random.Generator, foot: Array, light: Array, marked: bool = False) -> Body:
    """Build a round or square column, plain or with warning rings."""
    height, radius = rng.uniform(2.5, 7.0), rng.uniform(0.2, 0.5)
    color = vivid(rng) if chance(rng, 0.8 if marked else 0.4) else dull(rng)
    texture = None
    if chance(rng, 0.75 if marked else 0.45):
        rings = np.arange(128) * int(rng.integers(4, 12)) // 128 % 2
        pair = np.array([color, contrasting(rng, color)])
        texture = np.repeat(pair[rings][:, None], 32, axis=1).astype(np.uint8)
    if chance(rng, 0.35):
        surfaces = upright(foot, (2 * radius, 2 * radius, height), rng.uniform(0, np.pi), (color, texture), light)
        return Body("pillar", foot - np.array([0, 0, height / 2]), surfaces)
    turns = np.linspace(0, 2 * np.pi, 17)
    rim = foot + radius * np.column_stack([np.cos(turns), np.sin(turns), np.zeros(17)])
    up = np.array([0.0, 0.0, -height])
    surfaces = []
    for a, b, turn in zip(rim[:-1], rim[1:], turns + np.pi / 16, strict=False):
        normal = np.array([np.cos(turn), np.sin(turn), 0.0])
        if -a @ normal > 0:
            factor = lit(normal, light)
            plane = np.stack([a + up, b - a, -up])
            surfaces.append(Surface([quad(a + up, b - a, -up)], shade(color, factor), texture, plane, factor))
    if -(foot + up)[2] < 0:
        surfaces.append(Surface([rim[:-1] + up], shade(color, 1.0)))
    return Body("pillar", foot - np.array([0, 0, height / 2]), surfaces)


def _make_net(rng: np.random.Generator, foot: Array, light: Array, marked: bool = False) -> Body:
    """Build a hung net with a border and two posts."""
    width, height = rng.uniform(2.0, 5.0), rng.uniform(1.8, 4.0)
    yaw = np.arctan2(foot[1], foot[0]) + rng.uniform(-0.9, 0.9)
    across = width * np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    down = np.array([0.0, 0.0, height])
    origin = foot - across / 2 - down
    plane = np.stack([origin, across, down])
    net = Surface([quad(origin, across, down)], texture=net_texture(rng), plane=plane, light=rng.uniform(0.7, 1.0))
    return Body("net", foot - down / 2, [net])


def _make_box(rng: np.random.Generator, foot: Array, light: Array, marked: bool = False) -> Body:
    """Build a crate, carton or container."""
    width, depth, height = rng.uniform(0.6, 2.2, 3)
    color = (
        dull(rng) if chance(rng, 0.2 if marked else 0.5) else hsv(rng.uniform(0.05, 0.12), 0.5, rng.uniform(0.4, 0.8))
    )
    texture = crate_texture(rng, color)
    surfaces = upright(foot, (width, depth, height), rng.uniform(0, np.pi), (color, texture), light)
    return Body("box", foot - np.array([0, 0, height / 2]), surfaces)


def _make_tree(rng: np.random.Generator, foot: Array, light: Array, marked: bool = False) -> Body:
    """Build a broad-leaved tree or a conifer from flat pieces that face the camera."""
    height = rng.uniform(2.5, 6.5)
    bearing = np.arctan2(foot[1], foot[0])
    right, up = np.array([-np.sin(bearing), np.cos(bearing), 0.0]), np.array([0.0, 0.0, -1.0])
    trunk, leaf = hsv(rng.uniform(0.05, 0.1), 0.5, 0.35), hsv(rng.uniform(0.2, 0.38), 0.6, rng.uniform(0.25, 0.6))
    half = height * rng.uniform(0.02, 0.04)
    surfaces = [Surface([quad(foot - right * half + up * height * 0.6, right * 2 * half, -up * height * 0.6)], trunk)]
    if chance(rng, 0.4):
        for low, wide in ((0.2, 0.26), (0.42, 0.2), (0.64, 0.14)):
            base, reach = foot + up * height * low, right * height * wide
            tip = foot + up * height * min(1.0, low + 0.38)
            surfaces.append(Surface([np.stack([base - reach, tip, base + reach])], shade(leaf, 0.8 + 0.5 * low)))
    else:
        middle, turns = foot + up * height * 0.68, np.linspace(0, 2 * np.pi, 14, endpoint=False)
        ring = np.cos(turns)[:, None] * right + np.sin(turns)[:, None] * up
        for i in range(9):
            size = height * (0.3 if i == 0 else rng.uniform(0.12, 0.2))
            off = 0.0 if i == 0 else height * rng.uniform(0.08, 0.24)
            turn = rng.uniform(0, 2 * np.pi)
            at = middle + off * (np.cos(turn) * right + np.sin(turn) * up)
            surfaces.append(Surface([at + size * ring], shade(leaf, 0.8 if i == 0 else rng.uniform(0.7, 1.25))))
    return Body("tree", foot + up * (height / 2), surfaces)


MAKERS: dict[str, Callable[[np.random.Generator, Array, Array, bool], Body]] = {
    "pillar": _make_pillar,
    "net": _make_net,
    "box": _make_box,
    "tree": _make_tree,
}
"""How to build an obstacle: from chance, where it stands (3,), the light's direction (3,), and whether most pillars and
boxes are painted to be seen, as on a course."""
