"""Generated tracks: another course for every episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aigp_lightning.policy.env.arrays import FLOAT, Floats, Rows
from aigp_lightning.policy.env.streams import Streams
from aigp_lightning.policy.env.track import Layout, bisectors

PROPOSALS = 5  # places tried for each gate
CLEARANCE = 6.0  # m that an edge keeps from earlier gates, where one of the proposals does


@dataclass(frozen=True)
class RandomTracks:
    """Open courses as in the qualifier: 8 to 34 m from gate to gate, 16.5 m on average, turns to 76 degrees.

    Attributes:
        min_gates, max_gates: number of gates.
        min_edge, max_edge: from one gate to the next, m.
        max_turn: rad.
        low, high: heights of the gates, m.
        climb: largest difference in height from one gate to the next, m.
    """

    min_gates: int = 6
    max_gates: int = 12
    min_edge: float = 8.0
    max_edge: float = 34.0
    max_turn: float = float(np.deg2rad(76.0))
    low: float = 1.6
    high: float = 6.0
    climb: float = 2.0
    closed: bool = False

    def draw(self, streams: Streams, rows: Rows) -> Layout:
        """New tracks: a random walk whose steps keep away from what is there already."""
        count = streams.integers(self.min_gates, self.max_gates + 1, rows)
        draws = streams.uniform(2, rows)
        heading, height = draws[0] * FLOAT(2 * np.pi), FLOAT(self.low) + draws[1] * FLOAT(2)
        start_yaw = heading
        points = [np.stack([0 * height, 0 * height, -height])]
        for _ in range(self.max_gates):
            point, heading = self._next(streams, rows, points, heading)
            points.append(point)
        path = np.stack(points, axis=1)
        return Layout(
            centre=path[:, 1:],
            yaw=bisectors(path, closed=False).astype(FLOAT),
            count=count,
            start=path[:, 0],
            start_yaw=start_yaw,
        )

    def _next(self, streams: Streams, rows: Rows, points: list[Floats], heading: Floats) -> tuple[Floats, Floats]:
        """The first proposal with enough clearance, else the one with most; and the heading towards it."""
        m = heading.shape[0]
        draws = streams.uniform(3 * PROPOSALS, rows).reshape(3, PROPOSALS, m)
        first = len(points) == 1  # ahead of the start, and not far
        length = FLOAT(self.min_edge) + FLOAT(self.max_edge - self.min_edge) * draws[0] ** FLOAT(2)
        turn = (2 * draws[1] - 1) * FLOAT(self.max_turn)
        if first:
            length, turn = FLOAT(8.0) + FLOAT(6.0) * draws[0], turn * FLOAT(0.2)
        ahead = heading + turn
        height = np.clip(-points[-1][2] + (2 * draws[2] - 1) * FLOAT(self.climb), FLOAT(self.low), FLOAT(self.high))
        flat = np.sqrt(np.maximum(length**2 - (height + points[-1][2]) ** 2, 1))
        places = np.stack([points[-1][0] + flat * np.cos(ahead), points[-1][1] + flat * np.sin(ahead), -height])
        free = _clearance(points[-1], places, points[:-1])
        score = np.where(free >= CLEARANCE, np.arange(PROPOSALS, 0, -1)[:, None] + 1e3, free)
        best, every = score.argmax(axis=0), np.arange(m)
        return places[:, best, every], ahead[best, every]


def _clearance(here: Floats, places: Floats, earlier: list[Floats]) -> Floats:
    """How near the edges from `here` (3, m) to `places` (3, k, m) come to earlier points seen from above, (k, m)."""
    if not earlier:
        return np.full(places.shape[1:], np.inf, FLOAT)
    edge = places[:2] - here[:2, None]
    length = np.maximum((edge**2).sum(axis=0), 1e-6)
    nearest = np.full(places.shape[1:], np.inf, FLOAT)
    for point in earlier:
        offset = (point - here)[:2, None]
        along = np.clip((edge * offset).sum(axis=0) / length, 0, 1)
        nearest = np.minimum(nearest, np.hypot(*(offset - along * edge)))
    return nearest
