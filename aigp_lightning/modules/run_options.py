"""The options of a run that a checkpoint carries, and a module built from them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from aigp_lightning.errors import UserError, WeightsError, first_line
from aigp_lightning.run.lightning_internals import datamodule_of

if TYPE_CHECKING:
    import lightning.pytorch as pl

Module = TypeVar("Module")


@runtime_checkable
class HasCheckpointOptions(Protocol):
    """A datamodule or module whose options are kept in checkpoints, so that validation needs no configuration.

    Example:
        >>> class Module:
        ...     def checkpoint_options(self):
        ...         return {"conf": 0.001}
        >>> isinstance(Module(), HasCheckpointOptions)
        True
    """

    def checkpoint_options(self) -> dict[str, Any]:
        """Return options by name, nested as on the command line: numbers, texts, lists and dicts of them."""


@runtime_checkable
class Extends(Protocol):
    """A module whose run can be resumed with more epochs than it was planned for.

    Attributes:
        extend: whether more are meant; else another number of epochs than the checkpoint's is refused.
        planned: epochs of the run that is resumed, where its checkpoint does not say; None where nothing does.
    """

    extend: bool
    planned: int | None


def run_options(trainer: pl.Trainer | None, module: object) -> dict[str, dict[str, Any]]:
    """Return the options of a run by group, as plain values; `checkpoints/schema.py` says which.

    Args:
        trainer: it trains the module; None leaves the trainer's and the data's out.
        module: whose options are kept.

    Example:
        >>> class Module:
        ...     def checkpoint_options(self):
        ...         return {"conf": 0.001, "gains": {"box": 7.5}}
        >>> run_options(None, Module())
        {'model': {'conf': 0.001, 'gains': {'box': 7.5}}}
    """
    data = datamodule_of(trainer) if trainer is not None else None
    groups: dict[str, dict[str, Any]] = {}
    for name, owner in (("data", data), ("model", module)):
        if isinstance(owner, HasCheckpointOptions):
            groups[name] = plain(owner.checkpoint_options())
    if trainer is not None:
        groups["trainer"] = {
            "max_epochs": trainer.max_epochs,
            "precision": str(trainer.precision),
            "world_size": trainer.world_size,
            "batches": int(trainer.num_training_batches),
        }
        if data is not None and hasattr(data, "train_images"):
            groups["trainer"]["train_images"] = int(data.train_images)
    return groups


def plain(value: Any) -> Any:
    """Return a value as numbers, texts, lists and dicts, by which a checkpoint opens without running code.

    Args:
        value: any; what is none of these becomes text.

    Example:
        >>> from pathlib import PurePosixPath
        >>> plain({"sizes": (1, 2), "file": PurePosixPath("a.yaml")})
        {'sizes': [1, 2], 'file': 'a.yaml'}
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value)


def accepted_options(kind: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options that a class's constructor takes.

    Args:
        kind: the class; where it passes `**options` on, its bases take them.
        options: by name.

    Example:
        >>> class Module:
        ...     def __init__(self, conf=0.001): ...
        >>> class Child(Module):
        ...     def __init__(self, width=8, **options): ...
        >>> accepted_options(Child, {"conf": 0.25, "width": 4, "depth": 2})
        {'conf': 0.25, 'width': 4}
    """
    taken = _defaults(kind)
    return {name: value for name, value in options.items() if name in taken}


def _defaults(kind: type) -> dict[str, Any]:
    """Return the defaults of a constructor's arguments by name, those that its bases take included."""
    found: dict[str, Any] = {}
    for each in kind.__mro__:
        if "__init__" not in vars(each):
            continue
        parameters = inspect.signature(vars(each)["__init__"]).parameters.values()
        found = {**{parameter.name: parameter.default for parameter in parameters}, **found}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def build_module(kind: type[Module], options: Mapping[str, Any], source: str | Path) -> Module:
    """Build a module with the arguments that a checkpoint keeps.

    Args:
        kind: its class. Where the default of an argument is a dataclass, the checkpoint has its fields by name.
        options: of the group `model`; those that the class does not take are left out.
        source: the checkpoint, for errors.

    Raises:
        WeightsError: one of them is none that the class can have.

    Example:
        >>> from aigp_lightning.modules.registry import module_class
        >>> kind = module_class("yolo", "detect")
        >>> build_module(kind, {"conf": 0.125, "gains": {"box": 5.0}, "other": 1}, "best.ckpt").gains
        LossGains(box=5.0, cls=0.5, dfl=1.5, dis=6.0)
    """
    arguments, defaults = accepted_options(kind, options), _defaults(kind)
    try:
        for name, value in arguments.items():
            if is_dataclass(defaults[name]) and isinstance(value, Mapping):
                arguments[name] = type(defaults[name])(**value)
        return kind(**arguments)
    except (UserError, TypeError, ValueError) as error:
        raise WeightsError(f"{source} is damaged: an option of its run cannot be: {first_line(error)}") from error
