"""Rates, decay and schedule by RF-DETR's recipe, every knob in the open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.gradients import keep_kernels
from aigp_lightning.modules.run_length import Extension, RunLength
from aigp_lightning.ranges import NOT_NEGATIVE, POSITIVE, Range, check_ranges

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

SCHEDULES = ("step", "cosine")
DROP = 0.1
"""Share of the rate that is left after the step."""
RANGES = {
    **dict.fromkeys(("lr", "lr_encoder"), POSITIVE),
    **dict.fromkeys(("lr_vit_layer_decay", "lr_component_decay"), Range(0, 1, above=True)),
    **dict.fromkeys(("weight_decay", "warmup_epochs", "lr_drop", "clip_norm"), NOT_NEGATIVE),
    "min_factor": Range(0, 1),
}


@dataclass
class OptimConfig:
    """Rates, decay and schedule of an RF-DETR's training by AdamW; the defaults are the package's own.

    Args:
        lr: learning rate of heads and projector; the decoder's is `lr` times `lr_component_decay`.
        lr_encoder: of the encoder's last layer, before its decay by `lr_component_decay` squared.
        lr_vit_layer_decay: each layer of the encoder has this share of the rate of the next one.
        lr_component_decay: share of the rate from head to decoder, and twice on the way to the encoder.
        weight_decay: of all weights but the encoder's norms, biases and embeddings.
        warmup_epochs: length of the linear warm-up from 0; fractions allowed.
        schedule: `step`, a tenth of the rate after `lr_drop` epochs; or `cosine`, down to `min_factor` at the end.
        lr_drop: epochs before the step.
        min_factor: share of the rate at the end of the cosine.
        clip_norm: largest norm of the gradient; 0 for no clipping.
    """

    lr: float = 1e-4
    lr_encoder: float = 1.5e-4
    lr_vit_layer_decay: float = 0.8
    lr_component_decay: float = 0.7
    weight_decay: float = 1e-4
    warmup_epochs: float = 0.0
    schedule: str = "step"
    lr_drop: int = 100
    min_factor: float = 0.0
    clip_norm: float = 0.1

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"--model.optim.schedule {self.schedule}: it is {' or '.join(SCHEDULES)}.")
        check_ranges("--model.optim", self, RANGES)


def parameter_groups(model: nn.Module, config: OptimConfig, layers: int) -> list[dict[str, Any]]:
    """Sort the trained parameters by their rate and decay.

    Rates by component and by depth of the encoder: Li et al., "Benchmarking Detection Transfer Learning with Vision
    Transformers", as LW-DETR and RF-DETR apply them.

    Args:
        model: the package's network.
        config: what the user asked for.
        layers: index of the encoder's last layer that is used, plus one.

    Returns:
        Groups for an optimizer, with `initial_lr`, `lr` and `weight_decay`, in the order of their first parameter.
    """
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(rate_and_decay(name, config, layers), []).append(parameter)
    return [
        {"params": params, "lr": rate, "initial_lr": rate, "weight_decay": decay}
        for (rate, decay), params in groups.items()
    ]


def rate_and_decay(name: str, config: OptimConfig, layers: int) -> tuple[float, float]:
    """Return the learning rate and the weight decay of a parameter.

    Args:
        name: in the package's network.
        config: what the user asked for.
        layers: see `parameter_groups`.
    """
    if not name.startswith("backbone.0.encoder"):
        share = config.lr_component_decay if "transformer.decoder" in name else 1.0
        return config.lr * share, config.weight_decay
    depth = layers + 1
    if "embeddings" in name:
        depth = 0
    elif ".layer." in name and ".residual." not in name:
        depth = int(name.partition(".layer.")[2].partition(".")[0]) + 1
    rate = config.lr_encoder * config.lr_vit_layer_decay ** (layers + 1 - depth) * config.lr_component_decay**2
    plain = any(word in name for word in ("gamma", "pos_embed", "rel_pos", "bias", "norm", "embeddings"))
    return rate, 0.0 if plain else config.weight_decay


def logged_rates(config: OptimConfig, layers: int, factor: float, encoder: bool) -> dict[str, float]:
    """Return the learning rates of heads, decoder and the encoder's last layer, by the names they are logged under.

    Args:
        config: what the user asked for.
        layers: see `parameter_groups`.
        factor: share of them now, see `rate_factor`.
        encoder: whether the encoder is trained.
    """
    parts = {"head": "class_embed.weight", "decoder": "transformer.decoder.weight"}
    if encoder:
        parts["encoder"] = f"backbone.0.encoder.encoder.encoder.layer.{layers - 1}.weight"
    return {f"lr/{part}": rate_and_decay(name, config, layers)[0] * factor for part, name in parts.items()}


def build_optimizer(model: nn.Module, config: OptimConfig, layers: int) -> Optimizer:
    """Build AdamW with the groups of `parameter_groups`, in one kernel for all parameters where torch has one.

    Args:
        model: the package's network.
        config: what the user asked for.
        layers: see `parameter_groups`.
    """
    import torch

    device = next(model.parameters()).device.type
    groups = parameter_groups(model, config, layers)
    optimizer = torch.optim.AdamW(groups, lr=config.lr, fused=device in ("cpu", "cuda"))
    optimizer.register_load_state_dict_pre_hook(keep_kernels)
    return optimizer


def rate_factor(config: OptimConfig, length: RunLength, epoch: float) -> float:
    """Return the share of the learning rates at a point of the run.

    It is a closed function of the epochs trained, so a checkpoint needs no state of it, and a resumed run is where it
    was whatever its batch is now.

    Args:
        config: what the user asked for.
        length: of the run, and its extensions: a cosine goes on at the rate of the epoch before, and falls over the
            epochs that are left.
        epoch: epochs trained, fractions included.
    """
    if epoch < config.warmup_epochs:
        return epoch / config.warmup_epochs
    if config.schedule == "step":
        return 1.0 if epoch < config.lr_drop else DROP
    return _cosine(config, length.epochs, length.extensions, epoch)


def _cosine(config: OptimConfig, epochs: int, extensions: tuple[Extension, ...], epoch: float) -> float:
    for number in reversed(range(len(extensions))):
        if epoch >= (start := extensions[number].start):
            before = _cosine(config, epochs, extensions[:number], start)
            return _fallen(before, config.min_factor, (epoch - start) / (extensions[number].epochs - start))
    warm = min(config.warmup_epochs, epochs)
    return _fallen(1.0, config.min_factor, (epoch - warm) / max(epochs - warm, 1e-9))


def _fallen(share: float, end: float, progress: float) -> float:
    """Return the share of the rate at a part, 0…1, of half a cosine from one share to another."""
    return end + (share - end) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
