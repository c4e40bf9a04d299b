"""A network as a run begins with it: built for the classes, started from weights, with layers that are not trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.errors import WeightsError, tell_user
from aigp_lightning.modules.metrics.same_keypoints import check_order
from aigp_lightning.modules.yolo.freezing import Frozen, freeze
from aigp_lightning.modules.yolo.own_keypoints import keypoints_of
from aigp_lightning.modules.yolo.quantization import is_quantized, quantize

if TYPE_CHECKING:
    from torch import nn

    from aigp_lightning.types import Keypoints

QAT = "qat"
"""Key of a checkpoint's description of a network that rounds to 8 bits."""


def described(network: nn.Module) -> dict[str, Any]:
    """Return plain values from which `NetworkStart.build` rebuilds a network.

    Args:
        network: it was built here.
    """
    return {"yaml": dict(cast("Any", network).yaml), **({QAT: True} if is_quantized(network) else {})}


@dataclass(frozen=True)
class NetworkStart:
    """Options by which a network is made.

    Attributes:
        variant: name or path of a model's YAML.
        weights: Ultralytics `.pt` to start from, or None.
        task: `detect`, `pose` or `segment`.
        epochs: length of the run.
        gains: weights of the loss components by name.
        keypoints: the data set's, or None.
        frozen: see `freeze`.
        qat: whether the network rounds to 8 bits; a checkpoint says so itself.
        starts_from: other tasks whose weights a training may start from, as far as their layers are the same.
        by_name: class rows of the weights are found by the classes' names; False: by their numbers.
    """

    variant: str
    weights: str | None
    task: str
    epochs: int
    gains: Mapping[str, float]
    keypoints: Keypoints | None
    frozen: Frozen
    qat: bool = False
    starts_from: tuple[str, ...] = ()
    by_name: bool = True

    def build(
        self, names: Mapping[int, str] | None, description: Mapping[str, Any] | None, fitting: bool
    ) -> tuple[nn.Module, list[str]]:
        """Build the network.

        Args:
            names: class names by id; None takes those of the weights.
            description: a checkpoint's, which then decides instead of the variant; weights are not asked.
            fitting: whether it is for training: else the weights' own network is taken as it is.

        Returns:
            The network, and the prefixes of the names of what is frozen.

        Raises:
            ConfigError: nothing would be left to train, or what is to be frozen is not there.
            WeightsError: the weights are of another task, or find the keypoints in another order than they are
                labelled in; or the description is none.
        """
        from aigp_lightning.modules.yolo import build
        from aigp_lightning.modules.yolo.transfer import class_rows, transfer_weights
        from aigp_lightning.modules.yolo.weights import load_weights

        source: Any = load_weights(self.weights) if self.weights and description is None else None
        if source is not None and source.task not in (self.task, *(self.starts_from if fitting else ())):
            raise WeightsError(f"{self.weights} is of a {source.task} model; the configuration asks for {self.task}.")
        task, keypoints = self.task, self.keypoints
        if source is not None and not fitting:
            named = names or dict(source.names)
            if keypoints is not None:  # of labels that it is measured on
                own = keypoints_of(source, build.keypoint_shape(source))
                check_order(own, keypoints, str(self.weights), "the data set")
            return build.prepare_model(source, named, self.gains, task, self.epochs, keypoints), []
        variant = self.variant if description is None else description.get("yaml")
        if not isinstance(variant, str | Mapping):
            raise WeightsError("this checkpoint does not describe its network.")
        network = build.build_model(variant, names or {}, self.gains, task, keypoints, self.epochs)
        if source is not None:
            taken, total = transfer_weights(network, source, self.by_name)
            rows = class_rows(source.names, names or {}, self.by_name)
            tell_user(f"took {taken} of {total} tensors from {self.weights}; {rows}")
        if self.qat if description is None else description.get(QAT):
            quantize(network)
        return network, freeze(network, self.frozen)
