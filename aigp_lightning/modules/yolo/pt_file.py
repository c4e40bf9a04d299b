"""Reads an Ultralytics `.pt` as data: tensors and plain values, and not one of the objects that it pickles.

Such a file pickles a whole module. PyTorch's restricted reader (`weights_only`) builds only classes that it is told of,
but it calls them with arguments from the file, and what it builds has attributes from the file: hooks, methods, layers
that fetch things. So every class that a file names is read as a `Shell` here, which keeps attributes and does nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigp_lightning.errors import WeightsError, first_line

OURS = ("torch.nn.", "ultralytics.", "numpy.", "pathlib.", "torchvision.transforms.", "builtins.getattr")
"""How names begin that Ultralytics' own files hold."""
MOST_VALUES = 1_000_000
"""Most plain values of a description; a file of a few kB can nest references to more than any memory holds."""


class Shell:
    """Stands for an object of a file: its attributes, and nothing that it could do.

    Args:
        *_: what the file would call its class with; not looked at.
        **__: the same.
    """

    def __new__(cls, *_: Any, **__: Any) -> Shell:  # noqa: D102
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        """Keep attributes; a state of another form, such as a NumPy type's, is not needed."""
        if isinstance(state, dict):
            vars(self).update({name: value for name, value in state.items() if isinstance(name, str)})


def read_pt(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the model of a `.pt` (its EMA where there is one).

    Args:
        path: the file, which exists.

    Returns:
        Its attributes that are plain values (`yaml`, `names`, `task`, `args`, …), and its tensors in float32, on the
        CPU, by their names in a state dict.

    Raises:
        WeightsError: not an Ultralytics checkpoint, cut off, or it needs code beyond Ultralytics' own.
    """
    try:
        with _shells(path):
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, IndexError, KeyError) as error:  # the latter two: bytes that are no pickle at all
        raise WeightsError(
            f"{path} is no Ultralytics checkpoint, or it carries code beyond Ultralytics' own layers, which is not run."
        ) from error
    except (EOFError, OSError) as error:
        named = (
            isinstance(error, OSError) and error.filename is not None
        )  # torch's reader seeks beyond a cut file's end
        why = str(getattr(error, "strerror", "")) if named else "it is empty or cut off"
        raise WeightsError(f"cannot read {path}: {why}.") from error
    except Exception as error:
        raise WeightsError(f"cannot read {path}, it may be cut off or of another kind: {first_line(error)}") from error
    held = (content.get("ema") or content.get("model")) if isinstance(content, dict) else None
    if not isinstance(held, Shell):
        raise WeightsError(f"{path} holds no Ultralytics model (a state dict alone does not say which network it is).")
    try:
        return _values(held), dict(_tensors(held, ""))
    except (TypeError, ValueError, RecursionError, RuntimeError) as error:
        raise WeightsError(f"{path} holds no model that Ultralytics would write: {first_line(error)}") from error


@contextmanager
def _shells(path: Path) -> Iterator[None]:
    """Have the restricted reader take every class that the file names for a `Shell`.

    Raises:
        UnpicklingError: the file names something that is not Ultralytics'.
    """
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()  # whatever other code of this process allowed counts for its own files
    try:
        try:
            named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        except ValueError:  # no zip archive; the reader says what it is instead
            named = []
        if foreign := [name for name in named if not name.startswith(OURS)]:
            raise pickle.UnpicklingError(f"it names {foreign[0]}")
        torch.serialization.add_safe_globals([(type("Shell", (Shell,), {}), name) for name in named])
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _values(shell: Shell) -> dict[str, Any]:
    """Return the attributes that hold plain values."""
    room = [MOST_VALUES]
    found = {}
    for name, value in vars(shell).items():
        try:
            found[name] = _copied(value if not isinstance(value, Shell) else dict(vars(value)), room)
        except TypeError:
            continue
    return found


def _copied(value: Any, room: list[int]) -> Any:
    """Copy a value, made of Python's own plain types alone.

    Raises:
        TypeError: anything else is in it.
        ValueError: it is too large.
    """
    room[0] -= 1
    if room[0] < 0:
        raise ValueError(f"its description has over {MOST_VALUES} values")
    if isinstance(value, Mapping):
        return {_copied(key, room): _copied(inner, room) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(inner, room) for inner in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise TypeError(f"a {type(value).__name__} is no plain value")


def _tensors(shell: Any, before: str) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters and buffers, named as a module names them in its state dict.

    Raises:
        TypeError: something else is in their place.
    """
    parts = vars(shell)
    passing = parts.get("_non_persistent_buffers_set", ())
    for kind in ("_parameters", "_buffers"):
        for name, value in parts.get(kind, {}).items():
            if value is None or (kind == "_buffers" and name in passing):
                continue
            if not isinstance(value, Tensor):
                raise TypeError(f"{before}{name} is a {type(value).__name__}, no tensor")
            plain = value.detach()
            yield f"{before}{name}", plain.float() if plain.is_floating_point() else plain
    for name, inner in parts.get("_modules", {}).items():
        if inner is not None:
            if not isinstance(inner, Shell):
                raise TypeError(f"{before}{name} is a {type(inner).__name__}, no layer")
            yield from _tensors(inner, f"{before}{name}.")
