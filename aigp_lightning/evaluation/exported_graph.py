"""Exported files that are opened: the graph as a function, and what the file says of itself."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from aigp_lightning.data.keypoint_yaml import default_edges
from aigp_lightning.deploy import runtime
from aigp_lightning.errors import ConfigError, WeightsError, first_line
from aigp_lightning.evaluation.exported_contract import contract_keypoints, read_contract, source_of
from aigp_lightning.evaluation.named_model import EXPORTED
from aigp_lightning.modules.deployment import Answers
from aigp_lightning.types import Keypoints

ONNX, TORCHSCRIPT, OPENVINO, TENSORRT = ".onnx", ".torchscript", ".xml", ".engine"
SUFFIXES = EXPORTED
EXTRAS = {OPENVINO: "'aigp_lightning[openvino]'", TENSORRT: "tensorrt"}
"""Names by which pip installs what a file needs; for all others the package's extra `export`."""
NOT_OURS = "it does not say its task, classes and image size, as files that `export` wrote do"
NO_NUMBERS = "returns NaN, which is no number: its weights are damaged, or its training diverged"


@dataclass(frozen=True)
class ExportedGraph:
    """An exported file that is open.

    Attributes:
        path: of the file.
        told: what it says of itself.
        run: from images (B, 3, H, W) float, 0…1, on any device, to what it returns.
        provider: what runs it, see `OpenedGraph`.
        threads: that it computes with; None where its runtime chooses and does not say.
    """

    path: Path
    told: dict[str, Any]
    run: Answers
    provider: str = ""
    threads: int | None = None

    @property
    def names(self) -> dict[int, str]:
        """Class names by id."""
        return {int(key): str(name) for key, name in self.told["names"].items()}

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width that it takes, one image at a time; None where it takes any."""
        dynamic = isinstance(arguments := self.told.get("args"), Mapping) and arguments.get("dynamic")
        height, width = self.told["imgsz"]
        return None if dynamic else (int(height), int(width))

    @cached_property
    def contract(self) -> dict[str, Any] | None:
        """Fields of its contract; None where it has none, as files of earlier versions."""
        return read_contract(self.told, self.path)

    @cached_property
    def source(self) -> str | None:
        """SHA-256 of the file that it was exported from; None where nothing says it."""
        return source_of(self.told, self.path)

    @property
    def keypoints(self) -> Keypoints:
        """Keypoints that it finds, by its contract with their places on the object.

        Raises:
            WeightsError: it does not say them.
        """
        if self.contract is not None and (found := contract_keypoints(self.contract)) is not None:
            return found
        try:
            count, numbers = (int(number) for number in self.told["kpt_shape"])
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{self.path} cannot be measured: it does not say its keypoints (kpt_shape).") from error
        names = self.told.get("kpt_names")
        listed = next(iter(names.values()), ()) if isinstance(names, Mapping) else names
        fits = isinstance(listed, list | tuple) and len(listed) == count
        own = tuple(map(str, cast("Any", listed) if fits else range(count)))
        return Keypoints(count, numbers, own, edges=default_edges(count))


@dataclass(frozen=True)
class OpenedGraph:
    """A graph that is open, whoever wrote it.

    Attributes:
        run: from images (B, 3, H, W) float, 0…1, on any device, to what it returns.
        told: what the file says of itself.
        provider: what runs it: `CPUExecutionProvider` of ONNX Runtime, `OpenVINO CPU`, `TensorRT`, `torch cpu`, ….
        threads: that it computes with; None where its runtime chooses and does not say.
    """

    run: Answers
    told: dict[str, Any]
    provider: str
    threads: int | None


def run_of_graph(path: Path, gpu: bool = False, threads: int | None = None) -> OpenedGraph:
    """Open a graph, whoever wrote it; anything may be raised where it is damaged.

    Args:
        path: of the file.
        gpu: run it on a GPU where one can.
        threads: to compute with; None: as many as its runtime chooses. TorchScript's are those of the process.
    """
    open_it = {ONNX: _onnx, OPENVINO: _openvino, TENSORRT: _tensorrt}.get(path.suffix, _torchscript)
    return open_it(path, gpu, threads)


def open_graph(path: Path, gpu: bool = True, threads: int | None = None) -> ExportedGraph:
    """Open an exported file.

    Args:
        path: of the file.
        gpu: run it on a GPU where one can.
        threads: to compute with, see `run_of_graph`.

    Raises:
        ConfigError: a package is missing.
        WeightsError: it cannot be read, was not written by `export`, or its contract was altered since.
    """
    try:
        opened = run_of_graph(path, gpu, threads)
    except ImportError as error:
        extra = EXTRAS.get(path.suffix, "'aigp_lightning[export]'")
        raise ConfigError(f"{path} needs {error.name}: pip install {extra}.") from error
    except Exception as error:  # a damaged file fails in many ways
        raise WeightsError(f"{path} cannot be opened: {first_line(error)}") from error
    told = opened.told
    read_contract(told, path)
    if not _tells_enough(told):
        raise WeightsError(f"{path} cannot be measured: {NOT_OURS}.")
    if isinstance(told.get("args"), Mapping) and told["args"].get("nms"):
        raise WeightsError(f"{path} suppresses boxes by itself, and cannot be held against others: export it without.")
    return ExportedGraph(path, told, partial(_run_checked, opened.run, path), opened.provider, opened.threads)


def _tells_enough(told: Mapping[str, Any]) -> bool:
    """True if a file says its task, classes by id, and image size."""
    names, imgsz = told.get("names"), told.get("imgsz")
    if not (isinstance(names, Mapping) and names and isinstance(told.get("task"), str)):
        return False
    if not isinstance(imgsz, list | tuple) or len(imgsz) != len(("height", "width")):
        return False
    return all(str(number).isdecimal() for number in (*names, *imgsz))


def _run_checked(run: Answers, path: Path, images: Tensor) -> Tensor | tuple[Tensor, ...]:
    """Run a file, and refuse what is no answer.

    Raises:
        WeightsError: it fails, as on images of a size that is not the one that it was written for, or returns NaN.
    """
    try:
        found = run(images)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        size = "×".join(map(str, images.shape[-2:]))
        raise WeightsError(f"{path} fails on an image of {size} pixels: {first_line(error)}") from error
    if any(part.isnan().any() for part in (found if isinstance(found, tuple) else (found,))):
        raise WeightsError(f"{path} {NO_NUMBERS}.")
    return found


def _onnx(path: Path, gpu: bool, threads: int | None) -> OpenedGraph:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    wanted = (*(("CUDAExecutionProvider",) if gpu else ()), "CPUExecutionProvider")
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: a thread for each core
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
    told = _told(session.get_modelmeta().custom_metadata_map)
    name = session.get_inputs()[0].name

    def run(images: Tensor) -> Tensor | tuple[Tensor, ...]:
        found = tuple(map(torch.from_numpy, session.run(None, {name: images.float().cpu().numpy()})))
        return found if len(found) > 1 else found[0]

    return OpenedGraph(run, told, session.get_providers()[0], threads)


def _openvino(path: Path, gpu: bool, threads: int | None) -> OpenedGraph:
    from aigp_lightning.evaluation.openvino_graph import open_openvino

    found = open_openvino(path, gpu, threads)
    return OpenedGraph(found.run, _told(found.told), f"OpenVINO {found.device}", found.threads)


def _tensorrt(path: Path, gpu: bool, threads: int | None) -> OpenedGraph:
    """See `_onnx`; an engine runs on a GPU alone, whatever is asked for."""
    from aigp_lightning.evaluation.tensorrt_graph import open_engine

    run, written = open_engine(path)
    return OpenedGraph(run, _told(written), "TensorRT", None)


def _torchscript(path: Path, gpu: bool, threads: int | None) -> OpenedGraph:
    from aigp_lightning.evaluation.torchscript_graph import open_torchscript

    found = open_torchscript(path, gpu, threads)
    return OpenedGraph(found.run, found.told, f"torch {found.device}", found.threads)


def _told(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as values; the contract and its hash stay texts."""
    texts = runtime.CONTRACT, runtime.CONTRACT_HASH
    as_is = {key: key in texts or not isinstance(value, str) for key, value in written.items()}
    return {key: value if as_is[key] else _plain(value) for key, value in written.items()}


def _plain(text: str) -> Any:
    """Return the value that a text stands for in Python, such as a dict; else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
