"""Options of PPO itself, and of the scale that it sees observations and rewards on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Linear:
    """A value that changes with the share of the training that is done.

    Args:
        start: at the beginning.
        end: what it ends at.
        until: share of `total_timesteps` at which `end` is reached; 1 for the whole training.
    """

    start: float
    end: float = 0.0
    until: float = 1.0


@dataclass
class NormalizeConfig:
    """Running means and variances that observations and rewards are divided by; saved with every model.

    Args:
        obs: normalise observations; needs a Box, or a Dict of them.
        reward: divide rewards by the deviation of the discounted return.
        clip_obs: normalised observations stay within ± this.
        clip_reward: normalised rewards stay within ± this.
    """

    obs: bool = True
    reward: bool = True
    clip_obs: float = 10.0
    clip_reward: float = 10.0


@dataclass
class PPOConfig:
    """Proximal policy optimization (Schulman et al. 2017), by stable-baselines3.

    Args:
        policy: auto: by the observation (MlpPolicy for a vector, CnnPolicy for a picture, MultiInputPolicy for a Dict).
        n_steps: steps of every environment between two updates; n_steps × n_envs is what an update learns from.
        batch_size: samples a gradient step; best a divisor of n_steps × n_envs.
        n_epochs: times that an update goes through its samples.
        gamma: discount of later rewards.
        gae_lambda: bias against variance of the advantages (Schulman et al. 2016).
        learning_rate: Adam's; a number, or a line: {start: 3e-4, end: 0}.
        clip_range: how far an update may move the probability of an action; a number or a line.
        clip_range_vf: the same for values; null for no limit.
        ent_coef: reward for staying random.
        vf_coef: weight of the value's loss.
        max_grad_norm: gradients are scaled down to this.
        target_kl: an update ends when it has moved the policy further than 1.5 × this; null for no limit.
        net_arch: units of the hidden layers, e.g. [64, 64]; or {pi: [64, 64], vf: [256, 256]}.
        activation: after each hidden layer.
        log_std_init: logarithm of the actions' first standard deviation.
        ortho_init: orthogonal first weights.
        device: cpu, cuda, or auto. Networks this small are faster on a CPU.
        torch_threads: of PyTorch. Two are slower than one where other jobs hold the cores.
        stats_window: episodes that the figures of the training are averaged over.
    """

    policy: Literal["auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"] = "auto"
    n_steps: int = 128
    batch_size: int = 4096
    n_epochs: int = 5
    gamma: float = 0.98
    gae_lambda: float = 0.95
    learning_rate: float | Linear = 1e-3
    clip_range: float | Linear = 0.2
    clip_range_vf: float | None = None
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float | None = None
    net_arch: list[int] | dict[str, list[int]] = field(default_factory=lambda: [64, 64])
    activation: Literal["tanh", "relu", "elu", "silu"] = "tanh"
    log_std_init: float = -1.0
    ortho_init: bool = True
    device: str = "cpu"
    torch_threads: int = 1
    stats_window: int = 256
