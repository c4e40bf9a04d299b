"""Things that are labelled by no task: what holds gates up, and frames that are not gates."""

from __future__ import annotations

import numpy as np

from aigp_lightning.data.synthetic.gate import Gate
from aigp_lightning.data.synthetic.geometry import SQUARE, Camera
from aigp_lightning.data.synthetic.motion import Array
from aigp_lightning.data.synthetic.objects import Body, Surface, quad
from aigp_lightning.data.synthetic.textures import chance, contrasting, dull, hsv, vivid
from aigp_lightning.data.targets.built_in import GATE_OUTER


def make_legs(rng: np.random.Generator, gate: Gate, ground: float) -> Body:
    """Stand a gate on two thin legs that reach from its lower corners to the ground.

    Example:
        >>> gate = Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0)
        >>> legs = make_legs(np.random.default_rng(0), gate, ground=2.0)
        >>> legs.kind, len(legs.surfaces)
        ('clutter', 2)
    """
    lower = gate.square(GATE_OUTER - 0.2, gate.depth / 2)
    feet = lower[np.argsort(lower[:, 2])[2:]]
    color = hsv(0.6, 0.1, rng.uniform(0.15, 0.7))
    surfaces = []
    for foot in feet:
        bearing = np.arctan2(foot[1], foot[0])
        across = 0.06 * np.array([-np.sin(bearing), np.cos(bearing), 0.0])
        surfaces.append(Surface([quad(foot - across / 2, across, np.array([0.0, 0.0, ground - foot[2]]))], color))
    # just behind its gate, which is painted after it
    return Body("clutter", gate.centre * 1.001, surfaces)


def make_clutter(rng: np.random.Generator, camera: Camera, ground: float, plain: bool, count: int) -> list[Body]:
    """Scatter frames, hoops, banners and flags.

    Args:
        rng: source of randomness.
        camera: who looks.
        ground: how far the ground is below the camera, metres.
        plain: leave out banners, which look like boxes.
        count: how many.

    Returns:
        The bodies.

    Example:
        >>> clutter = make_clutter(np.random.default_rng(0), Camera(64, 36), ground=2.0, plain=True, count=3)
        >>> [body.kind for body in clutter]
        ['clutter', 'clutter', 'clutter']
    """
    makers = [_frame, _hoop, _arch] if plain else [_frame, _hoop, _arch, _banner]
    bodies = []
    for _ in range(count):
        distance = float(np.exp(rng.uniform(np.log(6.0), np.log(28.0))))
        centre = distance * camera.ray(rng.uniform(0, camera.width), rng.uniform(0, camera.height))
        centre[2] = np.clip(centre[2], -3.0, ground - 0.5)
        surfaces = makers[int(rng.integers(len(makers)))](rng, centre, ground)
        bodies.append(Body("clutter", centre, surfaces))
    return bodies


def _turned(rng: np.random.Generator, centre: Array, flat: Array) -> Array:
    """Put flat points (n, 2), metres, on an upright plane about a centre (3,), seen at up to 50°."""
    yaw = np.arctan2(centre[1], centre[0]) + rng.uniform(-0.85, 0.85)
    across = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    return np.asarray(centre + flat[:, :1] * across + flat[:, 1:] * np.array([0.0, 0.0, 1.0]))


def _frame(rng: np.random.Generator, centre: Array, ground: float) -> list[Surface]:
    """Make a window or goal: a thin border, oblong, maybe with a cross or a pane; never a gate's proportions."""
    tall = chance(rng, 0.4)
    long, short = rng.uniform(1.6, 3.6), rng.uniform(0.7, 1.3)
    half = np.array([short, long] if tall else [long, short]) / 2
    rim = rng.uniform(0.03, 0.08)
    outer, inner = SQUARE * half, SQUARE * (half - rim)
    color, fill = dull(rng), rng.choice(["pane", "bar", "nothing"])
    bar = SQUARE * (rim / 2, half[1])
    points = _turned(rng, centre, np.concatenate([outer, inner, bar]))
    surfaces = [Surface([points[4:8]], hsv(0.55, 0.2, rng.uniform(0.2, 0.9)))] if fill == "pane" else []
    surfaces.append(Surface([points[:4], points[4:8]], color))
    if fill != "nothing":
        surfaces.append(Surface([points[8:]], color))
    return surfaces


def _hoop(rng: np.random.Generator, centre: Array, ground: float) -> list[Surface]:
    """Make a round ring."""
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.column_stack([np.cos(turns), np.sin(turns)])
    radius = rng.uniform(0.4, 1.2)
    points = _turned(rng, centre, np.concatenate([circle * radius, circle * radius * rng.uniform(0.8, 0.93)]))
    return [Surface([points[:24], points[24:]], vivid(rng))]


def _arch(rng: np.random.Generator, centre: Array, ground: float) -> list[Surface]:
    """Make a goal without a lower bar that stands on the ground."""
    wide, thick, top = rng.uniform(2.0, 4.5) / 2, rng.uniform(0.06, 0.2), 0.0
    drop = ground - centre[2]
    bars = [(-wide, top, 2 * wide, thick), (-wide, top, thick, drop), (wide - thick, top, thick, drop)]
    corners = [[x, y, x + w, y, x + w, y + h, x, y + h] for x, y, w, h in bars]
    points = _turned(rng, centre, np.array(corners).reshape(-1, 2))
    color = vivid(rng)
    return [Surface([points[i : i + 4]], color) for i in (0, 4, 8)]


def _banner(rng: np.random.Generator, centre: Array, ground: float) -> list[Surface]:
    """Make a banner or flag with a band across it."""
    half = np.array([rng.uniform(0.5, 2.0), rng.uniform(0.3, 1.2)])
    band = half * (1.0, rng.uniform(0.2, 0.6))  # the whole width: a rectangle inside another would look like a gate
    points = _turned(rng, centre, np.concatenate([SQUARE * half, SQUARE * band]))
    color = vivid(rng)
    return [Surface([points[:4]], color), Surface([points[4:]], contrasting(rng, color))]
