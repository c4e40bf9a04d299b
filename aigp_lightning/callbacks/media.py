"""When pictures are drawn. What is on them is `media/gallery.py`'s, who gets them `media/delivery.py`'s."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from lightning.pytorch.callbacks import Callback
from lightning_utilities.core.rank_zero import rank_zero_info

from aigp_lightning.callbacks.media_setup import gather, logged_step, start_render_worker
from aigp_lightning.callbacks.results import read_rows
from aigp_lightning.errors import ConfigError
from aigp_lightning.media.best_epoch import BestEpochFigures
from aigp_lightning.media.image_patterns import ImagePatterns
from aigp_lightning.media.jobs import Group, Job, Status
from aigp_lightning.media.plots.skeleton import edges_of
from aigp_lightning.media.render_jobs import BatchSnapshot, label_jobs, results_job, train_job
from aigp_lightning.media.routing import KINDS, Routes, closing_kinds, validation_epochs
from aigp_lightning.media.snapshot import snapshot_batch
from aigp_lightning.media.val_selection import Select, ValImageSelection

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from aigp_lightning.media.worker import RenderWorker
    from aigp_lightning.types import DetectionBatch, StepOutput


class Media(Callback):
    """Draw the pictures of a run and hand them to its loggers, as configured; nothing else leaves through here.

    Args:
        train_batches: mosaics of the first training batches, as the network gets them.
        val_batches: mosaics of validation images, each drawn with labels and with predictions; 0 for none.
        val_every_n_epochs: draw them after every so many epochs.
        max_images: most images in a mosaic.
        val_select: which validation images: the first, an even spread over the split, the files of val_files, the
            worst of the first validation (kept from then on), or the worst of each validation (worst_each).
        val_files: for val_select=files: globs, paths, or a list file with one of these a line.
        conf: predictions below this confidence are not drawn.
        routes: who gets which kind of picture; see the group's own options.
        private: images that no remote destination may see: globs, folders, or a list file (.txt). Train mosaics know
            all four images that a sample was made of.
        private_action: mask the cell in what leaves (the file in the run folder shows it), withhold the whole picture,
            or refuse to start.
        max_mb: most megabytes of pictures for all remote destinations together; null: no limit. Given up first:
            validation mosaics one by one, then all mosaics, then the closing curves. Scalars always go.
        keep_history: keep every epoch's pictures in history/, instead of the latest alone.
    """

    def __init__(
        self,
        train_batches: int = 3,
        val_batches: int = 3,
        val_every_n_epochs: int = 1,
        max_images: int = 16,
        val_select: Select = "first",
        val_files: str | list[str] | None = None,
        conf: float = 0.25,
        routes: Routes = Routes(),
        private: str | list[str] | None = None,
        private_action: Literal["mask", "withhold", "refuse"] = "mask",
        max_mb: float | None = None,
        keep_history: bool = False,
    ) -> None:
        _check(train_batches, val_batches, val_every_n_epochs, max_images, conf, max_mb)
        if val_files and val_select == "first":
            val_select = "files"
        if bool(val_files) != (val_select == "files"):
            raise ConfigError("--media.val_select files and --media.val_files go together: name the files to show.")
        self.train_batches, self.val_batches, self.val_every_n_epochs = train_batches, val_batches, val_every_n_epochs
        self.max_images, self.conf, self.routes, self.max_mb = max_images, conf, routes, max_mb
        self.private, self.private_action = ImagePatterns(private, "--media.private"), private_action
        self.keep_history = keep_history
        self.val = ValImageSelection(val_select, val_files, val_batches, max_images, conf, rank_zero_info)
        self.best = BestEpochFigures()
        self.render_worker: RenderWorker | None = None
        self.wants: dict[str, bool] = dict.fromkeys(KINDS, False)
        self._epoch = self._drawn = self._before = -1
        self._due_by = 0
        self._closed = False
        self.checked = False
        self.resuming = False
        """Whether the run goes on in its folder, from a checkpoint or, stopped before the first one, from nothing."""

    def flushed(self) -> bool:
        """Whether all pictures up to the end of the last epoch are drawn and handed over."""
        return self.render_worker is None or self.render_worker.ended(self._due_by)

    def status(self) -> Status | None:
        """How much was drawn and handed over so far; None before the run starts and off rank zero."""
        return self.render_worker.status if self.render_worker is not None else None

    # ---- start and end ----------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the ledger and start the thread.

        Raises:
            ConfigError: see `check_images`.
        """
        self._epoch, self._drawn, self._before = self._before, -1, -1
        self._due_by, self._closed = 0, False
        self.val.forget()
        if trainer.is_global_zero:
            self.render_worker = start_render_worker(self, trainer)
            self.wants = {kind: self.render_worker.delivery.routing.wanted(kind) for kind in KINDS}
        self.wants = trainer.strategy.broadcast(self.wants)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Finish all pictures, and say how many there were."""
        if not self._closed:  # nothing was left to train: the run was stopped after its last epoch
            self._draw_closing(trainer, pl_module)
        self._close()
        self.checked = False  # a further run may have other data
        if (status := self.status()) is not None:
            rank_zero_info(
                f"pictures: {status.drawn} drawn, {status.kept} to loggers on this machine, {status.sent} to remote "
                f"ones ({status.megabytes:.1f} MB), {status.withheld} withheld, {status.failed} failed"
            )

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Finish the pictures in flight."""
        self._close()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Finish, if nothing has yet."""
        self._close()

    def _close(self) -> None:
        if self.render_worker is not None:
            self.render_worker.close()

    # ---- training ---------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the label statistics."""
        if self.render_worker is None or trainer.current_epoch > 0:
            return
        table = getattr(trainer.datamodule, "label_table", None)  # type: ignore[attr-defined]
        if table is not None and (self.wants["labels"] or self.wants["labels_correlogram"]):
            cls, bboxes = table("train")
            self._put(trainer, label_jobs(cls, bboxes, _names(pl_module)))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: DetectionBatch, batch_idx: int
    ) -> None:
        """Draw the first batches of the first epoch: all processes' shares of them."""
        if trainer.current_epoch > 0 or batch_idx >= self.train_batches or not self.wants["train_batch"]:
            return
        snapshot = snapshot_batch(batch, self.max_images)
        if trainer.world_size > 1:
            shares = gather(trainer, snapshot())
            snapshots: Callable[[], Sequence[BatchSnapshot]] = lambda: shares  # noqa: E731
            sources = [cell for share in shares for cell in share.sources]
        else:
            snapshots, sources = lambda: [snapshot()], list(batch["sources"])
        self._put(
            trainer, [train_job(batch_idx, snapshots, sources, _names(pl_module), self.max_images, edges_of(pl_module))]
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the epoch: when training ends, the trainer's counter is past it."""
        self._epoch = trainer.current_epoch
        self._due_by = self.render_worker.begun if self.render_worker is not None else 0

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw curves and confusion matrices of the best epoch, and the results of all."""
        self._draw_closing(trainer, pl_module)

    def _draw_closing(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._closed = True
        if self.render_worker is None:
            return
        jobs = self.best.jobs(_names(pl_module), closing_kinds(pl_module))
        rows = Path(trainer.default_root_dir) / "results.csv"
        if rows.is_file():
            jobs.append(results_job(lambda: read_rows(rows)))
        self.render_worker.put(Group(jobs, max(self._epoch, 0), logged_step(trainer)))

    # ---- validation -------------------------------------------------------------------------------------------------

    def _due(self, trainer: pl.Trainer) -> bool:
        due = not (trainer.current_epoch + 1) % self.val_every_n_epochs and self.val_batches > 0
        wanted = self.wants["val_labels"] or self.wants["val_pred"]
        fitting = trainer.state.fn == "fit" and not trainer.sanity_checking
        return due and wanted and fitting and trainer.current_epoch > self._drawn

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the images, the first time."""
        if not self._due(trainer):
            return
        pictures = getattr(trainer.datamodule, "pictures", None)  # type: ignore[attr-defined]
        if pictures is None:
            self.val_batches = 0
            rank_zero_info(
                "no validation pictures: the datamodule has no `pictures`, which gives images by their place"
            )
            return
        if not self.val.opened:
            self.val.open(pictures("val", int(trainer.num_val_batches[0])))
        self.val.start()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: DetectionBatch,
        batch_idx: int, dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Keep what was found in the images that are shown."""
        found = cast("StepOutput", outputs).get("predictions")
        if found is not None and self._due(trainer):
            self.val.collect(found, batch)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the processes' shares together and draw; remember the curves if this was the best epoch."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self.best.look(getattr(pl_module, "metrics", None))
        if not self._due(trainer):
            return
        shares = gather(trainer, (self.val.found, self.val.scores))
        self.val.merge(shares)
        self._drawn = trainer.current_epoch
        limits = trainer.max_epochs or 0, trainer.check_val_every_n_epoch, self.val_every_n_epochs
        more = len(validation_epochs(trainer.current_epoch + 1, *limits))
        self._put(trainer, self.val.jobs(_names(pl_module), edges_of(pl_module)), more)

    def _put(self, trainer: pl.Trainer, jobs: Sequence[Job] | Callable[[], Sequence[Job]], more: int = 0) -> None:
        if self.render_worker is not None:
            self.render_worker.put(Group(jobs, trainer.current_epoch, logged_step(trainer), more))

    # ---- checkpoints ------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on with."""
        shown = self.val.shown if self.val.select == "worst" else None
        return {"best": self.best.state_dict(), "shown": shown, "epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on."""
        self.best.load_state_dict(state_dict["best"])
        self.val.shown = state_dict["shown"]
        self._before = state_dict.get("epoch", -1)  # a run begun by an earlier version has none


def _check(train: int, val: int, every: int, images: int, conf: float, megabytes: float | None) -> None:
    if min(train, val) < 0 or min(every, images) < 1:
        raise ConfigError(
            f"--media.train_batches {train} --media.val_batches {val}: 0 or more; "
            f"--media.val_every_n_epochs {every} --media.max_images {images}: 1 or more."
        )
    if not 0 <= conf <= 1 or (megabytes is not None and megabytes < 0):
        raise ConfigError(f"--media.conf {conf}: 0 to 1; --media.max_mb {megabytes}: 0 or more, or null.")


def _names(module: pl.LightningModule) -> Mapping[int, str]:
    return cast("Mapping[int, str]", getattr(module, "names", {}))
