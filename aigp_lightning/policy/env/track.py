"""Tracks: positions and directions of the gates of each environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aigp_lightning.policy.env.arrays import ALL, FLOAT, Floats, Ints, Rows
from aigp_lightning.policy.env.streams import Streams

OPENING = 1.5  # m, inner side
OUTER = 2.7  # m, outer side of the frame
DEPTH = 0.26  # m
RADIUS = 0.14  # m, of the airframe: half its width
MARGIN = 25.0  # m around start and gates that may be flown in
RUN_OUT = 12.0  # m behind the last gate of an open course: where the policy sees one more


@dataclass(frozen=True)
class Layout:
    """Gates and starts of m tracks, drawn or read; a single track stands for all environments.

    Attributes:
        centre: centres of the gates, (3, G, m), m.
        yaw: direction of flight through each gate, (G, m), rad. Gates stand upright.
        count: gates of each track, (m,); further entries of `centre` and `yaw` are not used.
        start: (3, m), m.
        start_yaw: (m,), rad.
    """

    centre: Floats
    yaw: Floats
    count: Ints
    start: Floats
    start_yaw: Floats


class TrackSource(Protocol):
    """A source of tracks: a fixed one, or random ones."""

    @property
    def max_gates(self) -> int:
        """Largest number of gates of a track."""

    @property
    def closed(self) -> bool:
        """True if the first gate follows the last one."""

    @property
    def fixed(self) -> bool:
        """True if it is the same track in every episode."""

    def draw(self, streams: Streams, rows: Rows) -> Layout:
        """Return tracks for the environments `rows`."""


@dataclass(frozen=True)
class FixedTrack:
    """The same track in every environment."""

    layout: Layout
    closed: bool
    name: str = ""
    fixed: bool = True

    @property
    def max_gates(self) -> int:
        """Gates of the track."""
        return int(self.layout.count[0])

    def draw(self, streams: Streams, rows: Rows) -> Layout:
        """Return the track."""
        return self.layout


def bisectors(points: Floats, closed: bool) -> Floats:
    """Return the default directions of gates: halfway between the edge to a gate and the edge from it.

    Args:
        points: start and gates, (3, 1 + G, …).
        closed: True if the last gate leads to the first.

    Returns:
        (G, …), rad. The first gate of a closed track is entered from the last one, not from the start.
    """
    edges = np.diff(points[:2], axis=1)
    edges = edges / np.maximum(np.hypot(edges[0], edges[1]), 1e-6)
    home = points[:2, 1] - points[:2, -1]
    home = (home / np.maximum(np.hypot(home[0], home[1]), 1e-6))[:, None]
    into = np.concatenate([home, edges[:, 1:]], axis=1) if closed else edges
    out = np.concatenate([edges[:, 1:], home if closed else edges[:, -1:]], axis=1)
    both = into + out
    yaw: Floats = np.arctan2(both[1], both[0])
    return yaw


class Gates:
    """The gates of `n` environments.

    Attributes:
        centre: (3, G, n), m; gates that a track doesn't have are far away.
        cos, sin: of the gates' yaw, (G, n).
        corners: inner corners, (3, 4, G, n): top-left, top-right, bottom-right, bottom-left in the direction of flight.
        count: (n,).
        start, start_yaw: (3, n), (n,).
        low, high: corners of the box that may be flown in, (3, n) each.
        closed: True if the first gate follows the last one.
    """

    def __init__(self, n: int, source: TrackSource) -> None:
        self.n, self.source, self.closed, self.max_gates = n, source, source.closed, source.max_gates
        slots = self.max_gates + 1  # one for the run-out behind the last gate
        self.centre, self.corners = np.zeros((3, slots, n), FLOAT), np.zeros((3, 4, slots, n), FLOAT)
        self.cos, self.sin = np.zeros((slots, n), FLOAT), np.zeros((slots, n), FLOAT)
        self.count: Ints = np.zeros(n, np.int64)
        self.start, self.start_yaw = np.zeros((3, n), FLOAT), np.zeros(n, FLOAT)
        self.low, self.high = np.zeros((3, n), FLOAT), np.zeros((3, n), FLOAT)
        if source.fixed:
            self._put(source.draw(Streams(n), ALL), ALL)

    def draw_tracks(self, streams: Streams, rows: Rows) -> None:
        """Draw new tracks for the environments `rows`, unless the track is fixed."""
        if not self.source.fixed:
            self._put(self.source.draw(streams, rows), rows)

    def _put(self, layout: Layout, rows: Rows) -> None:
        slots, count = np.arange(self.max_gates + 1)[:, None], layout.count
        centre = np.concatenate([layout.centre, layout.centre[:, -1:]], axis=1)
        yaw = np.concatenate([layout.yaw, layout.yaw[-1:]])
        cos, sin = np.cos(yaw), np.sin(yaw)
        here, last = slots < count, np.maximum(count - 1, 0)
        tracks = np.arange(len(count))
        cos, sin = (np.where(here, side, side[last, tracks]) for side in (cos, sin))
        behind = np.stack([RUN_OUT * cos[-1], RUN_OUT * sin[-1], 0 * cos[-1]])
        run_out = centre[:, last, tracks] + behind
        centre = np.where(here, centre, np.where(slots == count, run_out[:, None], FLOAT(1e4)))
        self.centre[..., rows], self.cos[..., rows], self.sin[..., rows] = centre, cos, sin
        self.corners[..., rows] = self._corners(centre, cos, sin)
        self.count[rows], self.start[:, rows], self.start_yaw[rows] = count, layout.start, layout.start_yaw
        points = np.concatenate([layout.start[:, None], np.where(here, centre, layout.start[:, None])], axis=1)
        self.low[:, rows] = points.min(axis=1) - FLOAT(MARGIN)
        self.high[:, rows] = points.max(axis=1) + FLOAT(MARGIN)

    def index_after(self, gate: Ints, rows: Rows) -> Ints:
        """Return the index of the gate after `gate`; after the last one of an open course, that of its run-out."""
        after: Ints = gate + 1
        return after % self.count[rows] if self.closed else np.minimum(after, self.count[rows])

    @staticmethod
    def _corners(centre: Floats, cos: Floats, sin: Floats) -> Floats:
        half = FLOAT(OPENING / 2)
        right = np.stack([-sin, cos, 0 * cos]) * half
        down = np.array([0, 0, half], FLOAT)[:, None, None]
        offsets = [-right - down, right - down, right + down, down - right]
        return np.stack([centre + offset for offset in offsets], axis=1)
