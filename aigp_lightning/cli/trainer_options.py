"""Values of Lightning's own options that cannot work here, each with what to take instead.

Lightning refuses some of them itself, most of them late and at length, and takes others without heeding them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aigp_lightning.cli.building import as_typed
from aigp_lightning.cli.callback_options import check_callback_options, check_callbacks
from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT, COUNT_OR_NONE, NOT_NEGATIVE, SEED, Range, check_range

MOST_DEVICES = max(1024, os.cpu_count() or 1)
LIMITS = ("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches")
DURATIONS = "Give DD:HH:MM:SS, such as 00:12:00:00 for half a day, or {hours: 12}."


@dataclass(frozen=True)
class Rule:
    """A value of an option that is refused.

    Attributes:
        option: its name without the group.
        refuses: True if a value cannot work.
        advice: what to take instead.
        training: the option has a meaning in `fit` alone; the other verbs read it, since a run's YAML serves them too.
    """

    option: str
    refuses: Callable[[Any], bool]
    advice: str
    training: bool = True


def _outside(allowed: Range, *also: Any) -> Callable[[Any], bool]:
    return lambda value: value not in (None, *also) and value not in allowed


def _is_set(value: Any) -> bool:
    return value not in (None, False)


def _accelerator_unknown(name: Any) -> bool:
    from lightning.pytorch.accelerators import AcceleratorRegistry

    return isinstance(name, str) and name not in ("auto", "gpu", *AcceleratorRegistry.available_accelerators())


def _accelerator_missing(name: Any) -> bool:
    from lightning.pytorch.accelerators import AcceleratorRegistry, CUDAAccelerator, MPSAccelerator

    if not isinstance(name, str) or name == "auto":
        return False
    if name == "gpu":
        return not (CUDAAccelerator.is_available() or MPSAccelerator.is_available())
    return not AcceleratorRegistry[name]["accelerator"].is_available()


def _strategy_unknown(name: Any) -> bool:
    from lightning.pytorch.strategies import StrategyRegistry

    return isinstance(name, str) and name not in ("auto", *StrategyRegistry.available_strategies())


def _strategy_shards(name: Any) -> bool:
    return isinstance(name, str) and name != "auto" and not name.startswith("ddp")


def _no_devices(value: Any) -> bool:
    """True if a number of devices is none, or more than a machine has, or a list of their numbers has a wrong one."""
    if isinstance(value, str):
        words = [word.strip() for word in value.split(",") if word.strip()]
        if value == "auto" or not all(word.removeprefix("-").isdigit() for word in words):
            return value != "auto"
        value = [int(word) for word in words] if len(words) != 1 or "," in value else int(words[0])
    if isinstance(value, list):
        return not value or len(set(value)) < len(value) or any(not 0 <= each < MOST_DEVICES for each in value)
    return value not in (None, -1) and value not in Range(1, MOST_DEVICES)


def _no_limit(value: Any) -> bool:
    """True if a value is neither a number of batches nor a share of them."""
    if isinstance(value, float):
        return not 0 <= value <= 1
    return value is not None and value not in COUNT_OR_NONE


def _no_duration(value: Any) -> bool:
    from datetime import timedelta

    from lightning.pytorch.callbacks import Timer

    if isinstance(value, str | dict | timedelta):
        try:
            Timer(value)
        except Exception:  # of several kinds
            return True
        return not timedelta(0) < (value if isinstance(value, timedelta) else _timedelta(value))
    return False


def _timedelta(value: str | dict[str, int]) -> Any:
    from datetime import timedelta

    if isinstance(value, dict):
        return timedelta(**value)
    days, hours, minutes, seconds = map(int, value.strip().split(":"))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def _no_interval(value: Any) -> bool:
    if isinstance(value, str | dict):
        return _no_duration(value)
    if isinstance(value, float):
        return not 0 < value <= 1
    return isinstance(value, int) and value not in COUNT


RULES = (
    Rule("accelerator", _accelerator_unknown, "there is no such accelerator; take auto, cpu or gpu.", training=False),
    Rule("accelerator", _accelerator_missing, "PyTorch finds none on this machine; take auto or cpu.", training=False),
    Rule("strategy", _strategy_unknown, "there is no such strategy; take auto, or ddp for several processes.", False),
    Rule("strategy", _strategy_shards, "each process holds a whole model here; take auto, or ddp for several "
         "processes.", training=False),
    Rule("devices", _no_devices, "a number of devices from 1 on, a list such as [0, 1], or auto.", training=False),
    Rule("num_nodes", _outside(Range(1, 100_000)), "a number of machines, 1 or more.", training=False),
    Rule("max_epochs", _outside(COUNT), "1 or more: the schedule is laid out over the whole run, so none is endless."),
    Rule("max_epochs", lambda value: value is None, "a number: the schedule is laid out over the whole run."),
    Rule("min_epochs", _outside(COUNT_OR_NONE), "0 or more, or null."),
    Rule("max_steps", _outside(COUNT, -1), "1 or more optimizer steps; -1 for as many as max_epochs has."),
    Rule("min_steps", _outside(COUNT_OR_NONE), "0 or more, or null."),
    Rule("max_time", _no_duration, DURATIONS),
    Rule("limit_train_batches", lambda value: value == 0, "nothing would be trained; `validate` measures a model."),
    *(Rule(name, _no_limit, "a number of batches, or a share of them with a point, from 0.0 to 1.0.", training=False)
      for name in LIMITS),
    Rule("val_check_interval", _no_interval, "a number of batches, a share of the epoch above 0.0 up to 1.0, or a "
         "duration DD:HH:MM:SS."),
    Rule("check_val_every_n_epoch", _outside(COUNT), "1 or more epochs."),
    Rule("num_sanity_val_steps", _outside(Range(-1, 2**31)), "0 or more batches; -1 for all."),
    Rule("log_every_n_steps", _outside(COUNT_OR_NONE), "0 or more."),
    Rule("enable_checkpointing", lambda value: value is False, "a run without checkpoints would leave nothing. "
         "--checkpoint.save_top_k 0 keeps the last one alone."),
    Rule("use_distributed_sampler", lambda value: value is True, "our samplers share the images out by themselves, "
         "each once; Lightning's would repeat some. Leave it false."),
    Rule("barebones", lambda value: value is True, "it switches off checkpoints, loggers and metrics, which a run is "
         "for; --trainer.profiler simple shows where time goes.", training=False),
    Rule("reload_dataloaders_every_n_epochs", lambda value: value != 0, "images and augmentations are drawn anew in "
         "every epoch without it. Leave it 0."),
    Rule("default_root_dir", lambda value: value is not None, "files go to the run folder; --run.root and --run.name "
         "choose it.", training=False),
    Rule("model_registry", _is_set, "models stay on this machine; `export` writes them as files.", training=False),
    Rule("accumulate_grad_batches", _outside(COUNT), "1 or more."),
    Rule("gradient_clip_val", _outside(NOT_NEGATIVE), "0 or more; null does not clip."),
)  # fmt: skip
"""Rules for all models; the first that refuses a value is told."""
PAIRS: tuple[tuple[str, str, Callable[[Any, Any], bool], str], ...] = (
    ("min_epochs", "max_epochs", lambda least, most: _number(least) and _number(most) and least > most,
     "a run ends with its last epoch, however many it should have at least. Give a larger --trainer.max_epochs."),
    *(("overfit_batches", name, lambda few, limit: bool(few) and limit is not None,
       f"overfit_batches sets {name} too, and would count. Leave one of them out.") for name in LIMITS[:2]),
)  # fmt: skip
"""Two options of which the second makes the first void or the other way round: names, what cannot be, what to do."""
NEUTRAL = {"accumulate_grad_batches": (1,), "gradient_clip_val": (None,), "gradient_clip_algorithm": (None,)}
"""Values with which an option of Lightning's changes nothing."""


def check_lightning_options(
    config: Mapping[str, Any], verb: str, replaced: Mapping[str, str], groups: Iterable[str] = ()
) -> None:
    """Refuse values of Lightning's options that it would take, or refuse late.

    Args:
        config: of the verb, all groups.
        verb: fit, validate, test or predict.
        replaced: see `check_trainer_options`.
        groups: of callbacks, whose options are checked for `fit` alone.

    Raises:
        ConfigError: there is one; the message names it, and what to take instead.
    """
    if not isinstance(config["seed_everything"], bool):
        check_range("--seed_everything", config["seed_everything"], SEED)
    check_trainer_options(config["trainer"], verb, replaced)
    for option, instead in INSTEAD.items():
        if config.get(option) is not None:
            raise ConfigError(f"--{option}: a model makes its optimizer and schedule itself; a YOLO's: {instead}.")
    if verb == "fit":
        check_callbacks(config["trainer"].get("callbacks"))
    for group in groups if verb == "fit" else ():
        check_callback_options(group, config[group])


def check_trainer_options(trainer: Mapping[str, Any], verb: str, replaced: Mapping[str, str]) -> None:
    """Refuse values of the group `trainer` that cannot work, before anything is made.

    Args:
        trainer: the group's options by name.
        verb: fit, validate, test or predict.
        replaced: options that the model's family does not heed, and its own that take their place.

    Raises:
        ConfigError: there is one; the message names it, and what to take instead.

    Example:
        >>> check_trainer_options({"max_epochs": -1}, "fit", {})
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --trainer.max_epochs -1: 1 or more: the schedule is laid out over the \
whole run, so none is endless.
        >>> check_trainer_options({"max_epochs": -1}, "validate", {})
    """
    for rule in RULES:
        if rule.option in trainer and (verb == "fit" or not rule.training) and rule.refuses(trainer[rule.option]):
            value = trainer[rule.option]
            raise ConfigError(f"--trainer.{rule.option} {as_typed(value)}: {rule.advice}")
    for one, other, refuses, advice in PAIRS if verb == "fit" else ():
        if refuses(trainer.get(one), trainer.get(other)):
            both = f"--trainer.{one} {as_typed(trainer[one])} and --trainer.{other} {as_typed(trainer[other])}"
            raise ConfigError(f"{both}: {advice}")
    for option, instead in replaced.items() if verb == "fit" else ():
        if option in trainer and trainer[option] not in NEUTRAL[option]:
            raise ConfigError(
                f"--trainer.{option} {as_typed(trainer[option])}: the model has an option of its own for that. "
                f"Take {instead}."
            )


INSTEAD = {"optimizer": "--model.optim.name", "lr_scheduler": "--model.optim.cos_lr"}
"""Lightning's own way to choose an optimizer, which no schedule of ours knows, and ours."""
