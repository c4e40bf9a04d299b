"""Layers that are not trained: which parameters a list of layers and module names means, and their batch norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT_OR_NONE, check_range

if TYPE_CHECKING:
    from torch import nn

Frozen: TypeAlias = "int | list[int | str]"
"""Layers counted from the input, or a list of layers' numbers and of modules' names, such as `23.cv2`."""
OPTION = "--model.freeze"


def check_freeze(asked: Frozen) -> None:
    """Refuse values of `--model.freeze` that name no layers, whatever the network.

    Args:
        asked: the option.

    Raises:
        ConfigError: a number below 0, or an empty name.
    """
    if isinstance(asked, int):
        check_range(OPTION, asked, COUNT_OR_NONE)
        return
    for each in asked:
        if isinstance(each, int):
            check_range(f"{OPTION} {asked}", each, COUNT_OR_NONE)
        elif not _plain(each):
            raise ConfigError(f"{OPTION} {asked}: {each!r} names no module; names are such as 23.cv2.")


def frozen_prefixes(asked: Frozen, network: nn.Module) -> list[str]:
    """Return the prefixes of the names of what is frozen, as Ultralytics' trainer makes them.

    Args:
        asked: `--model.freeze`. Names may be given with and without the `model.` before them and the dot behind.
        network: from `build_model`.

    Raises:
        ConfigError: a layer or name that the network does not have, or nothing would be left to train.
    """
    prefixes = [f"model.{_plain(each)}." for each in (range(asked) if isinstance(asked, int) else asked)]
    names = [name for name, _ in network.named_parameters()]
    modules = [f"{name}." for name, _ in network.named_modules()]
    missing = [prefix for prefix in prefixes if not any(prefix in name for name in modules)]
    layers = len(network.model)  # type: ignore[arg-type]
    if missing and not isinstance(asked, int):
        unknown = ", ".join(prefix.removeprefix("model.").removesuffix(".") for prefix in missing)
        raise ConfigError(
            f"{OPTION} {asked}: the network has no {unknown}. Its layers are 0 to {layers - 1}, and their parts have "
            f"names such as {_example(names)}."
        )
    trained = (name for name, value in network.named_parameters() if value.requires_grad)
    if missing or not any(not any(prefix in name for prefix in prefixes) for name in trained):
        raise ConfigError(f"{OPTION} {asked}: the network has {layers} layers; leave some.")
    return prefixes


def freeze(network: nn.Module, asked: Frozen) -> list[str]:
    """Freeze parameters of a network; the projection of the box sides (DFL) is never trained.

    Args:
        network: from `build_model`.
        asked: `--model.freeze`.

    Returns:
        See `frozen_prefixes`; `hold_statistics` takes them.

    Raises:
        ConfigError: see `frozen_prefixes`.
    """
    prefixes = frozen_prefixes(asked, network)
    for name, parameter in network.named_parameters():
        if any(prefix in name for prefix in prefixes):
            parameter.requires_grad_(False)
    return prefixes


def hold_statistics(network: nn.Module, prefixes: Sequence[str]) -> None:
    """Keep the running statistics of batch norms within frozen layers as they are; called as an epoch begins.

    As in Ultralytics a batch norm that is named itself, `0.bn`, goes on counting: only its weights are frozen.

    Args:
        network: in training.
        prefixes: see `freeze`.
    """
    from torch.nn import BatchNorm2d, SyncBatchNorm

    for name, module in network.named_modules():
        if isinstance(module, (BatchNorm2d, SyncBatchNorm)) and any(prefix in name for prefix in prefixes):
            module.eval()


def _plain(name: int | str) -> str:
    return str(name).strip().removeprefix("model.").removesuffix(".")


def _example(names: Sequence[str]) -> str:
    """Return the name of a part of the last layer."""
    return ".".join(names[-1].split(".")[1:3])
