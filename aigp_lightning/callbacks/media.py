"""When pictures are drawn. `media/` draws, delivers and records them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import Callback

from aigp_lightning.callbacks.media_base import MediaBase
from aigp_lightning.callbacks.results import read_rows
from aigp_lightning.errors import tell_user
from aigp_lightning.media.data_facts import hide_names
from aigp_lightning.media.module_facts import class_names, closing_kinds, metrics_of
from aigp_lightning.media.plots.skeleton import edges_of
from aigp_lightning.media.render_jobs import label_jobs, results_job, train_job
from aigp_lightning.media.routing import validation_epochs
from aigp_lightning.media.snapshot import snapshot_batch
from aigp_lightning.run.gather import gather_on_first
from aigp_lightning.run.lightning_internals import validates_again
from aigp_lightning.types import HasLabelTable

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from aigp_lightning.types import DetectionBatch, StepOutput


class Media(MediaBase, Callback):
    """Draw the pictures of a run and hand them to its loggers, as configured; nothing else leaves through here.

    Example:
        >>> from aigp_lightning.media.routing import Routes
        >>> media = Media(val_batches=8, routes=Routes(train_batch=["file"]), private="garage/*")
        >>> media.status() is None  # nothing is drawn before a trainer calls it: Trainer(callbacks=[media])
        True
    """

    # ---- start and end ----------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the ledger and start the thread.

        Raises:
            ConfigError: see `check_data`.
        """
        self._epoch, self._drawn, self._measured, self._before = self._before, -1, -1, -1
        self._due_by, self._closed = 0, False
        self.val.reset()
        hide_names(trainer.datamodule, self.private)  # type: ignore[attr-defined]
        if trainer.is_global_zero:
            self.start(trainer, pl_module)
        self.wants = trainer.strategy.broadcast(self.wants)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Finish all pictures, and say how many there were."""
        if not self._closed:  # nothing was left to train: the run was stopped after its last epoch
            self.on_train_end(trainer, pl_module)
        self.close(complete=True)
        self._checked = False  # a further run may have other data
        if (status := self.status()) is not None:
            tell_user(f"pictures: {status}")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Finish the pictures in flight, and say what the ledger's head is."""
        self.close()
        if self.anchor is not None and (anchor := self.anchor.current()).lines:
            tell_user(str(anchor))

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Finish, if nothing has yet."""
        self.close()

    # ---- training ---------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the label statistics."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if self.render_worker is None or trainer.current_epoch > 0 or not isinstance(data, HasLabelTable):
            return
        if self.wants["labels"] or self.wants["labels_correlogram"]:
            self.put(trainer, label_jobs(*data.label_table("train"), class_names(pl_module)), epoch=0)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: DetectionBatch, batch_idx: int
    ) -> None:
        """Draw the first batches of the first epoch: all processes' shares of them."""
        if trainer.current_epoch > 0 or batch_idx >= self.train_batches or not self.wants["train_batch"]:
            return
        shares, sources = [snapshot_batch(batch, self.max_images)], list(batch["sources"])
        if trainer.world_size > 1:
            copies = gather_on_first(trainer, shares[0]())
            shares = [lambda copy=copy: copy for copy in copies]  # type: ignore[misc]
            sources = [cell for copy in copies for cell in copy.sources]
        names, edges = class_names(pl_module), edges_of(pl_module)
        self.put(trainer, [train_job(batch_idx, shares, sources, names, self.max_images, edges)], epoch=0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the curves if the epoch was the best; remember it: the trainer's counter is past it in the end."""
        self._epoch = trainer.current_epoch
        if self._measured == self._epoch:
            self.best.update(metrics_of(pl_module), self._epoch)
        if self.anchor is not None:
            self.anchor.end_epoch(self._epoch)
        self._due_by = self.render_worker.begun if self.render_worker is not None else 0

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw curves and confusion matrices of the best epoch, and the results of all."""
        self._closed = True
        jobs = self.best.jobs(class_names(pl_module), closing_kinds(pl_module))
        rows = Path(trainer.default_root_dir) / "results.csv"
        if rows.is_file():
            best = self.best.epoch
            jobs.append(results_job(lambda: read_rows(rows), None if best is None else best + 1))
        self.put(trainer, jobs, max(self._epoch, 0))

    # ---- validation -------------------------------------------------------------------------------------------------

    def _due(self, trainer: pl.Trainer) -> bool:
        """True if this validation's pictures are wanted: of several in an epoch, the last one's, as in its figures."""
        due = not (trainer.current_epoch + 1) % self.val_every_n_epochs
        wanted = self.val_batches > 0 and (self.wants["val_labels"] or self.wants["val_pred"])
        wanted = wanted or (self.val_errors > 0 and self.wants["val_errors"])
        wanted = wanted or (self.val_table > 0 and self.wants["val_table"])
        fitting = trainer.state.fn == "fit" and not trainer.sanity_checking
        return due and wanted and fitting and trainer.current_epoch > self._drawn and not validates_again(trainer)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Select the images, the first time."""
        if not self._due(trainer):
            return
        batches = int(trainer.num_val_batches[0])
        if lacking := self.val.start(trainer.datamodule, pl_module, batches):  # type: ignore[attr-defined]
            self.val_batches = self.val_errors = self.val_table = 0
            tell_user(f"no validation pictures: {lacking}")

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: DetectionBatch,
        batch_idx: int, dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Keep what was found in the images that are shown."""
        found = cast("StepOutput", outputs).get("predictions")
        if found is not None and self._due(trainer):
            self.val.collect(found, batch, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the processes' shares together and draw."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._measured = trainer.current_epoch
        if not self._due(trainer):
            return
        self.val.merge(gather_on_first(trainer, self.val.share()), trainer.current_epoch)
        self.val.shown = trainer.strategy.broadcast(self.val.shown)  # the first process alone knows all scores
        self._drawn = trainer.current_epoch
        limits = trainer.max_epochs or 0, trainer.check_val_every_n_epoch, self.val_every_n_epochs
        left = len(validation_epochs(trainer.current_epoch + 1, *limits))
        jobs = self.val.jobs(class_names(pl_module), edges_of(pl_module))
        self.put(trainer, jobs, trainer.current_epoch, left)
