"""A Gymnasium vector environment as SB3's: the same episodes as SB3's own, and no info where nothing happened."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import policy_envs
import pytest
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import aigp_lightning.policy  # noqa: F401  registers
from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.vec_adapter import VectorEnvAdapter

CONTRACT = {"is_success", "gates_passed", "gates_total", "cause", "race_seconds", "gate_index", "gate_attempts",
            "gate_passes", "best_lap"}  # fmt: skip


def sync(name: str, count: int, **kwargs: Any) -> VectorEnvAdapter:
    modes = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return VectorEnvAdapter(
        gymnasium.make_vec(name, num_envs=count, vectorization_mode="sync", vector_kwargs=modes, **kwargs)
    )


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "test/Reach-v0"])
def test_it_steps_as_sb3s_own(name: str) -> None:
    """Discrete and continuous actions; ends by failure, by success and by time."""
    count = 3
    options = {} if name.startswith("test") else {"max_episode_steps": 15}
    ours, theirs = sync(name, count, **options), DummyVecEnv([lambda: gymnasium.make(name, **options)] * count)
    for env in (ours, theirs):
        env.seed(5)
        env.action_space.seed(1)
    assert ours.observation_space == theirs.observation_space
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    ends = 0
    for _ in range(60):
        actions = np.stack([ours.action_space.sample() for _ in range(count)])
        mine, other = ours.step(actions), theirs.step(actions)
        for a, b in zip(mine[:3], other[:3], strict=True):
            np.testing.assert_array_equal(a, b)
        for i, (done, info, wanted) in enumerate(zip(mine[2], mine[3], other[3], strict=True)):
            if done:
                ends += 1
                np.testing.assert_array_equal(info.pop("terminal_observation"), wanted.pop("terminal_observation"))
                assert info == wanted, i
            else:
                assert info == {}
    assert ends >= 6
    assert mine[1].dtype == np.float32


def test_infos_of_a_race_are_those_of_its_end() -> None:
    count = 16
    env = VectorEnvAdapter(
        gymnasium.make_vec(
            "aigp/GateRace-v0", num_envs=count, vectorization_mode="vector_entry_point", max_seconds=0.5, gate_seconds=9
        )
    )
    env.seed(0)
    env.reset()
    late = crashed = 0
    for _ in range(90):
        observations, _, done, infos = env.step(np.tile(np.float32([-0.6, 0, 0, 0]), (count, 1)))
        for i in range(count):
            assert bool(infos[i]) == bool(done[i])
            if done[i]:
                assert set(infos[i]) == CONTRACT | {"terminal_observation", "TimeLimit.truncated"}
                assert infos[i]["TimeLimit.truncated"] == (infos[i]["cause"] == "time_limit")
                assert infos[i]["terminal_observation"].shape == (37,)
                assert not np.array_equal(infos[i]["terminal_observation"], observations[i])
                late += infos[i]["TimeLimit.truncated"]
                crashed += not infos[i]["TimeLimit.truncated"]
    assert late + crashed >= count
    assert late


@pytest.mark.parametrize(
    ("mode", "told"), [(AutoresetMode.NEXT_STEP, "NEXT_STEP"), (AutoresetMode.DISABLED, "DISABLED"), (None, "not decl")]
)
def test_another_moment_of_reset_is_refused(mode: AutoresetMode | None, told: str) -> None:
    with pytest.raises(ConfigError, match=f"autoreset mode is {told}.*SAME_STEP"):
        VectorEnvAdapter(policy_envs.Still(2, mode=mode))


def test_attributes_belong_to_all() -> None:
    env = sync("test/Reach-v0", 2)
    assert env.env_is_wrapped(Monitor) == [False, False]
    assert env.get_attr("num_envs", indices=[1]) == [2]
    assert env.env_method("close_extras") == [None, None]
    with pytest.raises(NotImplementedError):
        env.set_attr("size", 3, indices=0)
    env.set_attr("size", 3)
    assert env.get_attr("size") == [3, 3]
