"""The length of a run in epochs, which its checkpoints carry, and how it was made longer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from aigp_lightning.errors import ConfigError, WeightsError

PLAN = "plan"
"""Key in a checkpoint's metadata for the plan of the run; older checkpoints have none."""


@runtime_checkable
class PlansAnew(Protocol):
    """A module whose schedule is laid out over the epochs of the run.

    Example:
        >>> class Module:
        ...     def plan_anew(self, epochs): ...
        >>> isinstance(Module(), PlansAnew)
        True
    """

    def plan_anew(self, epochs: int) -> None:
        """Lay the schedule out over so many epochs, from the first one on; the next epoch is trained by it."""


@dataclass(frozen=True)
class Extension:
    """A change of a run's length while it was trained.

    Args:
        start: the first epoch, from 0, that is trained by the new plan.
        epochs: new length of the run.

    Example:
        >>> Extension(start=6, epochs=12)
        Extension(start=6, epochs=12)
    """

    start: int
    epochs: int


@dataclass(frozen=True)
class RunLength:
    """Epochs of a run as it was planned, and its extensions in order.

    Args:
        epochs: length of the run when it began.
        extensions: how the run was made longer, in order.

    Example:
        >>> RunLength(10).extended(trained=6, epochs=12).end
        12
    """

    epochs: int
    extensions: tuple[Extension, ...] = ()

    @property
    def end(self) -> int:
        """Epochs of the run, extensions included."""
        return self.extensions[-1].epochs if self.extensions else self.epochs

    def extended(self, trained: int, epochs: int) -> RunLength:
        """Return the length of the run made longer after so many epochs."""
        return replace(self, extensions=(*self.extensions, Extension(trained, epochs)))

    def state(self) -> dict[str, Any]:
        """Return the length as plain values."""
        return {"epochs": self.epochs, "extensions": [[each.start, each.epochs] for each in self.extensions]}

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> RunLength:
        """Read the length from a checkpoint's metadata.

        Raises:
            WeightsError: it is none.
        """
        try:
            longer = tuple(Extension(int(start), int(epochs)) for start, epochs in state["extensions"])
            length = cls(int(state["epochs"]), longer)
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError("this checkpoint is damaged: its plan of the run cannot be read.") from error
        ends = [length.epochs]
        for each in length.extensions:
            if not 0 <= each.start <= ends[-1] < each.epochs:
                raise WeightsError("this checkpoint is damaged: its plan of the run is none.")
            ends.append(each.epochs)
        return length


def check_length(planned: int | None, trained: int, epochs: int, extend: bool) -> None:
    """Refuse to resume a run with another number of epochs than it was planned for, unless it is to be extended.

    Args:
        planned: epochs of the run; None where nothing says them.
        trained: epochs that were trained.
        epochs: of the trainer.
        extend: whether more are meant.

    Raises:
        ConfigError: there are others.

    Example:
        >>> try:
        ...     check_length(planned=10, trained=4, epochs=12, extend=False)
        ... except ConfigError as error:
        ...     print(str(error).partition(",")[0])
        --trainer.max_epochs 12: it was planned for 10
    """
    if epochs < trained:
        raise ConfigError(f"--trainer.max_epochs {epochs}: the run has trained {trained} epochs already.")
    if extend and planned is None:
        raise ConfigError(
            "--extend: an earlier version wrote this checkpoint, and neither it nor a config.yaml beside it says "
            "for how many epochs the run was planned. Resume without --extend, with the --trainer.max_epochs of "
            "the first start, or begin a new run from its best weights with --model.weights."
        )
    if planned in (None, epochs) or (extend and epochs > (planned or 0)):
        return
    raise ConfigError(
        f"--trainer.max_epochs {epochs}: it was planned for {planned}, over which its schedule is laid out. "
        f"Resume with --trainer.max_epochs {planned}, or with --extend and more than that."
    )
