"""Values of the camera's options: those of built-in cameras, and the keypoints' places on an object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.camera_profiles import PROFILES
from aigp_lightning.data.targets.built_in import TARGETS
from aigp_lightning.errors import ConfigError

Array = NDArray[np.float64]
OPTION = "--model.camera"
INTRINSICS = ("width", "height", "fx", "fy", "cx", "cy")
USUAL_PROFILE = "ts-002"
FEWEST_POINTS, IN_LINE = 3, 1e-3
"""Least points of a target, and the share of their extent along from which their extent across makes no line."""


def profile_values(profile: str) -> dict[str, float]:
    """Return the intrinsics of a built-in camera by name, pixels.

    Args:
        profile: its name.

    Example:
        >>> profile_values("ts-002")["fx"]
        320.0
    """
    camera = PROFILES[profile]
    focal = round(camera.focal, 9)  # of 90 degrees exactly half the width
    return dict(
        zip(INTRINSICS, (camera.width, camera.height, focal, focal, camera.width / 2, camera.height / 2), strict=True)
    )


def as_given(camera: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a camera as if they had been given: null where they are its profile's.

    So that another profile, asked for when a model is validated, counts. Checkpoints of earlier versions have all
    values and no profile.

    Args:
        camera: by the names of `GateCamera`.

    Example:
        >>> as_given({"width": 640, "height": 360, "fx": 400.0})
        {'width': None, 'height': None, 'fx': 400.0}
    """
    profile = camera.get("profile", USUAL_PROFILE)
    usual = profile_values(profile) if profile in PROFILES else {}
    return {name: None if name in usual and value == usual[name] else value for name, value in camera.items()}


def profile_of(fx: float, fy: float) -> str:
    """Return the built-in camera that has these focal lengths; the usual one where none has.

    Args:
        fx: across, pixels.
        fy: down, pixels.

    Example:
        >>> profile_of(320.0, 320.0), profile_of(424.654342919, 424.654342919), profile_of(400.0, 400.0)
        ('ts-002', 'ts-005', 'ts-002')
    """
    own = {name: profile_values(name) for name in PROFILES}
    return next((name for name, values in own.items() if (fx, fy) == (values["fx"], values["fy"])), USUAL_PROFILE)


def refuse_other_profile(profile: str, focal: tuple[float | None, float | None]) -> None:
    """Refuse a profile beside the focal lengths of another one, which an older configuration may have left there.

    Args:
        profile: the camera's.
        focal: its fx and fy as they are given.

    Raises:
        ConfigError: the profile would have no effect, and its user would not see it.

    Example:
        >>> refuse_other_profile("ts-005", (None, None))
    """
    own = profile_values(profile)
    for other in PROFILES:
        theirs = profile_values(other)
        left = theirs["fx"], theirs["fy"]
        if focal == left != (own["fx"], own["fy"]):
            raise ConfigError(
                f"{OPTION}.profile {profile} has fx and fy {own['fx']:.6g}, but {left[0]:.6g} is given for both, which "
                f"is {other}'s: leave {OPTION}.fx and .fy out (null), or give profile {other}."
            )


def points_of(given: list[list[float]] | str) -> Array:
    """Return where keypoints are on an object, (K, 3) metres.

    Args:
        given: the option `object_points`.

    Raises:
        ConfigError: it names no built-in target, or is no list of at least three places that are not in a line.

    Example:
        >>> points_of("gate-8").shape
        (8, 3)
    """
    option = f"{OPTION}.object_points"
    if isinstance(given, str):
        if given not in TARGETS:
            raise ConfigError(f"{option} {given!r} is no built-in target; known are {', '.join(TARGETS)}.")
        return np.array(TARGETS[given])
    if any(len(place) != len("xyz") or not all(map(math.isfinite, place)) for place in given):
        raise ConfigError(f"{option} must be a list of [x, y, z] in metres, one for each keypoint.")
    points = np.array(given, np.float64).reshape(-1, 3)
    if len(points) < FEWEST_POINTS or in_line(points):
        raise ConfigError(f"{option} must be at least three places that do not all lie in a line, not {given}.")
    if len(np.unique(points, axis=0)) < len(points):
        raise ConfigError(f"{option} has two keypoints in the same place; each must have its own.")
    return points


def same_points(ours: list[list[float]] | str, theirs: list[list[float]] | str) -> bool:
    """True if two options `object_points` are of the same places in the same order.

    Args:
        ours: places or the name of a built-in target.
        theirs: the other's.

    Example:
        >>> same_points("gate-8", "gate-8-rows")
        False
    """
    one, other = points_of(ours), points_of(theirs)
    return one.shape == other.shape and bool(np.allclose(one, other))


def in_line(points: Array) -> bool:
    """True if points (K, 3) lie in a line or a place, so that nobody sees how they are turned about it.

    Args:
        points: metres.

    Example:
        >>> in_line(np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]]))
        True
    """
    spread = np.linalg.svd(points - points.mean(0), compute_uv=False)
    return bool(len(points) < FEWEST_POINTS or spread[1] <= IN_LINE * spread[0])
