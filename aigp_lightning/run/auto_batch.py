"""AutoBatch: the batch that fills a share of the GPU's memory, measured with the network of the run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from aigp_lightning.errors import RunError, tell_user
from aigp_lightning.run.lightning_internals import datamodule_of
from aigp_lightning.run.oom_advice import GIB, MeasuresMemory, measure_memory

if TYPE_CHECKING:
    import lightning.pytorch as pl
    import torch

SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Images of the batches that are measured; the line through them says what larger ones need."""
MOST = 1024
"""Images of the largest batch that is chosen, in one process."""
NEARLY = 1e-6
"""Of an image, which the line may be off by rounding."""
COPIES = 3
"""Copies of the parameters that a step needs and a measurement has not: the optimizer's two averages and the EMA."""


class BatchNeeds(NamedTuple):
    """What the memory of a training batch depends on.

    Attributes:
        imgsz: side of training pictures, pixels.
        crowd: the most objects that one may have.
        least: fewest images of a batch, in one process.
        images: training images that there are.
    """

    imgsz: int
    crowd: int
    least: int
    images: int


@runtime_checkable
class ChoosesBatch(Protocol):
    """A datamodule whose batch is chosen when the network is built.

    Attributes:
        batch_share: share of the GPU's memory that a step is to fill; None once the batch is known.
        batch_size: training images a step, over all processes; a stand-in until it is known.
    """

    batch_share: float | None
    batch_size: int

    def batch_needs(self) -> BatchNeeds:
        """Return what the memory of a training batch depends on."""

    def take_batch(self, images: int) -> None:
        """Train on batches of so many images, over all processes, from here on."""


class Meter(Protocol):
    """The memory of a device, and what training on it needs.

    Attributes:
        name: of the device.
    """

    name: str

    def available(self) -> int:
        """Return the bytes that this process may use, those that it has included."""

    def peak(self) -> int:
        """Return the most bytes in use since it was last asked."""

    def train(self, images: int) -> None:
        """Train on one batch, forward and backward, without a step."""

    def extra(self) -> int:
        """Return the bytes that a step needs and `train` does not."""


class GpuMeter:
    """The memory of an NVIDIA GPU while a module is trained on it.

    The network, its gradients and the random generators are afterwards as they were.

    Args:
        module: a `LightningModule` that is a `MeasuresMemory`, with its network.
        device: the GPU.
        imgsz: side of the pictures, pixels.
        crowd: objects in each.
    """

    def __init__(self, module: Any, device: torch.device, imgsz: int, crowd: int) -> None:
        import torch

        self._module, self._device, self._imgsz, self._crowd = module, device, imgsz, crowd
        self.name = torch.cuda.get_device_name(device)

    def available(self) -> int:
        """Return free memory and what PyTorch has reserved, within the limit of the process."""
        import torch

        free, total = torch.cuda.mem_get_info(self._device)
        allowed = getattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 1.0)(self._device)
        return int(min(free + torch.cuda.memory_reserved(self._device), allowed * total))

    def peak(self) -> int:
        """Return the most bytes in use since it was last asked."""
        import torch

        most = int(torch.cuda.max_memory_allocated(self._device))
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        return most

    def train(self, images: int) -> None:
        """Train on one batch of random pictures."""
        import torch

        batch = self._module.example_batch(images, self._imgsz, self._crowd, self._device)
        with self._module.trainer.precision_plugin.train_step_context():
            loss, _ = self._module.compute_loss(batch)
        torch.autograd.backward(loss)

    def extra(self) -> int:
        """Return the bytes of the optimizer's averages and of the EMA."""
        return COPIES * int(sum(p.numel() * p.element_size() for p in self._module.parameters()))


def fitting_batch(meter: Meter, share: float, most: int, sizes: Sequence[int] = SIZES) -> int:
    """Return the batch of one process that fills a share of its device's memory.

    Args:
        meter: of the device.
        share: of the memory that is available, 0…1.
        most: images of the largest batch.
        sizes: images of the batches that are measured, rising.

    Returns:
        Images; 0 if not even one fits into the memory.

    Example:
        >>> class Card:
        ...     name, used = "a card", 0
        ...     def available(self):
        ...         return 10_000
        ...     def peak(self):
        ...         used, self.used = self.used, 0
        ...         return used
        ...     def train(self, images):
        ...         self.used = 1000 + 100 * images
        ...     def extra(self):
        ...         return 500
        >>> fitting_batch(Card(), share=0.6, most=1024), fitting_batch(Card(), share=0.6, most=20)
        (45, 20)
    """
    import numpy as np

    room = share * meter.available() - meter.extra()
    tried: list[tuple[int, int]] = []
    limit = most
    for size in [size for size in sizes if size <= most] or [most]:
        found = measure_memory(meter.train, meter.peak, [size])
        if not found:
            limit = tried[-1][0] if tried else 0  # memory ended here: nothing above what was seen to fit
            break
        tried += found
        if found[0][1] > room:
            break
    if not tried:
        return 0
    images, needed = np.array(tried, dtype=np.float64).T
    slope, fixed = np.polyfit(images, needed, 1) if len(tried) > 1 else (needed[0], 0.0)
    by_line = int((room - fixed) / max(slope, 1) + NEARLY)
    return min(max(by_line, tried[0][0]), limit, most)


def settle_batch(module: Any, trainer: pl.Trainer, make_meter: Callable[..., Meter] = GpuMeter) -> None:
    """Choose the batch of a run that leaves it open, once its network is built; one decision for all processes.

    Args:
        module: about to be trained, its network built.
        trainer: its processes are connected.
        make_meter: makes the meter of a process's device.

    Raises:
        RunError: not even one image fits.
    """
    data = datamodule_of(trainer)
    if not isinstance(data, ChoosesBatch) or data.batch_share is None:
        return
    device, share = trainer.strategy.root_device, data.batch_share
    if not isinstance(module, MeasuresMemory) or (device.type != "cuda" and make_meter is GpuMeter):
        tell_user(f"--data.batch_size: it is measured on an NVIDIA GPU only; {data.batch_size} images are taken")
        data.take_batch(data.batch_size)
        return
    needs = data.batch_needs()
    least, each = needs.least, max(needs.images // trainer.world_size, 1)
    meter = make_meter(module, device, needs.imgsz, needs.crowd)
    with _as_before(module, device):
        mine = fitting_batch(meter, share, max(min(MOST, each), least))
    import torch

    images = int(trainer.strategy.reduce(torch.tensor(float(-mine), device=device), reduce_op="max").item())
    if -images < least:
        raise RunError(
            f"--data.batch_size: {'not one image fits' if mine < 1 else f'{least} images do not fit'} into "
            f"{share:.0%} of the memory of {meter.name}: a smaller --data.imgsz or --model.variant needs less.",
            shared=True,
        )
    batch = -images * trainer.world_size
    data.take_batch(batch)
    shared = f", {-images} in each of {trainer.world_size} processes" if trainer.world_size > 1 else ""
    room = f"{share:.0%} of the {meter.available() / GIB:.1f} GiB that are free on {meter.name}"
    tell_user(f"batch: {batch} images a step{shared}, by {room}; a resumed run keeps it")


@contextmanager
def _as_before(module: Any, device: torch.device) -> Iterator[None]:
    """Leave a module and the random generators as they were, whatever is trained within."""
    import torch

    module.to(device)
    training, buffers = module.training, {name: each.clone() for name, each in module.named_buffers()}
    states = torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    module.train()
    try:
        yield
    finally:
        module.zero_grad(set_to_none=True)
        module.train(training)
        with torch.no_grad():
            for name, each in module.named_buffers():
                each.copy_(buffers[name])
        torch.set_rng_state(states[0])
        if states[1] is not None:
            torch.cuda.set_rng_state(states[1], device)
            gc.collect()
            torch.cuda.empty_cache()
