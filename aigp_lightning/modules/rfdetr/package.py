"""The package `rfdetr`, imported so that nothing else in the process notices."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from aigp_lightning.errors import ConfigError

NAME = "rfdetr"
NEEDED = (NAME, "scipy")
"""Packages of the extra without which no network can be built; its matcher takes scipy's assignment."""
LOGGERS = ("rf-detr", "transformers")
"""Names of loggers of the package, and of the one that its encoder is from."""
EXTRA = "pip install 'aigp_lightning[rfdetr]'"


def module_of_package(name: str) -> Any:
    """Import a module of the package and return it.

    The import of `rfdetr` sets torch's float32 precision for matrix products, registers a finder of modules and may
    set environment variables; all of it is put back.

    Args:
        name: such as `rfdetr.config`.

    Raises:
        ConfigError: the extra is not installed.
    """
    known = sys.modules.get(name)
    if known is not None:
        return known
    check_installed()
    with unchanged():
        return importlib.import_module(name)


def check_installed() -> None:
    """Refuse to go on without the packages of the extra.

    Raises:
        ConfigError: one is missing; it says what to install.
    """
    missing = [package for package in NEEDED if package not in sys.modules and find_spec(package) is None]
    if missing:
        raise ConfigError(f"RF-DETR needs {' and '.join(missing)}, which an extra brings: {EXTRA}.")


@contextmanager
def unchanged() -> Iterator[None]:
    """Put back what the package changes for everybody: matrix products, finders of modules, environment, messages.

    Its trainer imports another package of Lightning's, which takes the logger of lightning-utilities for its own. Its
    warnings are kept back: they are about weights that it would like to fetch.
    """
    import torch
    from lightning_utilities.core import rank_zero

    messages = rank_zero.log
    precision, environment = torch.get_float32_matmul_precision(), dict(os.environ)
    levels = {logger: logger.level for logger in map(logging.getLogger, LOGGERS)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in levels:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        rank_zero.log = messages
        torch.set_float32_matmul_precision(precision)
        sys.meta_path[:] = [finder for finder in sys.meta_path if not _of_package(finder)]
        for key in os.environ.keys() - environment.keys():
            del os.environ[key]
        os.environ.update({key: value for key, value in environment.items() if os.environ.get(key) != value})


def _of_package(finder: Any) -> bool:
    """True if a finder of modules was registered by the package."""
    kind = finder if isinstance(finder, type) else type(finder)
    return kind.__module__.partition(".")[0] == NAME
