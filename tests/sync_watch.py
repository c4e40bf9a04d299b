"""A watch for operations that make the host wait for a GPU, which works without one."""

from __future__ import annotations

import traceback
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

ASKING = {
    "aten._local_scalar_dense",
    "aten.item",
    "aten.nonzero",
    "aten.masked_select",
    "aten.unique_dim",
    "aten._unique2",
    "aten._unique",
    "aten.unique_consecutive",
    "aten.bincount",
    "aten.equal",
    "aten.is_nonzero",
}
"""Operations whose result, or its shape, the host needs."""


class SyncWatch(TorchDispatchMode):
    """Note what would make the host wait, had the tensors been on a GPU.

    Seen are reading a number (`item`, `if tensor`, `float(tensor)`), shapes that depend on values (`nonzero`, masks as
    indices, `unique`, `repeat_interleave` without `output_size`) and copies of tensors between devices. A tensor made
    from Python numbers is seen too: on a GPU it would be copied there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.where: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = f"aten.{func.__name__.split('.')[0]}"
        if self._asks(name, args, kwargs):
            self.found.append(name)
            lines = [line for line in traceback.format_stack() if "aigp_lightning" in line or "ultralytics" in line]
            self.where.append((lines or traceback.format_stack())[-1].strip().splitlines()[0])
        return func(*args, **kwargs)

    @staticmethod
    def _asks(name: str, args: Any, kwargs: Any) -> bool:
        if name in ASKING:
            return True
        if name in ("aten.index", "aten.index_put", "aten.index_put_", "aten._index_put_impl_"):
            return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
        if name == "aten.repeat_interleave":
            return kwargs.get("output_size") is None
        return name == "aten.lift_fresh"
