"""Models opened outside a trainer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.evaluation.exported import SUFFIXES, open_exported, told_by_exported
from aigp_lightning.modules.registry import kind_of_file, load_module, open_weights

if TYPE_CHECKING:
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
        WeightsError: it cannot be opened.
    """
    if is_exported(path):
        module = open_exported(path, told_by_exported(path))
        module.set_network(module.build_network(None))
        return module.eval()
    return load_module(path) if kind_of_file(path) is None else open_weights(path)
