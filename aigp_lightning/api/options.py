"""Options of a script: the device, and counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import torch

from aigp_lightning.errors import ConfigError, first_line
from aigp_lightning.ranges import COUNT, check_range


def find_device(given: str | torch.device) -> torch.device:
    """Return a device that is there.

    Args:
        given: such as `cuda:0` or `cpu`.

    Raises:
        ConfigError: it is none, or not on this machine.
    """
    try:
        device = torch.device(given)
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, AssertionError) as error:
        raise ConfigError(f"device {given}: it cannot be used here ({first_line(error)}); cpu can.") from error
    if device.type == "meta":
        raise ConfigError("device meta: nothing is computed there; cpu can.")
    return device


def check_known(unknown: Iterable[str], known: Sequence[str]) -> None:
    """Refuse keywords that a call does not take.

    Args:
        unknown: those that were given.
        known: those that it takes.

    Raises:
        ConfigError: there is one; the message has the nearest name, or all.

    Example:
        >>> check_known(["img_size"], ["conf", "imgsz"])
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: predict has no option img_size. Did you mean imgsz?
    """
    for name in unknown:
        near = get_close_matches(name, known, n=1)
        advice = f"Did you mean {near[0]}?" if near else f"It takes {', '.join(known)}."
        raise ConfigError(f"predict has no option {name}. {advice}")


def check_count(option: str, value: float) -> None:
    """Refuse what is no whole number from 1.

    Args:
        option: its name.
        value: given.

    Raises:
        ConfigError: it is none.
    """
    check_range(option, value, COUNT)
    if value != int(value):
        raise ConfigError(f"{option} {value}: a whole number {COUNT}.")
