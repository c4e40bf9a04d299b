"""Keeps the last weights that are numbers: a training that diverges ends with them, and says so."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, cast

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from aigp_lightning.errors import RunError


class Diverged(RunError):
    """An update has made weights that are no numbers."""


class FiniteWeights(BaseCallback):
    """A callback that ends the training when an update has made weights NaN or infinite, and restores those before it.

    The copy is of the policy and its optimizer, made once a rollout.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, Any] | None = None
        self._steps = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.check()
        self._kept, self._steps = deepcopy(self._algorithm.get_parameters()), self.num_timesteps

    def _on_training_end(self) -> None:
        self.check()

    def check(self) -> None:
        """Look at the weights.

        Raises:
            Diverged: some are no numbers; the last ones that were are restored.
        """
        parameters = [each.detach() for each in self._algorithm.policy.parameters()]
        if all(bool(torch.isfinite(each).all()) for each in parameters):
            return
        if self._kept is not None:
            self._algorithm.set_parameters(self._kept)
        raise Diverged(
            f"the weights became NaN or infinite in an update after {self._steps:,} steps. Those before it are kept. "
            "A lower --ppo.learning_rate, or a smaller --ppo.max_grad_norm, helps."
        )

    def cause_of(self, error: ValueError) -> Diverged:
        """Return that the weights have diverged, if that is why an update failed.

        Args:
            error: which the update raised.

        Raises:
            ValueError: the weights are numbers, and the error has another cause.
        """
        try:
            self.check()
        except Diverged as diverged:
            return diverged
        raise error

    @property
    def _algorithm(self) -> PPO:
        return cast("PPO", self.model)
