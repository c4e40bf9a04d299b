"""The forward pass of training, compiled by torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from aigp_lightning.errors import ConfigError, tell_user

Compile: TypeAlias = bool | Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
"""Whether the network is compiled; a word is the mode of `torch.compile`, and true is `default`."""
INDUCTOR = "inductor"
"""Torch's own compiler."""


class CompiledForward:
    """Runs a network in training by `torch.compile`, and in evaluation as it is.

    The network itself is not replaced: names in checkpoints, averaged weights and exported files stay as they are.
    Compiled is the network alone, for the shape of a training batch; the loss, whose shapes go by the number of boxes,
    stays outside, so that no batch compiles anew. Validation has pictures of many shapes, and is not compiled.

    Args:
        backend: of `torch.compile`; tests take one that needs no compiler.
        mode: of `torch.compile`.
        sizes: whether batches have several sizes; from the second on, sides are then variables of what is compiled.
    """

    def __init__(self, backend: str = INDUCTOR, mode: str = "default", sizes: bool = False) -> None:
        self.backend, self.mode, self.sizes = backend, mode, sizes
        self._network: nn.Module | None = None
        self._function: Callable[[Tensor], Any] | None = None

    def __call__(self, network: nn.Module, images: Tensor) -> Any:
        """Return what the network returns.

        Args:
            network: from `build_model`.
            images: (B, 3, H, W) in 0…1.

        Raises:
            ConfigError: it cannot be compiled here, or not in this precision.
        """
        if not network.training:
            return network(images)
        if self._function is None or self._network is not network:
            if self.backend == INDUCTOR and images.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
                raise ConfigError(
                    "--model.compile true: what torch compiles for a CPU reads memory that nobody wrote, in bfloat16. "
                    "Add --trainer.precision 32-true, or leave the option out."
                )
            self._network = network
            what = "and gains nothing on a CPU's one thread" if images.device.type == "cpu" else "once"
            tell_user(f"--model.compile: torch compiles the network at the first batch, which takes minutes, {what}")
            dynamic = None if self.sizes else False
            self._function = torch.compile(network.forward, backend=self.backend, mode=self.mode, dynamic=dynamic)
        try:
            return self._function(images)
        except torch._dynamo.exc.TorchDynamoException as error:
            cause = str(getattr(error, "inner_exception", error))
            why = next((line.strip() for line in cause.splitlines() if line.strip()), type(error).__name__)
            raise ConfigError(
                f"--model.compile true: torch cannot compile the network here ({why:.200}). It needs a C++ compiler "
                "and, on a GPU, Triton. Leave the option out: the run is the same without it, only slower."
            ) from error

    @classmethod
    def asked(cls, compile: Compile, several_sizes: bool) -> CompiledForward | None:
        """Return the forward pass that `--model.compile` asks for, or None.

        Args:
            compile: the option.
            several_sizes: see `sizes`.
        """
        return cls(mode="default" if compile is True else str(compile), sizes=several_sizes) if compile else None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to one network in one process."""
        return {**vars(self), "_network": None, "_function": None}
