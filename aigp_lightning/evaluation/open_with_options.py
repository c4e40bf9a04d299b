"""Models opened outside a trainer with the options of their run, as `predict` opens them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from aigp_lightning.evaluation.exported import ExportedModule, open_exported, told_by_exported
from aigp_lightning.evaluation.open_model import check_numbers, is_exported
from aigp_lightning.modules.registry import kind_of_file, load_module, module_class, trained_with
from aigp_lightning.modules.run_options import accepted_options, build_module
from aigp_lightning.run.precision import default_precision

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.trained_with import TrainedWith


def told_by(path: Path) -> TrainedWith:
    """Return what a model's file says of its run.

    Args:
        path: a checkpoint, a family's own weights file or an exported file.

    Raises:
        WeightsError: it cannot be read.
    """
    return told_by_exported(path) if is_exported(path) else trained_with(path)


def open_with_options(path: Path, told: TrainedWith) -> BaseModule:
    """Open a file in eval mode on the CPU, with the options of its run: a weights file has them from beside it.

    Args:
        path: see `told_by`.
        told: by the file.

    Raises:
        WeightsError: it cannot be opened, or has weights that are no numbers.
        ConfigError: a package is missing.
    """
    if is_exported(path):
        module: BaseModule = open_exported(path, told)
    elif kind_of_file(path) is None:
        module = load_module(path)
    else:
        kind = module_class(told.family, told.task, path)
        module = build_module(kind, accepted_options(kind, told.model), path)
        module.weights = str(path)
    if module.network is None:
        module.set_network(module.build_network(None))
    check_numbers(module, path)
    return module.eval()


def decoder_of(module: BaseModule) -> BaseModule:
    """Return the module whose limits count: of an exported file the one of its family that decodes.

    Args:
        module: opened.
    """
    return module.decoder if isinstance(module, ExportedModule) else module


def usual_device(module: BaseModule) -> torch.device:
    """Return the device that a model runs on where nobody names one: exported files run on the CPU.

    Args:
        module: opened.
    """
    exported = isinstance(module, ExportedModule)
    return torch.device("cuda" if torch.cuda.is_available() and not exported else "cpu")


def prediction_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context of the precision in which the verb `predict` computes on a device.

    Args:
        device: of the network.

    Example:
        >>> with prediction_precision(torch.device("cpu")):
        ...     torch.is_autocast_enabled("cpu")
        False
    """
    mixed = device.type == "cuda"
    kind = default_precision(gpu=mixed, training=False) if mixed else ""
    if not kind.endswith("mixed"):
        return nullcontext()
    return torch.autocast("cuda", torch.bfloat16 if kind.startswith("bf16") else torch.float16)
