"""Courses that flights follow: gates, and the order and direction in which they are flown through. World is NED."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aigp_lightning.data.synthetic.motion import Array

FOOT = 0.3048
LOW, HIGH = 1.35, 4.05
"""Heights of the middle of an opening: of a gate on the floor, and of the upper one of a double gate, metres."""


@dataclass(frozen=True)
class Waypoint:
    """A place that the lap leads through.

    Attributes:
        north: metres.
        east: metres.
        down: metres; heights are negative.
        heading: direction of flight, degrees clockwise from north; None: halfway between the ways to and from it.
        is_gate: there is a gate; else the lap only leads this way.
    """

    north: float
    east: float
    down: float
    heading: float | None = None
    is_gate: bool = True


@dataclass(frozen=True)
class Course:
    """A closed lap.

    Attributes:
        waypoints: in the order of flight; the last one is followed by the first.
        south_west: corner of the course's ground, north and east in metres.
        north_east: the opposite corner.

    Example:
        >>> places, headings = COURSES["ts-005"].lap()
        >>> places[0].round(2).tolist(), round(float(np.degrees(headings[4])), 1)  # gate 1 and the heading of gate 5
        ([-21.64, 3.66, -1.35], -145.0)
        >>> len(COURSES["ts-005"].gates()), len(COURSES["ts-002"].gates())
        (11, 17)
    """

    waypoints: tuple[Waypoint, ...]
    south_west: tuple[float, float]
    north_east: tuple[float, float]

    def lap(self) -> tuple[Array, Array]:
        """Return the waypoints of one lap (n, 3), metres, and the headings there (n,), radians from −π to π."""
        places = np.array([(point.north, point.east, point.down) for point in self.waypoints])
        legs = np.roll(places, -1, axis=0) - places
        legs /= np.linalg.norm(legs, axis=1, keepdims=True)
        onward = legs + np.roll(legs, 1, axis=0)
        headings = [
            math.atan2(way[1], way[0]) if point.heading is None else math.radians(point.heading)
            for point, way in zip(self.waypoints, onward, strict=True)
        ]
        return places, np.arctan2(np.sin(headings), np.cos(headings))

    def gates(self) -> list[tuple[Array, float]]:
        """Return the middle (3,) and the heading, radians, of each gate; its place in the list is the gate's id."""
        places, headings = self.lap()
        known = zip(self.waypoints, places, headings, strict=True)
        return [(place, float(heading)) for point, place, heading in known if point.is_gate]


def _in_feet(x: float, y: float, heading: float, height: float = LOW, is_gate: bool = True) -> Waypoint:
    """Place a waypoint by feet to the right and down from the top left of a plan whose top is north."""
    return Waypoint(-y * FOOT, x * FOOT, -height, heading, is_gate)


PHYSICAL = Course(
    waypoints=(
        _in_feet(12, 71, 0),
        _in_feet(16, 39, 0),
        _in_feet(40, 17, 90),
        _in_feet(72, 40, 180),
        _in_feet(66, 70, 215),
        _in_feet(26, 78, 180, is_gate=False),
        _in_feet(41, 86, 90),
        _in_feet(70.5, 106.6, 180),
        _in_feet(60, 129, 215),
        _in_feet(39.7, 147.7, 180, HIGH),
        # the turn between the two openings
        _in_feet(33.5, 155.5, 180, 3.4, is_gate=False),
        _in_feet(39.7, 161.5, 90, 2.7, is_gate=False),
        _in_feet(45.9, 155.5, 0, 2.0, is_gate=False),
        _in_feet(39.7, 147.7, 0, LOW),
        _in_feet(13, 110, 0),
    ),
    south_west=(-165 * FOOT, 0.0),
    north_east=(0.0, 85 * FOOT),
)
"""The physical qualifier's (VADR-TS-005): ten gates and a double one, flown southbound through its upper opening and
northbound through its lower one. Ids 0 to 7 are gates 1 to 8, 8 and 9 the upper and lower opening, 10 is gate 10."""
QUALIFIER_LIKE = (
    *((14, 0, -1.8), (34, 4, -2.4), (48, 16, -3.2), (50, 32, -2.6), (40, 44, -2.0), (24, 48, -2.6), (10, 58, -3.6)),
    *((8, 74, -4.4), (20, 86, -3.4), (38, 88, -2.4), (71, 84, -2.0), (84, 74, -2.6), (88, 58, -3.4), (82, 42, -2.8)),
    *((84, 30, -2.2), (92, 24, -1.8), (108, 22, -2.0)),
)
"""Gates of the policy's track of this name: fictional, like a virtual round's."""
WAY_HOME = ((116, 6, -4.0), (84, -14, -5.0), (24, -16, -5.0), (0, -10, -3.0))
"""Past no gate, back to the start: frames in which there is little or nothing to find."""
VIRTUAL = Course(
    waypoints=(
        *(Waypoint(*place) for place in QUALIFIER_LIKE),
        *(Waypoint(*place, is_gate=False) for place in WAY_HOME),
    ),
    south_west=(-10.0, -26.0),
    north_east=(126.0, 98.0),
)
COURSES = {"ts-002": VIRTUAL, "ts-005": PHYSICAL}
"""By profile, the course that its flights follow."""
