"""stable-baselines3's PPO made from the options, new or resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.config import PolicyConfig
from aigp_lightning.policy.models import load_model, load_statistics
from aigp_lightning.policy.ppo_config import Linear, NormalizeConfig
from aigp_lightning.policy.resume_options import describe_schedules, take_up_normalization
from aigp_lightning.terminal.output import print_line

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU, "silu": torch.nn.SiLU}


def build_model(config: PolicyConfig, env: VecMonitor) -> PPO:
    """Build a new model, its environments wrapped for normalisation.

    Raises:
        ConfigError: the observations cannot be normalised.
    """
    wrapped = wrap_normalize(env, config.normalize, config.ppo.gamma)
    options = hyperparameters(config)
    name = config.ppo.policy if config.ppo.policy != "auto" else _policy_name(wrapped.observation_space)
    return PPO(name, wrapped, device=config.ppo.device, verbose=0, seed=config.seed, **options)


def load_for_resume(config: PolicyConfig, env: VecMonitor, folder: Path) -> PPO:
    """Load a model with its optimizer and statistics; all options are taken from the configuration.

    Raises:
        ConfigError: the model has `total_timesteps` already, or its observations are normalised otherwise.
        WeightsError: the model cannot be read, or has other spaces or layers.
    """
    options = hyperparameters(config)
    options["_stats_window_size"] = options.pop("stats_window_size")
    wrapped = load_statistics(folder, env)
    take_up_normalization(wrapped, config)
    model = load_model(folder, wrapped, config.ppo.device, **options)
    if model.num_timesteps >= config.total_timesteps:
        raise ConfigError(
            f"--resume {folder}: this model has {model.num_timesteps:,} steps already; raise --total_timesteps, "
            f"which is {config.total_timesteps:,}."
        )
    model.set_random_seed(config.seed + model.num_timesteps)  # else it would repeat the random numbers of its beginning
    print_line(
        f"going on with {folder} at {model.num_timesteps:,} steps. Weights, optimizer and normalisation go on as they "
        "were; episodes start anew and random numbers are others, so it is not the run that was never stopped, bit by "
        "bit.",
        *describe_schedules(config, model.num_timesteps),
    )
    return model


def hyperparameters(config: PolicyConfig) -> dict[str, Any]:
    """Return the options under SB3's names and with its values."""
    ppo = config.ppo
    same = ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "clip_range_vf", "ent_coef", "vf_coef",
            "max_grad_norm", "target_kl")  # fmt: skip
    return {
        **{name: getattr(ppo, name) for name in same},
        "learning_rate": _schedule(ppo.learning_rate),
        "clip_range": _schedule(ppo.clip_range),
        "stats_window_size": ppo.stats_window,
        "policy_kwargs": {
            "net_arch": ppo.net_arch,
            "activation_fn": ACTIVATIONS[ppo.activation],
            "log_std_init": ppo.log_std_init,
            "ortho_init": ppo.ortho_init,
        },
    }


def wrap_normalize(env: VecMonitor, options: NormalizeConfig, gamma: float) -> VecNormalize:
    """Wrap environments in SB3's running normalisation of observations and rewards.

    Args:
        env: to wrap.
        options: what is normalised, and limits.
        gamma: discount of the returns that rewards are scaled by.

    Raises:
        ConfigError: these observations cannot be normalised.
    """
    space = env.observation_space
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    if options.obs and not all(isinstance(part, spaces.Box) and not is_image_space(part) for part in parts):
        raise ConfigError(
            f"--normalize.obs true cannot be for {space}: pictures have a scale of their own (the network knows it), "
            "and choices have none. Choose --normalize.obs false."
        )
    return VecNormalize(
        env, norm_obs=options.obs, norm_reward=options.reward, clip_obs=options.clip_obs,
        clip_reward=options.clip_reward, gamma=gamma,
    )  # fmt: skip


def _schedule(value: float | Linear) -> float | LinearSchedule:
    return LinearSchedule(value.start, value.end, value.until) if isinstance(value, Linear) else value


def _policy_name(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(space) else "MlpPolicy"
