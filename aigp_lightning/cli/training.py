"""The verbs that Lightning runs: fit, validate, test, predict.

Longer than 250 lines: one class has all steps of a verb, in the order in which Lightning calls them.
"""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar, cast

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.trainer.states import TrainerFn

from aigp_lightning.callbacks.best_checkpoint import BestCheckpoint, best_checkpoint_of
from aigp_lightning.callbacks.resumed_run import ResumedRun
from aigp_lightning.cli.building import errors_as_options, fault_of_class, plain
from aigp_lightning.cli.by_class import ByClass, named_class
from aigp_lightning.cli.callbacks_setup import GROUPS, RunCallbacks, add_callback_options, build_callbacks
from aigp_lightning.cli.console import quiet_lightning
from aigp_lightning.cli.cpu_options import share_cpu
from aigp_lightning.cli.exported_weights import with_exported_weights
from aigp_lightning.cli.from_checkpoint import carried_options
from aigp_lightning.cli.model_class import full_class_path, with_help_of_class
from aigp_lightning.cli.option_names import of_others
from aigp_lightning.cli.parser import StrictParser
from aigp_lightning.cli.preflight import check_checkpoint, check_json, check_trained, model_class
from aigp_lightning.cli.resolve import DEFAULTS, choose_run, compare_options, resolve_config, tell_precision
from aigp_lightning.cli.resume_options import add_extend, allow_extension
from aigp_lightning.cli.run_report import print_places, print_report, print_trial, write_json
from aigp_lightning.cli.stop import report_stop
from aigp_lightning.cli.trainer_options import check_lightning_options
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.errors import RunError
from aigp_lightning.loggers.config import trim_settings
from aigp_lightning.loggers.mlflow_options import MLFlowOptions
from aigp_lightning.loggers.opening import open_loggers
from aigp_lightning.loggers.tensorboard import quiet_writer
from aigp_lightning.loggers.wandb_closing import finish_wandb
from aigp_lightning.loggers.wandb_options import WandbOptions
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.run.context import RunContext
from aigp_lightning.run.distributed import (
    ProcessOptions,
    check_processes,
    limit_wait,
    resolve_processes,
    started_by_lightning,
    tune_exchange,
)
from aigp_lightning.run.failures import explained
from aigp_lightning.run.folder import RunConfig
from aigp_lightning.run.lightning_internals import is_trial
from aigp_lightning.run.oom_advice import oom_advice, step_out_of_memory
from aigp_lightning.run.processes import explain_lost_processes, first_process
from aigp_lightning.run.recovery import repair_run_folder
from aigp_lightning.run.signals import SignalHandler, StoppedBySignal

SHARED = {"model", "datamodule", "dataloaders", "train_dataloaders", "val_dataloaders"}
PROGRAM = "python -m aigp_lightning"
GROUP_OF_CLASS = {kind.__name__: group for group, (kind, _) in GROUPS.items()}
CLI = TypeVar("CLI", bound="AigpCLI")


class StrictLightningParser(StrictParser, LightningArgumentParser):  # type: ignore[misc]
    """Takes no short forms, below a model's or a logger's options neither: `--model.gains.pos` is a typo."""


class AigpCLI(LightningCLI):
    """Lightning's command line with our groups: `run`, and the callbacks' own options.

    Args:
        verb: fit, validate, test or predict.
        arguments: its options.
        signals: handles the signals that stop the run.

    Attributes:
        status: with which the program ends: 0, or 128 and the number of the signal that stopped the run.
        passed: whether a `fast_dev_run`, of which nothing is kept, went through.
    """

    def __init__(self, verb: str, arguments: list[str], signals: SignalHandler) -> None:
        self.verb, self.signals, self.status, self.passed, self.config_yaml = verb, signals, 0, False, ""
        self.context: RunContext | None = None
        self.resumed: ResumedRun | None = None
        self.callbacks: RunCallbacks
        self.words, self.carried = arguments, carried_options(verb, arguments)
        named = named_class(arguments) or getattr(self.carried, "class_path", None)
        self.usual, self.by_class = full_class_path(named), ByClass(named or full_class_path(None), of_others(verb))
        by_lightning = started_by_lightning() is not None  # asked now: the trainer's end removes WORLD_SIZE
        usage = f"{PROGRAM} {verb} [options]"  # all of them would be a hundred lines
        try:
            try:
                super().__init__(
                    BaseModule,
                    YoloDataModule,
                    subclass_mode_model=True,
                    seed_everything_default=0,
                    trainer_defaults=deepcopy(DEFAULTS),
                    save_config_callback=None,
                    load_from_checkpoint_support=False,  # modules are rebuilt from what checkpoints describe
                    parser_class=StrictLightningParser,
                    parser_kwargs={"prog": PROGRAM, verb: {"usage": usage, "by_class": self.by_class}},
                    args=[verb, *with_help_of_class(arguments)],
                )
            finally:
                self._close()
        except (Exception, StoppedBySignal):
            if not signals.number:  # after a signal, such an error is that of a process that the signal ended as well
                raise
            finish_wandb()  # should the signal have come while that was done
            folder = self.context and self.context.folder
            self.status = report_stop(signals.number, folder, verb, arguments, by_lightning)
        finally:
            if self.context is not None:
                self.context.close()  # the last thing: whoever goes on finds all of it done

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Name the one verb that was typed: the others' parsers are not built."""
        return {self.verb: SHARED}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the groups `run`, `ddp`, `wandb`, `mlflow`, and of callbacks those whose options a user may want."""
        options = ((RunConfig, "run"), (ProcessOptions, "ddp"), (WandbOptions, "wandb"), (MLFlowOptions, "mlflow"))
        for kind, group in options:
            parser.add_class_arguments(kind, group)
        parser.set_defaults({"model": {"class_path": self.usual}})
        add_extend(parser)
        add_callback_options(parser, self.verb)
        if self.carried is not None:
            self.carried.set_defaults(parser)

    # ---- before anything is built -----------------------------------------------------------------------------------

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, and refuse values that Lightning would take or refuse late, before anything is made."""
        super().parse_arguments(parser, args)
        config = self.config[self.verb]
        self.by_class.check(config.model.class_path)
        check_lightning_options(config.as_dict(), self.verb, model_class(config).replaced_options, GROUPS)
        check_json(config)

    def instantiate_classes(self) -> None:
        """Build the classes; what their constructors refuse is told by the option."""
        with errors_as_options(self.config[self.verb].as_dict(), GROUP_OF_CLASS):
            super().instantiate_classes()
        self.model = with_exported_weights(self.verb, self.model, self.datamodule)

    def _parse_ckpt_path(self) -> None:
        """Take no options from a checkpoint; Lightning would, before anybody could check the file."""
        self.any_seed = self.config[self.verb].seed_everything is True  # soon replaced by the one that is drawn

    def before_instantiate_classes(self) -> None:
        """Choose the run folder and fill in what depends on it."""
        config = self.config[self.verb]
        self.context = context = choose_run(config, self.verb, self.signals, self.words)
        checkpoint = check_checkpoint(config, self.verb)
        self.extend = bool(config.extend or config.run.hours)
        if self.verb == "fit":
            self.resumed = compare_options(config, checkpoint, self.any_seed)
        if self.verb in ("validate", "test"):
            check_trained(config)
        if self.carried is not None:
            self.carried.settle(config, self.verb, self.words)
        trim_settings(config.trainer.logger)
        config.trainer = plain(config.trainer)  # what cannot be written down could not be run again
        self.config_yaml = self._parser(self.verb).dump(config, skip_none=False)
        resolve_processes(config.trainer)
        if self.verb == "fit":
            share_cpu(config, [self.verb, *self.words])
        if context.resuming and first_process():
            repair_run_folder(context.folder)  # before loggers read there what they have
        resolve_config(config, self.verb, context)
        tell_precision(config.trainer.precision, self.verb)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer with the run's callbacks, and check that its processes fit those that were started."""
        trainer, config = super().instantiate_trainer(**self._callback_options(), **kwargs), self.config[self.verb]
        cast("list[Any]", trainer.callbacks).extend(self.callbacks.closing)  # type: ignore[attr-defined]
        check_processes(trainer, config.trainer.sync_batchnorm, config.data.batch_size if self.verb == "fit" else 0)
        if isinstance(config.trainer.strategy, str):  # a class has its limit among its own options
            limit_wait(trainer, ProcessOptions(**config.ddp.as_dict()))
        tune_exchange(trainer)
        return trainer

    def _callback_options(self) -> dict[str, Any]:
        """Build the callbacks; returns the trainer's arguments that follow from them."""
        assert self.context is not None
        config = self.config_init[self.verb]
        self.callbacks = build_callbacks(self.context, config, self.verb, self.config_yaml, self.resumed)
        return self.callbacks.trainer_options(config.trainer.plugins)

    # ---- the run ----------------------------------------------------------------------------------------------------

    def read_data(self) -> None:
        """Read the data set as the verb is about to."""
        self.trainer.strategy.connect(self.model)
        self.datamodule.trainer = self.trainer
        self.datamodule.prepare_data()

    def before_validate(self) -> None:
        """Read the data on the first process; the others then find it made and checked."""
        if first_process():
            self.trainer.state.fn = TrainerFn(self.verb)  # by which the datamodule knows which splits are wanted
            self.read_data()

    before_test = before_validate

    def before_fit(self) -> None:
        """Read the data, check which images are private, and only then open W&B's and MLflow's runs."""
        allow_extension(self.model, self.extend, self.resumed.planned if self.resumed is not None else None)
        if first_process():
            self.read_data()
            if (media := self.callbacks.media) and self.datamodule.failure is None:  # else `setup` tells all processes
                media.check_data(self.datamodule, self.trainer.loggers)
        if first_process() and self.context is not None:
            opened = open_loggers(self.trainer, self.context.folder, self.config[self.verb])
            self.context.left_out.extend(opened)

    def _run_subcommand(self, subcommand: str) -> None:
        """Run the verb; an error that can be explained becomes one of a line, with how to resume the run."""
        try:
            with explain_lost_processes(Path(self.trainer.default_root_dir)):
                self._run_with_memory_advice(subcommand)
        except Exception as error:
            known = fault_of_class(error, self.config[self.verb].as_dict(), GROUP_OF_CLASS)
            if (told := explained(error, Path(self.trainer.default_root_dir), known)) is None:
                raise
            raise told from None

    def _run_with_memory_advice(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except Exception as error:
            if not step_out_of_memory(error):
                raise
            raise RunError(oom_advice(error, self.trainer, self.model, self.datamodule)) from error

    def after_fit(self) -> None:
        """Validate the best epoch, as it was saved, and print where everything is."""
        self.passed = is_trial(self.trainer)
        if self.passed:
            return print_trial(self.trainer)
        best = cast("BestCheckpoint", best_checkpoint_of(self.trainer)).best_model_path
        if best and not self.trainer.interrupted:
            self.trainer.loggers = []  # the best epoch's figures are logged already, at their own step
            path = best if Path(best).is_file() else None  # on another machine: they come over from the first process
            self.trainer.validate(self.model, datamodule=self.datamodule, ckpt_path=path, verbose=False)
            self._report()
        print_places(self.trainer, self.model, bool(best), self.context.left_out if self.context is not None else ())

    def after_validate(self) -> None:
        """Print and write the metrics."""
        self._report()

    after_test = after_validate

    def _report(self) -> None:
        if not self.trainer.is_global_zero or self.model.table is None:
            return  # processes that were spawned have the metrics, and are gone
        print_report(self.model, self.trainer)
        if (target := self.config[self.verb].run.json) is not None:
            write_json(Path(target), self.trainer, self.model, self.datamodule)

    def _close(self) -> None:
        """Close the W&B run, and remove what was made for a run that was refused or a verb without files."""
        finish_wandb()
        if self.context is not None:
            self.context.remove_unused(everything=self.passed)


def main(verb: str, arguments: list[str]) -> int:
    """Run a verb of Lightning's.

    Args:
        verb: fit, validate, test or predict.
        arguments: its options.

    Returns:
        The exit status: 0, or 128 and the number of the signal that stopped the run.
    """
    signals = SignalHandler()
    with signals if verb == "fit" else nullcontext():
        return run_cli(AigpCLI, verb, arguments, signals).status


def run_cli(cli_class: type[CLI], verb: str, arguments: list[str], signals: SignalHandler | None = None) -> CLI:
    """Parse and run a verb of Lightning's, without messages that help nobody.

    Args:
        cli_class: the command line.
        verb: fit, validate, test or predict.
        arguments: its options.
        signals: handles the signals that stop the run; by default nothing handles them.
    """
    quiet_lightning()
    with quiet_writer():
        return cli_class(verb, arguments, signals or SignalHandler())
