"""Takes up changed options in a resumed run, and keeps the options in effect in its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer

from aigp_lightning.callbacks.monitoring import has_stopped, still_holds, stopping_option, take_up_again
from aigp_lightning.callbacks.run_hours import RunHours
from aigp_lightning.checkpoints.schema import METADATA, options_of
from aigp_lightning.errors import tell_user
from aigp_lightning.logfiles.logged import SkipsLogged
from aigp_lightning.run.lightning_internals import batches_stepped, epoch_progress, set_batches_stepped
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    import lightning.pytorch as pl

FOUND = {
    "world_size": ("process", "processes"),
    "train_images": ("training image", "training images"),
    "batches": ("batch an epoch", "batches an epoch"),
}
"""Figures that a run found, beside the trainer's options in a checkpoint: processes, batches, images."""
OPTIONS = "options"


class ResumedRun(Callback):
    """Make options of now count where Lightning restores those of the checkpoint, and say what is otherwise.

    Early stopping gets its own patience, which Lightning would replace by the earlier one; where that is more than has
    been waited, its threshold is another, or the run is extended, one that had been stopped goes on. A start that finds
    nothing left to train says why. Loggers whose steps count other batches now
    skip nothing any more, and go on after the last step that they have.

    Args:
        options: of this start by name, plain values; they are kept in the checkpoints, see `cli/resume_options.py`.
        taken_up: what to say of the options that are others than the checkpoint's, once something is trained.
        planned: epochs of the run that wrote the checkpoint, where that does not say; None where nothing does.

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

    def __init__(
        self, options: Mapping[str, Any] | None = None, taken_up: str = "", planned: int | None = None
    ) -> None:
        self.options, self.taken_up, self.planned = dict(options or {}), taken_up, planned
        self._patience: dict[int, int] = {}
        self._batches: int | None = None
        self._found: dict[str, Any] = {}
        self._extended = self._finished = False
        self._going_on: list[str] = []
        self._more = ""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remember what was asked for, before a checkpoint is restored."""
        self._patience = {id(each): each.patience for each in _stopping(trainer)}
        self._batches, self._found = None, {}
        self._extended = self._finished = False
        self._going_on = []

    def state_dict(self) -> dict[str, Any]:
        """Return the options of this start."""
        return {OPTIONS: self.options}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note how far the run was, and on what."""
        progress = epoch_progress(checkpoint)
        if not trainer.training or progress is None:
            return
        self._batches = progress.batches
        self._found = options_of(checkpoint.get(METADATA, {}), "trainer")
        planned, epochs = self._found.get("max_epochs", self.planned), trainer.max_epochs or 0
        self._extended = isinstance(planned, int) and epochs > planned
        self._finished = progress.trained >= epochs
        self._more = "--extend and a larger --trainer.max_epochs"
        if planned is None:
            self._more = "a new run from its best weights with --model.weights"

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give early stopping its patience, and let a run go on if its options of now do, or there are more epochs."""
        for each in _stopping(trainer):
            each.patience = self._patience.get(id(each), each.patience)
            if self._finished or not has_stopped(each):
                continue
            if self._extended or not still_holds(each):
                self._going_on.append(
                    f"early stopping had ended the run after epoch {each.stopped_epoch + 1}; it goes on"
                )
                take_up_again(each)
            if self._extended:
                each.wait_count = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what is otherwise now, and keep the loggers' steps rising."""
        if self._batches is None:
            return
        if self.taken_up and trainer.is_global_zero:
            print_line(self.taken_up)
        for line in self._going_on:
            tell_user(line)
        now = {
            "world_size": trainer.world_size,
            "train_images": getattr(getattr(trainer, "datamodule", None), "train_images", None),
            "batches": int(trainer.num_training_batches),
        }
        before = {"batches": self._batches, **self._found}
        other = [
            f"{now[key]} {names[now[key] != 1]} ({'was' if before[key] == 1 else 'were'} {before[key]})"
            for key, names in FOUND.items()
            if key in before and now[key] not in (None, before[key])
        ]
        if other:
            tell_user(f"from epoch {trainer.current_epoch + 1} on: {', '.join(other)}")
        if now["batches"] != self._batches:
            last = [each.forget_logged() for each in trainer.loggers if isinstance(each, SkipsLogged)]
            first = max([batches_stepped(trainer), *(step + 1 for step in last)])
            set_batches_stepped(trainer, trainer.strategy.broadcast(first))
        self._batches = None

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say why nothing was trained, if nothing was."""
        if self._batches is None:
            return
        if self._finished:
            epochs = trainer.max_epochs
            tell_user(f"all {epochs} epochs are trained, and nothing is left to do. To train on: {self._more}")
            return
        for why in [*_stops(trainer), *_limits(trainer)]:
            tell_user(why)


def _stops(trainer: pl.Trainer) -> list[str]:
    """Return a sentence about each early stopping that keeps the run from going on."""
    return [
        f"early stopping has ended the run after epoch {each.stopped_epoch + 1}, and nothing is left to do. To train "
        f"on: {stopping_option(each)}, or --extend and a larger --trainer.max_epochs"
        for each in _stopping(trainer)
        if has_stopped(each)
    ]


def _limits(trainer: pl.Trainer) -> list[str]:
    """Return a sentence about each of the trainer's limits that is used up."""
    used = ["--trainer.max_steps"] if 0 <= trainer.max_steps <= trainer.global_step else []
    timers = [each for each in _callbacks(trainer) if isinstance(each, Timer)]
    used += ["--run.hours"] if any(isinstance(each, RunHours) and each.used_up for each in _callbacks(trainer)) else []
    used += ["--trainer.max_time"] if any((each.time_remaining() or 1) <= 0 for each in timers) else []
    return [
        f"{option} counts all starts together and is used up; nothing was trained. To go on: a larger one"
        for option in used
    ]


def _stopping(trainer: pl.Trainer) -> list[EarlyStopping]:
    return [each for each in _callbacks(trainer) if isinstance(each, EarlyStopping)]


def _callbacks(trainer: pl.Trainer) -> list[Callback]:
    return list(trainer.callbacks)  # type: ignore[attr-defined]
