"""Values of the options of Lightning's own callbacks, `early_stopping` and `checkpoint`, that cannot work here."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

from aigp_lightning.cli.building import as_typed
from aigp_lightning.errors import ConfigError
from aigp_lightning.files import is_plain_name
from aigp_lightning.ranges import COUNT, COUNT_OR_NONE, FINITE, Range, check_range

GROUP_RANGES: dict[str, dict[str, Range]] = {
    "early_stopping": {
        "patience": COUNT_OR_NONE, "min_delta": FINITE, "stopping_threshold": FINITE, "divergence_threshold": FINITE,
    },
    "checkpoint": {"save_top_k": Range(-1, 2**31), "every_n_epochs": COUNT},
}  # fmt: skip
"""Ranges of the options of Lightning's callbacks that have a group of their own."""
SWITCHES = {
    "BatchSizeFinder": "it changes the batch behind the schedule's back. Take --data.batch_size.",
    "LearningRateFinder": "it asks for an attribute that no model here has. Take --model.optim.lr0 or "
    "--model.optim.lr, whichever the model has.",
    "GradientAccumulationScheduler": "the schedule counts on one number for the whole run. Take --model.optim.nbs or, "
    "where a model has none, --trainer.accumulate_grad_batches.",
    "StochasticWeightAveraging": "the weights are averaged already. Take --ema.decay.",
    "WeightAveraging": "the weights are averaged already. Take --ema.decay.",
    "EMAWeightAveraging": "the weights are averaged already. Take --ema.decay.",
    "NonFinite": "it is there already, with the options --nonfinite.",
    "EMA": "it is there already, with the options --ema.",
    "CloseMosaic": "it is there already, with the options --close_mosaic.",
    "Media": "it is there already, with the options --media.",
    "Results": "it is there already, with the options --results.",
}
"""Callbacks that would undo what a run here does by itself, each with the reason and what to take instead."""
MODES = ("min", "max")
TAKEN = ("last",)
"""Names of checkpoints that are another one's."""


def check_callback_options(group: str, options: Mapping[str, Any]) -> None:
    """Refuse values of `early_stopping` and `checkpoint` that Lightning takes and cannot work with.

    Args:
        group: name of the group.
        options: its options by name.

    Raises:
        ConfigError: there is one.

    Example:
        >>> check_callback_options("early_stopping", {"mode": "sideways"})
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --early_stopping.mode sideways: min or max.
    """
    if group == "checkpoint":
        _check_filename(options.get("filename"))
        if options.get("dirpath") is not None:
            raise ConfigError("--checkpoint.dirpath: weights go to the run folder; see --run.root and --run.name.")
    for name, allowed in GROUP_RANGES.get(group, {}).items():
        check_range(f"--{group}.{name}", options.get(name), allowed)
    if group in GROUP_RANGES and options.get("mode") not in MODES:
        raise ConfigError(f"--{group}.mode {options.get('mode')}: {' or '.join(MODES)}.")


def _check_filename(name: Any) -> None:
    """Check the name of the best checkpoint's file.

    Raises:
        ConfigError: it is no plain name, that of another file of ours, or its braces are not closed.
    """
    option = f"--checkpoint.filename {as_typed(name)}"
    if not isinstance(name, str) or not is_plain_name(name) or name in TAKEN:
        raise ConfigError(f"{option}: a plain name for the best checkpoint, such as best; not {' or '.join(TAKEN)}.")
    try:
        list(Formatter().parse(name))
    except ValueError as error:
        raise ConfigError(f"{option}: braces hold names of metrics, such as best-{{epoch}}: {error}.") from error


def check_callbacks(given: Any) -> None:
    """Refuse callbacks that would undo what a run does by itself.

    Args:
        given: `--trainer.callbacks`, not built yet: none, one or several.

    Raises:
        ConfigError: there is one.

    Example:
        >>> check_callbacks([{"class_path": "lightning.pytorch.callbacks.BatchSizeFinder"}])
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --trainer.callbacks BatchSizeFinder: it changes the batch behind the \
schedule's back. Take --data.batch_size.
    """
    for each in given if isinstance(given, list) else [given]:
        path = each.get("class_path", "") if isinstance(each, Mapping) else ""
        name = path.rpartition(".")[2]
        if name in SWITCHES and path.startswith(("lightning.", "aigp_lightning.")):
            raise ConfigError(f"--trainer.callbacks {name}: {SWITCHES[name]}")
