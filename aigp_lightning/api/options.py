"""Options of a script: the device, and counts."""

from __future__ import annotations

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
