"""Lightning's private names that this package relies on, each in one place.

Private names move between releases. What needs one asks a function of this file; what overrides or inherits one stands
in `INHERITED`. `tests/run/test_lightning_internals.py` fails when Lightning loses a name or changes what it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.run.versions import check_version

if TYPE_CHECKING:
    from datetime import timedelta

    import lightning.pytorch as pl
    from lightning.pytorch.strategies import DDPStrategy
    from torch import Tensor

check_version("lightning")

INHERITED = (
    ("lightning.pytorch.cli.LightningCLI", "_parse_ckpt_path"),  # cli/training.py: no options from a checkpoint
    ("lightning.pytorch.cli.LightningCLI", "_run_subcommand"),  # cli/training.py: memory advice; cli/plan.py: no run
    ("lightning.pytorch.cli.LightningCLI", "_parser"),  # cli/training.py: the resolved configuration
    ("lightning.pytorch.callbacks.WeightAveraging", "on_train_batch_end"),  # callbacks/ema.py: our own update
)
"""Methods that a class of ours overrides or calls: class, name."""
INHERITED_ATTRIBUTES = (
    ("lightning.pytorch.callbacks.WeightAveraging", "_average_model"),  # callbacks/ema.py
    ("lightning.pytorch.callbacks.WeightAveraging", "_latest_update_step"),  # callbacks/ema.py
    ("lightning.pytorch.loggers.WandbLogger", "_wandb_init"),  # loggers/wandb.py: options for wandb.init
    ("lightning.pytorch.loggers.WandbLogger", "_experiment"),  # loggers/wandb.py: the run
    *(
        ("lightning.pytorch.loggers.MLFlowLogger", name)  # loggers/mlflow.py opens the run itself
        for name in (
            *("_tracking_uri", "_artifact_location", "_experiment_name", "_run_name", "_prefix", "_log_batch_kwargs"),
            *("_mlflow_client", "_run_id", "_experiment_id", "_initialized"),
        )
    ),
    ("lightning.pytorch.loggers.CSVLogger", "_experiment"),  # loggers/csv_file.py: the writer
    ("lightning.pytorch.loggers.TensorBoardLogger", "_experiment"),  # loggers/tensorboard.py: the writer
    ("lightning.pytorch.loggers.TensorBoardLogger", "_fs"),  # loggers/tensorboard.py: where the writer's files go
    ("lightning.pytorch.loggers.TensorBoardLogger", "_kwargs"),  # loggers/tensorboard.py: the writer's options
)
"""Attributes that a class of ours inherits and uses: class, name."""


def trainer_of(module: pl.LightningModule) -> pl.Trainer | None:
    """Return the trainer that a module is attached to; None without one, where `module.trainer` raises.

    Args:
        module: any of Lightning's.
    """
    return module._trainer


def datamodule_of(trainer: pl.Trainer) -> Any:
    """Return the datamodule of a run; None where there is none, and Lightning sets no attribute.

    Args:
        trainer: it has been asked to fit, validate, test or predict.
    """
    return vars(trainer).get("datamodule")


def batches_stepped(trainer: pl.Trainer) -> int:
    """Return the step at which Lightning logs scalars now: training batches, from 0, and not optimizer steps.

    Args:
        trainer: it is training, or has been.
    """
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)


def batch_to_train(trainer: pl.Trainer) -> int:
    """Return the number, in its epoch, of the training batch that is on its way to the device.

    Args:
        trainer: it has fetched the batch, and has not begun with it.
    """
    return int(trainer.fit_loop.epoch_loop.batch_idx) + 1


def logged_now(trainer: pl.Trainer) -> dict[str, Tensor]:
    """Return what was logged in the loop that is about to end: a validation, or the steps of a training epoch.

    `trainer.callback_metrics` keeps the figures of earlier epochs too. All processes must call this: they exchange what
    they logged.

    Args:
        trainer: in `on_validation_end` or `on_train_epoch_end`.
    """
    results = trainer._results
    return dict(results.metrics(on_step=False)["callback"]) if results is not None else {}


def validates_again(trainer: pl.Trainer) -> bool:
    """True if the epoch's plan has another validation after the one that runs now. By the clock, nobody knows.

    Args:
        trainer: it validates within `fit`.
    """
    every, loop = trainer.val_check_batch, trainer.fit_loop.epoch_loop
    if every is None or float("inf") in (every, trainer.num_training_batches):
        return False
    done = loop.total_batch_idx + 1 if trainer.check_val_every_n_epoch is None else loop.batch_idx + 1
    return every - done % every <= trainer.num_training_batches - (loop.batch_idx + 1)


def overfit_batches(trainer: pl.Trainer) -> float:
    """Return the trainer's option, which it sets as an attribute without a declaration: a number or a share; 0 is off.

    Args:
        trainer: any.
    """
    return float(cast("Any", trainer).overfit_batches)


def is_trial(trainer: pl.Trainer) -> bool:
    """True if the trainer runs a few batches to try everything out, `fast_dev_run`.

    Args:
        trainer: any.
    """
    return bool(cast("Any", trainer).fast_dev_run)


def set_batches_stepped(trainer: pl.Trainer, batches: int) -> None:
    """Set the step at which Lightning logs the next scalars.

    Args:
        trainer: it is about to train.
        batches: trained so far.
    """
    trainer.fit_loop.epoch_loop._batches_that_stepped = batches


@dataclass(frozen=True)
class EpochProgress:
    """How far a run was when a checkpoint was written.

    Attributes:
        trained: epochs, the last one included.
        batches: of the last epoch.
        whole: whether that was over, at its end or cut short by `max_steps` or `max_time`.
    """

    trained: int
    batches: int
    whole: bool


def epoch_progress(checkpoint: Mapping[str, Any]) -> EpochProgress | None:
    """Return how far a run was when a checkpoint was written; None where Lightning's counters do not stand there.

    Args:
        checkpoint: Lightning's.
    """
    try:
        loop = checkpoint["loops"]["fit_loop"]
        batches, epochs = loop["epoch_loop.batch_progress"], loop["epoch_progress"]["current"]
        ended = epochs["processed"] == epochs["ready"]  # also if cut short by `max_steps` or `max_time`
        return EpochProgress(int(epochs["ready"]), int(batches["current"]["ready"]), ended)
    except (KeyError, TypeError, ValueError):
        return None


def set_default_root_dir(trainer: pl.Trainer, folder: str) -> None:
    """Give a trainer that is built already another folder for its files.

    Args:
        trainer: it has written nothing yet.
        folder: of this run, the same on all processes.
    """
    cast("Any", trainer)._default_root_dir = folder


def set_process_timeout(strategy: DDPStrategy, timeout: timedelta) -> None:
    """Set how long the processes of a strategy that is built already wait for one another.

    Args:
        strategy: it has connected no processes yet.
        timeout: for every exchange.
    """
    strategy._timeout = timeout


def set_ddp_options(strategy: DDPStrategy, options: Mapping[str, Any]) -> None:
    """Set options with which a strategy that is built already will wrap the module; the user's own stay.

    Args:
        strategy: it has wrapped nothing yet.
        options: arguments of torch's `DistributedDataParallel` by name.
    """
    strategy._ddp_kwargs = {**options, **strategy._ddp_kwargs}
