"""The verbs that Lightning runs: fit, validate, test, predict."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.trainer.states import TrainerFn

from aigp_lightning.callbacks.best_weights import BestWeights
from aigp_lightning.callbacks.close_mosaic import CloseMosaic
from aigp_lightning.callbacks.dashboard import PlainProgress, progress_callback
from aigp_lightning.callbacks.ema import EMA
from aigp_lightning.callbacks.exit_with_first_process import ExitWithFirstProcess
from aigp_lightning.callbacks.ignore_worker_death import IgnoreWorkerDeath
from aigp_lightning.callbacks.last_checkpoint import LastCheckpoint
from aigp_lightning.callbacks.media import Media
from aigp_lightning.callbacks.nonfinite import NonFinite
from aigp_lightning.callbacks.results import Results
from aigp_lightning.callbacks.save_config import SaveConfig
from aigp_lightning.callbacks.stop_on_signal import StopOnSignal
from aigp_lightning.callbacks.sync_run_folder import SyncRunFolder
from aigp_lightning.checkpoints.io import AtomicCheckpointIO
from aigp_lightning.cli.lightning_parser import StrictLightningParser
from aigp_lightning.cli.preflight import check_checkpoint, check_trained, on_gpu, refuse_partial_epochs, task_of
from aigp_lightning.cli.report import print_report, write_json
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.errors import RunError
from aigp_lightning.loggers.config import resolve_loggers, trim_settings
from aigp_lightning.loggers.tensorboard import quiet_writer
from aigp_lightning.loggers.wandb import finish_wandb, open_wandb
from aigp_lightning.loggers.wandb_options import WandbOptions
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.run.failures import out_of_gpu_memory
from aigp_lightning.run.folder import (
    ENV_FOLDER,
    LAST,
    RunConfig,
    RunStart,
    find_last_checkpoint,
    mark_run_folder,
    remove_unused_run_folder,
    start_run,
)
from aigp_lightning.run.oom_advice import oom_advice
from aigp_lightning.run.processes import (
    ProcessOptions,
    check_processes,
    explain_lost_processes,
    first_process,
    limit_wait,
    resolve_processes,
)
from aigp_lightning.run.recovery import recover_run
from aigp_lightning.run.signals import SignalHandler, StoppedBySignal, requeue

DEFAULTS: dict[str, Any] = {
    "max_epochs": 100,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,  # our samplers count every image once; Lightning's would pad
    "enable_model_summary": False,
    "logger": {
        "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
        "init_args": {"save_dir": "{run_folder}", "name": "tensorboard", "version": ""},
    },
}
SHARED = {"model", "datamodule", "dataloaders", "train_dataloaders", "val_dataloaders"}
FIT_CALLBACKS: dict[str, tuple[type[Callback], dict[str, Any]]] = {
    "nonfinite": (NonFinite, {}),  # first: what it finds must not reach averages, results and checkpoints
    "ema": (EMA, {}),
    "close_mosaic": (CloseMosaic, {}),
    "media": (Media, {}),
    "results": (Results, {}),
    "early_stopping": (
        EarlyStopping,
        {"monitor": "fitness", "mode": "max", "patience": 100, "check_on_train_epoch_end": False},
    ),
    "checkpoint": (
        ModelCheckpoint,
        {
            "filename": "best",
            "monitor": "fitness",
            "mode": "max",
            "save_last": False,  # `LastCheckpoint` does it
            "save_on_train_epoch_end": True,
            "enable_version_counter": False,
        },
    ),
}
"""Callbacks whose options a user may want, by the name of their group."""
NOISE = (
    ".*does not have many workers.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*Checkpoint directory.*exists and is not empty.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*torch.jit.script.*deprecated.*",
    ".*args parameter is intended to run from within Python.*",
    ".*You are using a custom batch sampler.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
    ".*You have overridden `on_after_batch_transfer`.*",
)
CHATTER = ("Tip:", "to estimate number of stepping batches", "used: False", "TPU available")
EXAMPLES = {
    "fit": "fit --config configs/detector.yaml --config configs/quick.yaml --run.name gates1",
    "validate": "validate --config configs/detector.yaml --ckpt_path runs/detect/gates/weights/best.ckpt",
    "test": "test --config configs/detector.yaml --model.weights best.pt --run.json metrics.json",
    "predict": "predict --config configs/detector.yaml --ckpt_path best.ckpt --data.source pictures/",
}


class AigpCLI(LightningCLI):
    """Lightning's command line with our groups: `run`, and the callbacks' own options."""

    verb = "fit"
    stopper = SignalHandler()
    resuming = False
    """Whether the run goes on in its folder, from a checkpoint or, stopped before the first one, from nothing."""

    @classmethod
    def subcommands(cls) -> dict[str, set[str]]:  # type: ignore[override]
        """The one verb that was typed: the others' parsers are not built."""
        return {cls.verb: SHARED}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the `run` group and, for training, the callbacks whose options a user may want."""
        parser.add_class_arguments(RunConfig, "run")
        parser.add_class_arguments(ProcessOptions, "ddp")
        parser.add_class_arguments(WandbOptions, "wandb")
        parser.set_defaults({"model": {"class_path": f"{DetectorModule.__module__}.DetectorModule"}})
        if self.verb == "predict":
            from aigp_lightning.callbacks.predictions import PredictionWriter

            parser.add_lightning_class_args(PredictionWriter, "output")
        for group, (callback, defaults) in FIT_CALLBACKS.items():
            skip: set[str | int] = {"resuming"} if callback is Media else set()  # the run folder's to say, no option
            if self.verb == "fit":
                parser.callback_keys.append(group)
                parser.add_class_arguments(callback, group, fail_untyped=False, sub_configs=True, skip=skip)
            else:  # a training run's YAML serves the other verbs too; what only training needs is read and left alone
                parser.add_class_arguments(callback, group, instantiate=False, skip=skip)
            parser.set_defaults({f"{group}.{key}": value for key, value in defaults.items()})

    # ---- before anything is built -----------------------------------------------------------------------------------

    def _parse_ckpt_path(self) -> None:
        """Take no options from a checkpoint; Lightning would, before anybody could check the file."""

    def before_instantiate_classes(self) -> None:
        """Choose the run folder and fill in what depends on it."""
        config = self.config[self.verb]
        task, run = task_of(config), RunConfig(**config.run.as_dict())
        if self.verb == "fit":
            refuse_partial_epochs(config.checkpoint)
            start = start_run(run, task, config.get("ckpt_path"), first_process())
            config.ckpt_path, self.resuming = start.ckpt, start.resuming
            if first_process():
                _tell(start)
        else:
            if config.get("ckpt_path") == "last":
                config.ckpt_path = str(find_last_checkpoint(Path(run.root) / task, run.name))
            start = start_run(RunConfig(run.name, run.root, run.exist_ok, "never"), task, None, first_process())
        check_checkpoint(config)
        if self.verb in ("validate", "test"):
            check_trained(config)
        trim_settings(config.trainer.logger)
        self.resolved = self._parser(self.verb).dump(config, skip_none=False)
        resolve_processes(config.trainer)
        self._fill(config, start.folder)

    def _fill(self, config: Any, folder: Path) -> None:
        trainer = config.trainer
        trainer.default_root_dir = str(folder)
        if self.verb == "fit":
            config.checkpoint.dirpath = str(folder / "weights")
            options = WandbOptions(**config.wandb.as_dict())
            trainer.logger = resolve_loggers(trainer.logger, folder, options, self.resuming, first_process())
        else:
            trainer.logger = False
        if trainer.precision is None:
            trainer.precision = "16-mixed" if on_gpu(trainer.accelerator) else "32-true"
        if self.verb != "fit" and trainer.enable_progress_bar is None and not sys.stdout.isatty():
            trainer.enable_progress_bar = False
        if self.verb in ("validate", "test"):
            config.verbose = False  # our table says it
        if self.verb == "predict":
            config.return_predictions = False  # the writer takes them; a video's would fill the memory

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add the callbacks that have no options."""
        if self.verb == "fit":
            kwargs.update(self._progress())
        trainer, config = super().instantiate_trainer(**kwargs), self.config[self.verb]
        check_processes(trainer, config.trainer.sync_batchnorm)
        if isinstance(config.trainer.strategy, str):  # a class has its limit among its own options
            limit_wait(trainer, ProcessOptions(**config.ddp.as_dict()))
        callbacks = cast("list[Any]", trainer.callbacks)  # type: ignore[attr-defined]
        callbacks.insert(0, IgnoreWorkerDeath())
        callbacks.insert(1, SyncRunFolder())
        callbacks.append(ExitWithFirstProcess())
        if self.verb == "fit":
            store = AtomicCheckpointIO()
            trainer.strategy.checkpoint_io = store
            callbacks.insert(2, SaveConfig(self.resolved))
            # in this order: the best of what counts by now
            callbacks += [LastCheckpoint(store), BestWeights(), StopOnSignal(self.stopper)]
            next(callback for callback in callbacks if isinstance(callback, Media)).resuming = self.resuming
        else:
            trainer.strategy.checkpoint_io = AtomicCheckpointIO()
        return trainer

    def read_data(self) -> Media:
        """Read the data set as `fit` is about to; returns the callback whose options name images in it."""
        self._prepare_data()
        callbacks = cast("list[Any]", self.trainer.callbacks)  # type: ignore[attr-defined]
        return next(callback for callback in callbacks if isinstance(callback, Media))

    def _prepare_data(self) -> None:
        self.trainer.strategy.connect(self.model)
        self.datamodule.trainer = self.trainer
        self.datamodule.prepare_data()

    def before_validate(self) -> None:
        """Read the data on the first process; the others then find it made and checked."""
        if first_process():
            self.trainer.state.fn = TrainerFn(self.verb)  # by which the datamodule knows which splits are wanted
            self._prepare_data()

    def before_test(self) -> None:
        """As before validation."""
        self.before_validate()

    def before_fit(self) -> None:
        """Read the data, check which images are private, and only then open the W&B run, where one is configured."""
        if first_process():
            if self.resuming:
                recover_run(self.trainer, self.config[self.verb].ckpt_path)
            media = self.read_data()
            if self.datamodule.failure is None:  # else `setup` tells all processes
                media.check_data(self.datamodule, self.trainer.loggers)
        config = self.config[self.verb]
        open_wandb(self.trainer, config.trainer.logger, WandbOptions(**config.wandb.as_dict()), config.as_dict())

    def _run_subcommand(self, subcommand: str) -> None:
        """Run the verb; where a GPU's memory was too small, say what would have fitted."""
        try:
            super()._run_subcommand(subcommand)
        except Exception as error:
            if not out_of_gpu_memory(error):
                raise
            raise RunError(oom_advice(error, self.trainer, self.model, self.datamodule)) from error

    def _progress(self) -> dict[str, Any]:
        trainer = self.config_init[self.verb].trainer
        given = [trainer.callbacks] if isinstance(trainer.callbacks, Callback) else list(trainer.callbacks or [])
        added = progress_callback(trainer.enable_progress_bar, given)
        options: dict[str, Any] = {"callbacks": [*given, added] if added else given}
        if isinstance(added, PlainProgress):
            options["enable_progress_bar"] = False  # Lightning's own bar
        return options

    # ---- after ------------------------------------------------------------------------------------------------------

    def after_fit(self) -> None:
        """Validate the best epoch, as it was saved, and say where everything is."""
        best = cast("ModelCheckpoint", self.trainer.checkpoint_callback).best_model_path
        if best and not self.trainer.interrupted:
            self.trainer.loggers = []  # the best epoch's figures are logged already, at their own step
            # Where a machine does not see the first one's disk, the weights come over from the first process.
            path = best if Path(best).is_file() else None
            self.trainer.validate(self.model, datamodule=self.datamodule, ckpt_path=path, verbose=False)
            self._report()
        if self.trainer.is_global_zero:
            folder, suffix = Path(self.trainer.default_root_dir), self.model.portable_suffix or ".ckpt"
            print(f"run folder: {folder}\nbest weights: {folder / 'weights' / f'best{suffix}'}")

    def after_validate(self) -> None:
        """Print and write the metrics."""
        self._report()

    def after_test(self) -> None:
        """Print and write the metrics."""
        self._report()

    def _report(self) -> None:
        if not self.trainer.is_global_zero or self.model.table is None:
            return  # processes that were spawned have the metrics, and are gone
        print_report(self.model)
        if (target := self.config[self.verb].run.json) is not None:
            write_json(Path(target), self.trainer, self.model, self.datamodule)


def _tell(start: RunStart) -> None:
    if not start.resuming:
        mark_run_folder(start.folder)
    elif start.ckpt is None:
        print(f"no checkpoint in {start.folder} yet: the run begins again, in the same folder", flush=True)


def _worth_reading(record: logging.LogRecord) -> bool:
    return not any(words in record.getMessage() for words in CHATTER)


def main(verb: str, arguments: list[str]) -> int:
    """Run a verb of Lightning's.

    Args:
        verb: fit, validate, test or predict.
        arguments: its options.

    Returns:
        The exit status: 0, or 128 and the number of the signal that stopped the run.
    """
    stopper = SignalHandler()
    cli_class = type("AigpCLI", (AigpCLI,), {"verb": verb, "stopper": stopper})
    with stopper if verb == "fit" else nullcontext():
        try:
            _run(cli_class, verb, arguments)
        except StoppedBySignal:
            return _stopped(stopper)
    return 0


def _run(cli_class: type[AigpCLI], verb: str, arguments: list[str]) -> None:
    try:
        with explain_lost_processes(), quiet_writer():
            run_cli(cli_class, verb, arguments)
    finally:
        finish_wandb()
        if first_process():
            remove_unused_run_folder()  # refused before it began, or a verb that writes no file


def _stopped(stopper: SignalHandler) -> int:
    """Say how the run goes on; returns the exit status that the signal has by custom."""
    finish_wandb()
    number = signal.Signals(stopper.number)
    if first_process():
        last = Path(os.environ.get(ENV_FOLDER, "")) / LAST
        how = f"To go on: the same command with --ckpt_path {last}"
        if not last.is_file():
            how = "No epoch was complete yet; the same command with --ckpt_path last begins again, in the same folder"
        print(f"\nstopped by {number.name}. {how}.", file=sys.stderr)
        if number not in (signal.SIGINT, signal.SIGTERM):
            requeue()
    return 128 + number


def run_cli(cli_class: type[AigpCLI], verb: str, arguments: list[str]) -> AigpCLI:
    """Parse and run a verb of the trainer's, without the messages that help nobody."""
    for pattern in NOISE:
        warnings.filterwarnings("ignore", pattern)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_worth_reading)
    return cli_class(
        BaseModule,
        YoloDataModule,
        subclass_mode_model=True,
        seed_everything_default=0,
        trainer_defaults=deepcopy(DEFAULTS),
        save_config_callback=None,
        parser_class=StrictLightningParser,
        parser_kwargs={
            "prog": "python -m aigp_lightning",
            verb: {
                "usage": f"python -m aigp_lightning {verb} [options]",  # all of them would be a hundred lines
                "epilog": f"example: {EXAMPLES[verb]} | the model's options: {verb} --model.help DetectorModule",
            },
        },
        args=[verb, *arguments],
    )
