"""A W&B logger that nobody checked opens no W&B run while a training run lasts, however it came into the trainer."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerStatus

from aigp_lightning.errors import ConfigError

if TYPE_CHECKING:
    import lightning.pytorch as pl

CHECKED = "_checked_by_aigp"
"""An attribute of the loggers that passed."""
DEPTH = 4
"""How deep a logger is searched for another one inside."""
LOAD = re.compile(
    r"\.on_(train|validation|test|predict)\w*_(start|end)\b|(^|/)device/(\w+_per_sec|mfu)$|(^|[/._])cpu(_vm|_swap)?_percent$"
)
"""Names of what Lightning's `DeviceStatsMonitor`, by whatever name, and `ThroughputMonitor` log about the machine."""
_lightnings: Any = WandbLogger.__dict__["experiment"]


def check_plain(logger: Any) -> None:
    """Refuse a logger of the trainer's that holds a W&B logger, or is one of another package.

    Raises:
        ConfigError: it does or is; what it sends could not be checked.
    """
    name = type(logger).__name__
    if any(base.__name__ == "WandbLogger" for base in type(logger).__mro__):
        raise ConfigError(f"trainer.logger: {name} is not lightning.pytorch's WandbLogger; use that one.")
    if any(isinstance(one, WandbLogger) for one in _inside(logger, DEPTH, set())):
        raise ConfigError(
            f"trainer.logger: {name} holds a W&B logger, whose settings nobody checked; name that one in "
            "trainer.logger, beside others."
        )


def _inside(thing: Any, depth: int, seen: set[int]) -> Iterator[Any]:
    if id(thing) in seen or isinstance(thing, type):
        return
    seen.add(id(thing))
    yield thing
    if depth == 0:
        return
    inner: Any = ()
    if isinstance(thing, Mapping):
        inner = thing.values()
    elif isinstance(thing, (list, tuple, set, frozenset)):
        inner = thing
    elif hasattr(thing, "__dict__"):
        inner = vars(thing).values()
    for one in list(inner):
        yield from _inside(one, depth - 1, seen)


def mark_checked(logger: WandbLogger) -> None:
    """Let a logger open its W&B run while a training run lasts."""
    logger.__dict__[CHECKED] = True


def guard(trainer: pl.Trainer) -> None:
    """Let, while this trainer runs, only loggers that were checked open a W&B run; a callback may bring another.

    Args:
        trainer: about to run.
    """
    watched = weakref.ref(trainer)

    def experiment(self: WandbLogger) -> Any:
        running = watched()
        if running is not None and running.state.status == TrainerStatus.RUNNING and CHECKED not in self.__dict__:
            raise ConfigError(
                f"{type(self).__name__} came after the loggers were checked, so nobody knows what it sends; name it "
                "in trainer.logger."
            )
        return _lightnings.fget(self)

    experiment.__doc__ = _lightnings.__doc__
    WandbLogger.experiment = property(experiment)  # type: ignore[method-assign, assignment]


def release() -> None:
    """End what `guard` began."""
    WandbLogger.experiment = _lightnings  # type: ignore[method-assign]


def without_load(metrics: Mapping[str, float]) -> dict[str, float]:
    """Leave out figures about the machine, as `DeviceStatsMonitor` logs them.

    Example:
        >>> without_load({"loss": 1.0, "DeviceStatsMonitor.on_train_batch_start/cpu_percent": 7.0})
        {'loss': 1.0}
    """
    return {name: value for name, value in metrics.items() if not LOAD.search(name)}
