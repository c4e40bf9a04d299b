"""Exported files as modules that can be measured: their own graph runs, what it returns is decoded by the family.

Longer than 250 lines: both formats are opened, and what they say of themselves is read, in one place.
"""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from aigp_lightning.checkpoints.load import read_metadata
from aigp_lightning.errors import ConfigError, WeightsError, first_line
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.families import DECODERS, family_of_export
from aigp_lightning.modules.registry import module_class
from aigp_lightning.modules.run_options import accepted_options, build_module
from aigp_lightning.modules.trained_with import TrainedWith, told_by_checkpoint
from aigp_lightning.types import DetectionBatch, Prediction, StepOutput

if TYPE_CHECKING:
    from aigp_lightning.modules.metrics.detection import DetectionMetrics

ONNX, TORCHSCRIPT = ".onnx", ".torchscript"
SUFFIXES = (ONNX, TORCHSCRIPT)
NOT_OURS = "it does not say its task, classes and image size, as files that `export` wrote do"


@dataclass(frozen=True)
class ExportedGraph:
    """An exported file that is open.

    Attributes:
        path: of the file.
        told: what it says of itself.
        run: from images (B, 3, H, W) float, 0…1, on any device, to what it returns.
    """

    path: Path
    told: dict[str, Any]
    run: Callable[[Tensor], Tensor]

    @property
    def names(self) -> dict[int, str]:
        """Class names by id."""
        return {int(key): str(name) for key, name in self.told["names"].items()}

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width that it takes, one image at a time; None where it takes any."""
        arguments = self.told.get("args")
        dynamic = isinstance(arguments, Mapping) and arguments.get("dynamic")
        height, width = self.told["imgsz"]
        return None if dynamic else (int(height), int(width))


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
        """Install the network; the file's class names count where none are given."""
        names = dict(names or self._graph.names)
        self._model[0].names = names
        super().set_network(network, names)

    def setup_from_data(self, data: Any) -> None:
        """Learn the data set's keypoints, and refuse those that the file does not find."""
        model, shape = self._model[0], self._graph.told.get("kpt_shape")
        model.setup_from_data(data)
        self.keypoints = model.keypoints
        found = None if self.keypoints is None else [self.keypoints.count, self.keypoints.numbers]
        if self.wants_keypoints and found != list(shape or ()):
            raise WeightsError(f"{self.weights} finds keypoints of shape {shape}, the data set's kpt_shape is {found}.")

    def build_metrics(self) -> DetectionMetrics:
        """Return the family's metrics, empty."""
        return self._model[0].build_metrics()

    @property
    def wants_keypoints(self) -> bool:
        """True if batches must have `keypoints`."""
        return self._model[0].wants_keypoints

    def checkpoint_options(self) -> dict[str, Any]:
        """Return the limits by which it is validated."""
        return self._model[0].checkpoint_options()

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        """Return predictions; a file has no loss."""
        return {"loss_items": {"loss": torch.tensor(0.0)}, "predictions": self.predict_batch(batch, self.conf)}

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """Run the file, and decode what it returns; see `BaseModule`."""
        images = batch["img"]
        return self._decode(self._model[0], cast("nn.Module", self.network)(images), images, conf)


class _Runs(nn.Module):
    """A file in the place of a network: images to what it returns, one by one where it takes no more."""

    def __init__(self, graph: ExportedGraph) -> None:
        super().__init__()
        self._graph = graph

    def forward(self, images: Tensor) -> Tensor:
        """Return what the file returns, on the images' device."""
        images = images.contiguous()
        parts = [images] if self._graph.fixed_size is None else torch.split(images, 1)
        return torch.cat([self._graph.run(part).to(images.device) for part in parts])


def told_by_exported(path: Path) -> TrainedWith:
    """Return what an exported file, and the checkpoint beside it that it was written from, say of their run.

    Args:
        path: of the file.

    Raises:
        ConfigError: a package is missing.
        WeightsError: it cannot be read, or was not written by `export`.
    """
    told = open_graph(path).told
    family, (height, width) = family_of_export(told), told["imgsz"]
    data: dict[str, Any] = {"imgsz": int(max(height, width))}
    data |= {"resize": told["resize"]} if isinstance(told.get("resize"), str) else {}
    found = TrainedWith(family, str(told["task"]), data, {})
    with suppress(WeightsError):
        metadata = read_metadata(path.with_suffix(".ckpt"))
        beside = told_by_checkpoint(metadata)
        names = {int(key): str(name) for key, name in told["names"].items()}
        if (beside.family, beside.task, dict(metadata["names"])) == (family, found.task, names):
            found = TrainedWith(family, found.task, {**beside.data, **data}, beside.model)
    if not (isinstance(told.get("args"), Mapping) and told["args"].get("dynamic")):
        found.data["rect"] = False
    return found


def open_exported(path: Path, told: TrainedWith) -> ExportedModule:
    """Open an exported file as a module.

    Args:
        path: of the file.
        told: see `told_by_exported`.

    Raises:
        WeightsError: its family or task is not known.
    """
    kind = module_class(told.family, told.task, path)
    return ExportedModule(open_graph(path), build_module(kind, accepted_options(kind, told.model), path))


def run_of_graph(path: Path, gpu: bool = False) -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    """Open a graph, whoever wrote it; anything may be raised where it is damaged.

    Args:
        path: of the file.
        gpu: run it on a GPU where one can.

    Returns:
        From images to what it returns, and what it says of itself.
    """
    return _onnx(path, gpu) if path.suffix == ONNX else _torchscript(path, gpu)


def open_graph(path: Path, gpu: bool = True) -> ExportedGraph:
    """Open an exported file.

    Args:
        path: of the file.
        gpu: run it on a GPU where one can.

    Raises:
        ConfigError: a package is missing.
        WeightsError: it cannot be read, or was not written by `export`.
    """
    try:
        run, told = run_of_graph(path, gpu)
    except ImportError as error:
        raise ConfigError(f"{path} needs {error.name}: pip install 'aigp_lightning[export]'.") from error
    except Exception as error:  # a damaged file fails in many ways
        raise WeightsError(f"{path} cannot be opened: {first_line(error)}") from error
    names, imgsz = told.get("names"), told.get("imgsz")
    sizes = isinstance(imgsz, list | tuple) and len(imgsz) == len(("height", "width"))
    if not (isinstance(names, Mapping) and names and isinstance(told.get("task"), str) and sizes):
        raise WeightsError(f"{path} cannot be measured: {NOT_OURS}.")
    if told.get("end2end") or (isinstance(told.get("args"), Mapping) and told["args"].get("nms")):
        raise WeightsError(f"{path} suppresses boxes by itself, and cannot be held against others: export it without.")
    return ExportedGraph(path, told, run)


def _onnx(path: Path, gpu: bool) -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    wanted = (*(("CUDAExecutionProvider",) if gpu else ()), "CPUExecutionProvider")
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=providers)
    told = {key: _plain(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    name = session.get_inputs()[0].name

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: images.float().cpu().numpy()})[0])

    return run, told


def _torchscript(path: Path, gpu: bool) -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    content, files = path.read_bytes(), {"config.txt": ""}

    def opened(device: str) -> Callable[[Tensor], Tensor]:
        graph: Any = cast("Any", torch.jit).load(io.BytesIO(content), map_location=device, _extra_files=files)

        def run(images: Tensor) -> Tensor:
            with torch.no_grad():
                answer: Tensor = graph(images.float().to(device))
            return answer

        return run

    run = opened("cpu")
    told = json.loads(files["config.txt"]) if files["config.txt"] else {}
    if gpu and torch.cuda.is_available() and isinstance(told, dict) and "imgsz" in told:
        with suppress(RuntimeError, TypeError, ValueError):  # one that was traced with tensors of the CPU stays there
            (faster := opened("cuda"))(torch.zeros(1, 3, *told["imgsz"]))
            run = faster
    return run, told if isinstance(told, dict) else {}


def _plain(text: str) -> Any:
    """Return the value that a text stands for in Python, such as a dict; else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
