"""Environments that fail, die, never end or give no numbers: one line, and the model is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from policy_envs import small_config

from aigp_lightning.errors import ConfigError, RunError
from aigp_lightning.policy.config import EnvConfig, EvalConfig
from aigp_lightning.policy.env_guard import EnvironmentFailed, NoteFolder
from aigp_lightning.policy.episodes import summarize
from aigp_lightning.policy.make_env import make_env
from aigp_lightning.policy.models import load_policy, read_about
from aigp_lightning.policy.train import train


def broken(folder: Path, how: str, backend: str = "dummy", **changed: Any) -> Any:
    """Options of a training in an environment that breaks."""
    env = EnvConfig("policy_envs", "test/Broken-v0", backend, 2, {"how": how})  # type: ignore[arg-type]
    options = {
        "env": env,
        "eval_env": EvalConfig({"after": 0}, n_episodes=2, max_steps=40),
        "eval_freq": 0,
        "progress": False,
    }
    return small_config(folder / "run", total_timesteps=256, **{**options, **changed})


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (
            "step",
            r"Broken-v0 failed in step\(\): ConnectionRefusedError: .*simulator is gone \(policy_envs.py, line \d+\)",
        ),
        ("reset", r"Broken-v0 failed in step\(\): KeyError: 'map' \(policy_envs.py, line \d+\)"),
        ("nan", r"Broken-v0 gave an observation of step\(\) that is nan \(environment 0, at index \[0\]\)"),
        ("reward", r"Broken-v0 gave a reward that is nan \(environment 0\)"),
    ],
)
def test_what_fails_in_mid_training_is_a_line_and_the_model_is_saved(tmp_path: Path, how: str, told: str) -> None:
    with pytest.raises(RunError, match=told) as ended:
        train(broken(tmp_path, how))
    said, run = str(ended.value), tmp_path / "run"
    assert "\n" not in said and f"Saved as {run / 'last'}, at " in said and f"ppo fit --resume {run}" in said
    assert 100 < read_about(run / "last")["steps"] < 170, "60 steps of each environment, and an episode's rest"
    assert load_policy(run / "last").statistics.obs_rms.mean.size == 1
    error = run / "environment_error.txt"
    assert error.is_file() == (how in ("step", "reset")), "of its own errors the traceback is kept"
    if error.is_file():
        assert "policy_envs.py" in error.read_text() and str(error) in said


def test_what_fails_in_another_process_is_a_line_as_well(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The reason comes over, and stable-baselines3's process prints no traceback; a killed one leaves no reason."""
    env = make_env(EnvConfig("policy_envs", "test/Broken-v0", "subproc", 1, {"how": "step", "after": 3}), check=False)
    env.reset()
    with pytest.raises(
        RunError, match=r"Broken-v0 failed in step\(\): ConnectionRefusedError: .*\(policy_envs.py"
    ) as ended:
        for _ in range(4):
            env.step(np.zeros((1, 1), np.float32))
    assert isinstance(ended.value, EnvironmentFailed) and "the simulator is gone" in ended.value.details
    env.close()
    assert "Traceback" not in "".join(capfd.readouterr())
    notes = NoteFolder()
    assert "a process that runs test/x-v0 is gone (EOFError), killed most likely" in str(
        notes.failure("test/x-v0", EOFError())
    )
    notes.remove()
    assert not notes.path.exists()


def test_what_cannot_be_made_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"failed in its constructor: OSError: port 9000 is in use \(policy_envs.py, line"
    ):
        train(broken(tmp_path, "constructor"))
    assert not (tmp_path / "run").exists()
    (tmp_path / "raises.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        with pytest.raises(RunError, match=r"raises failed in its import: ZeroDivisionError: .*\(raises.py, line 1\)"):
            make_env(EnvConfig("raises", "x", "dummy", 1))


def test_an_environment_without_end_is_trained_and_not_judged(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(broken(tmp_path, "endless"))
    assert result.steps == 256 and result.last is None and result.best is None
    assert "no evaluation at 256 steps: an episode has not ended in 40 steps" in capsys.readouterr().err
    run = tmp_path / "run"
    assert not (run / "evaluations.csv").exists(), "a figure that was not measured is not shown"
    env = ("--env.kwargs", "{how: endless, after: 0}", "--episodes", 2, "--eval_env.max_steps", 30)
    assert run_cli("ppo", "evaluate", "--model", run / "last", *env) == 1, capsys.readouterr().err
    assert "an episode has not ended in 30 steps (0 of 2 episodes had)" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["OldReset", "OldStep", "OldStepLimited", "OldGym"])
def test_the_old_gym_is_refused_by_name(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"test/{kind}-v0: it has the API of the old gym, .*gymnasium.Env: reset"):
        make_env(EnvConfig("policy_envs", f"test/{kind}-v0", "dummy", 1))


@pytest.mark.parametrize("rate", [1e20, 1e30])
def test_weights_that_become_nan_end_the_training_with_those_before(tmp_path: Path, rate: float) -> None:
    """A huge rate overflows the weights in the first update: its second batch raises, or its last makes them NaN."""
    config = small_config(tmp_path / "run", eval_freq=0, total_timesteps=1024, progress=False)
    config.ppo.learning_rate, config.ppo.n_epochs = rate, 2
    with pytest.raises(RunError, match=r"the weights became NaN or infinite in an update after 0 steps.*Saved as"):
        train(config)
    saved = load_policy(tmp_path / "run" / "last").model.policy
    assert all(bool(torch.isfinite(each).all()) for each in saved.parameters())


@pytest.mark.parametrize(
    "info", [{"is_success": "no"}, {"is_success": True, "best_lap": "x"}, {"is_success": True, "gate_attempts": "a"}]
)
def test_what_an_environment_reports_must_be_numbers(info: dict[str, Any]) -> None:
    with pytest.raises(EnvironmentFailed, match=f"info has {list(info)[-1]} "):
        summarize([{**info, "episode": {"r": 1.0, "l": 3}}])
    assert summarize([{"gate_attempts": 3, "gate_passes": 2, "episode": {"r": 1.0, "l": 3}}]).gate_attempts == [3]
