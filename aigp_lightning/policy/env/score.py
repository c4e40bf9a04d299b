"""Results of episodes, reported in their last info."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.policy.env.arrays import FLOAT, Bools, Floats, Ints, Rows

CAUSES = ("", "finish", "frame", "miss", "ground", "bounds", "timeout", "time_limit")
CODE = {cause: code for code, cause in enumerate(CAUSES)}
NAMES = np.array(CAUSES)


class Score:
    """Gates, times and causes of the running episodes of `n` environments.

    Attributes:
        passed: gates passed in this episode, (n,).
        total: gates to pass, (n,).
        cause: of the episode's end, codes of `CAUSES`, (n,).
        time: since the start, (n,), s; at the end the time of the last gate or of what ended it.
    """

    def __init__(self, n: int, max_gates: int) -> None:
        self.passed: Ints = np.zeros(n, np.int64)
        self.total: Ints = np.zeros(n, np.int64)
        self.cause: Ints = np.zeros(n, np.int64)
        self.time = np.zeros(n, FLOAT)
        self._lap_started, self._best_lap = np.zeros(n, FLOAT), np.full(n, np.nan, FLOAT)
        self._attempts, self._passes = np.zeros((max_gates, n), np.int64), np.zeros((max_gates, n), np.int64)

    def reset(self, rows: Rows, total: Ints) -> None:
        """Start counting new episodes.

        Args:
            rows: environments, m of them.
            total: gates to pass, (m,).
        """
        for counter in (self.passed, self.cause, self.time, self._lap_started):
            counter[rows] = 0
        self.total[rows] = total
        self._best_lap[rows] = np.nan
        self._attempts[:, rows] = 0
        self._passes[:, rows] = 0

    def count_pass(self, envs: Ints, gate: Ints, when: Floats, lap_gates: Ints) -> None:
        """Count gates passed.

        Args:
            envs: environments, (k,).
            gate: indices of the gates, (k,).
            when: time since the start, (k,), s.
            lap_gates: gates of a lap, (k,).
        """
        self.passed[envs] += 1
        self._attempts[gate, envs] += 1
        self._passes[gate, envs] += 1
        lap_done = self.passed[envs] % lap_gates == 0
        envs, when = envs[lap_done], when[lap_done]
        self._best_lap[envs] = np.fmin(self._best_lap[envs], when - self._lap_started[envs])
        self._lap_started[envs] = when

    def count_end(self, ended: Bools, gate: Ints, cause: Ints) -> None:
        """Note the ends of episodes; a gate that ended one counts as attempted.

        Args:
            ended: mask, (n,).
            gate: flown to, (n,).
            cause: codes of `CAUSES`, (n,).
        """
        self.cause[ended] = cause[ended]
        failed = np.flatnonzero(ended & (cause != CODE["finish"]) & (cause != CODE["time_limit"]))
        self._attempts[gate[failed], failed] += 1

    def info(self, rows: Rows, gate: Ints) -> dict[str, NDArray[Any]]:
        """Return the last info of episodes, an array over environments for each key.

        Args:
            rows: environments, m of them.
            gate: the gate flown to at the end, (m,).
        """
        passed, total = self.passed[rows], self.total[rows]
        return {
            "is_success": passed >= total,
            "gates_passed": passed,
            "gates_total": total,
            "cause": NAMES[self.cause[rows]],
            "race_seconds": self.time[rows],
            "gate_index": gate,
            "gate_attempts": self._attempts[:, rows].T,
            "gate_passes": self._passes[:, rows].T,
            "best_lap": self._best_lap[rows],
        }
