"""Tracks from YAML files, and the built-in ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aigp_lightning.errors import ConfigError
from aigp_lightning.logfiles.safe_yaml import load
from aigp_lightning.policy.env.arrays import FLOAT
from aigp_lightning.policy.env.track import OUTER, FixedTrack, Layout, TrackSource, bisectors
from aigp_lightning.policy.env.track_random import RandomTracks

BEFORE_START = 10.0  # m before the first gate: where a track starts that doesn't say
CLOSEST = 3.0  # m between gates that follow each other
NUMBERS = 3
START_HEIGHT = 0.3  # m

BUILT_IN: dict[str, dict[str, Any]] = {
    # A lap of about 105 m: edges of 9 to 19 m, turns to 67 degrees, one of them against the others.
    "circuit": {
        "closed": True,
        "start": {"position": [0.0, 2.0, -1.5], "yaw": 0.0},
        "gates": [
            {"position": [10.0, 0.0, -2.0], "yaw": -25.0},
            {"position": [23.5, -3.6, -2.6], "yaw": 12.5},
            {"position": [34.2, 5.4, -3.6], "yaw": 70.0},
            {"position": [31.3, 22.2, -2.2], "yaw": 133.0},
            {"position": [13.0, 27.1, -1.8], "yaw": 190.0},
            {"position": [-1.7, 16.8, -3.0], "yaw": 245.0},
            {"position": [-0.9, 7.6, -2.2], "yaw": 300.0},
        ],
    },
    # An open course: a straight, a chicane, a climb and a fall.
    "sprint": {
        "closed": False,
        "gates": [
            {"position": [12.0, 0.0, -1.8]},
            {"position": [28.0, 2.0, -2.2]},
            {"position": [40.0, 10.0, -3.2]},
            {"position": [54.0, 8.0, -4.5]},
            {"position": [68.0, -4.0, -4.0]},
            {"position": [86.0, -8.0, -2.4]},
            {"position": [98.0, 2.0, -1.8]},
            {"position": [112.0, 4.0, -2.0]},
        ],
    },
}


def find_track(name: str) -> TrackSource:
    """Return the track called `name`: a built-in one, `random`, or a YAML file.

    Raises:
        ConfigError: there is no such track, or the file is wrong.
    """
    if name == "random":
        return RandomTracks()
    if name in BUILT_IN:
        return parse_track(BUILT_IN[name], name)
    if Path(name).suffix.lower() in (".yaml", ".yml"):
        return read_track(Path(name))
    raise ConfigError(f"track {name!r}: there is no such track; give {', '.join(BUILT_IN)}, random, or a YAML file")


def read_track(file: Path) -> FixedTrack:
    """Read a track from a YAML file.

    Raises:
        ConfigError: the file can't be read, or describes no track; the message names the file and the place.
    """
    import yaml

    try:
        data = load(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"track {file}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"track {file}: can't be read ({error.strerror}); check the path") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"track {file}: not valid YAML: {' '.join(str(error).split())}") from error
    return parse_track(data, str(file))


def parse_track(data: object, name: str) -> FixedTrack:
    """Build a track from the contents of a YAML file: `gates`, and optionally `closed` and `start`.

    Positions are north, east, down in metres, so that heights are negative; yaw is in degrees, clockwise from north
    as seen from above. A gate without `yaw` looks halfway between the edges to and from it. A track without `start`
    starts 10 m before its first gate.

    Args:
        data: as parsed.
        name: of the track, for the messages.

    Raises:
        ConfigError: it describes no track.
    """
    top = _keys(data, f"track {name}", {"gates"}, {"closed", "start", "name"})
    closed = top.get("closed", False)
    if not isinstance(closed, bool):
        raise ConfigError(f"track {name}: closed is {closed!r}; write true or false")
    entries = top["gates"]
    least = 3 if closed else 1
    if not isinstance(entries, list) or len(entries) < least:
        raise ConfigError(f"track {name}: gates must be a list of at least {least} gates")
    places = [f"track {name}: gate {index}" for index in range(len(entries))]
    gates = [_keys(entry, place, {"position"}, {"yaw"}) for entry, place in zip(entries, places, strict=True)]
    centres = [_centre(gate["position"], place) for gate, place in zip(gates, places, strict=True)]
    _check_spacing(centres, closed, places)
    first = _yaw(gates[0], places[0])
    start, start_yaw = _start(top.get("start"), f"track {name}: start", centres, first)
    points = np.array([start, *centres], np.float64).T
    yaws = [_yaw(gate, place) for gate, place in zip(gates, places, strict=True)]
    between = bisectors(points, closed)
    yaw = np.array([auto if own is None else own for own, auto in zip(yaws, between, strict=True)])
    layout = Layout(
        centre=points[:, 1:, None].astype(FLOAT),
        yaw=yaw[:, None].astype(FLOAT),
        count=np.array([len(gates)], np.int64),
        start=points[:, :1].astype(FLOAT),
        start_yaw=np.array([start_yaw], FLOAT),
    )
    return FixedTrack(layout, closed, name)


def _start(
    entry: object, place: str, centres: list[tuple[float, ...]], first_yaw: float | None
) -> tuple[tuple[float, ...], float]:
    """Return position and yaw (rad) of the start."""
    north, east, down = centres[0]
    if entry is None:
        towards = (centres[1][0] - north, centres[1][1] - east) if len(centres) > 1 else (1.0, 0.0)
        yaw = first_yaw if first_yaw is not None else math.atan2(towards[1], towards[0])
        return (north - BEFORE_START * math.cos(yaw), east - BEFORE_START * math.sin(yaw), down), yaw
    start = _keys(entry, place, {"position"}, {"yaw"})
    position = _position(start["position"], place)
    if position[2] > -START_HEIGHT:
        raise ConfigError(f"{place}: a flight starts at least {START_HEIGHT} m above the ground")
    own = _yaw(start, place)
    return position, own if own is not None else math.atan2(east - position[1], north - position[0])


def _keys(entry: object, place: str, needed: set[str], allowed: set[str]) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{place}: must be a mapping with {', '.join(sorted(needed | allowed))}")
    missing, unknown = needed - set(entry), set(map(str, entry)) - needed - allowed
    if missing:
        raise ConfigError(f"{place}: {', '.join(sorted(missing))} is missing")
    if unknown:
        raise ConfigError(
            f"{place}: {', '.join(sorted(unknown))} is not known; there are {', '.join(sorted(needed | allowed))}"
        )
    return entry


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _position(value: object, place: str) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or len(value) != NUMBERS or not all(map(_number, value)):
        raise ConfigError(f"{place}: position is {value!r}; give three numbers, [north, east, down] in metres")
    return tuple(float(number) for number in value)


def _centre(value: object, place: str) -> tuple[float, ...]:
    """Return the centre of a gate whose frame is above the ground."""
    centre = _position(value, place)
    if -centre[2] < OUTER / 2:
        raise ConfigError(
            f"{place}: its centre is {-centre[2]:g} m above the ground, so the frame of {OUTER} m would be in it; "
            f"position is north, east, down: give a third number of {-OUTER / 2:g} or less"
        )
    return centre


def _yaw(entry: Mapping[str, Any], place: str) -> float | None:
    value = entry.get("yaw")
    if value is None:
        return None
    if not _number(value):
        raise ConfigError(f"{place}: yaw is {value!r}; give a number of degrees")
    return math.radians(value)


def _check_spacing(centres: list[tuple[float, ...]], closed: bool, places: list[str]) -> None:
    pairs = list(zip(range(len(centres)), range(1, len(centres)), strict=False))
    for one, other in pairs + [(len(centres) - 1, 0)] * closed:
        apart = math.dist(centres[one], centres[other])
        if apart < CLOSEST:
            raise ConfigError(f"{places[other]}: only {apart:.2f} m from gate {one}; at least {CLOSEST} m are needed")
