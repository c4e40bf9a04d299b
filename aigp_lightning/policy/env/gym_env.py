"""The race as Gymnasium environments: a single one and a vector of them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from aigp_lightning.policy.env.arrays import Floats
from aigp_lightning.policy.env.observation import LIMIT
from aigp_lightning.policy.env.options import race_options
from aigp_lightning.policy.env.race import Race, State
from aigp_lightning.policy.env.track import Gates

Array = NDArray[np.float32]
OBSERVATION = Box(-LIMIT.astype(np.float32), LIMIT.astype(np.float32))
ACTIONS = Box(-1.0, 1.0, (4,), np.float32)
_LIMIT = LIMIT.astype(np.float32)


def _to_public(observation: Floats) -> Array:
    """Transpose observations (37, n) to (n, 37), clipped to the bounds of the space."""
    public: Array = np.clip(observation.T, -_LIMIT, _LIMIT, dtype=np.float32, order="C")
    return public


class GateRaceVectorEnv(VectorEnv[Array, Array, NDArray[Any]]):
    """Many races at once; finished ones are reset in the same step (`AutoresetMode.SAME_STEP`).

    The last observation and info of an episode are in `infos["final_obs"]` and `infos["final_info"]`, arrays over all
    environments, with the masks `_final_obs`, `_final_info`. Other infos are empty. Environment `i` of `reset(seed=s)`
    flies as a `GateRaceEnv` with `reset(seed=s + i)`.

    Args:
        num_envs: number of races.
        options: fields of `RaceOptions`.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012  as in Gymnasium

    def __init__(self, num_envs: int = 1, render_mode: None = None, **options: Any) -> None:
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space, self.single_action_space = OBSERVATION, ACTIONS
        self.observation_space, self.action_space = batch_space(OBSERVATION, num_envs), batch_space(ACTIONS, num_envs)
        self.race = Race(num_envs, race_options(**options))
        self.metadata = {**self.metadata, "render_fps": self.race.options.control_hz}
        self._seeded = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Reset all races.

        Args:
            seed: environment `i` gets `seed + i`, or the i-th of a list.
            options: not used.
        """
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
            self.race.seed(int(seed) + np.arange(self.num_envs, dtype=np.uint64))
        elif seed is not None or not self._seeded:
            given = seed if seed is not None else [None] * self.num_envs
            fresh = self.np_random.integers(0, 2**63, self.num_envs)
            chosen = [int(own) if other is None else other for own, other in zip(fresh, given, strict=True)]
            self.race.seed(np.array(chosen, np.uint64))
        self._seeded = True
        self.race.reset()
        return _to_public(self.race.observe()), {}

    def step(self, actions: Array) -> tuple[Array, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Fly one control step.

        Args:
            actions: (n, 4) in [-1, 1].

        Returns:
            Observations (n, 37), rewards, terminated, truncated (n,), infos.
        """
        reward, terminated, truncated = self.race.step(np.asarray(actions).T)
        observation = _to_public(self.race.observe())
        done = terminated | truncated
        infos: dict[str, Any] = {}
        if done.any():
            rows = np.flatnonzero(done)
            infos = {"final_obs": observation.copy(), "_final_obs": done, "_final_info": done.copy()}
            infos["final_info"] = self._final_info(rows, done)
            self.race.reset(rows)
            observation[rows] = _to_public(self.race.observe(rows))
        return observation, reward.astype(np.float32, copy=False), terminated, truncated, infos

    def _final_info(self, rows: NDArray[np.int64], done: NDArray[np.bool_]) -> dict[str, Any]:
        """Return the infos of ended episodes as arrays over all environments, with Gymnasium's masks."""
        final: dict[str, Any] = {}
        for key, values in self.race.info(rows).items():
            array = np.zeros((self.num_envs, *values.shape[1:]), values.dtype)
            array[rows] = values
            final[key], final[f"_{key}"] = array, done.copy()
        return final

    @property
    def state(self) -> State:
        """True positions, velocities and attitudes in the world."""
        return self.race.state

    @property
    def track(self) -> Gates:
        """Gates of every environment."""
        return self.race.gates


class GateRaceEnv(gymnasium.Env[Array, Array]):
    """A single race.

    Args:
        options: fields of `RaceOptions`.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  as in Gymnasium
    observation_space = OBSERVATION
    action_space = ACTIONS

    def __init__(self, render_mode: None = None, **options: Any) -> None:
        self.render_mode = render_mode
        self.race = Race(1, race_options(**options))
        self.metadata = {**self.metadata, "render_fps": self.race.options.control_hz}
        self._seeded = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: of the random numbers; without one their sequence continues.
            options: not used.
        """
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            self.race.seed(np.array([self.np_random.integers(0, 2**63) if seed is None else seed], np.uint64))
        self._seeded = True
        self.race.reset()
        return _to_public(self.race.observe())[0], {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Fly one control step.

        Args:
            action: (4,) in [-1, 1].

        Returns:
            Observation (37,), reward, terminated, truncated, info.
        """
        reward, terminated, truncated = self.race.step(np.asarray(action)[:, None])
        over = bool(terminated[0] or truncated[0])
        info = {key: _plain(values[0]) for key, values in self.race.info(slice(None)).items()} if over else {}
        return _to_public(self.race.observe())[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    @property
    def state(self) -> State:
        """True position, velocity and attitude in the world."""
        return self.race.state

    @property
    def track(self) -> Gates:
        """Gates of the race."""
        return self.race.gates


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as a Python one, an array as it is."""
    return value.item() if isinstance(value, np.generic) else value
