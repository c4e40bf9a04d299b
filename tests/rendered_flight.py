"""Flights rendered as frames: a camera that flies an oval course of gates in a hall, for tests of splits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from aigp_lightning.data.synthetic.gate import Gate
from aigp_lightning.data.synthetic.gate_body import make_gate
from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.data.synthetic.objects import Body, Surface, quad
from aigp_lightning.data.synthetic.render import paint, paint_body
from aigp_lightning.data.synthetic.textures import mix, noise

HALL = np.array([50.0, 30.0, 7.0])
"""Length, width and height, metres; the floor is at z = 0, and z points down."""
GATES = 3
SIZE = (192, 108)
LIGHT = np.array([0.0, 0.0, -1.0])


def flight(seed: int, frames: int, hz: float = 30.0, speed: float = 6.0) -> Iterator[np.ndarray]:
    """Yield the frames of a flight through a hall of its own, uint8 (108, 192, 3) BGR.

    Args:
        seed: of the hall's look, the course's shape and the noise.
        frames: their number.
        hz: frames a second.
        speed: metres a second.
    """
    random = np.random.default_rng(seed)
    walls = _hall(random)
    a, b = random.uniform(12, 18), random.uniform(6, 10)
    gates = [_on_course(turn, a, b, 1.6 + 0.8 * np.sin(3 * turn)) for turn in np.arange(GATES) * 2 * np.pi / GATES]
    looks = random.integers(0, 2**31, GATES)
    turn = random.uniform(0, 2 * np.pi)
    phase = random.uniform(0, 2 * np.pi, 3)
    for number in range(frames):
        place, heading = _on_course(turn, a, b, 1.7 + 0.5 * np.sin(3 * turn))
        seconds = number / hz
        wobble = 0.06 * np.sin(2 * np.pi * np.array([0.9, 1.3, 0.7]) * seconds + phase)
        camera = Camera(*SIZE, heading + wobble[0] + 0.25, -0.3 + wobble[1], 0.3 + wobble[2])
        bodies = []
        for (centre, towards), look in zip(gates, looks, strict=True):
            gate = Gate.facing(centre - place, towards)
            bodies.append(make_gate(np.random.default_rng(look), gate, LIGHT))
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        paint_body(image, camera, Body("clutter", np.zeros(3), [_moved(each, place) for each in walls]))
        picture = paint(image, camera, bodies).image
        yield np.clip(picture + random.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)
        turn += speed / hz / float(np.hypot(a * np.sin(turn), b * np.cos(turn)))


def write_flight(folder: Path, name: str, seed: int, frames: int, **options: float) -> list[Path]:
    """Write a flight as `images/<name>/000000.jpg` with a label each, and return the pictures."""
    images, labels = folder / "images" / name, folder / "labels" / name
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    files = []
    for number, frame in enumerate(flight(seed, frames, **options)):
        files.append(images / f"{number:06d}.jpg")
        assert cv2.imwrite(str(files[-1]), frame, [cv2.IMWRITE_JPEG_QUALITY, 85])
        size = 0.1 + 0.3 * (number % 50) / 50
        (labels / f"{number:06d}.txt").write_text(
            f"{number // 25 % 2} 0.5 0.5 {size:.3f} {size:.3f}\n", encoding="utf-8"
        )
    return files


def _on_course(turn: float, a: float, b: float, height: float) -> tuple[np.ndarray, float]:
    """Return a place on the oval and the direction of flight there, radians."""
    place = np.array([a * np.cos(turn), b * np.sin(turn), -height])
    return place, float(np.arctan2(b * np.cos(turn), -a * np.sin(turn)))


def _hall(random: np.random.Generator) -> list[Surface]:
    """Floor, ceiling and four walls with textures of their own."""
    x, y, z = HALL
    low, high = np.array([-x / 2, -y / 2, 0.0]), np.array([-x / 2, -y / 2, -z])
    along, across, down = np.array([x, 0, 0]), np.array([0, y, 0]), np.array([0, 0, z])
    planes = [
        (low, along, across), (high, along, across), (high, along, down), (high + across, along, down),
        (high, across, down), (high + along, across, down),
    ]  # fmt: skip
    return [
        Surface([quad(*plane)], texture=_texture(random), plane=np.stack(plane), light=random.uniform(0.7, 1.0))
        for plane in planes
    ]


def _texture(random: np.random.Generator) -> np.ndarray:
    """Draw 512 by 256 pixels of patches, panels and posters."""
    colors = random.uniform(30, 220, (2, 3))
    texture = mix(noise(random, 512, 256, 6, 5), tuple(colors[0]), tuple(colors[1]))
    for at in range(0, 512, int(random.integers(30, 90))):
        cv2.line(texture, (at, 0), (at, 255), (40, 40, 40), 2)
    for _ in range(14):
        x, y, w, h = (int(value) for value in random.integers((0, 0, 12, 12), (480, 230, 60, 60)))
        cv2.rectangle(texture, (x, y), (x + w, y + h), tuple(map(int, random.integers(0, 256, 3))), -1)
    return texture


def _moved(surface: Surface, place: np.ndarray) -> Surface:
    """Return a surface as seen from a place: the camera is at the origin."""
    assert surface.plane is not None
    plane = surface.plane - np.array([place, np.zeros(3), np.zeros(3)])
    return Surface(
        [contour - place for contour in surface.contours], texture=surface.texture, plane=plane, light=surface.light
    )
