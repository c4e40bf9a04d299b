"""A policy as one PyTorch module, normalisation and action bounds included."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from aigp_lightning.policy.models import Policy


class DeployedPolicy(nn.Module):
    """A module from raw observations, (n, …), to actions within their bounds, (n, …).

    Args:
        policy: its network and normalisation statistics are used.
    """

    mean: Tensor
    deviation: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        statistics: Any = policy.statistics
        self.network = policy.model.policy
        self.normalizes, self.clip = bool(statistics.norm_obs), float(statistics.clip_obs)
        if self.normalizes:
            deviation = np.sqrt(statistics.obs_rms.var + statistics.epsilon)
            self.register_buffer("mean", torch.as_tensor(statistics.obs_rms.mean, dtype=torch.float32))
            self.register_buffer("deviation", torch.as_tensor(deviation, dtype=torch.float32))
        self.observation_shape = statistics.observation_space.shape or ()
        # stable-baselines3 turns pictures of an environment round: the network takes their channels first
        self.channels_last = self.observation_shape != policy.model.observation_space.shape
        space = policy.model.action_space
        self.shape, self.bounded = space.shape or (), isinstance(space, spaces.Box)
        if isinstance(space, spaces.Box):
            self.register_buffer("low", torch.as_tensor(space.low))
            self.register_buffer("high", torch.as_tensor(space.high))

    def forward(self, observations: Tensor) -> Tensor:
        """Return the most probable actions, normalised and clipped as SB3's `predict` does it.

        Args:
            observations: as the environment returns them, (n, …).

        Returns:
            Actions, (n, …).
        """
        if self.normalizes:
            normal = (observations - self.mean) / self.deviation
            observations = normal.clamp(-self.clip, self.clip)
        if self.channels_last:
            observations = observations.permute(0, 3, 1, 2)
        network = cast("Any", self.network)
        actions: Tensor = network._predict(observations, deterministic=True).reshape(-1, *self.shape)
        if not self.bounded:
            return actions
        if network.squash_output:  # the network answers in -1…1
            return self.low + 0.5 * (actions + 1.0) * (self.high - self.low)
        return torch.maximum(torch.minimum(actions, self.high), self.low)
