"""Checks of loggers as they are built: none may hold a W&B logger that nobody checked; and names of system metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from aigp_lightning.errors import ConfigError

DEPTH = 4
"""Levels of nesting to which a logger's attributes are searched for another logger."""
LOAD = re.compile(
    r"\.on_(train|validation|test|predict)\w*_(start|end)\b|(^|/)device/(\w+_per_sec|mfu)$|(^|[/._])cpu(_vm|_swap)?_percent$"
)
"""Names of what Lightning's `DeviceStatsMonitor`, by whatever name, and `ThroughputMonitor` log about the machine."""


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


def without_load(metrics: Mapping[str, float]) -> dict[str, float]:
    """Leave out figures about the machine, as `DeviceStatsMonitor` logs them.

    Example:
        >>> without_load({"loss": 1.0, "DeviceStatsMonitor.on_train_batch_start/cpu_percent": 7.0})
        {'loss': 1.0}
    """
    return {name: value for name, value in metrics.items() if not LOAD.search(name)}
