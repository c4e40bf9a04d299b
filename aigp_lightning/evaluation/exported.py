"""Exported files as modules that can be measured: their own graph runs, what it returns is decoded by the family."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from aigp_lightning.checkpoints.load import read_metadata
from aigp_lightning.data.outlines import WantsMasks
from aigp_lightning.deploy.options import beside
from aigp_lightning.errors import WeightsError, warn_user
from aigp_lightning.evaluation.exported_contract import model_options, other_cameras
from aigp_lightning.evaluation.exported_graph import ExportedGraph, open_graph
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.families import DECODERS, family_of_export
from aigp_lightning.modules.metrics.same_keypoints import check_order
from aigp_lightning.modules.registry import module_class
from aigp_lightning.modules.run_options import accepted_options, build_module
from aigp_lightning.modules.trained_with import TrainedWith, told_by_checkpoint
from aigp_lightning.types import DetectionBatch, Prediction, StepOutput

if TYPE_CHECKING:
    from aigp_lightning.modules.metrics.detection import DetectionMetrics


@runtime_checkable
class ChoosesLabels(Protocol):
    """A module that finds one label a box or, for a validation, each that is sure enough."""

    def decode(self, raw: Any, conf: float, multi_label: bool = True) -> list[Prediction]:
        """Turn what the network returns into predictions."""


class ExportedModule(BaseModule):
    """An exported file as a module that can be validated.

    Args:
        graph: the file.
        model: a module of the same family and task, without a network: it knows limits, keypoints and camera.
    """

    loss_names = ("loss",)

    def __init__(self, graph: ExportedGraph, model: BaseModule) -> None:
        super().__init__(model.conf, model.predict_conf)
        self.family, self.task, self.weights = model.family, model.task, str(graph.path)
        self._graph, self._model = graph, (model,)  # in a tuple, it is no part of this one
        self._decode = DECODERS[model.family]()

    def build_network(self, names: Mapping[int, str] | None, description: Mapping[str, Any] | None = None) -> nn.Module:
        """Return a network without weights of its own, which stands for the file; the names are the file's."""
        return _Runs(self._graph)

    def set_network(self, network: nn.Module, names: Mapping[int, str] | None = None) -> None:
        """Install the network; the file's class names, and its keypoints, count where no data set has told them."""
        names, model = dict(names or self._graph.names), self._model[0]
        model.names = names
        if self.wants_keypoints and self.keypoints is None:
            self.keypoints = model.keypoints = self._graph.keypoints
        super().set_network(network, names)

    def setup_from_data(self, data: Any) -> None:
        """Learn the data set's keypoints, and refuse those that the file does not find."""
        model, shape = self._model[0], self._graph.told.get("kpt_shape")
        model.setup_from_data(data)
        self.keypoints = model.keypoints
        found = None if self.keypoints is None else [self.keypoints.count, self.keypoints.numbers]
        if self.wants_keypoints and found != list(shape or ()):
            raise WeightsError(f"{self.weights} finds keypoints of shape {shape}, the data set's kpt_shape is {found}.")
        if self.wants_keypoints:
            file, camera = str(data.spec.file), getattr(model, "camera", None)
            check_order(self._graph.keypoints, self.keypoints, str(self.weights), file, camera)

    @property
    def decoder(self) -> BaseModule:
        """The module of the family, whose limits (`predict_conf`, `iou`, `max_det`) count."""
        return self._model[0]

    @property
    def graph(self) -> ExportedGraph:
        """The file, opened."""
        return self._graph

    @property
    def keypoint_conf(self) -> float | None:
        """Lowest confidence of a keypoint that counts as seen; None where nobody said."""
        return getattr(self._model[0], "keypoint_conf", None)

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width that the file takes; None where it takes any."""
        return self._graph.fixed_size

    def build_metrics(self) -> DetectionMetrics:
        """Return the family's metrics, empty."""
        return self._model[0].build_metrics()

    @property
    def wants_keypoints(self) -> bool:
        """True if batches must have `keypoints`."""
        return self._model[0].wants_keypoints

    @property
    def wants_masks(self) -> bool:
        """True if batches must have `masks`."""
        model = self._model[0]
        return isinstance(model, WantsMasks) and model.wants_masks

    def checkpoint_options(self) -> dict[str, Any]:
        """Return the limits by which it is validated."""
        return self._model[0].checkpoint_options()

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        """Return predictions; a file has no loss."""
        return {"loss_items": {"loss": torch.tensor(0.0)}, "predictions": self._decoded(batch, self.conf)}

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """Run the file, and decode what it returns, one label a box; see `BaseModule`."""
        model = self._model[0]
        if not isinstance(model, ChoosesLabels):
            return self._decoded(batch, conf)
        raw = self._answers(batch["img"])
        with self.timed("post"):
            return model.decode(raw, conf, multi_label=False)

    def _decoded(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """Run the file, and decode what it returns as a validation has it."""
        raw = self._answers(batch["img"])
        with self.timed("post"):
            return self._decode(self._model[0], raw, batch["img"], conf)

    def _answers(self, images: Tensor) -> Any:
        with self.timed("network"):
            return cast("nn.Module", self.network)(images)


class _Runs(nn.Module):
    """A file in the place of a network: images to what it returns, one by one where it takes no more."""

    def __init__(self, graph: ExportedGraph) -> None:
        super().__init__()
        self._graph = graph

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return what the file returns, on the images' device."""
        images = images.contiguous()
        parts = [images] if self._graph.fixed_size is None else torch.split(images, 1)
        answers = [self._graph.run(part) for part in parts]
        several = [each if isinstance(each, tuple) else (each,) for each in answers]
        joined = tuple(torch.cat([part.to(images.device) for part in found]) for found in zip(*several, strict=True))
        return joined if len(joined) > 1 else joined[0]


def told_by_exported(path: Path, run: TrainedWith | None = None) -> TrainedWith:
    """Return what an exported file, and the checkpoint beside it that it was written from, say of their run.

    Args:
        path: of the file.
        run: what is known of the run already; the checkpoint is not looked for.

    Raises:
        ConfigError: a package is missing.
        WeightsError: it cannot be read, or was not written by `export`.
    """
    return told_by_graph(open_graph(path), run)


def told_by_graph(graph: ExportedGraph, run: TrainedWith | None = None) -> TrainedWith:
    """Return what `told_by_exported` does of a file that is open.

    Args:
        graph: the file.
        run: see there.

    Raises:
        WeightsError: its contract cannot be followed.
    """
    path, told, contract = graph.path, graph.told, graph.contract
    family, (height, width) = family_of_export(told), told["imgsz"]
    data: dict[str, Any] = {"imgsz": int(max(height, width))}
    if (resize := resize_of(graph)) is not None:
        data["resize"] = resize
    found = TrainedWith(family, str(told["task"]), data, {})
    known = _told_beside(path, found, told) if run is None else run
    if known is not None:
        found = TrainedWith(family, found.task, {**known.data, **data}, dict(known.model))
    if not (isinstance(told.get("args"), Mapping) and told["args"].get("dynamic")):
        found.data["rect"] = False
    if contract is not None:
        before = found.model.get("camera")
        found = TrainedWith(family, found.task, found.data, model_options(path, contract, found.model))
        if differ := other_cameras(found.model.get("camera"), before):
            warn_user(f"the camera of {path}, by its contract, is not that of the checkpoint beside it: {differ}")
    found.model["nms_free"] = bool(told.get("end2end"))
    return found


def resize_of(graph: ExportedGraph) -> str | None:
    """Return how pictures are brought to a file's input, `letterbox` or `stretch`; None where it does not say.

    Args:
        graph: the file.
    """
    said = graph.told.get("resize") if graph.contract is None else graph.contract["resize"]["rule"]
    return said if isinstance(said, str) else None


def _told_beside(path: Path, found: TrainedWith, told: Mapping[str, Any]) -> TrainedWith | None:
    """Return what the checkpoint beside a file says, if it is of a model of the same family, task and classes."""
    with suppress(WeightsError):
        metadata = read_metadata(beside(path, ".ckpt"))
        known = told_by_checkpoint(metadata)
        names = {int(key): str(name) for key, name in told["names"].items()}
        if (known.family, known.task, dict(metadata["names"])) == (found.family, found.task, names):
            return known
    return None


def open_exported(path: Path, told: TrainedWith, gpu: bool = True, threads: int | None = None) -> ExportedModule:
    """Open an exported file as a module.

    Args:
        path: of the file.
        told: see `told_by_exported`.
        gpu: run it on a GPU where one can.
        threads: to compute with, see `run_of_graph`.

    Raises:
        WeightsError: its family or task is not known.
    """
    kind = module_class(told.family, told.task, path)
    model = build_module(kind, accepted_options(kind, told.model), path)
    return ExportedModule(open_graph(path, gpu, threads), model)
