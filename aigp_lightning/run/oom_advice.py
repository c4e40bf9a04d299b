"""Advice after memory ran out (OOM) in a step, a GPU's or the machine's: how many images would have fitted."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from aigp_lightning.checkpoints.paths import resume_hint
from aigp_lightning.errors import first_line
from aigp_lightning.run.exhausted import WORKER_STATUS, Exhausted, exhausted, from_worker, original_text
from aigp_lightning.run.failures import out_of_gpu_memory

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

    from aigp_lightning.types import DetectionBatch

SHARE = 0.9
"""Of the memory that is planned with: batches with more objects need more, and memory splinters."""
TRIED = (1, 2, 4, 8)
"""Batches that are measured; the line through them says what larger ones need."""
GIB = 2**30


@runtime_checkable
class MeasuresMemory(Protocol):
    """A module that can be trained on batches of any size, to measure what they need.

    Attributes:
        fitting: True while a trainer trains it.
    """

    @property
    def fitting(self) -> bool:
        """True while a trainer trains it."""

    def example_batch(self, images: int, imgsz: int, crowd: int, device: torch.device) -> DetectionBatch:
        """Return a batch of so many images with so many objects each, ready for `compute_loss`."""

    def compute_loss(self, batch: DetectionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its detached components by name."""


class SizedData(Protocol):
    """A datamodule that says how large its batches are.

    Attributes:
        imgsz: side of the network's input, pixels.
        batch_size: training images a step, over all processes.
    """

    imgsz: int
    batch_size: int

    def scan(self, split: str) -> Any:
        """Return the labels of a split: `records`, each with the classes `cls` of its objects."""


def largest_fitting_batch(points: Sequence[tuple[int, int]], room: int, below: int) -> int:
    """Return the largest batch that fits, by a straight line through batches that were measured.

    Args:
        points: images and bytes of batches that were tried.
        room: bytes there are.
        below: a batch that did not fit.

    Returns:
        Images; 0 if not even one fits, or nothing was measured. Never more than `below` − 1.

    Example:
        >>> largest_fitting_batch([(1, 300), (2, 400), (4, 600)], room=1000, below=16)
        8
    """
    import numpy as np

    fits = [images for images, needed in points if needed <= room and images < below]
    if not fits or len(points) < 2:  # noqa: PLR2004  a line
        return max(fits, default=0)
    images, needed = np.array(points, dtype=np.float64).T
    slope, fixed = np.polyfit(images, needed, 1)
    by_line = int((room - fixed) // slope) if slope >= 1 else 0
    return min(max(by_line, *fits), below - 1)


def measure_memory(
    train: Callable[[int], None], peak: Callable[[], int], sizes: Sequence[int] = TRIED
) -> list[tuple[int, int]]:
    """Train on growing batches until one does not fit.

    Args:
        train: forward and backward of a batch of so many images.
        peak: the most bytes in use since it was last asked.
        sizes: images, rising.

    Returns:
        Images and bytes of those that fit.
    """
    points = []
    for size in sizes:
        peak()
        try:
            train(size)
        except Exception as error:
            if out_of_gpu_memory(error):
                break
            raise
        points.append((size, peak()))
    return points


def step_out_of_memory(error: BaseException) -> bool:
    """True if an exception says that a step found no memory, on a GPU or, in this process, on the machine.

    Example:
        >>> step_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
        True
        >>> step_out_of_memory(RuntimeError("DataLoader worker (pid 7) exited unexpectedly with exit code 82."))
        False
    """
    if out_of_gpu_memory(error):
        return True
    lacking = exhausted(error) is Exhausted.MEMORY and not isinstance(error, OSError)
    return lacking and not from_worker(error) and WORKER_STATUS.search(str(error)) is None


def oom_advice(error: BaseException, trainer: Trainer, module: LightningModule, data: SizedData) -> str:
    """Return which batch did not fit, and which would; training is over, and its memory is freed to measure that.

    Args:
        error: the exception.
        trainer: it was running.
        module: what it trained; one that is no `MeasuresMemory` is not measured.
        data: the datamodule that the batch was of.
    """
    processes = trainer.world_size
    mine = data.batch_size // processes
    device = trainer.strategy.root_device
    fits, whose = mine // 2, "the GPU's memory"
    if not out_of_gpu_memory(error):  # what a step needs of the machine's memory nobody counts
        whose = f"the machine's memory is full ({first_line(original_text(error)).rstrip('.')})"
    elif device.type == "cuda" and isinstance(module, MeasuresMemory) and module.fitting:
        import torch

        whose += f" of {torch.cuda.get_device_properties(device).total_memory / GIB:.1f} GiB"
        try:
            fits = _measured(error, module, data, device, mine)
        except Exception as problem:  # it is advice, no more: half is a fair guess
            if not out_of_gpu_memory(problem):
                whose += f"; what would fit could not be measured ({problem})"
    if out_of_gpu_memory(error):
        whose += " is full"
        less = "a smaller --data.imgsz or --model.variant needs less too"
    else:
        less = (
            "a smaller --data.imgsz or --model.variant and fewer --data.workers need less too; see what else runs on it"
        )
    what = f"{whose}: a batch of {data.batch_size} images at {data.imgsz} pixels does not fit"
    hint = resume_hint(Path(trainer.default_root_dir))
    if fits < 1:
        return f"{what}, and one image a process hardly does: {less}.{hint}"
    return f"{what}. Try --data.batch_size {fits * processes}, which a resumed run takes up; {less}.{hint}"


def _measured(error: BaseException, module: Any, data: SizedData, device: torch.device, mine: int) -> int:
    """Measure how many images fit.

    Args:
        error: the exception; its frames hold memory.
        module: a `LightningModule` that is a `MeasuresMemory`.
        data: the datamodule.
        device: a GPU.
        mine: images that did not fit.
    """
    import gc

    import torch

    traceback.clear_frames(error.__traceback__)  # they hold the activations of the step that failed
    module.zero_grad(set_to_none=True)
    gc.collect()
    torch.cuda.empty_cache()
    module.to(device).train()
    room = _room(module, device)

    def peak() -> int:
        most = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return most

    crowd = max((len(record.cls) for record in data.scan("train").records), default=1) or 1

    def train(images: int) -> None:
        with module.trainer.precision_plugin.train_step_context():
            loss, _ = module.compute_loss(module.example_batch(images, data.imgsz, crowd, device))
        torch.autograd.backward(loss)
        module.zero_grad(set_to_none=True)

    try:
        return largest_fitting_batch(
            measure_memory(train, peak, [size for size in TRIED if size < mine] or [1]), room, mine
        )
    finally:
        module.zero_grad(set_to_none=True)
        module.to("cpu")


def _room(module: torch.nn.Module, device: torch.device) -> int:
    """Return the bytes that a training step may use on a GPU."""
    import torch

    free, total = torch.cuda.mem_get_info(device)
    allowed = getattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 1.0)(device)
    there = min(free + torch.cuda.memory_reserved(device), allowed * total)
    # Beside what a step needs there are the optimizer's two averages and the EMA.
    extra = 3 * sum(p.numel() * p.element_size() for p in module.parameters())
    return int(SHARE * there) - extra
