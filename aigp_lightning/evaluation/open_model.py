"""Models opened outside a trainer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from aigp_lightning.errors import WeightsError
from aigp_lightning.evaluation.exported import open_exported, told_by_exported
from aigp_lightning.evaluation.exported_graph import SUFFIXES
from aigp_lightning.modules.registry import kind_of_file, load_module, open_weights

if TYPE_CHECKING:
    from torch import nn

    from aigp_lightning.modules.base import BaseModule


def is_exported(path: Path) -> bool:
    """True if a file is a graph that `export` wrote.

    Args:
        path: of the file.

    Example:
        >>> is_exported(Path("best.onnx")), is_exported(Path("best.pt"))
        (True, False)
    """
    return path.suffix in SUFFIXES


def open_model(path: Path) -> BaseModule:
    """Open a model in eval mode on the CPU.

    Args:
        path: a checkpoint, a family's own weights file or an exported file.

    Raises:
        WeightsError: it cannot be opened, or has weights that are no numbers.
    """
    if is_exported(path):
        exported = open_exported(path, told_by_exported(path))
        exported.set_network(exported.build_network(None))
        return exported.eval()
    module = load_module(path) if kind_of_file(path) is None else open_weights(path)
    check_numbers(module, path)
    return module


def check_numbers(module: BaseModule, path: Path) -> None:
    """Refuse a network whose weights are no numbers: it finds nothing, which would be measured as a model's worst.

    Args:
        module: opened.
        path: of its file, for the error.

    Raises:
        WeightsError: a parameter is not finite, or a statistic is NaN.
    """
    network = cast("nn.Module", module.network)
    with torch.no_grad():
        wrong = [name for name, weight in network.named_parameters() if not weight.isfinite().all()]
        wrong += [name for name, value in network.named_buffers() if value.is_floating_point() and value.isnan().any()]
    if wrong:
        raise WeightsError(f"{path} has weights that are no numbers (NaN or infinite), such as {wrong[0]}.")
