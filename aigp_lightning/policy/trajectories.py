"""Paths of the drones: recorded while a policy is evaluated, written as a table."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from aigp_lightning.files import write_atomic
from aigp_lightning.policy.vec_adapter import VectorEnvAdapter

COLUMNS = ("env", "step", "seconds", "x", "y", "z", "vx", "vy", "vz", "gate")
Floats = NDArray[np.float64]


class MovingState(Protocol):
    """The `state` of an environment whose paths can be recorded; `gate`, (n,), is optional."""

    position: Any
    """(n, 3), m: north, east, down."""
    velocity: Any
    """(n, 3), m/s."""


@dataclass
class Path3D:
    """The path of one episode.

    Args:
        env: index of the environment.
        gates: corners of the gates, (G, 4, 3), m.
        rows: (steps, 7): position, velocity, next gate (-1: not known).
        cause: of its end; empty where the environment reports none.
        success: True if it succeeded; None where the environment does not report it.
    """

    env: int
    gates: Floats
    rows: list[Floats] = field(default_factory=list)
    cause: str = ""
    success: bool | None = None

    @property
    def table(self) -> Floats:
        """All rows, (steps, 7)."""
        return np.array(self.rows).reshape(-1, 7)


class Recorder:
    """A recorder of the first episode of each of the first environments; `record` is the `on_step` of `run_episodes`.

    Args:
        env: made by `make_env`.
        count: number of paths.

    Attributes:
        count: paths that can be recorded; 0 where the environment has no `state` with positions.
        hz: steps a second; None where the environment does not report it.
        paths: recorded so far.
    """

    def __init__(self, env: VecEnv, count: int) -> None:
        self._base = env.unwrapped
        able = self._base.has_attr("state") and hasattr(self._states()[0], "position")
        self.count = min(count, env.num_envs) if able else 0
        self.hz = self._rate()
        self.paths: list[Path3D] = []

    def record(self, finished: NDArray[np.int_]) -> None:
        """Append the present positions to the paths of episodes that still run.

        Args:
            finished: episodes that each environment has finished, (num_envs,).
        """
        if not self.count:
            return
        if not self.paths:
            self.paths = [Path3D(env, self._gates(env)) for env in range(self.count)]
        flying = [path for path in self.paths if not finished[path.env]]
        if flying:
            now = self._rows()
            for path in flying:
                path.rows.append(now[path.env])

    def finish(self, episodes: list[dict[str, Any]]) -> None:
        """Add cause and success to the paths.

        Args:
            episodes: infos of last steps, as `run_episodes` returns them.
        """
        ends = {info["env"]: info for info in episodes if info["number"] == 0}
        for path in self.paths:
            info = ends.get(path.env, {})
            path.cause = str(info.get("cause", ""))
            path.success = bool(info["is_success"]) if "is_success" in info else None

    def _states(self) -> list[MovingState]:
        """Return one state of all environments together, or one of each."""
        if isinstance(self._base, VectorEnvAdapter):
            return [cast("MovingState", self._base.get_attr("state")[0])]
        return cast("list[MovingState]", self._base.get_attr("state"))

    def _rows(self) -> Floats:
        """Return positions, velocities and next gates now, (num_envs, 7)."""
        states = self._states()
        where = [np.concatenate([np.reshape(getattr(state, key), (-1, 3)) for state in states]) for key in
                 ("position", "velocity")]  # fmt: skip
        gates = [np.reshape(getattr(state, "gate", np.full(len(where[0]) // len(states), -1)), -1) for state in states]
        return np.column_stack([*where, np.concatenate(gates)]).astype(np.float64)

    def _gates(self, env: int) -> Floats:
        """Return the corners of an environment's gates, (G, 4, 3); none where it has no `track` with corners."""
        if not self._base.has_attr("track"):
            return np.zeros((0, 4, 3))
        tracks = self._base.get_attr("track")
        shared = isinstance(self._base, VectorEnvAdapter)
        track, place = tracks[env], env if shared else 0
        if not hasattr(track, "corners"):
            return np.zeros((0, 4, 3))
        corners = np.asarray(track.corners)[:, :, : int(track.count[place]), place]
        frames: Floats = corners.transpose(2, 1, 0).astype(np.float64)
        return frames

    def _rate(self) -> float | None:
        """Return the steps a second; None when the environment does not report them."""
        found = self._base.get_attr("metadata")[0] if self._base.has_attr("metadata") else {}
        return found.get("render_fps")


def write_paths(file: Path, paths: list[Path3D], hz: float | None) -> None:
    """Write paths as a table, a row a step.

    Args:
        file: CSV.
        paths: of a `Recorder`.
        hz: steps a second; None leaves seconds empty.
    """
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for path in paths:
        for step, row in enumerate(path.table):
            seconds = "" if hz is None else f"{step / hz:.4f}"
            gate = "" if row[6] < 0 else int(row[6])
            writer.writerow([path.env, step, seconds, *(f"{value:.4f}" for value in row[:6]), gate])
    write_atomic(file, text.getvalue().encode("utf-8"))
