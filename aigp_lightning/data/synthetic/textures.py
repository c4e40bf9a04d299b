"""Colours and surface patterns: noise, gate faces, nets, crates. Colours are BGR, 0…255."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Color = tuple[float, float, float]
FACE = 256
"""Side of a gate face's texture, pixels."""
MIDDLE_GREY = 128


def hsv(hue: float, saturation: float, value: float) -> Color:
    """Turn hue, saturation, value (each 0…1) into BGR 0…255.

    Example:
        >>> hsv(0.0, 1.0, 1.0)  # red
        (0.0, 0.0, 255.0)
    """
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return (255 * b, 255 * g, 255 * r)


def chance(rng: np.random.Generator, share: float) -> bool:
    """Toss a coin that comes up heads with this share.

    Example:
        >>> chance(np.random.default_rng(0), 1.0)
        True
    """
    return bool(rng.random() < share)


def vivid(rng: np.random.Generator) -> Color:
    """Draw a paint that somebody would choose for a gate: a strong colour, now and then white or nearly black.

    Example:
        >>> len(vivid(np.random.default_rng(0)))
        3
    """
    kind = rng.choice(["paint", "white", "black"], p=[0.8, 0.12, 0.08])
    if kind == "white":
        return hsv(rng.random(), 0.05, rng.uniform(0.85, 1.0))
    if kind == "black":
        return hsv(rng.random(), 0.3, rng.uniform(0.12, 0.25))
    return hsv(rng.random(), rng.uniform(0.65, 1.0), rng.uniform(0.6, 1.0))


def dull(rng: np.random.Generator) -> Color:
    """Draw a colour of walls, ground and concrete.

    Example:
        >>> max(dull(np.random.default_rng(0))) <= 0.85 * 255
        True
    """
    return hsv(rng.random(), rng.uniform(0.0, 0.4), rng.uniform(0.2, 0.85))


def contrasting(rng: np.random.Generator, color: Color) -> Color:
    """Draw a colour that stands out from the given one.

    Example:
        >>> max(contrasting(np.random.default_rng(0), (0.0, 0.0, 0.0))) > MIDDLE_GREY
        True
    """
    luma = 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2]
    if chance(rng, 0.5):
        return hsv(rng.random(), 0.05, 0.95 if luma < MIDDLE_GREY else 0.1)
    return hsv(rng.random(), 0.9, 0.95 if luma < MIDDLE_GREY else 0.3)


def noise(rng: np.random.Generator, width: int, height: int, cells: int = 4, octaves: int = 4) -> NDArray[np.float32]:
    """Sum smooth noise over octaves.

    Args:
        rng: source of randomness.
        width: pixels.
        height: pixels.
        cells: blobs across in the coarsest octave; each octave has twice as many.
        octaves: how many.

    Returns:
        (height, width), 0…1.

    Example:
        >>> values = noise(np.random.default_rng(0), width=64, height=36)
        >>> values.shape, bool((values >= 0).all() and (values <= 1).all())
        ((36, 64), True)
    """
    total = np.zeros((2, 2), dtype=np.float32)
    for octave in range(octaves):
        n = min(cells << octave, width)
        rows = max(2, n * height // width)
        finer = rng.random((rows, n), dtype=np.float32)
        total = cv2.resize(total, (n, rows)) + finer * np.float32(0.5**octave)
    low, high = float(total.min()), float(total.max())
    total = (total - low) / np.float32(max(high - low, 1e-6))
    return np.asarray(cv2.resize(total, (width, height)), dtype=np.float32)


def mix(share: NDArray[np.float32], low: Color, high: Color) -> Pixels:
    """Blend two colours by a map of shares (h, w) into a picture (h, w, 3).

    Example:
        >>> mix(np.array([[0.0, 1.0]], np.float32), low=(0, 0, 0), high=(0, 0, 255)).tolist()
        [[[0, 0, 0], [0, 0, 255]]]
    """
    # 256 steps looked up: many times faster than arithmetic on three float planes
    table = np.linspace(low, high, 256).clip(0, 255).astype(np.uint8)
    steps = cv2.convertScaleAbs(share, alpha=255)
    return np.asarray(cv2.LUT(cv2.merge([steps, steps, steps]), table[:, None]), dtype=np.uint8)


@dataclass(frozen=True)
class Paint:
    """Paint of a gate.

    Args:
        face: (FACE, FACE, 3) texture of the front and back; its middle is never seen.
        wall: colour of the outer and inner walls.
        glow: the frame gives light.

    Example:
        >>> Paint(np.zeros((FACE, FACE, 3), np.uint8), wall=(0.0, 0.0, 255.0)).glow
        False
    """

    face: Pixels
    wall: Color
    glow: bool = False


def gate_paint(rng: np.random.Generator) -> Paint:
    """Draw a gate's paint: solid, checkerboard, stripes, logo-like blobs or lit edges.

    Example:
        >>> gate_paint(np.random.default_rng(0)).face.shape
        (256, 256, 3)
    """
    base = vivid(rng)
    accent = contrasting(rng, base)
    kind = rng.choice(["solid", "checker", "stripes", "blobs", "led"], p=[0.3, 0.17, 0.17, 0.2, 0.16])
    yy, xx = np.mgrid[0:FACE, 0:FACE].astype(np.float32) / FACE
    share = np.zeros((FACE, FACE), dtype=np.float32)
    if kind == "checker":
        n = int(rng.integers(8, 15))
        share = ((np.floor(xx * n) + np.floor(yy * n)) % 2).astype(np.float32)
    elif kind == "stripes":
        n, slope = int(rng.integers(6, 14)), rng.choice([0.0, 1.0, -1.0])
        share = (np.floor((xx + slope * yy + 1) * n) % 2).astype(np.float32)
    face = mix(share, base, accent)
    if kind == "blobs":
        add_logos(rng, face, accent)
    if kind == "led":
        base = hsv(rng.random(), 0.2, rng.uniform(0.06, 0.3))
        face[:] = base
        lit = hsv(rng.random(), rng.uniform(0.1, 0.8), 1.0)
        width = int(rng.integers(8, 22))
        for side in (FACE * 0.6 / 2.7, width / 2):
            low, high = round(side), round(FACE - side)
            cv2.rectangle(face, (low, low), (high, high), lit, width)
    elif chance(rng, 0.4):
        cv2.rectangle(face, (0, 0), (FACE - 1, FACE - 1), accent, int(rng.integers(4, 16)))
    return Paint(face, base if kind == "led" or chance(rng, 0.7) else accent, glow=kind == "led")


def add_logos(rng: np.random.Generator, face: Pixels, color: Color) -> None:
    """Scatter sponsor-like marks along the four bars of a gate's face.

    Example:
        >>> face = np.zeros((FACE, FACE, 3), np.uint8)
        >>> add_logos(np.random.default_rng(0), face, (255.0, 255.0, 255.0))
        >>> int(face.max())
        255
    """
    for _ in range(int(rng.integers(5, 14))):
        along, across = int(rng.integers(20, FACE - 20)), int(rng.choice([28, FACE - 28]))
        centre = (along, across) if chance(rng, 0.5) else (across, along)
        shape = rng.integers(3)
        size = int(rng.integers(7, 20))
        if shape == 0:
            cv2.circle(face, centre, size, color, -1, cv2.LINE_AA)
        elif shape == 1:
            cv2.rectangle(
                face, (centre[0] - size, centre[1] - size // 2), (centre[0] + size, centre[1] + size // 2), color, -1
            )
        else:
            word = str(rng.choice(["AGP", "RACE", "FLY", "04", "APEX"]))
            cv2.putText(face, word, (centre[0] - 30, centre[1] + 10), cv2.FONT_HERSHEY_DUPLEX, 1.0, color, 4)


def net_texture(rng: np.random.Generator) -> Pixels:
    """Draw a net, (256, 256, 4): meshes are transparent, the border is not.

    Example:
        >>> texture = net_texture(np.random.default_rng(0))
        >>> texture.shape, sorted(set(texture[..., 3].ravel().tolist()))
        ((256, 256, 4), [0, 255])
    """
    color = (*contrasting(rng, dull(rng)), 255.0)
    texture = np.zeros((256, 256, 4), dtype=np.uint8)
    texture[..., :3] = np.array(color[:3], dtype=np.uint8)
    step, slant = int(rng.integers(12, 26)), chance(rng, 0.4)
    for at in range(-256, 512, step):
        ends = (
            [((at, 0), (at + 256, 256)), ((at, 256), (at + 256, 0))]
            if slant
            else [((at, 0), (at, 256)), ((0, at), (256, at))]
        )
        for start, end in ends:
            cv2.line(texture, start, end, color, int(rng.integers(2, 4)))
    cv2.rectangle(texture, (0, 0), (255, 255), color, 14)
    return texture


def crate_texture(rng: np.random.Generator, color: Color) -> Pixels:
    """Draw the side of a crate or carton, (128, 128, 3).

    Example:
        >>> crate_texture(np.random.default_rng(0), hsv(0.1, 0.5, 0.6)).shape
        (128, 128, 3)
    """
    dark = (color[0] * 0.6, color[1] * 0.6, color[2] * 0.6)
    texture = mix(noise(rng, 128, 128, 8, 3), dark, color)
    kind = rng.integers(3)
    if kind == 0:
        cv2.rectangle(texture, (0, 0), (127, 127), dark, 12)
        cv2.line(texture, (0, 0), (127, 127), dark, 10)
    elif kind == 1:
        cv2.rectangle(texture, (0, 54), (127, 74), contrasting(rng, color), -1)
    return texture
