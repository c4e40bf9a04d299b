"""Adapter of a Gymnasium `VectorEnv` to the `VecEnv` of stable-baselines3.

There is no loop over environments but over those whose episode has just ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv

from aigp_lightning.errors import ConfigError

_NO_INFO: dict[str, Any] = {}


class VectorEnvAdapter(VecEnv):
    """A `VecEnv` that steps all environments of a Gymnasium `VectorEnv` with one call.

    Observations, rewards and infos take SB3's form: the info of an episode's last step holds the environment's
    `final_info`, `terminal_observation` and `TimeLimit.truncated`; all other steps share one empty dict.

    Args:
        env: the vector environment; its autoreset mode is SAME_STEP.

    Raises:
        ConfigError: it starts the next episode at another moment than SB3 expects.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            declared = getattr(mode, "name", mode) or "not declared"
            raise ConfigError(
                f"this environment's autoreset mode is {declared}; stable-baselines3 needs SAME_STEP: the step that "
                "ends an episode returns the first observation of the next. Use --env.backend dummy or subproc, or set "
                "metadata['autoreset_mode'] of the vector environment to what it really does."
            )
        self.env = env
        self._actions: np.ndarray | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Any:
        """Reset all environments; a seed that was set is used once.

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
        """Keep the actions, (num_envs, …), for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all environments with the actions kept by `step_async`.

        Returns:
            Observations, rewards float32 (num_envs,), ends of episodes bool (num_envs,), one info an environment.
        """
        observations, rewards, terminated, truncated, info = self.env.step(self._actions)
        done = np.logical_or(terminated, truncated)
        infos = [_NO_INFO] * self.num_envs
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
        """Return an attribute of the vector environment, repeated for every environment asked for."""
        holder = self.env if hasattr(self.env, attr_name) else self.env.unwrapped
        return [getattr(holder, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the vector environment; it cannot be set for some environments alone."""
        self._require_all(indices)
        setattr(self.env.unwrapped, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the vector environment once; return its result repeated for every environment."""
        self._require_all(indices)
        result = getattr(self.env.unwrapped, method_name)(*method_args, **method_kwargs)
        return [result] * self.num_envs

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Return False for each: a vector environment has no wrappers of single environments."""
        return [False] * len(list(self._get_indices(indices)))

    def _require_all(self, indices: Any) -> None:
        if indices is not None and len(list(self._get_indices(indices))) != self.num_envs:
            raise NotImplementedError("a vector environment is one object; its environments are changed together")


def _split(info: Mapping[str, Any], which: Iterable[int]) -> list[dict[str, Any]]:
    """Split Gymnasium's dict of arrays and their masks (`_key`) into one dict for each environment of `which`."""
    return [
        {
            key: _at(value, i)
            for key, value in info.items()
            if not (key.startswith("_") and key[1:] in info) and _has(info, key, i)
        }
        for i in which
    ]


def _has(info: Mapping[str, Any], key: str, i: int) -> bool:
    mask = info.get(f"_{key}")
    return True if mask is None else bool(mask[i])


def _at(values: Any, i: int) -> Any:
    """Return the values of environment `i`; a dict for a dict of arrays."""
    if isinstance(values, Mapping):
        return _split(values, [i])[0]
    return values[i]
