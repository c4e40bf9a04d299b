"""The callbacks of a run: their groups of options, and how they are built from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.plugins import CheckpointIO

from aigp_lightning.callbacks.best_checkpoint import BestCheckpoint
from aigp_lightning.callbacks.best_weights import BestWeights
from aigp_lightning.callbacks.checkpoint_every import CheckpointEvery
from aigp_lightning.callbacks.close_mosaic import CloseMosaic
from aigp_lightning.callbacks.dashboard import PlainProgress, progress_callback
from aigp_lightning.callbacks.ema import EMA
from aigp_lightning.callbacks.evaluation_pictures import EvaluationPictures
from aigp_lightning.callbacks.exit_with_first_process import ExitWithFirstProcess
from aigp_lightning.callbacks.ignore_worker_death import IgnoreWorkerDeath
from aigp_lightning.callbacks.image_results import ImageResultsFile
from aigp_lightning.callbacks.last_checkpoint import LastCheckpoint
from aigp_lightning.callbacks.media import Media
from aigp_lightning.callbacks.monitoring import StopEarly
from aigp_lightning.callbacks.nonfinite import NonFinite
from aigp_lightning.callbacks.results import Results
from aigp_lightning.callbacks.resumed_run import ResumedRun
from aigp_lightning.callbacks.run_hours import RunHours
from aigp_lightning.callbacks.save_config import SaveConfig
from aigp_lightning.callbacks.speed import Speed
from aigp_lightning.callbacks.stop_on_signal import StopOnSignal
from aigp_lightning.callbacks.sync_run_folder import SyncRunFolder
from aigp_lightning.callbacks.tune_cpu import TuneCpu
from aigp_lightning.callbacks.users_callbacks import check_users_callbacks
from aigp_lightning.checkpoints.io import AtomicCheckpointIO
from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.run.context import RunContext

GROUPS: dict[str, tuple[type[Callback], dict[str, Any]]] = {
    "nonfinite": (NonFinite, {}),  # first: what it finds must not reach averages, results and checkpoints
    "ema": (EMA, {}),
    "close_mosaic": (CloseMosaic, {}),
    "media": (Media, {}),
    "results": (Results, {}),
    "early_stopping": (
        StopEarly,
        {"monitor": "fitness", "mode": "max", "patience": 100, "check_on_train_epoch_end": True},
    ),
    "checkpoint": (
        BestCheckpoint,
        {
            "filename": "best",
            "monitor": "fitness",
            "mode": "max",
            "save_last": False,  # `LastCheckpoint` does it
            "save_on_train_epoch_end": True,
            "enable_version_counter": False,
        },
    ),
    "checkpoint_every": (CheckpointEvery, {}),
}
"""Callbacks of `fit` whose options a user may want, by the name of their group, in the order in which they are called;
and defaults that differ from the class's own."""
PREDICTIONS = "output"
"""Group of what `predict` writes."""
OF_PICTURES = ("val_batches", "val_errors", "max_images", "val_select", "val_files", "conf")
"""Options of the group `media` that the pictures of `validate` and `test` go by."""
FROM_CONTEXT = {"resuming"}
"""Arguments that the run's context gives, and no option."""


@dataclass(frozen=True)
class RunCallbacks:
    """The callbacks of one run.

    Attributes:
        all: in the order in which Lightning is given them; it calls those that save checkpoints last.
        checkpoint_io: writes the run's checkpoints.
        closing: to be called after those that save checkpoints, so that the trainer is given them once it is built.
        media: draws the pictures; `fit` alone has it.
        progress: shows the progress of `fit`; None where the user brought a progress bar.
    """

    all: tuple[Callback, ...]
    checkpoint_io: AtomicCheckpointIO
    closing: tuple[Callback, ...] = ()
    media: Media | None = None
    progress: Callback | None = None

    def trainer_options(self, plugins: Any) -> dict[str, Any]:
        """Return the arguments with which Lightning's trainer gets the callbacks and the writer of checkpoints.

        Args:
            plugins: the user's: one, several or none. Another writer of checkpoints among them is left out.
        """
        users = [plugin for plugin in _listed(plugins) if not isinstance(plugin, CheckpointIO)]
        options: dict[str, Any] = {"callbacks": list(self.all), "plugins": [*users, self.checkpoint_io]}
        if isinstance(self.progress, PlainProgress):
            options["enable_progress_bar"] = False  # Lightning's own bar
        return options


def add_callback_options(parser: LightningArgumentParser, verb: str) -> None:
    """Add the groups of options of a verb's callbacks.

    Args:
        parser: of the verb.
        verb: fit, validate, test or predict. A training run's YAML serves the others too: what only training needs is
            read, and not used.
    """
    if verb == "predict":
        from aigp_lightning.callbacks.predictions import PredictionWriter

        parser.add_class_arguments(
            PredictionWriter, PREDICTIONS, fail_untyped=False, instantiate=False, sub_configs=True, skip={"folder"}
        )
    more = {"fail_untyped": False, "sub_configs": True} if verb == "fit" else {}
    for group, (callback, defaults) in GROUPS.items():
        parser.add_class_arguments(callback, group, instantiate=False, skip=FROM_CONTEXT, **more)
        parser.set_defaults({f"{group}.{key}": value for key, value in defaults.items()})


def build_callbacks(
    context: RunContext, config: Any, verb: str = "fit", config_yaml: str = "", resumed: ResumedRun | None = None
) -> RunCallbacks:
    """Build the callbacks of a run.

    Args:
        context: of the run.
        config: the verb's configuration with its classes built: the groups, and `trainer`.
        verb: fit, validate, test or predict.
        config_yaml: the resolved configuration as text, for the run folder.
        resumed: the callback of a resumed run, which knows the options.

    Raises:
        ConfigError: the ledger cannot be signed with the key that is named.
    """
    checkpoint_io = AtomicCheckpointIO()
    users: list[Callback] = _listed(config.trainer.callbacks)
    first: list[Callback] = [IgnoreWorkerDeath(), SyncRunFolder(), TuneCpu()]
    if verb != "fit":
        callbacks = [*first, *users, *_of_evaluation(config, verb), ExitWithFirstProcess()]
        return RunCallbacks(tuple(callbacks), checkpoint_io)
    own = {group: kind for group, (kind, _) in GROUPS.items()}
    check_users_callbacks(users, config.trainer, context.folder / LAST.parent, own, context.checkpoint is None)
    progress = progress_callback(config.trainer.enable_progress_bar, users)
    media = Media(**_options(config, "media"), resuming=context.resuming)
    media.check_signing(context.folder)
    groups = [media if kind is Media else kind(**_options(config, group)) for group, (kind, _) in GROUPS.items()]
    best = [
        each for each in groups if isinstance(each, BestCheckpoint)
    ]  # which Lightning takes for the run's, if first
    hours = [RunHours(config.run.hours)] if config.run.hours is not None and not config.trainer.fast_dev_run else []
    callbacks = [*first, *best, SaveConfig(config_yaml), resumed or ResumedRun(), *hours, *users]
    callbacks += [progress] if progress is not None else []
    callbacks += [*(each for each in groups if each not in best), ExitWithFirstProcess(), StopOnSignal(context.signals)]
    # In this order: Lightning's saves the best, ours the last, and then the best of what counts by now is converted.
    callbacks += [LastCheckpoint(checkpoint_io)]
    return RunCallbacks(tuple(callbacks), checkpoint_io, (BestWeights(), ImageResultsFile()), media, progress)


def _of_evaluation(config: Any, verb: str) -> list[Callback]:
    """Build what `validate`, `test` and `predict` have beside what all verbs have."""
    if verb != "predict":
        media = {name: value for name, value in _options(config, "media").items() if name in OF_PICTURES}
        return [Speed(), *([EvaluationPictures(**media)] if config.run.plots else [])]
    from aigp_lightning.callbacks.predictions import PredictionWriter

    # The times stand before the line that names the place, which is the last.
    return [Speed(), PredictionWriter(**_options(config, PREDICTIONS), folder=".")]


def _options(config: Any, group: str) -> dict[str, Any]:
    options: dict[str, Any] = config[group].as_dict()
    return options


def _listed(given: Any) -> list[Any]:
    """Return an option that takes one, several or none as a list."""
    return [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
