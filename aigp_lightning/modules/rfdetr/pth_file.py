"""RF-DETR's weights files read as data: no code in them is run, and nothing larger is made of them than they are."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigp_lightning.checkpoints.schema import METADATA, checkpoint_metadata, family_of
from aigp_lightning.errors import WeightsError

FAMILY = "rfdetr"
"""Name of the family in checkpoints."""
OURS = "network.model."
"""Before the names of the network's tensors in our checkpoints; in the package's own it is `model.`."""


def load_pth(path: Path) -> dict[str, Any]:
    """Load a file with tensors and plain values; what argparse makes, as in earlier files of the package, is one.

    Args:
        path: the file.

    Raises:
        WeightsError: it is cut off, or holds more than that.
    """
    try:
        with torch.serialization.safe_globals([Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a file that is cut off or no checkpoint
        raise WeightsError(
            f"cannot read {path}: it is cut off, or holds more than tensors and plain values."
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds no RF-DETR detector.")
    return content


def network_tensors(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Return the network's tensors in float32 by the package's names, from a `.pth` or a Lightning checkpoint.

    Args:
        content: see `load_pth`.
        path: the file, for errors.

    Raises:
        WeightsError: there are none, they are of another family, or not what they say to be.
    """
    ours = content.get(METADATA)
    if isinstance(content.get("state_dict"), dict) and isinstance(ours, dict):
        family = family_of(checkpoint_metadata(content, path))
        if family != FAMILY:
            raise WeightsError(f"{path} is of family {family}; the configuration asks for {FAMILY}.")
    found: Any = content.get("model")
    if not isinstance(found, dict):
        prefix, state = OURS if isinstance(ours, dict) else "model.", content.get("state_dict")
        state = state if isinstance(state, dict) else {}
        found = {name.removeprefix(prefix): value for name, value in state.items() if str(name).startswith(prefix)}
        found = {name.removeprefix("_orig_mod."): value for name, value in found.items()}  # of a compiled network
    found = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not found:
        raise WeightsError(f"{path} holds no RF-DETR detector.")
    for name, tensor in found.items():
        if not _is_whole(tensor):
            raise WeightsError(f"{path} is damaged: {name} is no plain tensor of its size.")
    floats = {name: value.float() if value.is_floating_point() else value for name, value in found.items()}
    for name, tensor in floats.items():
        if tensor.is_complex() or (tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())):
            raise WeightsError(f"{path} is damaged: {name} has values that are no finite numbers.")
    return floats


def _is_whole(tensor: Tensor) -> bool:
    """True if a tensor has as many numbers in memory as it says: one can be said to be of any size."""
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
