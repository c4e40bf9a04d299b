"""The `plan` verb: takes the arguments of `fit` and trains nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from aigp_lightning.checkpoints.weight_places import located
from aigp_lightning.cli.preflight import task_of
from aigp_lightning.cli.resolve import resolve_config
from aigp_lightning.cli.target import check_target
from aigp_lightning.cli.training import AigpCLI, run_cli
from aigp_lightning.data.batch_choice import memory_share
from aigp_lightning.errors import ConfigError, tell_user
from aigp_lightning.files import write_atomic
from aigp_lightning.loggers.config import arguments_of, is_wandb
from aigp_lightning.loggers.record import scalars_only
from aigp_lightning.loggers.wandb import DISABLED, leave_out_wandb, name_of
from aigp_lightning.loggers.wandb_config import channels_without_switch
from aigp_lightning.loggers.wandb_options import WandbOptions, side_channels
from aigp_lightning.media.routing import Routing
from aigp_lightning.media.sinks import WandbSink, expected_sinks, sinks_of
from aigp_lightning.plan.earlier import earlier_starts
from aigp_lightning.plan.forecast import Forecaster, scratch
from aigp_lightning.plan.report import as_json, over, show
from aigp_lightning.run.context import RunContext
from aigp_lightning.run.folder import RunConfig
from aigp_lightning.terminal.output import print_text

STDOUT = "-"


class PlanCLI(AigpCLI):
    """`fit` up to the point where it would begin; then the forecast."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add `--json` to what `fit` takes."""
        super().add_arguments_to_parser(parser)
        parser.add_argument(
            "--json", nargs="?", const=STDOUT, default=None, metavar="FILE",
            help="write the plan as JSON to this file; without a file, to the terminal instead of the table",
        )  # fmt: skip

    def before_instantiate_classes(self) -> None:
        """Put everything that would be written into a scratch folder; one process draws for all."""
        config = self.config[self.verb]
        if config.get("ckpt_path") not in (None, "last") and not Path(config.ckpt_path).exists():
            raise ConfigError(f"--ckpt_path {config.ckpt_path}: there is no such file.")
        check_target("--json", config.json)
        _do_without_weights(config.model.get("init_args"))
        self.earlier = earlier_starts(RunConfig(**config.run.as_dict()), task_of(config), config.get("ckpt_path"))
        self._scratch = scratch()
        config.trainer.devices, config.trainer.num_nodes, config.trainer.strategy = 1, 1, "auto"
        self.context = RunContext(Path(self._scratch.name), signals=self.signals)
        resolve_config(config, self.verb, self.context)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer with the callbacks of the configuration; loggers are built and not opened."""
        return LightningCLI.instantiate_trainer(self, **self._callback_options(), **kwargs)

    def before_fit(self) -> None:
        """Open no logger."""

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            self._plan()
        finally:
            self._scratch.cleanup()

    def _plan(self) -> None:
        trainer, module, data = self.trainer, self.model, self.datamodule
        assert self.context is not None
        for line in open_numbers(self.config[self.verb], data.batch_size):
            tell_user(line)
        left_out = [*self.context.left_out, *leave_out_wandb(trainer)]
        data.leak_limit = None  # comparing pictures says nothing about what would be drawn
        self.read_data()
        if self.earlier.names and self.earlier.checkpoint:
            data.follow_classes(self.earlier.names, self.earlier.checkpoint)
        data.setup("fit")
        media = self.callbacks.media
        assert media is not None
        routing = Routing(media.routes, expected_sinks(trainer.loggers, tell_user))
        media.check_data(data, routing=routing)
        forecast = Forecaster(trainer, module, data, media, routing, self.earlier).forecast()
        config = self.config[self.verb]
        off = [sink for sink in sinks_of(trainer.loggers) if isinstance(sink, WandbSink) and sink.is_off()]
        forecast.left_out = [*left_out, *(f"{name_of(sink.logger)} ({DISABLED})" for sink in off)]
        forecast.scalars_only = scalars_only(trainer.loggers)
        to_wandb = any(isinstance(sink, WandbSink) for sink in routing.sinks)
        given = config.trainer.logger
        entries = [arguments_of(one) for one in (given if isinstance(given, list) else [given]) if is_wandb(one)]
        weights = any(one.get("log_model") for one in entries)
        group = WandbOptions(**config.wandb.as_dict())
        channels = [*side_channels(group, weights), *channels_without_switch(group, entries)] if to_wandb else []
        self._tell(config.json, forecast, channels, media.max_mb)
        self.status = int(over(forecast, media.max_mb))

    @staticmethod
    def _tell(target: str | None, forecast: Any, channels: Any, max_mb: float | None) -> None:
        text = json.dumps(as_json(forecast, channels, max_mb), indent=2)
        if target == STDOUT:
            print_text(text)
            return
        if target is not None:
            write_atomic(Path(target), text.encode("utf-8", errors="backslashreplace"))
        show(forecast, channels, max_mb)


def open_numbers(config: Any, batch_size: int) -> Iterator[str]:
    """Yield what a plan cannot know before the training, and what it counts with.

    Args:
        config: of `fit`.
        batch_size: images a step that the plan counts with.
    """
    epochs, every = int(config.trainer.max_epochs), int(config.checkpoint_every.epochs)
    if config.run.hours is not None:
        yield f"--run.hours {config.run.hours:g}: how many epochs fit, only training tells; counted are {epochs}"
    if memory_share(config.data.batch_size) is not None:
        yield f"--data.batch_size {config.data.batch_size}: chosen when training starts; counted with {batch_size}"
    if every and epochs >= every:
        yield f"{epochs // every} checkpoints stay, one every {every} epochs, each as large as weights/last.ckpt"


def _do_without_weights(arguments: Any) -> None:
    """Plan with random weights where those to start from are not there yet: what is drawn and sent is the same."""
    weights = None if arguments is None else arguments.get("weights")
    if weights is not None and located(weights) is None:
        tell_user(f"{weights} is not there yet, which fit will ask for: planned with random weights in its place")
        arguments.weights = None


def main(verb: str, arguments: list[str]) -> int:
    """Forecast what `fit` with these arguments would draw and deliver.

    Returns:
        1 if more would leave the machine than `media.max_mb` allows, else 0.
    """
    return run_cli(PlanCLI, "fit", arguments).status
