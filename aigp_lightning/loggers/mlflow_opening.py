"""MLflow's runs are opened before the training, so that what goes wrong is said then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import MLFlowLogger

from aigp_lightning.errors import ConfigError
from aigp_lightning.loggers.mlflow import ResilientMLFlowLogger, explained
from aigp_lightning.loggers.mlflow_config import print_mlflow
from aigp_lightning.loggers.mlflow_options import MLFlowOptions, git_tags, parameters
from aigp_lightning.run.processes import first_process

if TYPE_CHECKING:
    import lightning.pytorch as pl

MOST = 100
"""Parameters that MLflow takes at once."""


def open_mlflow(trainer: pl.Trainer, options: MLFlowOptions, config: Mapping[str, Any]) -> list[str]:
    """Open the runs of a trainer's MLflow loggers; one that cannot be opened is left out, and a line says so.

    Args:
        trainer: its loggers are built and not opened.
        options: the group `mlflow`.
        config: the whole configuration; its public part is sent when `options.config` says so.

    Returns:
        The loggers that are left out, each with the reason.

    Raises:
        ConfigError: a logger of the user's own is Lightning's without our fence.
    """
    if not first_process():
        return []
    left_out: list[str] = []
    loggers: list[Any] = []
    for logger in trainer.loggers:
        if not isinstance(logger, MLFlowLogger):
            loggers.append(logger)
        elif not isinstance(logger, ResilientMLFlowLogger):
            raise ConfigError(
                f"trainer.logger: {type(logger).__name__} inherits from Lightning's MLFlowLogger, which sends this "
                f"user's name, the script's path and all options; inherit from {ResilientMLFlowLogger.__module__}."
                f"{ResilientMLFlowLogger.__name__} instead."
            )
        elif why := _opened(logger, options, config):
            left_out.append(f"MLFlowLogger ({why})")
            print_mlflow(f"{why}, so this run does without; everything is in {Path(trainer.default_root_dir)}.")
        else:
            loggers.append(logger)
    trainer.loggers = loggers
    return left_out


def _opened(logger: ResilientMLFlowLogger, options: MLFlowOptions, config: Mapping[str, Any]) -> str:
    """Open a run and send what the options ask for; returns why that failed, or nothing."""
    try:
        client, run_id = logger.experiment, str(logger.run_id)
        from mlflow.entities import Param, RunTag

        known = client.get_run(run_id).data.params  # a value that is there cannot be changed
        params = [Param(*pair) for pair in parameters(options, config).items() if pair[0] not in known]
        for start in range(0, len(params), MOST):
            client.log_batch(run_id, params=params[start : start + MOST])
        tags = [RunTag(*pair) for pair in git_tags(options).items()]
        client.log_batch(run_id, tags=tags)
    except Exception as error:  # also requests' and the operating system's: whatever it is, training goes on
        return explained(error, logger.server)
    return ""
