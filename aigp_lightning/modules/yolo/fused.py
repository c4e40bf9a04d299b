"""A network's copy for validation and prediction, its batch norms folded into the convolutions before them."""

from __future__ import annotations

from copy import deepcopy
from itertools import chain
from typing import Any, cast

import torch
from torch import nn

from aigp_lightning.modules.yolo.nms_free import has_one_to_one_head


class FusedCopy:
    """The copy, made when it is first asked for and made anew when a weight has changed.

    It finds what the network finds but for rounding, with a kernel less for each layer: `YOLO.val` does the same.

    Example:
        >>> from aigp_lightning.modules.yolo.build import build_model
        >>> network, images = build_model("yolo11n", {0: "gate"}, {}).eval(), torch.rand(1, 3, 32, 32)
        >>> fused = FusedCopy().of(network)
        >>> sum(isinstance(layer, nn.BatchNorm2d) for layer in fused.modules())
        0
        >>> with torch.no_grad():
        ...     torch.allclose(fused(images)[0], network(images)[0], rtol=1e-3, atol=1e-3)
        True
    """

    def __init__(self) -> None:
        self._copy: nn.Module | None = None
        self._made_of: list[tuple[int, int]] = []

    def of(self, network: nn.Module) -> nn.Module:
        """Return the copy of a network; the network itself where folding is not possible or not exact.

        Args:
            network: from `build_model`. Not folded: one in training, one that is not in float32, and one with two
                heads, of which folding would drop the one whose loss is reported.
        """
        if not _foldable(network):
            return network
        tensors = list(chain(network.parameters(), network.buffers()))
        # An in-place change raises a tensor's version, another tensor in its place has another address.
        state = [(tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in tensors]
        if self._copy is None or state != self._made_of:
            self._copy, self._made_of = _folded(network), state
        return self._copy


def _foldable(network: nn.Module) -> bool:
    plain = all(tensor.dtype == torch.float32 and not tensor.is_inference() for tensor in network.parameters())
    return plain and not network.training and not has_one_to_one_head(network)


@torch.no_grad()
def _folded(network: nn.Module) -> nn.Module:
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d) and part.kernel_size != (1, 1)]
    last = all(part.weight.is_contiguous(memory_format=torch.channels_last) for part in convolutions)
    with torch.inference_mode(False):
        copy: Any = deepcopy(network)
        copy.fuse(verbose=False)
        copy.requires_grad_(False)
    return cast("nn.Module", copy.to(memory_format=torch.channels_last if last else torch.contiguous_format))
