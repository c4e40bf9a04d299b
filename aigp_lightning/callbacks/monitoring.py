"""Callbacks that go by a figure go by what was measured in the epoch, and not by what is left of an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from aigp_lightning.errors import ConfigError
from aigp_lightning.run.lightning_internals import logged_now

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from torch import Tensor

STOPPING_OPTIONS = {
    EarlyStoppingReason.STOPPING_THRESHOLD: "another {}stopping_threshold",
    EarlyStoppingReason.DIVERGENCE_THRESHOLD: "another {}divergence_threshold",
    EarlyStoppingReason.NON_FINITE_METRIC: "{}check_finite false",
}
"""Options of early stopping, by the reason for which it stops; another value lets the run go on."""


class EpochFigures(Callback):
    """The base of callbacks that go by what was measured in an epoch.

    Example:
        >>> EpochFigures().validated  # no validation yet
        False
    """

    _validation: dict[str, Tensor] | None = None

    @property
    def validated(self) -> bool:
        """True if the epoch had a validation, once that has ended."""
        return self._validation is not None

    def figures(self, trainer: pl.Trainer) -> dict[str, Tensor]:
        """Return what was logged in the epoch that just ended: by its steps, and by its last validation.

        Args:
            trainer: in `on_train_epoch_end`; all processes ask, and exchange what they logged.
        """
        return {**logged_now(trainer), **(self._validation or {})}

    def has_figure(self, trainer: pl.Trainer, monitor: str | None, option: str) -> bool:
        """True if the epoch that just ended has the figure that a callback goes by.

        Args:
            trainer: in `on_train_epoch_end`; all processes ask.
            monitor: name of the figure; a callback that goes by none always has what it needs.
            option: that names it, for the error.

        Raises:
            ConfigError: the epoch was validated, and there is no figure of this name.
        """
        figures = self.figures(trainer)
        if monitor is None or monitor in figures:
            return True
        if self.validated:
            raise ConfigError(f"{option} {monitor}: there is no figure of this name; there are {', '.join(figures)}.")
        return False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the validation of the epoch before."""
        self._validation = None
        super().on_train_epoch_start(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember what the validation has measured."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._validation = logged_now(trainer)
        super().on_validation_end(trainer, pl_module)


class StopEarly(EpochFigures, EarlyStopping):
    """Lightning's `EarlyStopping`, asked once at the end of every epoch in which its figure was measured.

    So `patience` counts validated epochs: with a validation every fifth epoch, a patience of 20 is 100 epochs, and with
    several validations in an epoch the last one counts. An epoch is never cut short, unless `check_on_train_epoch_end`
    is False: then every validation counts, as it ends.

    Args:
        **options: Lightning's.

    Example:
        >>> stop = StopEarly(monitor="fitness", mode="max", patience=20)
        >>> stop.patience, stop.wait_count
        (20, 0)
    """

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the epoch with the best so far, if it was measured.

        Raises:
            ConfigError: the epoch was validated, and there is no figure of the monitored name.
        """
        if self.has_figure(trainer, self.monitor, "--early_stopping.monitor"):
            super().on_train_epoch_end(trainer, pl_module)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the state that an earlier version kept under Lightning's name."""
        adopt_state(self, EarlyStopping, checkpoint)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the count, and keep the patience of this start."""
        super().load_state_dict({**state_dict, "patience": self.patience})


def has_stopped(callback: EarlyStopping) -> bool:
    """True if an early stopping has ended the run, maybe in its first epoch.

    Args:
        callback: with its state.
    """
    return callback.stopped_epoch > 0 or callback.stopping_reason is not EarlyStoppingReason.NOT_STOPPED


def still_holds(callback: EarlyStopping) -> bool:
    """True if an early stopping that has ended the run would have done so with its options of now.

    Args:
        callback: with the checkpoint's state and the options of this start.
    """
    reason, message = callback.stopping_reason, callback.stopping_reason_message
    if reason is EarlyStoppingReason.STOPPING_THRESHOLD:
        return _is_told(callback.stopping_threshold, message)
    if reason is EarlyStoppingReason.DIVERGENCE_THRESHOLD:
        return _is_told(callback.divergence_threshold, message)
    if reason is EarlyStoppingReason.NON_FINITE_METRIC:
        return callback.check_finite
    return callback.wait_count >= callback.patience


def take_up_again(callback: EarlyStopping) -> None:
    """Let a run go on that an early stopping has ended.

    Args:
        callback: whose state is reset; what it has waited stays.
    """
    callback.stopped_epoch, callback.stopping_reason = 0, EarlyStoppingReason.NOT_STOPPED
    callback.stopping_reason_message = None


def stopping_option(callback: EarlyStopping) -> str:
    """Return the option whose other value lets a stopped run go on.

    Args:
        callback: that has ended it; one of the user's is named by its class.
    """
    whose = "--early_stopping." if isinstance(callback, StopEarly) else f"{type(callback).__name__}."
    return STOPPING_OPTIONS.get(callback.stopping_reason, "a larger {}patience").format(whose)


def _is_told(threshold: float | None, message: str | None) -> bool:
    """True if a threshold is the one that Lightning's message of the stop names; the state does not hold it."""
    return threshold is not None and (message is None or f" {threshold}. " in message)


def never_validates(trainer: pl.Trainer) -> bool:
    """Return whether no epoch of a run will be validated.

    Args:
        trainer: about to train.
    """
    every, last = trainer.check_val_every_n_epoch or 1, trainer.max_epochs or 0
    return not trainer.enable_validation or (last > 0 and last // every == trainer.current_epoch // every)


def adopt_state(callback: Callback, base: type[Callback], checkpoint: dict[str, Any]) -> None:
    """Give a callback the state that a checkpoint holds under the name of its base class.

    Args:
        callback: it has no state in the checkpoint under its own name.
        base: the class whose name earlier versions used.
        checkpoint: about to be loaded; changed in place.
    """
    states, key = checkpoint.get("callbacks", {}), callback.state_key
    before = key.replace(type(callback).__qualname__, base.__qualname__, 1)
    if key not in states and before in states:
        states[key] = states.pop(before)
