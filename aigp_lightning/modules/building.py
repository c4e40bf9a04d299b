"""Where a module meets its data set: its network is built for the classes, or the classes are matched by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from aigp_lightning.data.class_names import BY_NUMBER, FollowsClasses, match_classes
from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.run.auto_batch import settle_batch
from aigp_lightning.run.lightning_internals import datamodule_of, trainer_of
from aigp_lightning.types import HasClassNames

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from torch import nn


class Buildable(Protocol):
    """A module of any family, see `BaseModule`.

    Attributes:
        network: None until it is built.
        names: class names by id.
        weights: file of pretrained weights.
    """

    network: nn.Module | None
    names: dict[int, str]
    weights: str | None

    @property
    def fitting(self) -> bool:
        """True while it is trained."""

    def setup_from_data(self, data: Any) -> None:
        """Learn what the network's shape depends on besides the class names."""

    def build_network(self, names: Mapping[int, str] | None, description: Mapping[str, Any] | None = None) -> nn.Module:
        """Build the network."""

    def set_network(self, network: nn.Module, names: Mapping[int, str] | None = None) -> None:
        """Install a built network."""


def matches_by_name(module: Any) -> bool:
    """True if the classes of weights that a training starts from are matched with the data set's by their names.

    Args:
        module: a `LightningModule`; without a datamodule that says otherwise they are.

    Example:
        >>> from aigp_lightning.modules.base import BaseModule
        >>> matches_by_name(BaseModule())
        True
    """
    trainer = trainer_of(module)
    data = datamodule_of(trainer) if trainer is not None else None
    return getattr(data, "match_classes", None) != BY_NUMBER


def build_for_data(module: Buildable, trainer: pl.Trainer) -> None:
    """Build a module's network once the data set's classes are known, and choose the batch where that is left open.

    Training builds it for the data set. Otherwise `weights`, or later the checkpoint, decides the network and its
    classes, whose order the data set then follows. `predict` needs no data set.

    Args:
        module: one that has its network already is only compared with the data set.
        trainer: it runs the module.

    Raises:
        ConfigError: the trainer has no datamodule.
        WeightsError: the model and the data set have other classes.

    Example:
        >>> import lightning.pytorch as pl
        >>> from aigp_lightning.modules.base import BaseModule
        >>> try:
        ...     build_for_data(BaseModule(), pl.Trainer(logger=False, accelerator="cpu"))
        ... except ConfigError as error:
        ...     print(error)
        the module needs a datamodule, which knows the class names: trainer.fit(model, data).
    """
    _build(module, trainer)
    if module.fitting:
        settle_batch(module, trainer)


def _build(module: Buildable, trainer: pl.Trainer) -> None:
    data = datamodule_of(trainer)
    if module.network is not None:
        take_classes(module, trainer, module.names, "the model")
        return
    if data is None:
        raise ConfigError("the module needs a datamodule, which knows the class names: trainer.fit(model, data).")
    names = None
    if trainer.state.fn != "predict":
        module.setup_from_data(data)
        names = dict(data.names)
    if module.weights and not module.fitting:
        module.set_network(module.build_network(None))
        take_classes(module, trainer, module.names, module.weights)
    elif names is not None:  # else `on_load_checkpoint` builds it
        module.set_network(module.build_network(names), names)


def take_classes(
    module: Buildable, trainer: pl.Trainer | None, names: Mapping[int, str], source: str
) -> dict[int, str]:
    """Match a model's classes with the data set's, where there is one; returns the names that count from here on.

    Args:
        module: it gets these names, if it has its network.
        trainer: it runs the module; None without one.
        names: class names by the model's ids.
        source: file of the model.

    Raises:
        WeightsError: the data set has others.

    Example:
        >>> from aigp_lightning.modules.base import BaseModule
        >>> take_classes(BaseModule(), None, {0: "gate"}, "best.ckpt")
        {0: 'gate'}
    """
    data = datamodule_of(trainer) if trainer is not None else None
    known = data if trainer is not None and trainer.state.fn != "predict" and isinstance(data, HasClassNames) else None
    if isinstance(data, FollowsClasses):
        data.follow_classes(names, source)
    elif known is not None and match_classes(names, known.names, source, "the data set").ids is not None:
        raise WeightsError(f"{source} has the classes in another order, which this datamodule cannot follow.")
    counted = dict(names if known is None else known.names)
    if module.network is not None and counted != module.names:
        module.set_network(module.network, counted)
    return counted
