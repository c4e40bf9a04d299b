"""Versions of the libraries whose internals are used: an older one is refused in a line, of a newer one it is told.

`benchmarks/version_ranges.py` runs the tests of what is relied on with the oldest and with those in between.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from aigp_lightning.errors import ConfigError, warn_user


@dataclass(frozen=True)
class Tested:
    """Versions of a library that were tested.

    Attributes:
        oldest: the first one.
        newest: the last one, or the beginning of it: 0.31 stands for 0.31.0, 0.31.1, …
        never: versions that must not be run.

    Example:
        >>> Tested("0.30", "0.31").newest
        '0.31'
    """

    oldest: str
    newest: str
    never: tuple[str, ...] = ()


TESTED = {
    "ultralytics": Tested("8.4.176", "8.4.190"),
    "wandb": Tested("0.31", "0.31"),
    "lightning": Tested("2.6.1", "2.6", never=("2.6.2", "2.6.3")),
}
"""What `pyproject.toml` says, too."""


@cache
def check_version(package: str) -> None:
    """Refuse an installed library that is older than what was tested; warn of one that is newer, once a process.

    The library is not imported for it.

    Args:
        package: its name, one of `TESTED`.

    Raises:
        ConfigError: it is older, or must not be run.

    Example:
        >>> check_version("lightning")
    """
    try:
        installed = version(package)
    except PackageNotFoundError:  # a copy of its sources on the path; its import says what is missing
        return
    judge(package, installed, TESTED[package])


def judge(package: str, installed: str, tested: Tested) -> None:
    """Refuse a version or warn of it, see `check_version`.

    Args:
        package: name of the library.
        installed: its version.
        tested: those that were tested.

    Raises:
        ConfigError: it is older, or must not be run.

    Example:
        >>> judge("wandb", "0.31.2", Tested("0.30", "0.31"))
        >>> judge("wandb", "0.29.0", Tested("0.30", "0.31"))
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: wandb 0.29.0 is installed, ...
    """
    newest = _numbers(tested.newest)
    last = f"<={tested.newest}" if len(newest) > len(("major", "minor")) else f"=={tested.newest}.*"
    fitting = f"pip install '{package}>={tested.oldest},{last}'"
    if installed in tested.never:
        raise ConfigError(f"{package} {installed} is a compromised release, which is not run: {fitting}.")
    if _numbers(installed) < _numbers(tested.oldest):
        raise ConfigError(
            f"{package} {installed} is installed, and {tested.oldest} is the oldest that this works with: {fitting}."
        )
    if _numbers(installed)[: len(newest)] > newest:
        _warn(
            f"{package} {installed} is newer than {tested.newest}, the newest that was tested: figures may differ, or "
            f"something may fail. {fitting} takes one that was."
        )


def _warn(text: str) -> None:
    """Warn of something, also where Lightning, which knows which process this is, has not been imported."""
    from lightning_utilities.core.rank_zero import rank_zero_only

    if getattr(rank_zero_only, "rank", None) is not None:
        warn_user(text)
    else:
        logging.getLogger(__name__).warning("warning: %s", text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0])[:3])
