"""Any Gymnasium id; what does not fit is refused in one line that says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from aigp_lightning.errors import UserError
from aigp_lightning.policy.config import EnvConfig, EvalConfig
from aigp_lightning.policy.make_env import evaluation_env_config, make_env

BOX = spaces.Box(-1, 1, (2,), np.float32)


def reach(**kwargs: object) -> EnvConfig:
    return EnvConfig("policy_envs", "test/Reach-v0", "dummy", 2, kwargs)


def still(**kwargs: object) -> EnvConfig:
    return EnvConfig("policy_envs", "test/Still-v0", "native", 2, kwargs)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (EnvConfig("no_such_simulator", "x"), "--env.module no_such_simulator cannot be imported: No module named"),
        (EnvConfig(None, "CartPol-v1"), r"--env.id CartPol-v1: no such .*Did you mean CartPole-v1"),
        (EnvConfig("policy_envs", "test/Reach-v0", "native"), "no vector version of its own. Use --env.backend dummy"),
        (EnvConfig("policy_envs", "test/Still-v0", "dummy"), "vector environment only: use --env.backend native"),
        (EnvConfig("policy_envs", "test/Needy-v0", "dummy"), "test/Needy-v0 cannot be made: no Box2D; pip install it"),
        (reach(speed=3), "--env.kwargs do not fit test/Reach-v0: .*unexpected keyword argument 'speed'"),
        (reach(action=spaces.Dict({"push": BOX})), r"PPO cannot choose from the action space Dict"),
        (reach(action=spaces.Discrete(3, start=1)), r"PPO cannot choose .* Discrete\(3, start=1\)"),
        (reach(action=spaces.Box(-np.inf, np.inf, (1,))), "no finite bounds"),
        (reach(observation=spaces.Tuple([BOX])), r"cannot learn from the observation space Tuple"),
        (reach(observation=spaces.Dict({"a": spaces.Dict({"b": BOX})})), "a Dict of these that is not nested"),
        (reach(lie=3.0), r"does not fit stable-baselines3: The observation returned by the `reset\(\)` method"),
        (reach(observation=BOX), "does not fit stable-baselines3: .*does not match the shape"),
        (still(mode=AutoresetMode.NEXT_STEP), "autoreset mode is NEXT_STEP"),
        (still(value=float("nan")), r"test/Still-v0 gave an observation of reset\(\) that is nan"),
        (still(size=3), r"observations of reset\(\) +have the shape \(2, 3\), not \(2, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(config: EnvConfig, told: str) -> None:
    with pytest.raises(UserError, match=told) as refused:
        make_env(config)
    assert "\n" not in str(refused.value)


def test_a_teams_module_lies_beside_the_command(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A module that is broken says what is wrong with it."""
    (tmp_path / "broken_simulator.py").write_text("import a_package_nobody_has\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        assert run_cli("ppo", "fit", "--env.module", "broken_simulator", "--env.id", "x") == 2
    assert "error: --env.module broken_simulator cannot be imported: No module named 'a_package_nobody_has'" in (
        capsys.readouterr().err
    )


def test_the_judge_has_its_own_options_on_top() -> None:
    env = EnvConfig(None, "x", "dummy", 8, {"track": "circuit", "loop": True})
    eval_env = evaluation_env_config(env, EvalConfig({"loop": False, "laps": 3}, n_episodes=100))
    assert eval_env == EnvConfig(None, "x", "dummy", 8, {"track": "circuit", "loop": False, "laps": 3})
    assert evaluation_env_config(env, EvalConfig(n_episodes=5)).n_envs == 5
    assert evaluation_env_config(env, EvalConfig(n_episodes=50, n_envs=32)).n_envs == 32
