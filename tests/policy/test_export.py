"""`ppo export`: files that take what the environment gives and answer what the policy does."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
import pytest
import torch
from helpers import REPO

from aigp_lightning.errors import WeightsError
from aigp_lightning.policy.models import load_model, load_policy, load_statistics

CART = ("--env.module", "null", "--env.id", "CartPole-v1", "--env.backend", "dummy", "--env.n_envs", 2,
        "--ppo.n_steps", 64, "--ppo.batch_size", 32, "--total_timesteps", 128, "--eval_freq", 0, "--save_freq", 0,
        "--eval_env.n_episodes", 1)  # fmt: skip


@pytest.fixture(scope="module")
def carted(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., int]) -> Path:
    """The folder of a training with choices for actions."""
    folder = tmp_path_factory.mktemp("carted") / "run"
    assert run_cli("ppo", "fit", *CART, "--output", folder) == 0
    return folder


def test_a_policy_is_read_by_the_name_of_its_folder(raced: Path) -> None:
    """A script may write the folder as text; each part of a model is found by it."""
    policy, same = load_policy(str(raced / "last")), load_policy(raced / "last")
    observations = np.zeros((2, *cast("tuple[int, ...]", policy.model.observation_space.shape)), np.float32)
    assert np.array_equal(policy(observations), same(observations))
    assert load_model(str(raced / "last"), None, "cpu").num_timesteps == same.model.num_timesteps > 0
    assert load_statistics(str(raced / "last"), None).obs_rms.count == same.statistics.obs_rms.count
    with pytest.raises(WeightsError, match=r"elsewhere.model\.zip cannot be used"):
        load_policy("elsewhere")


def test_a_picture_goes_in_as_the_environment_gives_it(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """Channels last, though the network takes them first."""
    run, env = tmp_path / "run", ("--env.module", "policy_envs", "--env.id", "test/Picture-v0")
    words = (*CART[4:], *env, "--total_timesteps", 64, "--ppo.n_steps", 16, "--ppo.batch_size", 16)
    assert run_cli("ppo", "fit", *words, "--normalize.obs", "false", "--output", run) == 0
    assert run_cli("ppo", "export", "--model", run / "last", "--format", "[torchscript]", "--samples", 4) == 0
    picture = np.random.default_rng(0).integers(0, 255, (2, 40, 36, 3), dtype=np.uint8)
    answer = torch.jit.load(str(run / "last" / "policy.torchscript"))(torch.from_numpy(picture).float())
    assert answer.numpy() == pytest.approx(load_policy(run / "last")(picture), abs=1e-5)


@pytest.mark.parametrize("name", ["raced", "carted"])
def test_files_answer_as_the_policy_does(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, run_cli: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Raw observations in, those that normalisation clips among them; actions in their bounds out, any batch."""
    model = request.getfixturevalue(name) / "last"
    assert run_cli("ppo", "export", "--model", model, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert said.count("greatest difference from the policy") == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"policy.onnx", "policy.torchscript"}
    for path in (tmp_path / "out").iterdir():
        parts = [path.read_bytes()]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                parts += map(archive.read, archive.namelist())
        for word in ("site-packages", str(tmp_path), str(model.parent), str(REPO), f"{Path.home()}/"):
            assert not any(word.encode() in part for part in parts), f"{path.name} names {word}"

    policy = load_policy(model)
    space, statistics = policy.model.observation_space, policy.statistics.obs_rms
    spread = np.sqrt(statistics.var) * np.random.default_rng(3).normal(0, 30, (200, *space.shape))
    observations = np.clip(statistics.mean + spread, space.low, space.high).astype(np.float32)
    clipped = np.abs(policy.statistics.normalize_obs(observations)) == 10
    assert 0.1 < clipped.mean() < 0.9
    session = onnxruntime.InferenceSession((tmp_path / "out" / "policy.onnx").read_bytes())
    script = torch.jit.load(str(tmp_path / "out" / "policy.torchscript"))
    wanted = policy(observations)
    for count in (1, 200):
        batch = observations[:count]
        np.testing.assert_allclose(session.run(None, {"observation": batch})[0], wanted[:count], atol=1e-5)
        np.testing.assert_allclose(script(torch.from_numpy(batch)).numpy(), wanted[:count], atol=1e-5)
    if name == "raced":
        assert (np.abs(wanted) <= 1).all() and np.abs(wanted).std() > 0
    else:
        assert set(np.unique(wanted)) <= {0, 1}


def test_actions_beyond_the_bounds_are_clipped(raced: Path, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """A policy that wants more than it may: the file gives the bound, as `predict` does."""
    policy = load_policy(raced / "last")
    with torch.no_grad():
        policy.model.policy.action_net.bias[:] = torch.tensor([5.0, -5.0, 0.0, 0.0])
    folder = tmp_path / "eager"
    folder.mkdir()
    policy.model.save(folder / "model.zip")
    shutil.copy(raced / "last" / "vecnormalize.pkl", folder)
    assert run_cli("ppo", "export", "--model", folder) == 0
    session = onnxruntime.InferenceSession((folder / "policy.onnx").read_bytes())
    action = session.run(None, {"observation": np.zeros((1, 37), np.float32)})[0][0]
    assert action[0] == 1 and action[1] == -1 and (np.abs(action[2:]) < 1).all()


def test_a_file_that_disagrees_is_not_left(
    raced: Path, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Normalisation is part of the file: with other statistics the answers differ, and that is noticed."""
    from aigp_lightning.policy import export as module

    class Forgetful(module.DeployedPolicy):
        def forward(self, observations: torch.Tensor) -> torch.Tensor:
            return super().forward(observations * 1.01)

    monkeypatch.setattr(module, "DeployedPolicy", Forgetful)
    assert run_cli("ppo", "export", "--model", raced, "--out", tmp_path / "out") == 2
    assert "policy.onnx does not answer as the policy does" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--format", "[tflite]"], "--format tflite: known are onnx, torchscript"),
        (["--model", "nowhere"], "--model nowhere: no model there"),
        (["--tolerance", "0"], "--tolerance 0: a number above 0"),
        (["--opset", "3"], "cannot export to ONNX with --opset 3"),
    ],
)
def test_mistakes_end_in_a_line(
    words: list[str], told: str, raced: Path, tmp_path: Path, run_cli: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run_cli("ppo", "export", "--model", raced, "--out", tmp_path, *words) == 2
    assert told in capsys.readouterr().err


def test_a_missing_package_is_named(
    raced: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert run_cli("ppo", "export", "--model", raced) == 2
    assert "ONNX export needs onnxruntime: pip install 'aigp_lightning[export]'" in capsys.readouterr().err
