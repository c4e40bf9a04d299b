"""Copies of a checkpoint's contents that training cannot change any more, so that they are written beside it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, UntypedStorage

ALIGNMENT = 64
"""Bytes at whose multiples the copies of a GPU's tensors begin in the pinned buffer."""


def snapshot(content: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Copy a checkpoint; what shares memory shares it in the copy.

    On a CPU all is copied at once. From a GPU the tensors go into pinned memory beside the steps that follow, which
    cannot change them: copies and steps are in order there.

    Args:
        content: dicts, lists and tuples of tensors and plain values, as Lightning collects them.

    Returns:
        A function that waits for what is under way, and gives the copy, with its tensors on the CPU. It may be called
        from another thread, once.

    Raises:
        Exception: there is something in it that cannot be copied.

    Example:
        >>> weights = torch.ones(2)
        >>> copied = snapshot({"state_dict": {"weight": weights}, "epoch": 3})
        >>> weights += 1
        >>> copied()
        {'state_dict': {'weight': tensor([1., 1.])}, 'epoch': 3}
    """
    copies: dict[tuple[int, int], UntypedStorage] = {}
    on_gpu: list[tuple[UntypedStorage, UntypedStorage]] = []
    memo: dict[int, Any] = {}
    for tensor in _tensors(content, set()):
        if not _is_plain(tensor):
            continue  # `deepcopy` copies it by itself
        storage = tensor.untyped_storage()
        place = (storage.data_ptr() or -id(tensor), storage.nbytes())  # memory of another owner has another length
        if place not in copies:
            copies[place] = UntypedStorage(storage.nbytes())  # type: ignore[no-untyped-call]
            if storage.device.type == "cpu":
                copies[place].copy_(storage)
            elif storage.nbytes():
                on_gpu.append((storage, copies[place]))
        same = torch.empty(0, dtype=tensor.dtype)
        memo[id(tensor)] = same.set_(copies[place], tensor.storage_offset(), tensor.shape, tensor.stride())  # type: ignore[call-overload]
    arrive = _from_gpu(on_gpu)
    copied: dict[str, Any] = copy.deepcopy(content, memo)

    def wait() -> dict[str, Any]:
        arrive()
        return copied

    return wait


def same_content(one: Any, other: Any) -> bool:
    """True if two snapshots hold the same, to the bit; of what cannot be compared, False.

    Args:
        one: a snapshot, or a part of one.
        other: another one.

    Example:
        >>> first, second = {"a": [torch.zeros(2), 1]}, {"a": [torch.zeros(2), 1]}
        >>> same_content(first, second), same_content(first, {"a": [-torch.zeros(2), 1]})
        (True, False)
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return _same_tensor(one, other)
    if isinstance(one, Mapping):
        return (
            list(one) == list(other)
            and all(same_content(value, other[key]) for key, value in one.items())
            and same_content(getattr(one, "__dict__", None), getattr(other, "__dict__", None))
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same_content, one, other))
    if isinstance(one, float):
        return bool(one.hex() == other.hex())
    return one is other or (isinstance(one, str | bytes | int) and bool(one == other))


def _same_tensor(one: Tensor, other: Tensor) -> bool:
    if not (_is_plain(one) and _is_plain(other)):
        return False
    layouts = [(each.dtype, each.device, each.shape, each.stride(), each.storage_offset()) for each in (one, other)]
    return layouts[0] == layouts[1] and torch.equal(_bytes(one.untyped_storage()), _bytes(other.untyped_storage()))


def _is_plain(tensor: Tensor) -> bool:
    """True if a tensor is no more than its storage, type and strides, on a device that is known."""
    return (
        type(tensor) is Tensor
        and tensor.layout == torch.strided
        and tensor.device.type in ("cpu", "cuda")
        and not (tensor.requires_grad or tensor.is_quantized or tensor.is_conj() or tensor.is_neg() or vars(tensor))
    )


def _tensors(value: Any, seen: set[int]) -> Iterator[Tensor]:
    """Yield the tensors in dicts, lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
        seen.add(id(value))
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(each, seen)


def _bytes(storage: UntypedStorage) -> Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)  # type: ignore[call-overload,no-any-return]


def _from_gpu(pairs: list[tuple[UntypedStorage, UntypedStorage]]) -> Callable[[], None]:
    """Start copying storages to one pinned buffer; returns a function that waits, and moves them to their places."""
    if not pairs:
        return lambda: None
    places, end = [], 0
    for storage, _ in pairs:
        places.append(end)
        end += -(-storage.nbytes() // ALIGNMENT) * ALIGNMENT
    pinned = torch.empty(end, dtype=torch.uint8, pin_memory=True)
    parts = [pinned[at : at + storage.nbytes()] for at, (storage, _) in zip(places, pairs, strict=True)]
    for part, (storage, _) in zip(parts, pairs, strict=True):
        part.copy_(_bytes(storage), non_blocking=True)
    events = []
    for device in {storage.device for storage, _ in pairs}:
        with torch.cuda.device(device):
            event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
            events.append(event)

    def wait() -> None:
        for event in events:
            event.synchronize()
        for part, (_, target) in zip(parts, pairs, strict=True):
            _bytes(target).copy_(part)

    return wait
