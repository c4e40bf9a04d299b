"""A training by the command line: what is on disk afterwards, going on, stopping."""

from __future__ import annotations

import csv
import json
import os
import pickle
import shlex
import shutil
import signal
import zipfile
from collections.abc import Callable
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import yaml
from policy_envs import REACH, small_config
from stable_baselines3.common.callbacks import BaseCallback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from aigp_lightning.policy.callbacks import StopHandler
from aigp_lightning.policy.config import EarlyStop
from aigp_lightning.policy.models import find_model, load_policy, read_about
from aigp_lightning.policy.train import train
from aigp_lightning.run.lock import lock_run_folder

FILES = {"model.zip", "vecnormalize.pkl", "about.json"}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "evaluations.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def scalars(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder / "tb_apex"))
    found.Reload()
    return found


def test_every_model_has_its_statistics(reached: Path) -> None:
    """Checkpoints, the best and the last: the zip is never alone."""
    models = {path.parent.relative_to(reached).as_posix() for path in reached.rglob("model.zip")}
    assert models == {"best", "last", "checkpoints/0000001024", "checkpoints/0000002048"}
    means = {}
    for model in models:
        assert {path.name for path in (reached / model).iterdir()} == FILES
        assert zipfile.is_zipfile(reached / model / "model.zip")
        means[model] = pickle.loads((reached / model / "vecnormalize.pkl").read_bytes()).obs_rms
    assert means["last"].count == pytest.approx(2048 + 4, abs=1), "all observations, and those of the first reset"
    assert means["checkpoints/0000001024"].count == pytest.approx(1024 + 4, abs=1)
    assert not list(reached.rglob(".*")), "nothing half written is left"


def test_the_best_model_is_the_best_evaluations(reached: Path) -> None:
    found = rows(reached)
    assert [int(row["steps"]) for row in found] == [512, 1024, 1536, 2048], "environment steps, not calls"

    def score(row: dict[str, str]) -> tuple[float, float, float]:
        time = float(row["race_seconds"]) if row["race_seconds"] else float("inf")
        return float(row["success"]), -time, float(row["reward"])

    best = max(found, key=score)
    noted = json.loads((reached / "best" / "about.json").read_text())
    assert noted["steps"] == int(best["steps"])
    assert noted["evaluation"]["success"] == float(best["success"])
    assert [row["best"] for row in found] == [
        str(int(score(row) > max((score(other) for other in found[:place]), default=(-1, 0, 0))))
        for place, row in enumerate(found)
    ]
    assert float(best["success"]) >= 0.9, "pushing right is soon learnt"


def test_tensorboard_has_all_of_it(reached: Path) -> None:
    found = scalars(reached)
    tags = set(found.Tags()["scalars"])
    assert tags >= {
        "rollout/ep_rew_mean", "rollout/ep_len_mean", "rollout/success_rate", "race/success_rate", "eval/mean_reward",
        "eval/success_rate", "eval/race_seconds", "train/approx_kl", "train/clip_fraction", "train/explained_variance",
        "train/std", "train/learning_rate", "time/fps", "time/rollout_seconds", "time/update_seconds",
    }  # fmt: skip
    assert not found.Tags()["images"]
    logged = [(event.step, round(event.value, 4)) for event in found.Scalars("eval/success_rate")]
    assert logged == [(int(row["steps"]), round(float(row["success"]), 4)) for row in rows(reached)]
    rates = [event.value for event in found.Scalars("train/learning_rate")]
    assert rates[0] > 0.008 and rates == sorted(rates, reverse=True), "the line from 0.01 to 0.001"


def test_configuration_and_versions_are_saved(
    reached: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    saved = yaml.safe_load((reached / "config.yaml").read_text())
    assert saved["ppo"]["learning_rate"] == {"start": 0.01, "end": 0.001, "until": 1.0}
    assert saved["env"]["id"] == "test/Reach-v0" and saved["resume"] is None
    with pytest.raises(SystemExit):
        run_cli("ppo", "fit", "--config", reached / "config.yaml", "--print_config")
    assert yaml.safe_load(capsys.readouterr().out) == saved, "it can be given back"
    versions = json.loads((reached / "versions.json").read_text())
    packages = {"aigp_lightning", "python", "stable_baselines3", "gymnasium", "torch", "numpy"}
    assert set(versions) == packages | {"time", "git", "seeds", "hardware"}
    assert versions["seeds"] == {"seed": saved["seed"], "eval_env.seed": saved["eval_env"]["seed"]}


def test_a_run_goes_on_where_it_was(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps, optimizer, statistics, TensorBoard and the best so far; the options are the run's own."""
    run = tmp_path / "run"
    assert run_cli("ppo", "fit", *REACH, "--total_timesteps", 1024, "--output", run) == 0
    before = load_policy(run / "last")
    first = rows(run)
    assert run_cli("ppo", "fit", "--resume", run, "--total_timesteps", 1024) == 2
    assert "has 1,024 steps already; raise --total_timesteps" in capsys.readouterr().err
    assert run_cli("ppo", "fit", "--resume", run, "--total_timesteps", 2048) == 0
    said = capsys.readouterr().out
    assert "going on with" in said and "not the run that was never stopped, bit by bit" in said
    assert f"run folder: {run}" in said and not run.with_name("run-2").exists()
    after = load_policy(run / "last")
    assert after.model.num_timesteps == 2048
    assert after.statistics.obs_rms.count == pytest.approx(before.statistics.obs_rms.count + 1024 + 4, abs=1)
    assert after.model._n_updates == 2 * before.model._n_updates
    assert rows(run)[: len(first)] == first
    assert [int(row["steps"]) for row in rows(run)] == [512, 1024, 1536, 2048]
    # TensorBoard reads files in the order of their names, which is not that of their beginnings within one second
    events = sorted(scalars(run).Scalars("rollout/ep_rew_mean"), key=attrgetter("wall_time"))
    steps = [event.step for event in events]
    assert steps == sorted(steps) and steps[0] == 256 and steps[-1] == 2048
    assert yaml.safe_load((run / "config.yaml").read_text())["total_timesteps"] == 2048

    assert "--ppo.learning_rate follows its line over all 2,048 steps: 0.0055 now, 0.001 at the end" in said
    (run / "last" / "model.zip").write_bytes(b"cut off")
    assert run_cli("ppo", "fit", "--resume", run, "--total_timesteps", 4096) == 2
    assert "model.zip cannot be used" in capsys.readouterr().err


def test_what_is_typed_on_top_is_taken_up_or_refused(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing that is typed with `--resume` is ignored: the statistics loaded with the model have options too."""
    run = tmp_path / "run"
    assert run_cli("ppo", "fit", *REACH, "--total_timesteps", 256, "--output", run, "--save_freq", 0) == 0
    config = (run / "config.yaml").read_bytes()
    more = ("ppo", "fit", "--resume", run, "--total_timesteps", 512)
    fixed = {"normalize.obs": "false", "ppo.net_arch": "[8]", "ppo.activation": "relu", "output": tmp_path / "other"}
    for option, value in fixed.items():
        assert run_cli(*more, f"--{option}", value) == 2
        said = capsys.readouterr().err
        assert f"error: --{option} {value}: it was" in said and "or begin a new run, without --resume" in said
        assert len(said.splitlines()) == 1
    assert (run / "config.yaml").read_bytes() == config, "a start that was refused changes nothing"

    changed = ("--normalize.clip_obs", 5, "--normalize.reward", "false", "--ppo.gamma", 0.5, "--env.n_envs", 8)
    assert run_cli(*more, *changed) == 0
    said = capsys.readouterr().out
    now = "--env.n_envs 8 (it was 4), --normalize.reward false (it was true), --normalize.clip_obs 5.0 (it was 10.0), "
    assert f"from here on: {now}--ppo.gamma 0.5 (it was 0.98)" in said
    last = load_policy(run / "last")
    assert (last.statistics.clip_obs, last.statistics.norm_reward, last.statistics.gamma) == (5.0, False, 0.5)
    assert last.model.gamma == 0.5 and last.model.n_envs == 8
    assert last.statistics.obs_rms.count == pytest.approx(768 + 4 + 8, abs=1), "the statistics of before go on"
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert saved["ppo"]["gamma"] == 0.5 and saved["normalize"]["clip_obs"] == 5.0 and saved["env"]["n_envs"] == 8

    assert run_cli("ppo", "fit", "--resume", run, "--total_timesteps", 1024, "--eval_env.kwargs", "{lie: 0.001}") == 0
    said = capsys.readouterr().out
    aside = run / "best-until-768"
    assert f"evaluations are of another task than before: the best model so far is kept as {aside}" in said
    assert read_about(aside)["steps"] <= 768 < read_about(run / "best")["steps"]

    newer = read_about(run / "last")["steps"]
    assert run_cli("ppo", "fit", "--resume", aside, "--total_timesteps", 1024) == 0
    assert f"the last model, of {newer:,}, is kept as {run / f'last-until-{newer}'}" in capsys.readouterr().out
    assert read_about(run / f"last-until-{newer}")["steps"] == newer


class Signals(BaseCallback):
    """Sends this process a signal after some steps."""

    def __init__(self, number: int, at: int) -> None:
        super().__init__()
        self.number, self.at = number, at

    def _on_step(self) -> bool:
        if self.num_timesteps == self.at:
            signal.raise_signal(self.number)
        return True


def test_sigterm_after_ctrl_c_asks_for_nothing_more() -> None:
    """The launcher passes its own end on: the step is finished and saved all the same. A second one counts."""
    with StopHandler() as stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
        assert stop.requested() and stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_says_how_to_go_on(
    number: signal.Signals, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    found = train(small_config(Path("it's ü", "run")), [Signals(number, 600)])
    said = capsys.readouterr()
    assert found.signal == number and found.steps in (600, 604)
    assert load_policy(found.folder / "last").model.num_timesteps == found.steps
    assert f"stopped by {number.name} at {found.steps} steps" in said.out
    (command,) = [line for line in said.out.splitlines() if "-m aigp_lightning ppo fit --resume" in line]
    change, folder, _, _, *words = shlex.split(command)
    assert (change, folder) == ("cd", str(tmp_path))
    assert run_cli(*words[words.index("ppo") :], "--total_timesteps", found.steps + 512) == 0
    assert read_about(found.folder / "last")["steps"] >= found.steps + 512
    assert [path.name for path in found.folder.parent.iterdir()] == ["run"]
    assert "stopping after this step, then saving" in said.err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_one_writer_a_run(tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """A resume beside a training is refused; what others have put beside its models stays."""
    refused = []

    class Second(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps >= 512 and not refused:
                before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
                refused.append(run_cli("ppo", "fit", "--resume", run))
                assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
            return True

    run = train(small_config(tmp_path / "run", total_timesteps=256, eval_freq=0)).folder
    for model in ("last", "best"):
        (run / model / "policy.onnx").write_text("exported", encoding="utf-8")
    (run / "last").rename(run / ".last.old")  # a kill while the model was replaced
    resumed = small_config(tmp_path / "run", total_timesteps=1024, eval_freq=512, resume=str(run))
    assert train(resumed, [Second()]).folder == run
    assert refused == [2]
    assert f"error: {run} is in use: process {os.getpid()} (ppo fit, since " in capsys.readouterr().err
    for model in ("last", "best"):
        assert {path.name for path in (run / model).iterdir()} == FILES | {"policy.onnx"}
    assert {".last.old", "run.lock"} & {path.name for path in run.iterdir()} == set()
    (run / "versions.json").unlink()  # a config.yaml above a model may be anybody's
    config = (run / "config.yaml").read_bytes()
    assert train(
        small_config(tmp_path / "run", total_timesteps=1280, eval_freq=0, resume=str(run))
    ).folder == run.with_name("run-2")
    assert (run / "config.yaml").read_bytes() == config


def test_a_run_that_was_killed_goes_on_from_its_newest_model(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before there is a last model too; a run that is being written is said to be in use, with or without a model."""
    run = train(small_config(tmp_path / "run", total_timesteps=512, eval_freq=0, save_freq=256)).folder
    checkpoints = run / "checkpoints"
    shutil.copytree(checkpoints / "0000000512", checkpoints / ".0000000768.new")
    assert find_model(str(run), "--resume") == run / "last"
    shutil.rmtree(run / "last")
    assert find_model(str(run), "--resume") == checkpoints / "0000000512"
    (checkpoints / "0000000512" / "vecnormalize.pkl").unlink()
    assert find_model(str(run), "--resume") == checkpoints / "0000000256"
    with lock_run_folder(run, "ppo fit"):
        assert run_cli("ppo", "fit", "--resume", run) == 2
        shutil.move(checkpoints, tmp_path / "kept")
        assert run_cli("ppo", "fit", "--resume", run) == 2
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert [f"error: {run} is in use: process {os.getpid()}" in line for line in errors] == [True, True]
    assert run_cli("ppo", "fit", "--resume", run) == 2
    assert "no model there" in capsys.readouterr().err
    shutil.move(tmp_path / "kept", checkpoints)
    resumed = small_config(tmp_path / "run", total_timesteps=512, eval_freq=0, save_freq=0, resume=str(run))
    assert train(resumed).folder == run
    assert read_about(run / "last")["steps"] == 512
    for name, age in (("0000001024", 10), ("0000000768", -10)):  # gone back from the one, killed after the other
        shutil.copytree(run / "last", checkpoints / name)
        saved = (run / "last" / "model.zip").stat().st_mtime - age
        os.utime(checkpoints / name / "model.zip", (saved, saved))
        assert find_model(str(run), "--resume") == (run / "last" if age > 0 else checkpoints / name)
        shutil.rmtree(checkpoints / name)


def test_good_enough_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = train(small_config(tmp_path / "run", early_stop=EarlyStop(success=0.9, evaluations=2), progress=False))
    assert found.signal is None and found.steps < 100_000
    rates = [float(row["success"]) for row in rows(found.folder)]
    enough = [rate >= 0.9 for rate in rates]
    assert enough[-2:] == [True, True]
    assert not any(a and b for a, b in pairwise(enough[:-1])), "not before"
    assert "2 evaluations in a row had a success rate of 0.9 or more" in capsys.readouterr().out


def test_a_second_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    short = {"total_timesteps": 256, "eval_freq": 0}
    folders = [train(small_config(tmp_path / "run", **short)).folder for _ in range(2)]
    assert [folder.name for folder in folders] == ["run", "run-2"]
    first, second = (load_policy(folder / "last") for folder in folders)
    observations = np.linspace(-1, 1, 9, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(first(observations), second(observations))  # the seed decides everything
