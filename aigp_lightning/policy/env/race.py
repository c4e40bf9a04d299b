"""The race: `n` drones, each on its own track, stepped together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.policy.env.arrays import ALL, FLOAT, Bools, Floats, Ints, Rows, norm
from aigp_lightning.policy.env.crossing import crosses_gate, hits_any_frame, to_gate_frame
from aigp_lightning.policy.env.dynamics import PHYSICS_HZ, Quadrotors
from aigp_lightning.policy.env.observation import Observer, Truth
from aigp_lightning.policy.env.options import RaceOptions
from aigp_lightning.policy.env.reward import Transition, reward
from aigp_lightning.policy.env.rotation import points_to_body, to_body
from aigp_lightning.policy.env.score import CODE, Score
from aigp_lightning.policy.env.starts import place_at_start
from aigp_lightning.policy.env.streams import Streams
from aigp_lightning.policy.env.track import RADIUS, Gates
from aigp_lightning.policy.env.track_file import find_track


@dataclass(frozen=True)
class State:
    """The true state, for trajectories and for the hand-written follower.

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
    """A race of many drones that are stepped together, each in an environment of its own.

    Callers reset the environments whose episode has ended, see `gym_env.py`.

    Args:
        n: environments.
        options: of the race.

    Attributes:
        drones, gates, streams, score: its parts.
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
        """Seed the random numbers of all environments with `seeds`, (n,)."""
        self.streams.seed(seeds)

    def reset(self, rows: Rows = ALL) -> None:
        """Start new episodes in the environments `rows`."""
        options = self.options
        self.gates.draw_tracks(self.streams, rows)
        self.drones.randomize_parameters(self.streams, rows)
        first = place_at_start(
            self.drones, self.gates, self.streams, rows, options.start_noise, options.start == "random"
        )
        self.gate[rows], self.step_count[rows], self._gate_step[rows] = first, 0, 0
        self._actions[..., rows], self._switched[rows] = 0, False
        count = self.gates.count[rows]
        self.score.reset(rows, count * options.laps if self.gates.closed else count - first)
        self._observer.reset(rows)
        self._update_targets(self._envs[rows])

    def step(self, action: Floats) -> tuple[Floats, Bools, Bools]:
        """Fly one control step in all environments.

        Args:
            action: (4, n) in [-1, 1], clipped.

        Returns:
            Rewards, masks of terminated and of truncated episodes; (n,) each.
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
        transition = Transition(distance, moved, body, rates, action, last, passed, finished, crashed, self.dt)
        return reward(transition, self.options.reward), terminated, truncated

    def observe(self, rows: Rows = ALL) -> Floats:
        """Return observations of the environments `rows`, (37, m). Updates their memory: call it once a step."""
        drones = self.drones
        attitude = drones.attitude[..., rows]
        truth = Truth(
            velocity=to_body(attitude, drones.velocity[:, rows]),
            gravity=attitude[2],
            rates=drones.rates[:, rows],
            corners=points_to_body(attitude, self._corners[..., rows] - drones.position[:, None, rows]),
            action=self._actions[0][:, rows],
            step=self.step_count[rows],
            switched=self._switched[rows],
        )
        return self._observer.observe(truth, self.streams, rows)

    def info(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """Return the last info of an episode, for the environments `rows`."""
        return self.score.info(rows, self.gate[rows])

    @property
    def state(self) -> State:
        """Copies of the true positions, velocities, attitudes, rates and next gates."""
        drones = self.drones
        return State(
            position=drones.position.T.copy(),
            velocity=drones.velocity.T.copy(),
            attitude=drones.attitude.transpose(2, 0, 1).copy(),
            rates=drones.rates.T.copy(),
            gate=self.gate.copy(),
        )

    def _fly(self) -> None:
        """Integrate one control step; commands take effect `delay` steps of physics after they were given."""
        delay = self.drones.delay
        for substep in range(self._substeps):
            back = np.maximum(-(-(delay - substep) // self._substeps), 0)
            action = self._actions[back, :, self._envs].T if back.any() else self._actions[0]
            self.drones.step(self.drones.scale_action(action))
        self.drones.orthonormalize()

    def _crossings(self, before: Floats, after: Floats) -> tuple[Bools, Bools, Floats]:
        ends = (to_gate_frame(end - self._centre, self._cos, self._sin) for end in (before, after))
        return crosses_gate(*ends)

    def _causes(self, before: Floats, after: Floats, missed: Bools) -> Ints:
        """Return the codes of the causes that end episodes in this step, (n,); 0 where none does.

        Where several apply, the one assigned last below counts.
        """
        options = self.options
        cause: Ints = np.zeros(self.n, np.int64)
        cause[(self.step_count - self._gate_step) * self.dt >= options.gate_seconds] = CODE["timeout"]
        cause[((after < self.gates.low) | (after > self.gates.high)).any(axis=0)] = CODE["bounds"]
        if options.end_on_miss:
            cause[missed] = CODE["miss"]
        cause[after[2] > FLOAT(-RADIUS)] = CODE["ground"]
        cause[hits_any_frame(self.gates, before, after)] = CODE["frame"]
        self.score.time[:] = self.step_count * FLOAT(self.dt)
        return cause

    def _pass(self, passed: Bools, share: Floats) -> Bools:
        """Count gates passed, and switch to the next ones.

        Args:
            passed: mask of environments, (n,).
            share: of the step's path before the gate, (n,).

        Returns:
            Mask of the courses that were finished by it, (n,).
        """
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
        self.gate[envs] = self.gates.index_after(gate, envs)
        self._gate_step[envs] = self.step_count[envs]
        self._update_targets(envs)
        return finished

    def _update_targets(self, envs: Ints) -> None:
        """Gather centre, yaw and corners of the next gates in the environments `envs`."""
        gates, gate = self.gates, self.gate[envs]
        self._centre[:, envs] = gates.centre[:, gate, envs]
        self._cos[envs], self._sin[envs] = gates.cos[gate, envs], gates.sin[gate, envs]
        self._corners[:, :4, envs] = gates.corners[:, :, gate, envs]
        self._corners[:, 4:, envs] = gates.corners[:, :, gates.index_after(gate, envs), envs]
