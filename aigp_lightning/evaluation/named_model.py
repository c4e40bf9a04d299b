"""The file of a model, by whatever names it: the file itself, a run folder, or a folder of the model store."""

from __future__ import annotations

import os
from pathlib import Path

from aigp_lightning.checkpoints.paths import BEST, LAST, run_folder_of
from aigp_lightning.checkpoints.weight_places import is_published_name, located
from aigp_lightning.errors import ConfigError, WeightsError, printable
from aigp_lightning.paths import expand_home

EXPORTED = (".onnx", ".torchscript", ".xml", ".engine")
"""Endings of exported files, by which their format is told."""
SUFFIXES = (".ckpt", ".pt", ".pth", *EXPORTED)
"""Endings of files that can be evaluated."""
SHOWN = 200
"""Characters of a name that no file can have."""


def find_model(given: str) -> Path:
    """Return the file of a model.

    Args:
        given: a file; a run folder, whose best checkpoint it is; or a folder of the store, with `best.ckpt` or one
            model file.

    Raises:
        WeightsError: there is no such file or folder.
        ConfigError: it holds no model, or several.

    Example:
        >>> Path("runs/detect/gates/weights").mkdir(parents=True)
        >>> Path("runs/detect/gates/weights/best.ckpt").touch()
        >>> find_model("runs/detect/gates").name
        'best.ckpt'
    """
    if not given:
        raise ConfigError("name a model: a file, a run folder or a folder of the model store.")
    path = Path(expand_home(given))
    name = printable(given)
    try:
        if not path.is_dir():
            path = located(given) or path
    except OSError as error:
        shown = name if len(name) <= SHOWN else f"{name[:SHOWN]}…"
        raise WeightsError(f"{shown}: {error.strerror}.") from error
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise ConfigError(f"{name} is no model that can be evaluated: {', '.join(SUFFIXES)} can.")
        return path
    if not path.is_dir():
        advice = f" `python -m aigp_lightning fetch {name}` gets it." if is_published_name(given) else ""
        raise WeightsError(f"{name}: there is no such file or folder.{advice}")
    for checkpoint in (path / BEST, path / BEST.name):
        if checkpoint.is_file():
            return checkpoint
    found = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES and each.is_file())
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{name} has several models; name one: {', '.join(printable(each.name) for each in found)}.")
    last = f" {LAST} in it can be named." if (path / LAST).is_file() else ""
    raise ConfigError(f"{name} has no {BEST} and no model file: {', '.join(SUFFIXES)}.{last}")


def short_name(path: Path) -> str:
    """Return a name for a model: its run's, or the folder's of the store, or the file's.

    Args:
        path: of the file.

    Example:
        >>> short_name(Path("runs/detect/gates/weights/best.ckpt")), short_name(Path("gates.onnx"))
        ('gates', 'gates')
    """
    folder = run_folder_of(Path(os.path.abspath(path)))
    if folder is not None:
        return folder.name
    return path.absolute().parent.name if path.stem == BEST.stem else path.stem
