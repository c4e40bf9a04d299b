"""A flight along a course: a smooth path through the gates, the speed that its bends allow, and the drone's attitude.

The path is a cubic Hermite spline through points near the middles of the gates, along their directions. The speed is
the highest that a given acceleration across and along the path allows. Both are smoothed over some tenths of a second,
as a drone's inertia would. The attitude follows from the thrust that this motion, gravity and air drag take, and from a
heading to where the drone will be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.synthetic.courses import Course
from aigp_lightning.data.synthetic.geometry import BODY_TO_CAMERA, CAMERA_TILT, rotation
from aigp_lightning.data.synthetic.motion import Array

Curve = Callable[..., Any]
"""A spline of SciPy's: its values at times, or a derivative of them."""
GRAVITY = 9.81
DRAG = 0.35
"""Deceleration by the air by speed, 1/s; at 10 m/s the drone leans by as much as its camera looks up."""
ACROSS, ALONG = 11.0, 6.0
"""Most acceleration across and along the path, m/s²."""
FASTEST = (8.0, 12.0)
"""A flight's highest speed is between these, m/s."""
ASIDE, MOST_ASIDE = 0.12, 0.3
"""How far the path is off the middle of an opening: standard deviation and at most, metres."""
STEP = 0.05
"""Of the path, metres."""
RATE = 200
"""Samples of the flight, a second."""
SMOOTH = 0.18
"""Seconds."""
AHEAD = 0.5
"""The drone looks where it will be so many seconds later."""
MARGIN = 1.0
"""Seconds of flight before the first and after the last frame."""


@dataclass(frozen=True)
class Flight:
    """Motion of the camera, at each frame's middle.

    Attributes:
        position: (n, 3) m, world.
        velocity: (n, 3) m/s, world.
        angles: (n, 3) yaw, pitch and roll of the body, radians.
        rotation: (n, 3, 3) from camera to world.
        rate: (n, 3) angular rate, rad/s, camera frame.
    """

    position: Array
    velocity: Array
    angles: Array
    rotation: Array
    rate: Array


def fly(course: Course, rng: np.random.Generator, frames: int, fps: float) -> Flight:
    """Fly along a course: from somewhere on the lap, at a speed and on a line of its own.

    Args:
        course: to fly along.
        rng: source of randomness.
        frames: how many.
        fps: a second.

    Example:
        >>> from aigp_lightning.data.synthetic.courses import COURSES
        >>> flight = fly(COURSES["ts-005"], np.random.default_rng(0), frames=30, fps=30.0)
        >>> flight.position.shape, bool(np.linalg.norm(flight.velocity, axis=1).max() < 12.5)
        ((30, 3), True)
    """
    from scipy.interpolate import CubicSpline
    from scipy.ndimage import gaussian_filter1d

    fastest, start = rng.uniform(*FASTEST), rng.uniform()
    needed = (frames - 1) / fps + 2 * MARGIN + AHEAD
    path, lap = _path(course, rng, needed * FASTEST[1])
    along = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))))
    when = _schedule(path, along, fastest)
    first = float(np.interp(start * lap, along, when))
    grid = first + np.arange(int(np.ceil(needed * RATE)) + 2) / RATE
    places = np.column_stack([np.interp(grid, when, path[:, axis]) for axis in range(3)])
    smooth = gaussian_filter1d(places, SMOOTH * RATE, axis=0, mode="nearest")
    position = CubicSpline(grid - first - MARGIN, smooth)
    ahead = position(grid - first - MARGIN + AHEAD) - smooth
    way = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    heading = CubicSpline(grid - first - MARGIN, gaussian_filter1d(way, SMOOTH * RATE, mode="nearest"))
    return _seen(position, heading, np.arange(frames) / fps)


def _path(course: Course, rng: np.random.Generator, length: float) -> tuple[Array, float]:
    """Draw a line through the gates, lap after lap, to a length, m; return its points and the first lap's length."""
    from scipy.interpolate import CubicHermiteSpline

    places, headings = course.lap()
    round_trip = float(np.linalg.norm(np.roll(places, -1, axis=0) - places, axis=1).sum())
    laps = int(np.ceil(length / round_trip)) + 2
    ways = np.column_stack([np.cos(headings), np.sin(headings), np.zeros(len(headings))])
    right = np.column_stack([-np.sin(headings), np.cos(headings), np.zeros(len(headings))])
    aside = rng.normal(0.0, ASIDE, (laps, len(places), 2)).clip(-MOST_ASIDE, MOST_ASIDE)
    through = places + aside[..., :1] * right + aside[..., 1:] * np.array([0.0, 0.0, 1.0])
    knots = through.reshape(-1, 3)
    chords = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))))
    line = CubicHermiteSpline(chords, knots, np.tile(ways, (laps, 1)))
    points = line(np.linspace(0.0, chords[-1], int(chords[-1] / STEP)))
    first = line(np.linspace(0.0, chords[len(places)], int(chords[len(places)] / STEP)))
    return np.asarray(points), float(np.linalg.norm(np.diff(first, axis=0), axis=1).sum())


def _schedule(path: Array, along: Array, fastest: float) -> Array:
    """Return when a drone is at each point (n,) of a path, seconds: as fast as bends, brakes and thrust allow."""
    middle = (along[1:] + along[:-1]) / 2
    ways = np.diff(path, axis=0) / np.diff(along)[:, None]
    bend = np.linalg.norm(np.diff(ways, axis=0), axis=1) / np.diff(middle)
    square = np.minimum(np.interp(along, along[1:-1], ACROSS / np.maximum(bend, 1e-6)), fastest**2)
    # v² grows by at most 2·a·s over a way s, forwards and, braking, backwards
    gain = 2 * ALONG * along
    square = np.minimum.accumulate(square - gain) + gain
    square = (np.minimum.accumulate((square + gain)[::-1]))[::-1] - gain
    speed = np.sqrt(square)
    return np.asarray(np.concatenate(([0.0], np.cumsum(2 * np.diff(along) / (speed[1:] + speed[:-1])))))


def _seen(position: Curve, heading: Curve, times: NDArray[np.float64]) -> Flight:
    """Read position, velocity, attitude and angular rate off a flight's splines of metres and radians by seconds."""
    from scipy.spatial.transform import Rotation

    apart = 5e-4
    turned = [_attitudes(position, heading, times + shift) for shift in (-apart, 0.0, apart)]
    body = turned[1]
    angles = np.column_stack(
        [
            np.arctan2(body[:, 1, 0], body[:, 0, 0]),
            np.arcsin(-body[:, 2, 0].clip(-1, 1)),
            np.arctan2(body[:, 2, 1], body[:, 2, 2]),
        ]
    )
    mount = rotation(0.0, CAMERA_TILT, 0.0) @ BODY_TO_CAMERA.T
    before, cameras, after = (each @ mount for each in turned)
    rate = Rotation.from_matrix(np.swapaxes(before, 1, 2) @ after).as_rotvec() / (2 * apart)
    return Flight(position(times), position(times, 1), angles, cameras, rate)


def _attitudes(position: Curve, heading: Curve, times: NDArray[np.float64]) -> Array:
    """Return the rotations (n, 3, 3) from body to world: thrust against gravity, drag and inertia, nose as headed."""
    force = position(times, 2) + DRAG * position(times, 1) - (0.0, 0.0, GRAVITY)
    down = -force / np.linalg.norm(force, axis=1, keepdims=True)
    yaw = heading(times)
    right = np.cross(down, np.column_stack([np.cos(yaw), np.sin(yaw), np.zeros(len(yaw))]))
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.asarray(np.stack([np.cross(right, down), right, down], axis=2))
