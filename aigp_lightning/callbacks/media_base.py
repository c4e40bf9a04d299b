"""Options and state of the pictures of a run: what `callbacks/media.py`, which says when they are drawn, builds on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aigp_lightning.callbacks.anchor import RunAnchor, check_ledger
from aigp_lightning.checkpoints.schema import LEDGER
from aigp_lightning.errors import tell_user, warn_user
from aigp_lightning.media.best_epoch import BestEpochFigures
from aigp_lightning.media.checks import check_numbers, check_private_images, check_table_route, resolve_select
from aigp_lightning.media.data_facts import image_root
from aigp_lightning.media.ledger.keys import check_signing_key, read_private_key
from aigp_lightning.media.ledger.signer import check_same_key
from aigp_lightning.media.module_facts import closing_kinds
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.pipeline import start_pipeline
from aigp_lightning.media.private_record import record_private_images
from aigp_lightning.media.routing import KINDS, Routes, Routing
from aigp_lightning.media.sinks import expected_sinks, recording_sinks
from aigp_lightning.media.types import MediaStatus, RenderGroup, RenderJob
from aigp_lightning.media.val_selection import Select, ValImageSelection
from aigp_lightning.run.lightning_internals import batches_stepped
from aigp_lightning.run.processes import first_process
from aigp_lightning.types import HasPictures

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from lightning.pytorch.loggers import Logger

    from aigp_lightning.media.worker import RenderWorker


class MediaBase:
    """The options, the way to the drawing thread, and the checkpoint state of `Media`.

    Args:
        train_batches: mosaics of the first training batches, as the network gets them.
        val_batches: mosaics of validation images, each drawn with labels and with predictions; 0 for none.
        val_errors: mosaics of the validation images with the most mistakes, the worst first: labels and predictions in
            one, as hits, missed objects, false alarms and wrong classes; 0 for none.
        val_table: validation images that W&B gets one by one, with labels and predictions as boxes that its reader
            switches on and off, and filters by confidence; 0 for none.
        val_every_n_epochs: draw them after every so many epochs.
        max_images: most images in a mosaic.
        val_select: which validation images: the first, an even spread over the split, the files of val_files, the
            worst of the first validation in which most images do better than the worst (kept from then on; the first
            ones until then), or the worst of each validation (worst_each).
        val_files: for val_select=files: globs, paths, or a list file with one of these a line.
        conf: predictions below this confidence are not drawn.
        routes: who gets which kind of picture; see the group's own options.
        private: images that no remote destination may see: globs, folders, or a list file (.txt). Train mosaics know
            all four images that a sample was made of.
        private_action: mask the cell in what leaves (the file in the run folder shows it), withhold the whole picture,
            or refuse to start.
        max_mb: most megabytes of pictures for all remote destinations together; null: no limit. Given up first:
            validation mosaics one by one, then all mosaics, then the closing curves. Scalars always go.
        unchanged: pictures of a validation whose very bytes a logger has from an epoch before, as of labels where the
            same images are shown: send them again, or skip them. The ledger says since when it has them.
        keep_history: keep every epoch's pictures in history/, instead of the latest alone.
        sign: file of a private Ed25519 key, as `keys` makes it: the ledger is signed with it after every epoch and at
            the end, into media.sig.jsonl.
        resuming: the run folder holds what an earlier start of the same run has drawn.

    Raises:
        ConfigError: an option is out of its range, val_select and val_files do not go together, or the key is none.

    Example:
        >>> media = MediaBase(val_files=["gates/*.jpg"], private="secret/", max_mb=50)
        >>> media.val.select, media.flushed(), media.status()
        ('files', True, None)
    """

    def __init__(
        self,
        train_batches: int = 3,
        val_batches: int = 3,
        val_errors: int = 0,
        val_table: int = 0,
        val_every_n_epochs: int = 1,
        max_images: int = 16,
        val_select: Select = "first",
        val_files: str | list[str] | None = None,
        conf: float = 0.25,
        routes: Routes = Routes(),
        private: str | list[str] | None = None,
        private_action: Literal["mask", "withhold", "refuse"] = "mask",
        max_mb: float | None = None,
        unchanged: Literal["send", "skip"] = "send",
        keep_history: bool = False,
        sign: str | None = None,
        *,
        resuming: bool = False,
    ) -> None:
        check_numbers(train_batches, val_batches, val_every_n_epochs, max_images, conf, max_mb, val_errors, val_table)
        check_table_route(routes)
        val_select = resolve_select(val_select, val_files)
        self.train_batches, self.val_batches, self.val_every_n_epochs = train_batches, val_batches, val_every_n_epochs
        self.val_errors, self.val_table = val_errors, val_table
        self.max_images, self.conf, self.routes, self.max_mb = max_images, conf, routes, max_mb
        self.private, self.private_action = ImagePatterns(private, "--media.private"), private_action
        self.keep_history, self.resuming = keep_history, resuming
        self.skip_unchanged = unchanged == "skip"
        self.sign = sign
        if sign and first_process():  # on other machines there is no such file
            check_signing_key(sign)
        numbers = val_batches, max_images, conf, tell_user, val_errors, val_table
        self.val = ValImageSelection(val_select, val_files, *numbers)
        self.best = BestEpochFigures()
        self.render_worker: RenderWorker | None = None
        self.anchor: RunAnchor | None = None
        self._kept: dict[str, object] = {}  # what the checkpoint says of the ledger, by its path
        self.wants: dict[str, bool] = dict.fromkeys(KINDS, False)
        self._epoch = self._drawn = self._measured = self._before = -1
        self._due_by = 0
        self._closed = self._checked = False

    def flushed(self) -> bool:
        """True if all pictures up to the end of the last epoch are drawn and delivered."""
        return self.render_worker is None or self.render_worker.ended(self._due_by)

    def status(self) -> MediaStatus | None:
        """Return how much was drawn and delivered so far; None before the run starts and off rank zero."""
        return self.render_worker.status if self.render_worker is not None else None

    def check_data(self, datamodule: object, loggers: Iterable[Logger] = (), routing: Routing | None = None) -> None:
        """Check the images that the options name against a data set, and say how many are private.

        Args:
            datamodule: its splits are read; one without `image_files` has nothing to check.
            loggers: the run's, by which it is decided what would leave; none is opened.
            routing: used instead of one built from `loggers`.

        Raises:
            ConfigError: private images would leave, and the run is to refuse that; or what is named fits no image.
        """
        self._checked = True
        if self.val.select == "files" and isinstance(datamodule, HasPictures):
            self.val.open(datamodule.pictures("val"), image_root(datamodule))
            self.val.reset()
        routing = routing or Routing(self.routes, expected_sinks(loggers))
        drawn = {
            "train_batch": self.train_batches, "val_labels": self.val_batches, "val_pred": self.val_batches,
            "val_errors": self.val_errors, "val_table": self.val_table,
        }  # fmt: skip
        refuse = self.private_action == "refuse"
        check_private_images(datamodule, self.private, routing, drawn, refuse, tell_user)

    def check_signing(self, folder: Path) -> None:
        """Check that a run which goes on in a folder is signed with the key that it was signed with so far.

        Raises:
            ConfigError: it is another, or cannot be used.
        """
        if self.sign and first_process():
            check_same_key(folder, read_private_key(self.sign))

    def start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the ledger and start the thread that draws; on the first process.

        Raises:
            ConfigError: see `check_data`, `check_ledger` and `record_private_images`.
        """
        routing = Routing(self.routes, recording_sinks(trainer.loggers, tell_user))
        if not self._checked:
            self.check_data(trainer.datamodule, routing=routing)  # type: ignore[attr-defined]
        self._check_ledger(trainer, routing)
        record_private_images(Path(trainer.default_root_dir), self.private, trainer.datamodule)  # type: ignore[attr-defined]
        self.render_worker = start_pipeline(
            Path(trainer.default_root_dir),
            routing,
            self.private,
            withhold=self.private_action == "withhold",
            max_mb=self.max_mb,
            keep_history=self.keep_history,
            skip_unchanged=self.skip_unchanged,
            closing=closing_kinds(module),
            resuming=self.resuming or bool(trainer.ckpt_path),
            say=warn_user,
        )
        self.anchor = RunAnchor(self.render_worker, Path(trainer.default_root_dir), self.sign, warn_user)
        self.wants = {kind: routing.wanted(kind) for kind in KINDS}

    def _check_ledger(self, trainer: pl.Trainer, routing: Routing) -> None:
        """Compare the ledger with what is kept of it elsewhere, if this run is a resumed one."""
        kept, self._kept = self._kept, {}
        if self.resuming or kept:
            remote = any(map(routing.remote_recipients, KINDS))
            check_ledger(Path(trainer.default_root_dir), kept, remote, warn_user)

    def put(self, trainer: pl.Trainer, jobs: Sequence[RenderJob], epoch: int, validations_left: int = 0) -> None:
        """Queue pictures of this moment; elsewhere than on the first process nothing happens.

        Args:
            trainer: it knows the step.
            jobs: the pictures.
            epoch: from 0.
            validations_left: validations with pictures that are still to come.
        """
        if self.render_worker is not None:
            self.render_worker.put(RenderGroup(jobs, epoch, batches_stepped(trainer), validations_left))

    def close(self, complete: bool = False) -> None:
        """Wait until all pictures are drawn and delivered, and sign the ledger. A second call does nothing.

        Args:
            complete: the run was neither stopped nor failed.
        """
        if self.render_worker is not None:
            self.render_worker.close()
        if self.anchor is not None:
            self.anchor.finish(complete)

    # ---- checkpoints ------------------------------------------------------------------------------------------------

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the ledger's head and totals; the first process has them, and it is the one that writes."""
        if self.anchor is not None:
            self.anchor.add_to(checkpoint)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep what the run's own checkpoint says of the ledger, to be compared before anything is drawn."""
        path, folder = Path(str(trainer.ckpt_path)), Path(trainer.default_root_dir).resolve()
        if trainer.state.fn != "fit" or not path.resolve().is_relative_to(folder):
            return  # another run's
        self._kept = {path.name: checkpoint.get(LEDGER)}
        if trainer.strategy.restore_checkpoint_after_setup and self.render_worker is not None:
            self._check_ledger(trainer, self.render_worker.delivery.routing)

    def state_dict(self) -> dict[str, Any]:
        """Return the best epoch's figures, the selected images where they must stay, and the epoch."""
        shown = self.val.shown if self.val.select == "worst" else None
        return {"best": self.best.state_dict(), "shown": shown, "epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.best.load_state_dict(state_dict["best"])
        self.val.shown = state_dict["shown"]
        self._before = state_dict.get("epoch", -1)  # checkpoints of earlier versions have none
