"""The race: `n` drones, each on its own track, one call a step for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.policy.env.arrays import ALL, FLOAT, Bools, Floats, Ints, Rows, norm
from aigp_lightning.policy.env.crossing import crosses, frames_hit, to_gate
from aigp_lightning.policy.env.dynamics import PHYSICS_HZ, Quadrotors
from aigp_lightning.policy.env.observation import Observer, Sight
from aigp_lightning.policy.env.options import RaceOptions
from aigp_lightning.policy.env.reward import Moment, reward
from aigp_lightning.policy.env.rotation import points_to_body, to_body
from aigp_lightning.policy.env.score import CODE, Score
from aigp_lightning.policy.env.starts import start
from aigp_lightning.policy.env.streams import Streams
from aigp_lightning.policy.env.track import RADIUS, Gates
from aigp_lightning.policy.env.track_file import find_track


@dataclass(frozen=True)
class State:
    """The truth, for trajectories and for followers that may cheat.

    Attributes:
        position, velocity: (n, 3), m and m/s, world.
        attitude: (n, 3, 3), body to world.
        rates: (n, 3), rad/s, body.
        gate: the gate to fly to, (n,).
    """

    position: Floats
    velocity: Floats
    attitude: Floats
    rates: Floats
    gate: Ints


class Race:
    """All environments at once. Callers reset the environments that are over, see `gym_env.py`.

    Args:
        n: environments.
        options: of the race.

    Attributes:
        drones, gates, streams, score: what it is made of.
        gate: the gate to fly to, (n,).
        step_count: steps of the episode, (n,).
    """

    def __init__(self, n: int, options: RaceOptions) -> None:
        self.n, self.options = n, options
        self.dt = 1 / options.control_hz
        self.streams = Streams(n)
        self.drones = Quadrotors(n, options.vehicle, options.randomize)
        self.gates = Gates(n, find_track(options.track))
        self.score = Score(n, self.gates.max_gates)
        self.gate: Ints = np.zeros(n, np.int64)
        self.step_count: Ints = np.zeros(n, np.int64)
        self._gate_step: Ints = np.zeros(n, np.int64)  # step at which the gate became the next one
        self._observer = Observer(n, options.noise, self.dt)
        self._substeps = PHYSICS_HZ // options.control_hz
        latest = options.vehicle.delay + options.randomize.delay
        self._actions = np.zeros((max(-(-latest // self._substeps), 1) + 1, 4, n), FLOAT)
        self._switched = np.zeros(n, np.bool_)
        self._envs: Ints = np.arange(n)
        # Gathered when the next gate changes: centre (3, n), cos and sin (n,), its corners and the following (3, 8, n).
        self._centre, self._cos, self._sin = np.zeros((3, n), FLOAT), np.zeros(n, FLOAT), np.zeros(n, FLOAT)
        self._corners = np.zeros((3, 8, n), FLOAT)

    def seed(self, seeds: NDArray[np.uint64]) -> None:
        """Start all random streams anew from `seeds`, (n,)."""
        self.streams.seed(seeds)

    def reset(self, rows: Rows = ALL) -> None:
        """Begin new episodes in the environments `rows`."""
        options = self.options
        self.gates.redraw(self.streams, rows)
        self.drones.redraw(self.streams, rows)
        first = start(self.drones, self.gates, self.streams, rows, options.start_noise, options.start == "random")
        self.gate[rows], self.step_count[rows], self._gate_step[rows] = first, 0, 0
        self._actions[..., rows], self._switched[rows] = 0, False
        count = self.gates.count[rows]
        self.score.begin(rows, count * options.laps if self.gates.closed else count - first)
        self._observer.forget(rows)
        self._aim(self._envs[rows])

    def step(self, action: Floats) -> tuple[Floats, Bools, Bools]:
        """Fly one control step everywhere.

        Args:
            action: (4, n) in [-1, 1], clipped.

        Returns:
            Rewards, which episodes terminated, which were truncated; (n,) each. Look at `observe` and `score` next.
        """
        last = self._actions[0]
        self._actions = np.concatenate([np.clip(action, -1, 1).astype(FLOAT)[None], self._actions[:-1]])
        before, distance = self.drones.position, norm(self._centre - self.drones.position)
        self._fly()
        self.step_count += 1
        after = self.drones.position
        passed, missed, share = self._crossings(before, after)
        cause = self._causes(before, after, missed)
        passed &= cause == 0
        moved = norm(self._centre - after)
        target = self.gate.copy()
        finished = self._pass(passed, share)
        cause[finished] = CODE["finish"]
        crashed = (cause > 0) & ~finished
        late = (cause == 0) & (self.step_count * self.dt >= self.options.max_seconds - self.dt / 2)
        cause[late] = CODE["time_limit"]
        truncated = late | (finished & self.options.loop)
        terminated = (cause > 0) & ~truncated
        self.score.count_end(cause > 0, target, cause)
        body = to_body(self.drones.attitude, self._centre - after)
        action, rates = self._actions[0], self.drones.rates
        moment = Moment(distance, moved, body, rates, action, last, passed, finished, crashed, self.dt)
        return reward(moment, self.options.reward), terminated, truncated

    def observe(self, rows: Rows = ALL) -> Floats:
        """Observations of the environments `rows` now, (37, m). Moves on what they remember: once a step."""
        drones = self.drones
        attitude = drones.attitude[..., rows]
        sight = Sight(
            velocity=to_body(attitude, drones.velocity[:, rows]),
            gravity=attitude[2],
            rates=drones.rates[:, rows],
            corners=points_to_body(attitude, self._corners[..., rows] - drones.position[:, None, rows]),
            action=self._actions[0][:, rows],
            step=self.step_count[rows],
            switched=self._switched[rows],
        )
        return self._observer.observe(sight, self.streams, rows)

    def info(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """What an episode's last info says, for the environments `rows`."""
        return self.score.info(rows, self.gate[rows])

    @property
    def state(self) -> State:
        """Copies of positions, velocities, attitudes, rates and next gates."""
        drones = self.drones
        return State(
            position=drones.position.T.copy(),
            velocity=drones.velocity.T.copy(),
            attitude=drones.attitude.transpose(2, 0, 1).copy(),
            rates=drones.rates.T.copy(),
            gate=self.gate.copy(),
        )

    def _fly(self) -> None:
        """One control step of physics; commands take effect `delay` steps of physics after they were given."""
        delay = self.drones.delay
        for substep in range(self._substeps):
            back = np.maximum(-(-(delay - substep) // self._substeps), 0)
            action = self._actions[back, :, self._envs].T if back.any() else self._actions[0]
            self.drones.step(self.drones.command(action))
        self.drones.settle()

    def _crossings(self, before: Floats, after: Floats) -> tuple[Bools, Bools, Floats]:
        ends = (to_gate(end - self._centre, self._cos, self._sin) for end in (before, after))
        return crosses(*ends)

    def _causes(self, before: Floats, after: Floats, missed: Bools) -> Ints:
        """Why episodes end here and now, codes; 0 where they don't. The first that applies counts."""
        options = self.options
        cause: Ints = np.zeros(self.n, np.int64)
        cause[(self.step_count - self._gate_step) * self.dt >= options.gate_seconds] = CODE["timeout"]
        cause[((after < self.gates.low) | (after > self.gates.high)).any(axis=0)] = CODE["bounds"]
        if options.end_on_miss:
            cause[missed] = CODE["miss"]
        cause[after[2] > FLOAT(-RADIUS)] = CODE["ground"]
        cause[frames_hit(self.gates, before, after)] = CODE["frame"]
        self.score.time[:] = self.step_count * FLOAT(self.dt)
        return cause

    def _pass(self, passed: Bools, share: Floats) -> Bools:
        """Count gates passed and aim at the next ones. Returns which courses were finished by it, (n,)."""
        finished = np.zeros(self.n, np.bool_)
        self._switched = passed
        envs = np.flatnonzero(passed)
        if not len(envs):
            return finished
        when = ((self.step_count[envs] - 1 + share[envs]) * self.dt).astype(FLOAT)
        gate, count = self.gate[envs], self.gates.count[envs]
        self.score.count_pass(envs, gate, when, count if self.gates.closed else self.score.total[envs])
        over = self.score.passed[envs] >= self.score.total[envs]
        if self.gates.closed and self.options.loop:
            over[:] = False
        finished[envs[over]] = True
        self.score.time[envs[over]] = when[over]
        self.gate[envs] = self.gates.following(gate, envs)
        self._gate_step[envs] = self.step_count[envs]
        self._aim(envs)
        return finished

    def _aim(self, envs: Ints) -> None:
        """Gather what is needed of the next gates."""
        gates, gate = self.gates, self.gate[envs]
        self._centre[:, envs] = gates.centre[:, gate, envs]
        self._cos[envs], self._sin[envs] = gates.cos[gate, envs], gates.sin[gate, envs]
        self._corners[:, :4, envs] = gates.corners[:, :, gate, envs]
        self._corners[:, 4:, envs] = gates.corners[:, :, gates.following(gate, envs), envs]
