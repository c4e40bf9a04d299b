"""How many images fit a GPU's memory, told when a batch did not."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.checkpoints.paths import resume_hint
from aigp_lightning.run.failures import out_of_gpu_memory

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import Trainer

    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.base import BaseModule

SHARE = 0.9
"""Of the memory that is planned with: batches with more objects need more, and memory splinters."""
TRIED = (1, 2, 4, 8)
"""Batches that are measured; the line through them says what larger ones need."""
GIB = 2**30


def largest_fitting_batch(points: Sequence[tuple[int, int]], room: int, below: int) -> int:
    """The largest batch that a straight line through measured ones says will fit.

    Args:
        points: images and bytes of batches that were tried.
        room: bytes there are.
        below: a batch that did not fit.

    Returns:
        Images; 0 if not even one fits, or nothing was measured. Never more than `below` − 1.
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


def oom_advice(error: BaseException, trainer: Trainer, module: BaseModule, data: YoloDataModule) -> str:
    """Say which batch did not fit, and which would; the training is over and its memory is given back for that.

    Args:
        error: the exception.
        trainer: it was running.
        module: the model.
        data: the batch is its.
    """
    processes = trainer.world_size
    mine = data.batch_size // processes
    device = trainer.strategy.root_device
    fits, size = mine // 2, ""
    if device.type == "cuda" and module.fitting:
        import torch

        size = f" of {torch.cuda.get_device_properties(device).total_memory / GIB:.1f} GiB"
        try:
            fits = _found(error, module, data, device, mine)
        except Exception as problem:  # it is advice, no more: half is a fair guess
            if not out_of_gpu_memory(problem):
                size += f"; what would fit could not be measured ({problem})"
    what = f"the GPU's memory{size} is full: a batch of {data.batch_size} images at {data.imgsz} pixels does not fit"
    less = "a smaller --data.imgsz or --model.variant needs less too"
    hint = resume_hint(Path(trainer.default_root_dir))
    if fits < 1:
        return f"{what}, and one image a process hardly does: {less}.{hint}"
    return (
        f"{what}. Try --data.batch_size {fits * processes} (an optimizer step still sees as many images: gradients "
        f"accumulate); {less}.{hint}"
    )


def _found(error: BaseException, module: BaseModule, data: YoloDataModule, device: torch.device, mine: int) -> int:
    import gc

    import torch

    traceback.clear_frames(error.__traceback__)  # they hold the activations of the step that failed
    module.zero_grad(set_to_none=True)
    gc.collect()
    torch.cuda.empty_cache()
    module.to(device).train()
    free, total = torch.cuda.mem_get_info(device)
    allowed = getattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 1.0)(device)
    there = min(free + torch.cuda.memory_reserved(device), allowed * total)
    # Beside what a step needs there are the optimizer's two averages and the EMA.
    extra = 3 * sum(p.numel() * p.element_size() for p in module.parameters())
    room = int(SHARE * there) - extra

    def peak() -> int:
        most = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return most

    def train(images: int) -> None:
        with module.trainer.precision_plugin.train_step_context():
            loss, _ = module.compute_loss(example_batch(images, module, data, device))
        torch.autograd.backward(loss)
        module.zero_grad(set_to_none=True)

    try:
        return largest_fitting_batch(
            measure_memory(train, peak, [size for size in TRIED if size < mine] or [1]), room, mine
        )
    finally:
        module.zero_grad(set_to_none=True)
        module.to("cpu")


def example_batch(images: int, module: BaseModule, data: YoloDataModule, device: torch.device) -> Any:
    """A batch like the data set's most crowded images, on the device, ready for the loss."""
    import torch

    crowd = max((len(record.cls) for record in data.scan("train").records), default=1) or 1
    side, layout = data.imgsz, torch.channels_last if module.channels_last else torch.contiguous_format
    pixels = torch.rand(images, 3, side, side, device=device).contiguous(memory_format=layout)
    batch: dict[str, Any] = {
        "img": pixels,
        "cls": torch.zeros(images * crowd, dtype=torch.int64, device=device),
        "bboxes": torch.tensor([0.5, 0.5, 0.3, 0.3], device=device).repeat(images * crowd, 1),
        "batch_idx": torch.arange(images, device=device).repeat_interleave(crowd),
    }
    if module.keypoints is not None:
        batch["keypoints"] = torch.full((images * crowd, module.keypoints.count, 3), 0.5, device=device)
    return batch
