"""Generated tracks: a new course for every episode."""

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
        closed, fixed: always False.
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
    fixed: bool = False

    def draw(self, streams: Streams, rows: Rows) -> Layout:
        """Return new tracks: random walks whose steps keep clear of earlier gates."""
        count = streams.integers(self.min_gates, self.max_gates + 1, rows)
        draws = streams.uniform(2, rows)
        heading, height = draws[0] * FLOAT(2 * np.pi), FLOAT(self.low) + draws[1] * FLOAT(2)
        start_yaw = heading
        path = np.zeros((3, self.max_gates + 1, len(count)), FLOAT)
        path[2, 0] = -height
        for placed in range(1, self.max_gates + 1):
            path[:, placed], heading = self._next(streams, rows, path[:, :placed], heading)
        return Layout(
            centre=path[:, 1:],
            yaw=bisectors(path, closed=False).astype(FLOAT),
            count=count,
            start=path[:, 0],
            start_yaw=start_yaw,
        )

    def _next(self, streams: Streams, rows: Rows, path: Floats, heading: Floats) -> tuple[Floats, Floats]:
        """Return the first proposal with enough clearance, else the one with most, and the heading towards it."""
        m = heading.shape[0]
        draws = streams.uniform(3 * PROPOSALS, rows).reshape(3, PROPOSALS, m)
        here = path[:, -1]
        length = FLOAT(self.min_edge) + FLOAT(self.max_edge - self.min_edge) * draws[0] * draws[0]
        turn = (2 * draws[1] - 1) * FLOAT(self.max_turn)
        if path.shape[1] == 1:  # the first gate is ahead of the start, and not far
            length, turn = FLOAT(8.0) + FLOAT(6.0) * draws[0], turn * FLOAT(0.2)
        ahead = heading + turn
        height = np.clip((2 * draws[2] - 1) * FLOAT(self.climb) - here[2], FLOAT(self.low), FLOAT(self.high))
        flat = np.sqrt(np.maximum(length * length - (height + here[2]) ** 2, 1))
        places = np.stack([here[0] + flat * np.cos(ahead), here[1] + flat * np.sin(ahead), -height])
        free = _clearance(here, places, path[:, :-1])
        score = np.where(free >= CLEARANCE, np.arange(PROPOSALS, 0, -1)[:, None] + 1e3, free)
        best, every = score.argmax(axis=0), np.arange(m)
        return places[:, best, every], ahead[best, every]


def _clearance(here: Floats, places: Floats, earlier: Floats) -> Floats:
    """Return the distances of edges from earlier points, seen from above.

    Args:
        here: begin of the edges, (3, m), m.
        places: ends of the edges, (3, k, m), m.
        earlier: points, (3, j, m), m.

    Returns:
        (k, m), m; infinite where there are no points.
    """
    edge = (places[:2] - here[:2, None])[:, :, None]
    offset = (earlier - here[:, None])[:2, None]
    length = np.maximum(edge[0] * edge[0] + edge[1] * edge[1], FLOAT(1e-6))
    along = np.clip((edge[0] * offset[0] + edge[1] * offset[1]) / length, 0, 1)
    apart = offset - along * edge
    squared: Floats = (apart[0] * apart[0] + apart[1] * apart[1]).min(axis=1, initial=np.inf)
    return np.sqrt(squared)
