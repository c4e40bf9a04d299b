"""The physical qualifier's orange: its gates, and the banners, signs and padding that are no gates."""

from __future__ import annotations

import cv2
import numpy as np

from aigp_lightning.data.synthetic.motion import Array
from aigp_lightning.data.synthetic.objects import Body, Surface, lit, quad, upright
from aigp_lightning.data.synthetic.textures import FACE, Color, Paint, Pixels, add_logos, hsv

WORDS = ("AGP", "RACE", "FLY", "APEX", "SPONSOR", "PILOT", "START", "<<<", ">>>")
FORMS = ("banner", "board", "flag", "post", "beam")


def orange(rng: np.random.Generator) -> Color:
    """Draw the orange of one course; its gates and its banners share it.

    Example:
        >>> blue, green, red = orange(np.random.default_rng(0))
        >>> blue < green < red
        True
    """
    return hsv(rng.uniform(0.035, 0.085), rng.uniform(0.75, 1.0), rng.uniform(0.75, 1.0))


def orange_paint(rng: np.random.Generator, color: Color) -> Paint:
    """Draw the paint of one gate: the course's orange, maybe with marks, a rim or worn patches.

    Example:
        >>> orange_paint(np.random.default_rng(0), (20.0, 100.0, 250.0)).glow
        False
    """
    tone = rng.uniform(0.9, 1.06)
    base = (min(255.0, color[0] * tone), min(255.0, color[1] * tone), min(255.0, color[2] * tone))
    face: Pixels = np.full((FACE, FACE, 3), base, dtype=np.float64).astype(np.uint8)
    ink = _ink(rng)
    kind = rng.choice(["plain", "logos", "rim", "corners"], p=[0.4, 0.35, 0.15, 0.1])
    if kind == "logos":
        add_logos(rng, face, ink)
    elif kind == "rim":
        cv2.rectangle(face, (0, 0), (FACE - 1, FACE - 1), ink, int(rng.integers(3, 9)))
    elif kind == "corners":
        side = int(rng.integers(24, 50))
        for x in (0, FACE - side):
            for y in (0, FACE - side):
                cv2.rectangle(face, (x, y), (x + side, y + side), ink, -1)
    return Paint(face, base)


def make_banner(rng: np.random.Generator, foot: Array, color: Color, light: Array, form: str = "") -> Body:
    """Build something orange that is no gate: a hard negative.

    Args:
        rng: source of randomness.
        foot: (3,) the point of the ground below its middle.
        color: the course's orange.
        light: (3,) unit vector towards the light.
        form: one of `FORMS`; empty: any.

    Returns:
        A body that no task labels.

    Example:
        >>> light = np.array([0.0, 0.0, -1.0])
        >>> make_banner(np.random.default_rng(0), np.array([6.0, 0.0, 1.5]), (20.0, 100.0, 250.0), light).kind
        'clutter'
    """
    form = form or str(rng.choice(FORMS))
    yaw = rng.uniform(0, np.pi)
    if form == "post":
        size = (rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.5), rng.uniform(1.0, 3.0))
        surfaces = upright(foot, size, yaw, (color, None), light)
        return Body("clutter", foot - np.array([0, 0, size[2] / 2]), surfaces)
    width, height, above = {
        "banner": (rng.uniform(1.5, 4.5), rng.uniform(0.5, 1.2), rng.uniform(0.0, 3.5)),
        "board": (rng.uniform(0.8, 2.7), rng.uniform(0.8, 2.7), rng.uniform(0.0, 0.5)),
        "flag": (rng.uniform(0.4, 0.8), rng.uniform(1.8, 3.0), 0.1),
        "beam": (rng.uniform(2.0, 5.0), rng.uniform(0.15, 0.4), rng.uniform(0.0, 3.0)),
    }[form]
    across = width * np.array([np.cos(yaw), np.sin(yaw), 0.0])
    down = np.array([0.0, 0.0, height])
    origin = foot - across / 2 - down - np.array([0.0, 0.0, above])
    texture = banner_texture(rng, color, width / height)
    normal = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    normal *= -np.sign(origin @ normal) or 1.0
    surface = Surface(
        [quad(origin, across, down)], texture=texture, plane=np.stack([origin, across, down]), light=lit(normal, light)
    )
    return Body("clutter", origin + (across + down) / 2, [surface])


def banner_texture(rng: np.random.Generator, color: Color, aspect: float) -> Pixels:
    """Draw a sponsor's banner in the course's orange, with words, a band or marks.

    Args:
        rng: source of randomness.
        color: the course's orange.
        aspect: width by height.

    Returns:
        (h, w, 3) uint8 BGR.

    Example:
        >>> banner_texture(np.random.default_rng(0), (20.0, 100.0, 250.0), aspect=2.0).shape
        (96, 192, 3)
    """
    height = 96
    width = int(np.clip(height * aspect, 24, 512))
    texture: Pixels = np.full((height, width, 3), color, dtype=np.float64).astype(np.uint8)
    ink, kind = _ink(rng), rng.choice(["word", "band", "marks", "plain"], p=[0.45, 0.2, 0.2, 0.15])
    if kind == "band":
        edge = int(rng.integers(10, 40))
        cv2.rectangle(texture, (0, edge), (width, height - int(rng.integers(10, 40))), ink, -1)
        ink = color
    if kind == "marks":
        for _ in range(int(rng.integers(2, 7))):
            centre = (int(rng.integers(0, width)), int(rng.integers(10, height - 10)))
            cv2.circle(texture, centre, int(rng.integers(5, 16)), ink, -1, cv2.LINE_AA)
    elif kind != "plain":
        word = str(rng.choice(WORDS))
        (across, up), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
        scale = min(0.8 * width / across, 0.5 * height / up)
        at = (int((width - across * scale) / 2), int((height + up * scale) / 2))
        cv2.putText(texture, word, at, cv2.FONT_HERSHEY_DUPLEX, scale, ink, max(1, int(2.5 * scale)), cv2.LINE_AA)
    return texture


def _ink(rng: np.random.Generator) -> Color:
    """Draw white, black or a dark blue."""
    return ((245.0, 245.0, 245.0), (20.0, 20.0, 20.0), (90.0, 40.0, 20.0))[int(rng.choice(3, p=[0.5, 0.4, 0.1]))]
