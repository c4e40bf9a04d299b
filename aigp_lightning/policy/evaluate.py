"""`ppo evaluate`: runs a policy, and writes its summary, its episodes and the paths that it flew."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import VecMonitor

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import is_stored, write_atomic
from aigp_lightning.policy.config import EvalConfig
from aigp_lightning.policy.episodes import Summary, run_episodes, summarize, wilson_interval
from aigp_lightning.policy.make_env import evaluation_env_config, make_env
from aigp_lightning.policy.models import find_model, find_run, load_policy, read_about
from aigp_lightning.policy.train import torch_threads
from aigp_lightning.policy.trajectories import Path3D, Recorder, write_paths
from aigp_lightning.policy.vec_adapter import VectorEnvAdapter
from aigp_lightning.policy.verb_config import EvaluateConfig
from aigp_lightning.terminal.output import print_line, print_tables

Predict = Callable[[Any], np.ndarray]


def evaluate(config: EvaluateConfig) -> Summary:
    """Evaluate a policy; print the summary, and write it with its episodes and paths.

    Args:
        config: policy, environment, number of episodes.

    Returns:
        The summary of the episodes.

    Raises:
        ConfigError: an option is wrong, there is no such model, or it is of another environment.
        WeightsError: the model cannot be read.
    """
    config.check()
    folder = None if config.policy == "follower" else find_model(_required_model(config), "--model")
    if config.out is None and folder is not None and is_stored(folder):
        raise ConfigError(
            f"{folder} is a version in a store of models, which stays as it is: --out FOLDER says where to."
        )
    options = replace(config.eval_env, n_episodes=config.episodes or config.eval_env.n_episodes, seed=config.starts)
    env = make_env(evaluation_env_config(config.env, options))
    with torch_threads(config.ppo.torch_threads):
        try:
            predict = follower_policy(env) if folder is None else model_policy(folder, env)
            recorder = Recorder(env, config.trajectories)
            episodes = record_episodes(predict, env, options, recorder)
        finally:
            env.close()
    out = _results_folder(config, folder)
    summary = summarize(episodes)
    title = "the hand-written follower" if folder is None else str(folder)
    steps = None if folder is None else read_about(folder).get("steps")
    _write_json(out / "evaluation.json", {"policy": title, "steps": steps, **_content(config, options, summary)})
    _write_episodes(out / "episodes.csv", episodes)
    _print_tables(title, summary)
    _write_paths(out, recorder, title, config.trajectories)
    print_line(f"results: {out}")
    return summary


def record_episodes(predict: Predict, env: VecMonitor, options: EvalConfig, recorder: Recorder) -> list[dict[str, Any]]:
    """Run the episodes from the starts of the seed, and record their paths.

    Args:
        predict: the policy.
        env: to fly in.
        options: number of episodes, seed of their starts.
        recorder: gets the paths.

    Returns:
        Infos of last steps, see `run_episodes`.
    """
    env.seed(options.seed)
    episodes = run_episodes(predict, env, options.n_episodes, recorder.record, max_steps=options.max_steps)
    recorder.finish(episodes)
    return episodes


def model_policy(folder: Path, env: VecMonitor) -> Predict:
    """Load the policy of a model's folder.

    Raises:
        ConfigError: it was trained in an environment with other spaces.
    """
    policy = load_policy(folder)
    try:
        check_for_correct_spaces(env, policy.statistics.observation_space, policy.model.action_space)
    except ValueError as error:
        raise ConfigError(f"{folder} was trained in another environment than --env.id: {error}.") from error
    return policy


def follower_policy(env: VecMonitor) -> Predict:
    """Return the hand-written gate follower, which uses the true state instead of the observations.

    Raises:
        ConfigError: the environment is not `aigp/GateRace-v0` with the backend `native`.
    """
    from aigp_lightning.policy.env.gym_env import GateRaceVectorEnv
    from aigp_lightning.policy.follower import Follower

    base = env.unwrapped
    race = base.env.unwrapped if isinstance(base, VectorEnvAdapter) else None
    if not isinstance(race, GateRaceVectorEnv):
        raise ConfigError("--policy follower flies aigp/GateRace-v0 with --env.backend native only.")
    gate_follower = Follower()
    return lambda _: gate_follower.act(race)


def _required_model(config: EvaluateConfig) -> str:
    if config.model is None:
        raise ConfigError("which policy? Give --model a model's folder, or choose --policy follower.")
    return config.model


def _results_folder(config: EvaluateConfig, model: Path | None) -> Path:
    if config.out is not None:
        out = Path(config.out)
    elif model is None:
        out = Path("output") / "follower"
    else:
        run = find_run(model)
        out = model / "evaluation" if run is None else run / "evaluation" / model.name
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigError(f"--out {out} cannot be a folder: {error.strerror}.") from error
    return out


def _content(config: EvaluateConfig, options: EvalConfig, summary: Summary) -> dict[str, Any]:
    env = evaluation_env_config(config.env, options)
    rates = asdict(summary)
    counted = zip(rates.pop("gate_rates"), rates.pop("gate_attempts"), strict=True)
    gates = [
        {
            "gate": gate,
            "attempts": n,
            "pass_rate": rate,
            "interval": wilson_interval(round((rate or 0) * n), n),
        }
        for gate, (rate, n) in enumerate(counted)
    ]
    return {"env": env.id, "kwargs": env.kwargs, "starts": options.seed, **rates, "pass_rate": summary.pass_rate,
            "gates_by_number": gates}  # fmt: skip


def _write_json(file: Path, content: Any) -> None:
    write_atomic(file, json.dumps(_plain(content), indent=2).encode("utf-8"))


def _plain(value: Any) -> Any:
    """Return the value as JSON can hold it: arrays as lists, NaN and infinities as None."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_episodes(file: Path, episodes: list[dict[str, Any]]) -> None:
    """Write a row an episode: return, length, and every scalar that the environment reports."""
    rows = []
    for info in episodes:
        row = {
            "env": info["env"],
            "number": info["number"],
            "return": info["episode"]["r"],
            "length": info["episode"]["l"],
        }
        row |= {key: value for key, value in info.items() if np.ndim(value) == 0 and key not in (*row, "episode")}
        rows.append(_plain(row))
    text = StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(file, text.getvalue().encode("utf-8"))


def _print_tables(title: str, summary: Summary) -> None:
    from aigp_lightning.policy.tables import tables

    print_tables(*tables(title, summary))


def _write_paths(out: Path, recorder: Recorder, title: str, count: int) -> None:
    paths: list[Path3D] = recorder.paths
    if not paths:
        if count:
            print_line("no paths are drawn: the environment has no `state` with `position` and `velocity`")
        return
    from aigp_lightning.policy.paths_plot import draw_3d, draw_above

    write_paths(out / "trajectories.csv", paths, recorder.hz)
    draw_above(out / "trajectories_above.png", paths, title)
    draw_3d(out / "trajectories_3d.png", paths, title)
