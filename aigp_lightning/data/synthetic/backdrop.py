"""Backgrounds of scenes: an open field, a hall, or no place at all."""

from __future__ import annotations

import cv2
import numpy as np

from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.data.synthetic.motion import Array, Floats
from aigp_lightning.data.synthetic.objects import Body, Surface, quad
from aigp_lightning.data.synthetic.render import paint_body
from aigp_lightning.data.synthetic.textures import Pixels, chance, contrasting, dull, hsv, mix, noise

PLACES = ("field", "hall", "abstract")
REACH = 45.0
"""Half the side of the ground, metres; beyond the farthest gate."""


def backdrop(
    rng: np.random.Generator, camera: Camera, place: str, ground: float, light: Array, nearness: Floats | None = None
) -> Pixels:
    """Paint the background of a scene.

    Args:
        rng: source of randomness.
        camera: who looks.
        place: one of `PLACES`.
        ground: how far the ground is below the camera, metres.
        light: (3,) unit vector towards the light.
        nearness: (height, width), see `paint_body`; the hall's walls are entered, all else is far away.

    Returns:
        (height, width, 3) uint8 BGR.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> camera, light = Camera(64, 36), np.array([0.0, 0.0, -1.0])
        >>> backdrop(rng, camera, "hall", ground=1.5, light=light).shape
        (36, 64, 3)
    """
    if place == "field":
        return _field(rng, camera, ground, light)
    if place == "hall":
        return _hall(rng, camera, ground, nearness)
    return _abstract(rng, camera)


def ray_down(camera: Camera) -> Array:
    """Compute how far each pixel's ray, of unit depth, points down, (height, width); it varies as a plane does.

    Example:
        >>> ray_down(Camera(64, 36, tilt=0.0))[18, 0].round(3).tolist()  # just below the horizon
        0.016
    """
    u = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal
    v = (np.arange(camera.height) + 0.5 - camera.height / 2) / camera.focal
    down = np.asarray(camera.axes[:, 2][None])
    if camera.motion is not None:
        rows = np.arange(camera.height, dtype=np.float64) + 0.5
        down = np.asarray(
            np.einsum("i,nij->nj", down[0], camera.motion.turns(camera.motion.times(rows, camera.height)))
        )
    return np.asarray(u[None] * down[:, :1] + v[:, None] * down[:, 1:2] + down[:, 2:])


def floor_texture(rng: np.random.Generator, color: tuple[float, float, float]) -> Pixels:
    """Draw ground, (640, 640, 3): patchy, and maybe with a grid, mown bands or lanes.

    Example:
        >>> floor_texture(np.random.default_rng(0), (90.0, 120.0, 100.0)).shape
        (640, 640, 3)
    """
    dark = (color[0] * 0.55, color[1] * 0.55, color[2] * 0.55)
    texture = mix(noise(rng, 640, 640, 12, 6), dark, color)
    kind = rng.choice(["grid", "bands", "lanes", "bare"], p=[0.25, 0.2, 0.2, 0.35])
    if kind == "grid":
        step, line = int(rng.integers(12, 50)), contrasting(rng, color)
        for at in range(0, 640, step):
            cv2.line(texture, (at, 0), (at, 767), line, 1)
            cv2.line(texture, (0, at), (767, at), line, 1)
    elif kind == "bands":
        bands = (np.arange(640) // int(rng.integers(15, 50)) % 2).astype(np.float32) * 0.25 + 0.75
        texture = (texture * bands[:, None, None]).astype(np.uint8)
    elif kind == "lanes":
        for _ in range(int(rng.integers(1, 6))):
            ends = rng.integers(0, 640, 4)
            cv2.line(texture, ends[:2].tolist(), ends[2:].tolist(), contrasting(rng, color), int(rng.integers(2, 7)))
    return texture


def textured_plane(
    corner: Array, across: Array, down: Array, texture: Pixels, light: float = 1.0, mounted: bool = False
) -> Surface:
    """Make a textured parallelogram of a corner and two edges (3,).

    Example:
        >>> across, down = np.array([0.0, 2.0, 0.0]), np.array([0.0, 0.0, 2.0])
        >>> len(textured_plane(np.array([4.0, -1.0, -1.0]), across, down, np.zeros((8, 8, 3), np.uint8)).contours)
        1
    """
    return Surface(
        [quad(corner, across, down)],
        texture=texture,
        plane=np.stack([corner, across, down]),
        light=light,
        mounted=mounted,
    )


def _floor(rng: np.random.Generator, level: float, color: tuple[float, float, float], light: float) -> Surface:
    """Make the ground or a ceiling at a level, seen 45 m far, its texture turned at random."""
    turn = rng.uniform(0, np.pi / 2)
    x = 2 * REACH * np.array([np.cos(turn), np.sin(turn), 0.0])
    y = 2 * REACH * np.array([-np.sin(turn), np.cos(turn), 0.0])
    corner = np.array([0.0, 0.0, level]) - x / 2 - y / 2
    return textured_plane(corner, x, y, floor_texture(rng, color), light)


def _field(rng: np.random.Generator, camera: Camera, ground: float, light: Array) -> Pixels:
    """Paint sky, clouds, hills, a skyline and ground that fades into the haze."""
    down = ray_down(camera).astype(np.float32)
    hue, dusk = rng.uniform(0.5, 0.68), chance(rng, 0.25)
    zenith = hsv(hue, rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.95))
    haze = hsv(rng.uniform(0.02, 0.12), 0.5, 0.85) if dusk else hsv(hue, rng.uniform(0.0, 0.25), rng.uniform(0.6, 1.0))
    image = mix(np.clip(-down * 1.6, 0, 1), haze, zenith)
    if chance(rng, 0.6):
        clouds = np.clip(noise(rng, camera.width, camera.height, 3, 5) * 2.2 - rng.uniform(0.7, 1.2), 0, 0.8)
        image = (image + clouds[..., None] * (np.float32(rng.uniform(170, 250)) - image)).clip(0, 255).astype(np.uint8)
    _horizon(rng, camera, image, haze)
    color = hsv(rng.choice([0.27, 0.1, 0.08, 0.6]) + rng.normal(0, 0.02), rng.uniform(0.1, 0.55), rng.uniform(0.3, 0.8))
    floor = image.copy()
    paint_body(floor, camera, Body("clutter", np.zeros(3), [_floor(rng, ground, color, 1.0)]))
    below = down > 0
    clear = np.exp(np.float32(-ground / rng.uniform(25, 120)) / np.maximum(down, np.float32(1e-3)))
    image[below] = np.array(haze).clip(0, 255).astype(np.uint8)
    share = np.where(below, clear, np.float32(0))
    return np.asarray(cv2.blendLinear(floor, image, share, 1 - share), dtype=np.uint8)


def _horizon(rng: np.random.Generator, camera: Camera, image: Pixels, haze: tuple[float, float, float]) -> None:
    """Put ridges and towers on the horizon, 200 m away, faded by the haze."""
    for layer in range(int(rng.integers(0, 3))):
        turns = np.linspace(-1.4, 1.4, 41)
        if chance(rng, 0.5):
            heights = np.interp(turns, np.linspace(-1.4, 1.4, 15), rng.uniform(2, 30, 15))
        else:
            heights = np.repeat(rng.uniform(2, 25, 21), 2)[:41]
        foot = 200 * np.column_stack([np.cos(turns), np.sin(turns), np.zeros(41)])
        top = foot - np.column_stack([np.zeros((41, 2)), heights])
        tone = np.array(dull(rng)) * (0.4 + 0.2 * layer) + np.array(haze) * (0.6 - 0.2 * layer)
        color = (float(tone[0]), float(tone[1]), float(tone[2]))
        strip = [Surface([np.stack([foot[i], foot[i + 1], top[i + 1], top[i]])], color) for i in range(40)]
        paint_body(image, camera, Body("clutter", np.zeros(3), strip))


def wall_texture(rng: np.random.Generator, color: tuple[float, float, float]) -> Pixels:
    """Draw a hall's wall, (192, 640, 3), with panels, windows, doors and posters.

    Example:
        >>> wall_texture(np.random.default_rng(0), (90.0, 120.0, 100.0)).shape
        (192, 640, 3)
    """
    texture = mix(noise(rng, 640, 192, 4, 4), (color[0] * 0.75, color[1] * 0.75, color[2] * 0.75), color)
    if chance(rng, 0.6):
        step, tone = int(rng.integers(24, 96)), (color[0] * 0.5, color[1] * 0.5, color[2] * 0.5)
        for at in range(0, 640, step):
            cv2.line(texture, (at, 0), (at, 191), tone, 2)
    for _ in range(int(rng.integers(0, 9))):
        x, y = int(rng.integers(0, 700)), int(rng.integers(10, 120))
        w, h = int(rng.integers(16, 70)), int(rng.integers(16, 70))
        inner = dull(rng) if chance(rng, 0.5) else hsv(0.55, 0.15, 0.95)
        cv2.rectangle(texture, (x, y), (x + w, y + h), inner, -1)
        if chance(rng, 0.6):
            cv2.rectangle(texture, (x, y), (x + w, y + h), dull(rng), 2)
            cv2.line(texture, (x + w // 2, y), (x + w // 2, y + h), dull(rng), 1)
    return texture


def _hall(rng: np.random.Generator, camera: Camera, ground: float, nearness: Floats | None) -> Pixels:
    """Paint a hall from the inside: floor, ceiling with lamps, four walls."""
    image = np.full((camera.height, camera.width, 3), 40, dtype=np.uint8)
    left, right, front = rng.uniform(8, 25), rng.uniform(8, 25), rng.uniform(32, 42)
    ceiling = -rng.uniform(4.0, 9.0)
    tall = np.array([0.0, 0.0, ground - ceiling])
    wall, level = dull(rng), rng.uniform(0.6, 1.0)
    surfaces = [_floor(rng, ground, dull(rng), level), _floor(rng, ceiling, dull(rng), 0.75 * level)]
    corners = [
        np.array([-REACH, -left, ceiling]),
        np.array([front, -left, ceiling]),
        np.array([front, right, ceiling]),
        np.array([-REACH, right, ceiling]),
    ]
    for i in range(3):
        across = corners[i + 1] - corners[i]
        surfaces.append(
            textured_plane(corners[i], across, tall, wall_texture(rng, wall), level * rng.uniform(0.7, 1.0))
        )
    lamp = hsv(rng.uniform(0.1, 0.6), 0.1, 1.0)
    for x in np.arange(3.0, front, rng.uniform(4, 9)):
        for y in np.arange(-left + 3, right - 2, rng.uniform(5, 9)):
            spot = quad(np.array([x, y, ceiling + 0.05]), np.array([1.8, 0, 0]), np.array([0, 0.4, 0]))
            surfaces.append(Surface([spot], lamp, mounted=True))
    paint_body(image, camera, Body("clutter", np.zeros(3), surfaces), nearness)
    return image


def _abstract(rng: np.random.Generator, camera: Camera) -> Pixels:
    """Paint gradients, noise, stripes and shapes that follow no perspective."""
    w, h = camera.width, camera.height
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    turn, kind = rng.uniform(0, np.pi), rng.integers(3)
    along = xx * np.float32(np.cos(turn)) + yy * np.float32(np.sin(turn))
    if kind == 0:
        share = (along - along.min()) / np.ptp(along)
    elif kind == 1:
        share = (np.floor(along / (w * rng.uniform(0.03, 0.15))) % 2).astype(np.float32)
    else:
        share = noise(rng, w, h, int(rng.integers(2, 24)), 5)
    image = mix(share, dull(rng), dull(rng))
    for _ in range(int(rng.integers(0, 10))):
        centre = (int(rng.integers(w)), int(rng.integers(h)))
        size = (int(rng.integers(4, w // 6)), int(rng.integers(4, w // 6)))
        if chance(rng, 0.5):
            cv2.ellipse(image, centre, size, float(rng.uniform(0, 180)), 0, 360, dull(rng), -1, cv2.LINE_AA)
        else:
            points = np.array(centre) + rng.normal(0, w / 12, (int(rng.integers(3, 6)), 2))
            cv2.fillPoly(image, [points.astype(np.int32)], dull(rng), cv2.LINE_AA)
    return image
