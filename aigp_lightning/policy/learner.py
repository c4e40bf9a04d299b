"""SB3's PPO from our options: a new one, or one that goes on."""

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

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU, "silu": torch.nn.SiLU}


def build(config: PolicyConfig, env: VecMonitor) -> PPO:
    """A new model, its environments normalised.

    Raises:
        ConfigError: the observations cannot be normalised.
    """
    wrapped = normalized(env, config.normalize, config.ppo.gamma)
    options = hyperparameters(config)
    name = config.ppo.policy if config.ppo.policy != "auto" else _policy_for(wrapped.observation_space)
    return PPO(name, wrapped, device=config.ppo.device, verbose=0, seed=config.seed, **options)


def load_for_resume(config: PolicyConfig, env: VecMonitor, folder: Path) -> PPO:
    """The model of a folder with its optimizer and statistics; PPO's options are the configuration's.

    Raises:
        ConfigError: it has all its steps already.
        WeightsError: it cannot be read, or is of other spaces or layers.
    """
    options = hyperparameters(config)
    options["_stats_window_size"] = options.pop("stats_window_size")
    wrapped = load_statistics(folder, env)
    model = load_model(folder, wrapped, config.ppo.device, **options)
    if model.num_timesteps >= config.total_timesteps:
        raise ConfigError(
            f"--resume {folder}: this model has {model.num_timesteps:,} steps already; raise --total_timesteps, "
            f"which is {config.total_timesteps:,}."
        )
    model.set_random_seed(config.seed + model.num_timesteps)  # else it would draw what it drew at its beginning
    print(
        f"going on with {folder} at {model.num_timesteps:,} steps. Weights, optimizer and normalisation go on as they "
        "were; episodes start anew and random numbers are others, so it is not the run that was never stopped, bit by "
        "bit."
    )
    return model


def hyperparameters(config: PolicyConfig) -> dict[str, Any]:
    """SB3's names and values."""
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


def normalized(env: VecMonitor, options: NormalizeConfig, gamma: float) -> VecNormalize:
    """Wrap environments so that observations and rewards are on a common scale.

    Raises:
        ConfigError: these observations cannot be.
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


def _policy_for(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(space) else "MlpPolicy"
