"""Options, parameter groups and optimizer by Ultralytics' recipe, every knob in the open."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.gradients import keep_kernels
from aigp_lightning.ranges import COUNT, NOT_NEGATIVE, POSITIVE, Range, check_ranges

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

ADAM_FAMILY = ("Adam", "Adamax", "AdamW", "NAdam", "RAdam")
KNOWN = (*ADAM_FAMILY, "RMSprop", "SGD", "MuSGD", "auto")
FUSED = ("Adam", "AdamW", "SGD")
"""Optimizers of torch that have one kernel for all parameters, on a CPU and on CUDA."""
DECAYED = ("weight", "muon")
"""Parameter groups with weight decay."""
LONG_RUN = 10_000
"""Optimizer steps above which `auto` takes MuSGD."""
RANGES = {
    "lr0": POSITIVE,
    "lrf": NOT_NEGATIVE,
    "momentum": Range(0, 1, below=True),
    "weight_decay": NOT_NEGATIVE,
    "warmup_epochs": NOT_NEGATIVE,
    "warmup_momentum": Range(0, 1, below=True),
    "warmup_bias_lr": NOT_NEGATIVE,
    "nbs": COUNT,
    "clip_norm": NOT_NEGATIVE,
}


@dataclass
class OptimConfig:
    """How the weights are trained.

    Args:
        name: optimizer: auto, AdamW, SGD, MuSGD, Adam, Adamax, NAdam, RAdam or RMSprop. `auto` takes MuSGD above
            10,000 steps and AdamW below, and then chooses lr0, momentum and the biases' warm-up itself.
        lr0: learning rate at the start.
        lrf: learning rate at the end, as a share of lr0.
        momentum: momentum of SGD, or beta1 of the Adam family.
        weight_decay: for a nominal batch; weights only, not norms and biases.
        warmup_epochs: length of the warm-up, fractions allowed.
        warmup_momentum: momentum at the start of the warm-up.
        warmup_bias_lr: learning rate of the biases at the start of the warm-up.
        cos_lr: cosine schedule instead of linear.
        nbs: nominal batch: gradients accumulate over round(nbs / batch_size) batches.
        clip_norm: largest norm of the gradient; 0 for no clipping.
    """

    name: str = "auto"
    lr0: float = 0.01
    lrf: float = 0.01
    momentum: float = 0.937
    weight_decay: float = 0.0005
    warmup_epochs: float = 3.0
    warmup_momentum: float = 0.8
    warmup_bias_lr: float = 0.1
    cos_lr: bool = False
    nbs: int = 64
    clip_norm: float = 10.0

    def __post_init__(self) -> None:
        known_optimizer(self.name)
        check_ranges("--model.optim", self, RANGES)


@dataclass(frozen=True)
class ResolvedOptimizer:
    """An optimizer with the settings that `auto` may have changed."""

    name: str
    lr: float
    momentum: float
    warmup_bias_lr: float


def known_optimizer(name: str) -> str:
    """Return an optimizer's name as torch spells it.

    Args:
        name: in any case.

    Raises:
        ConfigError: the name is none that we know.
    """
    by_lower = {known.lower(): known for known in KNOWN}
    if name.lower() not in by_lower:
        raise ConfigError(f"--model.optim.name {name}: no such optimizer; known are {', '.join(KNOWN)}.")
    return by_lower[name.lower()]


def resolve_optimizer(config: OptimConfig, nc: int, steps: int) -> ResolvedOptimizer:
    """Resolve `auto` by the length of the run and the number of classes.

    Args:
        config: what the user asked for.
        nc: number of classes.
        steps: optimizer steps of the whole run at the nominal batch.

    Example:
        >>> resolve_optimizer(OptimConfig(), nc=1, steps=2_000)
        ResolvedOptimizer(name='AdamW', lr=0.002, momentum=0.9, warmup_bias_lr=0.0)
    """
    name = known_optimizer(config.name)
    if name != "auto":
        return ResolvedOptimizer(name, config.lr0, config.momentum, config.warmup_bias_lr)
    if steps > LONG_RUN:
        return ResolvedOptimizer("MuSGD", 0.01, 0.9, 0.0)
    return ResolvedOptimizer("AdamW", round(0.002 * 5 / (4 + nc), 6), 0.9, 0.0)


def _named_parameters(model: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            yield module, f"{module_name}.{name}" if module_name else name, parameter


def parameter_groups(model: nn.Module, muon: bool) -> dict[str, list[Any]]:
    """Sort parameters: `bias` and `bn` (norms) without decay, `weight` with, `muon` matrices and filters."""
    from torch import nn

    norms = tuple(cls for key, cls in nn.__dict__.items() if "Norm" in key and isinstance(cls, type))
    groups: dict[str, list[Any]] = {"bias": [], "weight": [], "bn": [], "muon": []}
    for module, name, parameter in _named_parameters(model):
        if muon and parameter.ndim in (2, 4):
            groups["muon"].append(parameter)
        elif "bias" in name:
            groups["bias"].append(parameter)
        elif isinstance(module, norms) or "logit_scale" in name:
            groups["bn"].append(parameter)
        else:
            groups["weight"].append(parameter)
    return groups


def build_optimizer(
    model: nn.Module, resolved: ResolvedOptimizer, decay: float, boosted: set[int] | None = None
) -> Optimizer:
    """Build the optimizer with Ultralytics' groups, each named by its key `param_group`.

    Args:
        model: the network.
        resolved: see `resolve_optimizer`.
        decay: weight decay of the weights.
        boosted: `id`s of parameters that MuSGD trains at three times the rate.

    Returns:
        An optimizer with the groups weight, bn, bias in this order; MuSGD splits each, and a fourth, in two.
    """
    import torch

    settings: dict[str, Any] = {"lr": resolved.lr, "momentum": resolved.momentum}
    if resolved.name in ADAM_FAMILY:
        settings = {"lr": resolved.lr, "betas": (resolved.momentum, 0.999), "weight_decay": 0.0}
    elif resolved.name in ("SGD", "MuSGD"):
        settings["nesterov"] = True
    sorted_parameters = parameter_groups(model, muon=resolved.name == "MuSGD")
    order = ["weight", "bn", "bias"] + (["muon"] if resolved.name == "MuSGD" else [])
    groups: list[dict[str, Any]] = []
    for key in order:
        group = {**settings, "weight_decay": decay if key in DECAYED else 0.0, "param_group": key}
        if key == "muon":
            group["use_muon"] = True
        if resolved.name != "MuSGD":
            groups.append({"params": sorted_parameters[key], **group})
            continue
        faster = [p for p in sorted_parameters[key] if id(p) in (boosted or set())]
        others = [p for p in sorted_parameters[key] if id(p) not in (boosted or set())]
        groups += [{"params": faster, **group, "lr": resolved.lr * 3}, {"params": others, **group}]
    if resolved.name == "MuSGD":
        from ultralytics.optim import MuSGD

        from aigp_lightning.modules.yolo import quiet  # noqa: F401

        return cast("Optimizer", MuSGD(params=groups, muon=0.2, sgd=1.0))
    # One kernel for all: half the time of a step on a CPU; on a GPU it also skips steps after an overflow by itself.
    one_kernel = resolved.name in FUSED and next(model.parameters()).device.type in ("cpu", "cuda")
    optimizer = getattr(torch.optim, resolved.name)(groups, **({"fused": True} if one_kernel else {}))
    optimizer.register_load_state_dict_pre_hook(keep_kernels)
    if (
        one_kernel and resolved.name == "SGD"
    ):  # if the first step overflows, torch would leave its memory as it found it
        for parameter in (p for group in groups for p in group["params"] if p.requires_grad):
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return cast("Optimizer", optimizer)


def scaled_decay(config: OptimConfig, batch_size: int) -> float:
    """Return the weight decay for a batch: in proportion to the images that one optimizer step really sees.

    Args:
        config: what the user asked for.
        batch_size: over all processes.
    """
    accumulate = max(round(config.nbs / batch_size), 1)
    return config.weight_decay * batch_size * accumulate / config.nbs


def set_decay(optimizer: Optimizer, decay: float) -> None:
    """Set the weight decay of an optimizer whose state came from a checkpoint, made with another batch perhaps.

    Args:
        optimizer: see `build_optimizer`.
        decay: see `scaled_decay`.
    """
    for group in optimizer.param_groups:
        group["weight_decay"] = decay if group["param_group"] in DECAYED else 0.0


def nominal_steps(images: int, epochs: int, config: OptimConfig, batch_size: int) -> int:
    """Return the optimizer steps of a run, by which `auto` chooses.

    Args:
        images: in the training split.
        epochs: of the run.
        config: what the user asked for.
        batch_size: over all processes.
    """
    return math.ceil(images / max(batch_size, config.nbs)) * epochs
