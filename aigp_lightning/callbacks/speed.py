"""Milliseconds that a model takes for an image, measured while it is validated, or predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from aigp_lightning.modules.stopwatch import Stopwatch, Timed
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    import lightning.pytorch as pl

STAGES = ("pre", "network", "post")
"""On the device: bytes to fractions; the network; the choice among what it returns."""


class Speed(Callback):
    """Measure a validation, test or prediction by the stages that the module names; the first batch does not count.

    Decoding and resizing are done by other processes meanwhile, and loss and metrics are no part of finding objects:
    none of them is measured. Where there is one batch alone, the times are its own, and `first` says so. Of a
    prediction they are printed; `report` has those of a validation for its table.

    Example:
        >>> Speed().report() is None  # nothing was validated
        True
    """

    def __init__(self) -> None:
        self._watch: Stopwatch | None = None
        self._found: dict[str, Any] | None = None
        self._largest = 0

    def report(self) -> dict[str, Any] | None:
        """Return milliseconds an image by stage, `images`, `batch_size` and `device`; None where nothing was measured.

        `first` is there, and true, where they are those of the first batch, which was the only one. With several
        processes it is what the first one measured.
        """
        return self._found

    def _begin(self, module: pl.LightningModule) -> None:
        if isinstance(module, Timed):
            module.stopwatch = self._watch = Stopwatch(module.device)

    def _end_batch(self, batch: Any) -> None:
        if self._watch is not None:
            self._watch.end_batch(len(batch["img"]))
            self._largest = max(self._largest, len(batch["img"]))

    def _end(self, module: pl.LightningModule) -> None:
        if self._watch is None or not isinstance(module, Timed):
            return
        found, images = self._watch.milliseconds(), self._watch.images
        if first := images == 0:
            found, images = self._watch.milliseconds(first_too=True), self._largest
        module.stopwatch = self._watch = None
        if found:
            times = {stage: round(found[stage], 4) for stage in STAGES if stage in found}
            self._found = {**times, "images": images, "batch_size": self._largest, "device": _name(module.device)}
            self._found |= {"first": True} if first else {}

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to measure."""
        self._begin(pl_module)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to measure."""
        self._begin(pl_module)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count the images."""
        self._end_batch(batch)

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count the images."""
        self._end_batch(batch)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sum up."""
        self._end(pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sum up."""
        self._end(pl_module)

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to measure."""
        self._begin(pl_module)

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count the images."""
        self._end_batch(batch)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sum up, and say it on the first process."""
        self._end(pl_module)
        if self._found is not None and trainer.is_global_zero:
            print_line(speed_line(self._found))


def speed_line(speed: Mapping[str, Any]) -> str:
    """Return the times for an image as a line.

    Args:
        speed: see `Speed.report`.

    Example:
        >>> speed_line({"network": 3.25, "post": 0.5, "images": 96, "batch_size": 32, "device": "cpu, 2 threads"})
        'for an image: 3.2 ms network, 0.5 ms post (96 images in batches of up to 32, cpu, 2 threads)'
    """
    times = ", ".join(f"{speed[stage]:.1f} ms {stage}" for stage in STAGES if stage in speed)
    batches = f"{speed['images']} images in batches of up to {speed['batch_size']}"
    if speed.get("first"):
        batches = f"{speed['images']} in the first batch, which takes longer than others"
    return f"for an image: {times} ({batches}, {speed['device']})"


def _name(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"cpu, {threads} thread{'s' * (threads != 1)}"
