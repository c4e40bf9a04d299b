"""What a resumed run takes up anew, and what its checkpoints say of the options that it runs with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback, EarlyStopping

from aigp_lightning.checkpoints.schema import METADATA, options_of
from aigp_lightning.errors import tell_user
from aigp_lightning.logfiles.logged import SkipsLogged
from aigp_lightning.run.lightning_internals import batches_stepped, epoch_progress, set_batches_stepped

if TYPE_CHECKING:
    import lightning.pytorch as pl

FOUND = {"world_size": "processes", "train_images": "training images", "batches": "batches an epoch"}
"""What a checkpoint says was found, and not asked for, by its key among the trainer's options."""
OPTIONS = "options"


class ResumedRun(Callback):
    """Make options of now count where Lightning restores those of the checkpoint, and say what is otherwise.

    Early stopping gets its own patience, which Lightning would replace by the earlier one; where that is more than has
    been waited, or the run is extended, one that had been stopped goes on. Loggers whose steps count other batches now
    skip nothing any more, and go on after the last step that they have.

    Args:
        options: of this start by name, plain values; they are kept in the checkpoints, see `cli/resume_options.py`.

    Example:
        >>> import lightning.pytorch as pl
        >>> from lightning.pytorch.demos.boring_classes import BoringModel
        >>> stopping = EarlyStopping("loss", patience=5)
        >>> trainer = pl.Trainer(callbacks=[stopping], logger=False, accelerator="cpu", enable_checkpointing=False)
        >>> callback = ResumedRun()
        >>> callback.setup(trainer, BoringModel(), "fit")  # in the order in which `trainer.fit` calls them
        >>> stopping.load_state_dict({**stopping.state_dict(), "patience": 100})
        >>> callback.on_fit_start(trainer, BoringModel())
        >>> stopping.patience
        5
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options = dict(options or {})
        self._patience: dict[int, int] = {}
        self._batches: int | None = None
        self._found: dict[str, Any] = {}
        self._extended = self._finished = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remember what was asked for, before a checkpoint is restored."""
        self._patience = {id(each): each.patience for each in _stopping(trainer)}
        self._batches, self._found = None, {}
        self._extended = self._finished = False

    def state_dict(self) -> dict[str, Any]:
        """Return the options of this start."""
        return {OPTIONS: self.options}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note how far the run was, and on what; say so if nothing is left to train."""
        progress = epoch_progress(checkpoint)
        if not trainer.training or progress is None:
            return
        self._batches = progress.batches
        self._found = options_of(checkpoint.get(METADATA, {}), "trainer")
        planned, epochs = self._found.get("max_epochs"), trainer.max_epochs or 0
        self._extended = isinstance(planned, int) and epochs > planned
        self._finished = progress.trained >= epochs
        if self._finished:
            tell_user(
                f"all {epochs} epochs are trained, and nothing is left to do. "
                "To train on: --extend and a larger --trainer.max_epochs"
            )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give early stopping its patience, and let a run go on that has more of it now, or more epochs."""
        for each in _stopping(trainer):
            waited, each.patience = each.wait_count >= each.patience, self._patience.get(id(each), each.patience)
            if each.stopped_epoch <= 0 or self._finished:
                continue
            if self._extended:
                each.wait_count = 0
            if self._extended or (waited and each.wait_count < each.patience):
                tell_user(f"early stopping had ended the run after epoch {each.stopped_epoch + 1}; it goes on")
                each.stopped_epoch = 0
            else:
                tell_user(
                    f"early stopping has ended the run after epoch {each.stopped_epoch + 1}, and nothing is left to "
                    "do. To train on: a larger --early_stopping.patience, or --extend and a larger --trainer.max_epochs"
                )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what was found to be otherwise, and keep the loggers' steps rising."""
        if self._batches is None:
            return
        now = {
            "world_size": trainer.world_size,
            "train_images": getattr(getattr(trainer, "datamodule", None), "train_images", None),
            "batches": int(trainer.num_training_batches),
        }
        before = {"batches": self._batches, **self._found}
        other = [
            f"{now[key]} {name} (were {before[key]})"
            for key, name in FOUND.items()
            if key in before and now[key] not in (None, before[key])
        ]
        if other:
            tell_user(f"from epoch {trainer.current_epoch + 1} on: {', '.join(other)}")
        if now["batches"] != self._batches:
            last = [each.forget_logged() for each in trainer.loggers if isinstance(each, SkipsLogged)]
            first = max([batches_stepped(trainer), *(step + 1 for step in last)])
            set_batches_stepped(trainer, trainer.strategy.broadcast(first))
        self._batches = None


def _stopping(trainer: pl.Trainer) -> list[EarlyStopping]:
    return [each for each in trainer.callbacks if isinstance(each, EarlyStopping)]  # type: ignore[attr-defined]
