"""`weights/best.ckpt`: the checkpoint of the epoch that the monitored figure says is the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from aigp_lightning.callbacks.monitoring import EpochFigures, adopt_state, never_validates
from aigp_lightning.checkpoints.io import AtomicCheckpointIO
from aigp_lightning.errors import ConfigError, tell_user

if TYPE_CHECKING:
    import lightning.pytorch as pl

FIXED: dict[str, tuple[tuple[Any, ...], str]] = {
    "dirpath": ((None,), "checkpoints are in the run folder; --run.root and --run.name choose it"),
    "save_last": ((None, False), "`weights/last.ckpt` is written after every epoch"),
    "save_weights_only": ((None, False), "the best checkpoint holds the averaged weights, and all that resuming needs"),
    "save_on_train_epoch_end": ((None, True), "epochs are compared at their ends"),
    "save_on_exception": ((None, False), "`weights/last.ckpt` has the last complete epoch, from which a run resumes"),
}
"""Options of Lightning's that a run decides: the values that change nothing, and why others are refused."""


class BestCheckpoint(EpochFigures, ModelCheckpoint):
    """Lightning's `ModelCheckpoint` for a run's best epoch; only figures measured in an epoch speak for it.

    Lightning's own class goes by the last value there is: an epoch without a validation would be saved as the best for
    the figure of an earlier one. Any number of other `ModelCheckpoint`s may stand beside it.

    Args:
        **options: Lightning's.

    Example:
        >>> best = BestCheckpoint(monitor="fitness", mode="max", filename="best")
        >>> best.monitor, best.best_model_path
        ('fitness', '')
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the user if no epoch of the run will be measured."""
        super().on_train_start(trainer, pl_module)
        if self.monitor is None or not never_validates(trainer):
            return
        if self.best_model_score is None:
            tell_user("nothing is validated in this run: the last epoch counts as the best, and none is stopped early")
        else:
            tell_user(
                f"nothing is validated from here on: the best stays the one there is, of {self.monitor} "
                f"{float(self.best_model_score):.4g}, and no epoch is stopped early"
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the epoch if it is the best of those measured.

        Raises:
            ConfigError: the epoch was validated, and there is no figure of the monitored name.
        """
        if self.has_figure(trainer, self.monitor, "--checkpoint.monitor"):
            with saved_with_epoch(trainer):
                super().on_train_epoch_end(trainer, pl_module)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the state that an earlier version kept under Lightning's name."""
        adopt_state(self, ModelCheckpoint, checkpoint)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what was the best, where its file is in this run's folder, if only since that was moved."""
        folder = Path(str(self.dirpath))
        if Path(str(state_dict["dirpath"])) != folder:
            if not (folder / Path(state_dict["best_model_path"]).name).is_file():
                return  # another run's checkpoint: the epochs of this one are compared among themselves
            state_dict = _moved(state_dict, folder)
        super().load_state_dict(state_dict)


def _moved(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a state whose paths lead into another folder."""

    def path(before: str) -> str:
        return str(folder / Path(before).name) if before else ""

    paths = {key: path(state[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
    best = {path(before): score for before, score in state["best_k_models"].items()}
    return {**state, **paths, "dirpath": str(folder), "best_k_models": best}


@contextmanager
def saved_with_epoch(trainer: pl.Trainer) -> Iterator[None]:
    """Save checkpoints that count only when all that the epoch gave is on disk, where the trainer's writer can.

    Args:
        trainer: whose checkpoints are saved.
    """
    store = trainer.strategy.checkpoint_io
    if not isinstance(store, AtomicCheckpointIO):
        yield
        return
    with store.of_epoch():
        yield


def best_checkpoint_of(trainer: pl.Trainer) -> ModelCheckpoint | None:
    """Return the callback that saves the best epoch: a `BestCheckpoint`, else the first of Lightning's class.

    Args:
        trainer: with any callbacks.
    """
    saving = [each for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)]
    return next((each for each in saving if isinstance(each, BestCheckpoint)), next(iter(saving), None))


def check_best_options(options: Any) -> None:
    """Refuse options of the group `checkpoint` that a run decides by itself.

    Args:
        options: of the group.

    Raises:
        ConfigError: one has another value.

    Example:
        >>> check_best_options({"save_last": True})
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --checkpoint.save_last True: `weights/last.ckpt` is written after every \
epoch. A checkpoint of your own goes to --trainer.callbacks.
    """
    for name, (allowed, why) in FIXED.items():
        if (value := options.get(name)) not in allowed:
            raise ConfigError(
                f"--checkpoint.{name} {value}: {why}. A checkpoint of your own goes to --trainer.callbacks."
            )


def check_other_checkpoints(callbacks: Sequence[Callback], weights: Path) -> None:
    """Refuse callbacks that would write into the folder of the run's own checkpoints.

    Args:
        callbacks: the user's.
        weights: the folder.

    Raises:
        ConfigError: one would.
    """
    for each in callbacks:
        folder = getattr(each, "dirpath", None)
        if folder is not None and Path(folder).resolve() == weights.resolve():
            raise ConfigError(
                f"--trainer.callbacks: {type(each).__name__} would write to {weights}, which the run keeps its own "
                "checkpoints in. Give it another dirpath."
            )
