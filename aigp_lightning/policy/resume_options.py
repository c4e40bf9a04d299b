"""Options with which a policy's training is resumed: which of them may change, and which cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from stable_baselines3.common.vec_env import VecNormalize

from aigp_lightning.errors import ConfigError, WeightsError, printable
from aigp_lightning.logfiles.safe_yaml import load
from aigp_lightning.policy.config import PolicyConfig
from aigp_lightning.policy.models import CONFIG_FILE
from aigp_lightning.policy.ppo_config import Linear

FIXED = {
    "normalize.obs": "the weights were trained on observations of that kind",
    "ppo.policy": "the weights are of that network",
    "ppo.net_arch": "the weights are of these layers",
    "ppo.activation": "the weights were trained with it",
    "ppo.log_std_init": "it is of first weights, and these are trained already",
    "ppo.ortho_init": "it is of first weights, and these are trained already",
    "output": "the run goes on in its own folder",
}
"""Options that a resumed training cannot change, and why."""
UNSAID = ("resume", "progress", "total_timesteps")
"""Options that change nothing of what is learnt, or that a resume is there to change."""
JUDGED_BY = ("env.module", "env.id", "env.kwargs", "eval_env.kwargs")
"""Options by which evaluations before and after are of the same task."""
GROUPS = ("env", "eval_env", "normalize", "ppo", "early_stop")


def changed_options(run: Path, config: PolicyConfig) -> dict[str, tuple[Any, Any]]:
    """Return the options that are others than the run's own, by name: before and now.

    Args:
        run: the run's folder, with its configuration.
        config: with which it is resumed.

    Raises:
        ConfigError: one of them cannot be changed.
        WeightsError: the run's configuration cannot be read.
    """
    file = run / CONFIG_FILE
    try:
        before = load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise WeightsError(f"{file} cannot be read: {error}") from error
    if not isinstance(before, dict):
        raise WeightsError(f"{file} is no configuration of a run.")
    old, new = _flat(before), _flat(asdict(config))
    changed = {name: (old[name], value) for name, value in new.items() if name in old and old[name] != value}
    for name, (was, value) in changed.items():
        if name in FIXED:
            raise ConfigError(
                f"--{name} {_text(value)}: it was {_text(was)} when this run began, and {FIXED[name]}. Leave it out, "
                "or begin a new run, without --resume."
            )
    return {name: values for name, values in changed.items() if name not in UNSAID}


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by their names on the command line; the environment's own arguments stay one."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if key in GROUPS and isinstance(value, Mapping):
            flat |= {f"{key}.{name}": each for name, each in value.items()}
        else:
            flat[key] = value
    return flat


def describe_changes(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Describe changed options in a line; empty for none.

    Args:
        changed: see `changed_options`.

    Example:
        >>> describe_changes({"ppo.gamma": (0.98, 0.5)})
        'from here on: --ppo.gamma 0.5 (it was 0.98)'
    """
    said = [f"--{name} {_text(now)} (it was {_text(was)})" for name, (was, now) in changed.items()]
    return f"from here on: {', '.join(said)}" if said else ""


def same_task(changed: Mapping[str, tuple[Any, Any]]) -> bool:
    """True if evaluations before and after the resume judge the same task."""
    return not any(name in JUDGED_BY for name in changed)


def take_up_normalization(statistics: VecNormalize, config: PolicyConfig) -> None:
    """Give the options of the normalisation, and the discount, to statistics that were loaded.

    Args:
        statistics: running means and variances.
        config: of the resumed training.

    Raises:
        ConfigError: observations were normalised and are not to be any more, or the other way round.
    """
    options = config.normalize
    if options.obs != statistics.norm_obs:
        raise ConfigError(
            f"--normalize.obs {_text(options.obs)}: it was {_text(statistics.norm_obs)} for this model, and "
            f"{FIXED['normalize.obs']}. Leave it as it was, or begin a new run, without --resume."
        )
    statistics.norm_reward, statistics.gamma = options.reward, config.ppo.gamma
    statistics.clip_obs, statistics.clip_reward = options.clip_obs, options.clip_reward


def describe_schedules(config: PolicyConfig, steps: int) -> list[str]:
    """Describe values that follow a line over the training, whose end a resume has moved.

    Args:
        config: of the resumed training.
        steps: that the model has.

    Returns:
        A line for each such option.
    """
    lines = {"learning_rate": config.ppo.learning_rate, "clip_range": config.ppo.clip_range}
    done = steps / config.total_timesteps
    said = []
    for name, value in lines.items():
        if isinstance(value, Linear):
            now = value.start + (value.end - value.start) * min(done / value.until, 1.0)
            said.append(
                f"--ppo.{name} follows its line over all {config.total_timesteps:,} steps: {now:.4g} now, "
                f"{value.end:g} at the end"
            )
    return said


def _text(value: Any) -> str:
    """Return a value as YAML writes it in a line."""
    return printable(yaml.safe_dump(value, default_flow_style=True, width=10_000).split("\n...")[0].strip())
