"""Which of Lightning's callbacks can stand beside a run's own, under `--trainer.callbacks`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import (
    BaseFinetuning,
    BatchSizeFinder,
    Callback,
    DeviceStatsMonitor,
    GradientAccumulationScheduler,
    LearningRateFinder,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelPruning,
    OnExceptionCheckpoint,
    ProgressBar,
    StochasticWeightAveraging,
    ThroughputMonitor,
    WeightAveraging,
)

from aigp_lightning.callbacks.best_checkpoint import check_other_checkpoints
from aigp_lightning.errors import ConfigError

IMPOSSIBLE: tuple[tuple[type[Callback], str], ...] = (
    (BaseFinetuning, "it needs a module with a `backbone`; --model.freeze freezes layers"),
    (BatchSizeFinder, "its trial steps would be steps of the run; a run that is out of memory says which batch fits"),
    (LearningRateFinder, "its trial steps would be steps of the run; --model.optim has the rate"),
    (
        GradientAccumulationScheduler,
        "--model.optim.nbs or, where the model has none, --trainer.accumulate_grad_batches say how many accumulate",
    ),
    (StochasticWeightAveraging, "the run averages weights already; its options are --ema.*"),
    (WeightAveraging, "the run averages weights already; its options are --ema.*"),
    (ModelPruning, "it renames the network's tensors, so that no checkpoint of the run could be opened"),
)
"""Callbacks that a run of ours cannot have, and what to take instead."""
NEED_LOGGER = (LearningRateMonitor, DeviceStatsMonitor, ThroughputMonitor)
"""Callbacks that do nothing but log."""


def check_users_callbacks(
    callbacks: Sequence[Callback],
    trainer: Any,
    weights: Path,
    own: Mapping[str, type[Callback]],
    beginning: bool = True,
) -> None:
    """Refuse callbacks that cannot work in a run, before anything of it is built.

    Args:
        callbacks: the user's.
        trainer: the trainer's options: `logger`, `enable_progress_bar`.
        weights: folder of the run's own checkpoints.
        own: the run's own callbacks by the name of their options.
        beginning: the run resumes from no checkpoint.

    Raises:
        ConfigError: naming the callback, and what to take instead.

    Example:
        >>> from types import SimpleNamespace
        >>> options = SimpleNamespace(logger=False, enable_progress_bar=None)
        >>> check_users_callbacks([LearningRateMonitor()], options, Path("weights"), {})
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --trainer.callbacks: LearningRateMonitor needs a logger, and \
--trainer.logger is off. `results.csv` has the rates too.
    """
    for each in callbacks:
        name = type(each).__name__
        group = next((group for group, kind in own.items() if isinstance(each, kind)), None)
        if group is not None:
            raise ConfigError(f"--trainer.callbacks: the run has a {name} already; its options are --{group}.*")
        if (why := next((why for kind, why in IMPOSSIBLE if isinstance(each, kind)), None)) is not None:
            raise ConfigError(f"--trainer.callbacks: {name} is not possible here: {why}.")
        if isinstance(each, NEED_LOGGER) and trainer.logger in (False, []):
            more = " `results.csv` has the rates too." if isinstance(each, LearningRateMonitor) else ""
            raise ConfigError(f"--trainer.callbacks: {name} needs a logger, and --trainer.logger is off.{more}")
    _check_bars(callbacks, trainer.enable_progress_bar)
    _check_states(callbacks)
    check_other_checkpoints(callbacks, weights)
    if beginning:
        _check_leftovers(callbacks)


def _check_bars(callbacks: Sequence[Callback], enabled: bool | None) -> None:
    bars = [type(each).__name__ for each in callbacks if isinstance(each, ProgressBar)]
    if len(bars) > 1:
        raise ConfigError(f"--trainer.callbacks: {' and '.join(bars)} are two progress bars; keep one.")
    if bars and enabled is False:
        raise ConfigError(f"--trainer.callbacks has a {bars[0]}, and --trainer.enable_progress_bar is false.")


def _check_states(callbacks: Sequence[Callback]) -> None:
    """Refuse two callbacks that a checkpoint could not tell apart."""
    stateful = [each for each in callbacks if type(each).state_dict is not Callback.state_dict]
    key, count = next(iter(Counter(each.state_key for each in stateful).most_common(1)), ("", 0))
    if count > 1:
        raise ConfigError(f"--trainer.callbacks: a checkpoint could not tell {count} of them apart: {key}.")


def _check_leftovers(callbacks: Sequence[Callback]) -> None:
    """Refuse checkpoints of an earlier run that Lightning would go on from, unasked, for an `OnExceptionCheckpoint`."""
    files = [Path(each.ckpt_path) for each in callbacks if isinstance(each, OnExceptionCheckpoint)]
    if files:
        saving = [each for each in callbacks if isinstance(each, ModelCheckpoint) and each.dirpath is not None]
        files += [
            path for each in saving for path in Path(str(each.dirpath)).glob(f"{each.CHECKPOINT_NAME_LAST}*.ckpt")
        ]
    if (left := next((path for path in files if path.is_file()), None)) is not None:
        raise ConfigError(
            f"--trainer.callbacks: {left} is of an earlier run, and OnExceptionCheckpoint would make this one go on "
            "from it. Move it away, or ask for it: --ckpt_path."
        )
