"""Unscaling and clipping of gradients between the backward pass and the optimizer's step, for all families."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor
    from torch.optim import Optimizer

KERNELS = ("fused", "foreach")
"""Options of torch's optimizers that name the kernels they run by."""


def unscale(optimizer: Optimizer, scaler: Any) -> None:
    """Undo the scale of the gradients for an optimizer that would do it within its step, after they are clipped.

    Lightning leaves it to optimizers that can. Done before the step, clipping and callbacks see what they expect, and
    the step still gets the answer whether there was an overflow as a tensor: nobody waits for it.

    Args:
        optimizer: about to step.
        scaler: of the precision plugin; None where nothing is scaled.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> unscale(torch.optim.AdamW([weight], fused=True), None)  # nothing is scaled
    """
    if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
        scaler.unscale_(optimizer)


def clip(parameters: Iterable[Tensor], largest: float) -> None:
    """Clip the norm of the gradients, all parameters together, after they were unscaled.

    Args:
        parameters: that are trained.
        largest: norm that is kept; 0 for no clipping.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> weight.grad = torch.full((1,), 8.0)
        >>> clip([weight], 2.0)
        >>> round(weight.grad.item(), 3)
        2.0
    """
    from torch.nn.utils import clip_grad_norm_

    if largest > 0:
        clip_grad_norm_(parameters, largest)


def keep_kernels(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a checkpoint with the kernels of this run, not those of the machine that wrote it.

    Args:
        optimizer: it is given the state; `register_load_state_dict_pre_hook` calls this.
        state: of the checkpoint.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1, fused=True)
        >>> written = {"param_groups": [{"lr": 0.05, "fused": False, "params": [0]}]}
        >>> keep_kernels(optimizer, written)["param_groups"][0]["fused"]
        True
    """
    groups = zip(state["param_groups"], optimizer.param_groups, strict=False)
    kept = [{**theirs, **{key: ours[key] for key in KERNELS if key in ours}} for theirs, ours in groups]
    return {**state, "param_groups": kept + state["param_groups"][len(kept) :]}
