"""Stage, processes and folder of a run, read from its trainer; one process on a CPU where there is no trainer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.data.loaders import worker_count
from aigp_lightning.run.lightning_internals import overfit_batches

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


class TrainerView:
    """Stage, place among the processes, and folder of a run.

    Args:
        trainer: the trainer to ask; None outside of a run.

    Example:
        >>> view = TrainerView(None)
        >>> view.stage, view.rank, view.world_size, view.on_gpu
        ('fit', 0, 1, False)
    """

    def __init__(self, trainer: Trainer | None) -> None:
        self._trainer = trainer

    @property
    def model(self) -> Any:
        """The module that is trained, or None."""
        return None if self._trainer is None else self._trainer.lightning_module

    @property
    def stage(self) -> str:
        """Name of the trainer's function: `fit`, `validate`, `test` or `predict`."""
        fn = self._trainer.state.fn if self._trainer is not None else None
        return str(fn.value) if fn is not None else "fit"

    @property
    def running(self) -> bool:
        """True if the trainer is at one of its functions, or there is none; a plan only asks what a run would do."""
        return self._trainer is None or self._trainer.state.fn is not None

    @property
    def split(self) -> str:
        """Name of the split that is looked at now; `val` during the sanity check too."""
        stage = self._trainer.state.stage if self._trainer is not None else None
        return stage.value if stage is not None and stage.value in ("train", "test") else "val"

    @property
    def rank(self) -> int:
        """Number of this process, over all machines."""
        return self._trainer.global_rank if self._trainer is not None else 0

    @property
    def local_rank(self) -> int:
        """Number of this process on its machine."""
        return self._trainer.local_rank if self._trainer is not None else 0

    @property
    def world_size(self) -> int:
        """Number of processes, over all machines."""
        return self._trainer.world_size if self._trainer is not None else 1

    @property
    def place(self) -> tuple[int, int]:
        """Number of this process, and of all."""
        return self.rank, self.world_size

    @property
    def overfitting(self) -> bool:
        """True if every epoch is to train on the same batches, `overfit_batches`."""
        return self._trainer is not None and overfit_batches(self._trainer) > 0

    def loader_workers(self, wanted: int) -> int:
        """Return how many worker processes a loader of this process may have; see `worker_count`."""
        return worker_count(wanted, self._trainer.num_devices if self._trainer is not None else 1)

    @property
    def on_gpu(self) -> bool:
        """True if batches go to a CUDA device."""
        return self._trainer is not None and self._trainer.strategy.root_device.type == "cuda"

    @property
    def folder(self) -> Path:
        """The run folder; the working directory outside of a run."""
        return Path(self._trainer.default_root_dir if self._trainer is not None else ".")
