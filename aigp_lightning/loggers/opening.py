"""The loggers of a run are opened before it trains, and where they keep their files is noted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.loggers.mlflow_opening import open_mlflow
from aigp_lightning.loggers.mlflow_options import MLFlowOptions
from aigp_lightning.loggers.record import record_loggers
from aigp_lightning.loggers.wandb import open_wandb
from aigp_lightning.loggers.wandb_options import WandbOptions

if TYPE_CHECKING:
    import lightning.pytorch as pl


def open_loggers(trainer: pl.Trainer, folder: Path, config: Any) -> list[str]:
    """Open W&B's and MLflow's runs, so that what goes wrong is reported before training.

    Args:
        trainer: its loggers are built and not opened.
        folder: the run folder.
        config: of `fit`, its loggers as `resolve_loggers` left them.

    Returns:
        The loggers that are left out or drop what they are given, each with the reason.

    Raises:
        ConfigError: a logger of the user's own does not use what it is given, or lacks our fence.
    """
    options, everything = WandbOptions(**config.wandb.as_dict()), config.as_dict()
    left_out = open_wandb(trainer, config.trainer.logger, options, everything)
    left_out += open_mlflow(trainer, MLFlowOptions(**config.mlflow.as_dict()), everything)
    record_loggers(folder, trainer.loggers, config.trainer.logger, options)
    return left_out
