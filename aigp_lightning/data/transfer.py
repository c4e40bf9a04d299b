"""The way of a batch to a GPU, beside the step that is being computed there."""

from __future__ import annotations

from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor


class BatchTransfer:
    """Copies batches to a device; to a GPU on a stream of its own.

    The host is a step ahead of a GPU that it never waits for. A copy in the stream of the computation would begin only
    when the step before has ended; on its own stream it runs meanwhile, and the next step waits for it alone. A batch
    of 64 images of 640 × 640 pixels is 79 MB: some 3 ms over PCIe 4.

    Example:
        >>> batch = {"img": torch.zeros(1, 3, 4, 4), "im_file": ["a.jpg"]}
        >>> BatchTransfer()(batch, torch.device("cpu"))["im_file"]
        ['a.jpg']
    """

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}

    def __call__(self, batch: Any, device: torch.device) -> Any:
        """Return the batch with its tensors on a device.

        Args:
            batch: tensors in dictionaries, lists and tuples; pinned memory is what makes the copy run beside.
            device: where to.
        """
        if device.type != "cuda":
            return move_data_to_device(batch, device)
        computing = torch.cuda.current_stream(device)
        stream = self._streams.get(device)
        if stream is None:
            stream = self._streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            moved = move_data_to_device(batch, device)
        computing.wait_stream(stream)
        _record(moved, computing)
        return moved

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the streams, which no copy of a module can have."""
        return {"_streams": {}}


def _record(batch: Any, stream: torch.cuda.Stream) -> None:
    """Say that a stream uses the tensors, so that their memory is not given away before it has."""
    if isinstance(batch, Tensor):
        if batch.is_cuda:
            batch.record_stream(stream)
    elif isinstance(batch, dict):
        for value in batch.values():
            _record(value, stream)
    elif isinstance(batch, (list, tuple)) and batch and not isinstance(batch[0], str):
        for value in batch:
            _record(value, stream)
