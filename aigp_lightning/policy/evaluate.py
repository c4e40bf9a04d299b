"""`ppo evaluate`: a policy on trial, in numbers and in pictures of where it flew."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import VecMonitor

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.config import EvalConfig
from aigp_lightning.policy.episodes import Summary, run_episodes, summarize, wilson
from aigp_lightning.policy.make_env import for_evaluation, make_env
from aigp_lightning.policy.models import about, find_model, load_policy, run_of
from aigp_lightning.policy.train import threads
from aigp_lightning.policy.trajectories import Path3D, Recorder, write_paths
from aigp_lightning.policy.vec_adapter import VectorEnvAdapter
from aigp_lightning.policy.verb_config import EvaluateConfig

Predict = Callable[[Any], np.ndarray]


def evaluate(config: EvaluateConfig) -> Summary:
    """Let a policy fly, print what it comes to, and write it down.

    Args:
        config: which policy, where, how often.

    Returns:
        What the episodes come to.

    Raises:
        ConfigError: an option is wrong, there is no such model, or it is of another environment.
        WeightsError: the model cannot be read.
    """
    config.check()
    folder = None if config.policy == "follower" else find_model(_named(config), "--model")
    wanted = replace(config.eval_env, n_episodes=config.episodes or config.eval_env.n_episodes, seed=config.starts)
    env = make_env(for_evaluation(config.env, wanted))
    with threads(config.ppo.torch_threads):
        try:
            predict = follower(env) if folder is None else trained(folder, env)
            recorder = Recorder(env, config.trajectories)
            played = play(predict, env, wanted, recorder)
        finally:
            env.close()
    out = _folder(config, folder)
    found = summarize(played)
    who = "the hand-written follower" if folder is None else str(folder)
    steps = None if folder is None else about(folder).get("steps")
    _write_json(out / "evaluation.json", {"policy": who, "steps": steps, **_content(config, wanted, found)})
    _write_episodes(out / "episodes.csv", played)
    _print(who, found)
    _paths(out, recorder, who, config.trajectories)
    print(f"results: {out}")
    return found


def play(predict: Predict, env: VecMonitor, wanted: EvalConfig, recorder: Recorder) -> list[dict[str, Any]]:
    """Fly the episodes, from the starts that the seed stands for; the recorder looks on."""
    env.seed(wanted.seed)
    played = run_episodes(predict, env, wanted.n_episodes, recorder.look)
    recorder.close(played)
    return played


def trained(folder: Path, env: VecMonitor) -> Predict:
    """The policy of a model's folder.

    Raises:
        ConfigError: it was trained in an environment with other spaces.
    """
    policy = load_policy(folder)
    try:
        check_for_correct_spaces(env, policy.statistics.observation_space, policy.model.action_space)
    except ValueError as error:
        raise ConfigError(f"{folder} was trained in another environment than --env.id: {error}.") from error
    return policy


def follower(env: VecMonitor) -> Predict:
    """The hand-written follower; it looks at the true state, not at the observations.

    Raises:
        ConfigError: the environment is not ours.
    """
    from aigp_lightning.policy.env.gym_env import GateRaceVectorEnv
    from aigp_lightning.policy.follower import Follower

    base = env.unwrapped
    race = base.env.unwrapped if isinstance(base, VectorEnvAdapter) else None
    if not isinstance(race, GateRaceVectorEnv):
        raise ConfigError("--policy follower flies aigp/GateRace-v0 with --env.backend native only.")
    hand = Follower()
    return lambda _: hand.act(race)


def _named(config: EvaluateConfig) -> str:
    if config.model is None:
        raise ConfigError("which policy? Give --model a model's folder, or choose --policy follower.")
    return config.model


def _folder(config: EvaluateConfig, model: Path | None) -> Path:
    if config.out is not None:
        out = Path(config.out)
    elif model is None:
        out = Path("output") / "follower"
    else:
        run = run_of(model)
        out = model / "evaluation" if run is None else run / "evaluation" / model.name
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigError(f"--out {out} cannot be a folder: {error.strerror}.") from error
    return out


def _content(config: EvaluateConfig, wanted: EvalConfig, found: Summary) -> dict[str, Any]:
    env = for_evaluation(config.env, wanted)
    rates = asdict(found)
    counted = zip(rates.pop("gate_rates"), rates.pop("gate_attempts"), strict=True)
    gates = [
        {"gate": gate, "attempts": count, "pass_rate": rate, "interval": wilson(round((rate or 0) * count), count)}
        for gate, (rate, count) in enumerate(counted)
    ]
    return {"env": env.id, "kwargs": env.kwargs, "starts": wanted.seed, **rates, "pass_rate": found.pass_rate,
            "gates_by_number": gates}  # fmt: skip


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(_plain(content), indent=2), encoding="utf-8")


def _plain(value: Any) -> Any:
    """What JSON knows: no arrays, no NaN."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_episodes(file: Path, played: list[dict[str, Any]]) -> None:
    """A row an episode: its return and length, and whatever plain values the environment reports."""
    rows = []
    for info in played:
        row = {
            "env": info["env"],
            "number": info["number"],
            "return": info["episode"]["r"],
            "length": info["episode"]["l"],
        }
        row |= {key: value for key, value in info.items() if np.ndim(value) == 0 and key not in (*row, "episode")}
        rows.append(_plain(row))
    with file.open("w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)


def _print(who: str, found: Summary) -> None:
    from rich.console import Console

    from aigp_lightning.policy.tables import tables

    console = Console()
    for table in tables(who, found):
        console.print(table)


def _paths(out: Path, recorder: Recorder, who: str, wanted: int) -> None:
    paths: list[Path3D] = recorder.paths
    if not paths:
        if wanted:
            print("no paths are drawn: the environment has no `state` with `position` and `velocity`")
        return
    from aigp_lightning.policy.paths_plot import draw_3d, draw_above

    write_paths(out / "trajectories.csv", paths, recorder.hz)
    draw_above(out / "trajectories_above.png", paths, who)
    draw_3d(out / "trajectories_3d.png", paths, who)
