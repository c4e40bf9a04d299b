"""Pictures of a validation or test, for who asks: curves, confusion matrix and mosaics, as files and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import Callback

from aigp_lightning.errors import tell_user
from aigp_lightning.media.best_epoch import BestEpochFigures
from aigp_lightning.media.data_facts import image_root
from aigp_lightning.media.module_facts import class_names, closing_kinds, metrics_of
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.pipeline import start_pipeline
from aigp_lightning.media.plots.skeleton import edges_of
from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.types import RenderGroup
from aigp_lightning.media.val_selection import Select, ValImageSelection
from aigp_lightning.run.gather import gather_on_first
from aigp_lightning.types import HasPictures

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from aigp_lightning.types import DetectionBatch, StepOutput


class EvaluationPictures(Callback):
    """Draw what `fit` draws of its best epoch and its validation images, of one validation or test.

    Args:
        val_batches: mosaics, each drawn with labels and with predictions; 0 for none.
        max_images: most images in a mosaic.
        val_select: which images, see `Media`.
        val_files: for val_select=files.
        conf: predictions below this confidence are not drawn.
        val_errors: mosaics of the images with the most mistakes.

    Example:
        >>> EvaluationPictures(val_batches=1).mosaics  # Trainer(callbacks=[…]).validate(module, data)
        1
    """

    def __init__(
        self,
        val_batches: int = 3,
        max_images: int = 16,
        val_select: Select = "first",
        val_files: str | list[str] | None = None,
        conf: float = 0.25,
        val_errors: int = 0,
    ) -> None:
        self.mosaics = val_batches + val_errors
        self._images = ValImageSelection(val_select, val_files, val_batches, max_images, conf, tell_user, val_errors)

    def _begin(self, trainer: pl.Trainer, module: pl.LightningModule, split: str, batches: int) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if self.mosaics and isinstance(data, HasPictures):
            self._images.open(data.pictures(split, batches), image_root(data))
        if self.mosaics and (lacking := self._images.start(data, module, batches)):
            self.mosaics = 0
            tell_user(f"no mosaics: {lacking}")

    def _collect(self, module: pl.LightningModule, outputs: Any, batch: DetectionBatch) -> None:
        found = cast("StepOutput", outputs).get("predictions")
        if self.mosaics and found is not None:
            self._images.collect(found, batch, module)

    def _draw(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Put the processes' shares together, and draw on the first one."""
        if self.mosaics:
            self._images.merge(gather_on_first(trainer, self._images.share()))
        if not trainer.is_global_zero:
            return
        figures, folder = BestEpochFigures(), Path(trainer.default_root_dir)
        figures.update(metrics_of(module))
        jobs = figures.jobs(class_names(module), closing_kinds(module))
        jobs += self._images.jobs(class_names(module), edges_of(module)) if self.mosaics else []
        nobody = Routing(Routes(everything=["file"]), [])
        worker = start_pipeline(folder, nobody, ImagePatterns(None, "--media.private"), say=tell_user)
        worker.put(RenderGroup(jobs, epoch=0, step=0))
        worker.close()
        tell_user(f"{worker.status.drawn} pictures in {folder}")

    # ---- when -------------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Select the images."""
        self._begin(trainer, pl_module, "val", int(trainer.num_val_batches[0]))

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Select the images."""
        self._begin(trainer, pl_module, "test", int(trainer.num_test_batches[0]))

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: DetectionBatch,
        batch_idx: int, dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Keep what was found in the images that are shown."""
        self._collect(pl_module, outputs, batch)

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: DetectionBatch,
        batch_idx: int, dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Keep what was found in the images that are shown."""
        self._collect(pl_module, outputs, batch)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw."""
        self._draw(trainer, pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw."""
        self._draw(trainer, pl_module)
