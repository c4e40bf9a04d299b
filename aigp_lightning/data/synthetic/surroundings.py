"""Hall and field of a flight: drawn once, then seen from wherever the drone is. World is NED, the ground at 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from aigp_lightning.data.synthetic.backdrop import floor_texture, ray_down, textured_plane, wall_texture
from aigp_lightning.data.synthetic.courses import Course
from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.data.synthetic.motion import Array, Floats
from aigp_lightning.data.synthetic.objects import Body, Surface, quad
from aigp_lightning.data.synthetic.orange import banner_texture
from aigp_lightning.data.synthetic.render import paint_body
from aigp_lightning.data.synthetic.textures import Color, Pixels, dull, hsv, mix, noise

Behind = Callable[[Camera, Array, Floats | None], Pixels]
NORTH, EAST, DOWN = np.eye(3)
BEYOND = 160.0
"""The field reaches so far beyond the course, metres."""
HILLS = 200.0
"""Distance of the hills, metres; they do not come nearer."""


def hall(rng: np.random.Generator, course: Course, color: Color) -> Behind:
    """Build the hall around a course, with banners in the gates' orange on its walls.

    Args:
        rng: source of randomness.
        course: what it has room for.
        color: the course's orange.

    Returns:
        What paints it (height, width, 3) as a camera at a place sees it.

    Example:
        >>> from aigp_lightning.data.synthetic.courses import COURSES
        >>> behind = hall(np.random.default_rng(0), COURSES["ts-005"], (20.0, 100.0, 250.0))
        >>> behind(Camera(64, 36), np.array([-30.0, 10.0, -1.5]), None).shape
        (36, 64, 3)
    """
    low = np.array(course.south_west) - rng.uniform(3, 9, 2)
    high = np.array(course.north_east) + rng.uniform(3, 9, 2)
    tall, level, wall = rng.uniform(7.0, 10.0), rng.uniform(0.7, 1.0), dull(rng)
    side = float(max(high - low))
    floor = np.array([*low, 0.0])
    surfaces = [
        textured_plane(floor, side * NORTH, side * EAST, floor_texture(rng, dull(rng)), level),
        textured_plane(floor - tall * DOWN, side * NORTH, side * EAST, floor_texture(rng, dull(rng)), 0.7 * level),
    ]
    corners = [np.array([x, y, -tall]) for x, y in ((low[0], low[1]), (high[0], low[1]), high, (low[0], high[1]))]
    for corner, onward in zip(corners, (*corners[1:], corners[0]), strict=True):
        across, shade = onward - corner, level * rng.uniform(0.7, 1.0)
        surfaces.append(textured_plane(corner, across, tall * DOWN, wall_texture(rng, wall), shade))
        middle = np.array([*(low + high) / 2, -tall / 2])
        inwards = middle - (corner + onward) / 2
        inwards = 0.05 * inwards / np.linalg.norm(inwards)
        for _ in range(int(rng.integers(1, 5))):
            wide, high_up = rng.uniform(2.0, 8.0), rng.uniform(0.6, 1.6)
            start = corner + rng.uniform(0.05, 0.8) * across + rng.uniform(0.3, 0.8) * tall * DOWN + inwards
            along = across / np.linalg.norm(across) * wide
            texture = banner_texture(rng, color, wide / high_up)
            surfaces.append(textured_plane(start, along, high_up * DOWN, texture, shade, mounted=True))
    lamp = hsv(rng.uniform(0.1, 0.6), 0.1, 1.0)
    for north in np.arange(low[0] + 2, high[0] - 2, rng.uniform(5, 8)):
        for east in np.arange(low[1] + 2, high[1] - 1, rng.uniform(5, 9)):
            spot = np.array([north, east, 0.05 - tall])
            surfaces.append(Surface([quad(spot, 1.8 * NORTH, 0.4 * EAST)], lamp, mounted=True))

    def behind(camera: Camera, eye: Array, nearness: Floats | None) -> Pixels:
        image = np.full((camera.height, camera.width, 3), 40, dtype=np.uint8)
        paint_body(image, camera, Body("clutter", np.zeros(3), [moved(each, eye) for each in surfaces]), nearness)
        return image

    return behind


def field(rng: np.random.Generator, course: Course, light: Array) -> Behind:
    """Lay out an open field around a course: ground that fades into the haze, hills, sky and a layer of clouds.

    Args:
        rng: source of randomness.
        course: what it has room for.
        light: (3,) unit vector towards the sun.

    Returns:
        What paints it (height, width, 3) as a camera at a place sees it.

    Example:
        >>> from aigp_lightning.data.synthetic.courses import COURSES
        >>> behind = field(np.random.default_rng(0), COURSES["ts-002"], np.array([0.0, 0.6, -0.8]))
        >>> behind(Camera(64, 36), np.array([20.0, 10.0, -1.5]), None).shape
        (36, 64, 3)
    """
    hue = rng.uniform(0.5, 0.68)
    zenith, haze = hsv(hue, rng.uniform(0.2, 0.8), rng.uniform(0.4, 0.95)), hsv(hue, rng.uniform(0, 0.25), 0.85)
    grass = hsv(rng.choice([0.27, 0.1, 0.08]) + rng.normal(0, 0.02), rng.uniform(0.15, 0.55), rng.uniform(0.4, 0.8))
    low, high = np.array(course.south_west) - BEYOND, np.array(course.north_east) + BEYOND
    side = float(max(high - low))
    ground = textured_plane(np.array([*low, 0.0]), side * NORTH, side * EAST, _fine(rng, floor_texture(rng, grass)))
    clouds = _clouds(rng, np.array([*(low + high) / 2, 0.0]))
    hills, sight = _hills(rng, haze), rng.uniform(60, 160)

    def behind(camera: Camera, eye: Array, nearness: Floats | None) -> Pixels:
        down = ray_down(camera).astype(np.float32)
        image = mix(np.clip(-down * 1.6, 0, 1), haze, zenith)
        paint_body(image, camera, Body("clutter", np.zeros(3), [moved(clouds, eye), *hills]))
        floor = image.copy()
        paint_body(floor, camera, Body("clutter", np.zeros(3), [moved(ground, eye)]), nearness)
        below = down > 0
        clear = np.exp(np.float32(min(eye[2], -0.1) / sight) / np.maximum(down, np.float32(1e-3)))
        image[below] = np.array(haze).clip(0, 255).astype(np.uint8)
        share = np.where(below, clear, np.float32(0))
        return np.asarray(cv2.blendLinear(floor, image, share, 1 - share), dtype=np.uint8)

    return behind


def moved(surface: Surface, eye: Array) -> Surface:
    """Return a surface of the world with a place (3,) as the origin.

    Example:
        >>> surface = Surface([quad(np.zeros(3), NORTH, EAST)])
        >>> moved(surface, np.array([1.0, 0.0, 0.0])).contours[0][0].tolist()
        [-1.0, 0.0, 0.0]
    """
    plane = surface.plane
    if plane is not None:
        plane = np.concatenate([plane[:1] - eye, plane[1:]])
    return replace(surface, contours=[contour - eye for contour in surface.contours], plane=plane)


def _fine(rng: np.random.Generator, texture: Pixels) -> Pixels:
    """Enlarge ground to (1536, 1536, 3), and roughen it."""
    large = cv2.resize(texture, (1536, 1536)).astype(np.float32)
    return np.asarray((large * (0.8 + 0.4 * noise(rng, 1536, 1536, 200, 2)[..., None])).clip(0, 255), dtype=np.uint8)


def _clouds(rng: np.random.Generator, middle: Array) -> Surface:
    """Make a layer of clouds 90 m up, which thins out in the distance."""
    size, reach = 256, 900.0
    cover = np.clip(noise(rng, size, size, 8, 4) * 2.2 - rng.uniform(0.8, 1.4), 0, 0.8)
    yy, xx = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    alpha = cover * np.clip(1.2 - 1.4 * np.hypot(xx, yy), 0, 1)
    texture = np.full((size, size, 4), rng.uniform(190, 250), dtype=np.float64)
    texture[..., 3] = 255 * alpha
    corner = middle + np.array([-reach, -reach, -90.0])
    return textured_plane(corner, 2 * reach * NORTH, 2 * reach * EAST, texture.astype(np.uint8))


def _hills(rng: np.random.Generator, haze: Color) -> list[Surface]:
    """Draw two ridges all around, faded by the haze, with the camera as the middle."""
    surfaces = []
    for layer in (1, 0):
        turns = np.linspace(-np.pi, np.pi, 37)
        heights = rng.uniform(1, 16, 37) * (1 + layer)
        heights[-1] = heights[0]
        foot = HILLS * np.column_stack([np.cos(turns), np.sin(turns), np.zeros(37)])
        top = foot - heights[:, None] * DOWN
        tone = np.array(dull(rng)) * (0.45 - 0.2 * layer) + np.array(haze) * (0.55 + 0.2 * layer)
        color = (float(tone[0]), float(tone[1]), float(tone[2]))
        surfaces += [Surface([np.stack([foot[i], foot[i + 1], top[i + 1], top[i]])], color) for i in range(36)]
    return surfaces
