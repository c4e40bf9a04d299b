"""A Gymnasium `VectorEnv` as the `VecEnv` that stable-baselines3 steps.

Nothing is done an environment at a time, but for those whose episode has just ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv

from aigp_lightning.errors import ConfigError

_NOTHING: dict[str, Any] = {}


class VectorEnvAdapter(VecEnv):
    """Steps all environments with one call.

    Observations, rewards and infos become SB3's: at the end of an episode the info holds what the environment said in
    `final_info`, `terminal_observation` and `TimeLimit.truncated`; all others share one empty dict.

    Args:
        env: the vector environment; its autoreset mode is SAME_STEP.

    Raises:
        ConfigError: it starts the next episode at another moment than SB3 expects.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            told = getattr(mode, "name", mode) or "not declared"
            raise ConfigError(
                f"this environment's autoreset mode is {told}; stable-baselines3 needs SAME_STEP: the step that ends "
                "an episode returns the first observation of the next. Use --env.backend dummy or subproc, or set "
                "metadata['autoreset_mode'] of the vector environment to what it really does."
            )
        self.env = env
        self._actions: np.ndarray | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Any:
        """Start all environments anew; a seed that was set is used once.

        Returns:
            Observations, (num_envs, …) each.
        """
        options = self._options[0] or None
        observations, info = self.env.reset(seed=self._seeds[0], options=options)
        self.reset_infos = _split(info, range(self.num_envs))
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Take note of the actions, (num_envs, …)."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all environments.

        Returns:
            Observations, rewards float32 (num_envs,), whether an episode ended (num_envs,), one info an environment.
        """
        observations, rewards, terminated, truncated, info = self.env.step(self._actions)
        done = np.logical_or(terminated, truncated)
        infos = [_NOTHING] * self.num_envs
        if ended := np.flatnonzero(done).tolist():
            last = info.get("final_obs")
            for i, final in zip(ended, _split(info.get("final_info", {}), ended), strict=True):
                final["terminal_observation"] = _at(last, i)
                final["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
                infos[i] = final
        return observations, np.array(rewards, dtype=np.float32), done, infos

    def close(self) -> None:
        """Close the environments."""
        self.env.close()

    # ---- the environments share their attributes: there is one object ------------------------------------------------

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return the vector environment's attribute, once an environment asked for."""
        holder = self.env if hasattr(self.env, attr_name) else self.env.unwrapped
        return [getattr(holder, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the vector environment; it cannot be set for some of the environments."""
        self._all(indices)
        setattr(self.env.unwrapped, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the vector environment once; its result is returned once an environment."""
        self._all(indices)
        result = getattr(self.env.unwrapped, method_name)(*method_args, **method_kwargs)
        return [result] * self.num_envs

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Single environments' wrappers are not in a vector environment."""
        return [False] * len(list(self._get_indices(indices)))

    def _all(self, indices: Any) -> None:
        if indices is not None and len(list(self._get_indices(indices))) != self.num_envs:
            raise NotImplementedError("a vector environment is one object; its environments are changed together")


def _split(info: Mapping[str, Any], which: Iterable[int]) -> list[dict[str, Any]]:
    """One dict for each of some environments, from Gymnasium's dict of arrays with their masks (`_key`)."""
    return [
        {
            key: _at(value, i)
            for key, value in info.items()
            if not (key.startswith("_") and key[1:] in info) and _given(info, key, i)
        }
        for i in which
    ]


def _given(info: Mapping[str, Any], key: str, i: int) -> bool:
    mask = info.get(f"_{key}")
    return True if mask is None else bool(mask[i])


def _at(values: Any, i: int) -> Any:
    """What belongs to environment `i`; of a dict of arrays, a dict."""
    if isinstance(values, Mapping):
        return _split(values, [i])[0]
    return values[i]
