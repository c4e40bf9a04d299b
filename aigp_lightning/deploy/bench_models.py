"""Files that are timed: found by name, and opened as what looks at pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.data.input_size import USUAL_SIZE
from aigp_lightning.data.resizing import LETTERBOX, find_resizing
from aigp_lightning.deploy.bench_options import BenchOptions
from aigp_lightning.deploy.bench_pose import PoseSolving
from aigp_lightning.errors import ConfigError, lacking, printable
from aigp_lightning.evaluation.exported import open_exported, told_by_exported
from aigp_lightning.evaluation.exported_graph import SUFFIXES
from aigp_lightning.evaluation.file_thresholds import graph_of, thresholds_of_file
from aigp_lightning.evaluation.named_model import find_model
from aigp_lightning.evaluation.open_model import is_exported, open_model
from aigp_lightning.evaluation.open_with_options import decoder_of
from aigp_lightning.evaluation.timed_models import EXACT, TimedModel
from aigp_lightning.modules.registry import trained_with
from aigp_lightning.modules.thresholds import Thresholds
from aigp_lightning.paths import expand_home
from aigp_lightning.run.precision import default_precision

if TYPE_CHECKING:
    from aigp_lightning.deploy.bench_pictures import Picture
    from aigp_lightning.modules.base import BaseModule

ENGINE = ".engine"
OF_TRAINING = (".ckpt", ".pt", ".pth")
BENCHED = (*OF_TRAINING, *SUFFIXES, *(() if ENGINE in SUFFIXES else (ENGINE,)))
"""Endings of files that can be timed; an engine needs TensorRT."""


@dataclass
class BenchedModel:
    """A file that is opened, and what is counted while it is timed.

    Args:
        path: of the file.
        timed: what looks at pictures.
        provider: what computes it, such as `CPUExecutionProvider`.
        device: where, by its name.
        threads: that it computes with; None where its runtime chooses and does not say.
        precision: of its numbers; None where the file does not say.
        load_ms: milliseconds from the file to what can be called, its packages being there.
        data: options of the data that its run had.
        singly: of several pictures the file takes one after the other.
        thresholds: that lie beside it.
        solving: solves for poses; None: nothing does.
        notes: what its figures are to be read with.
    """

    path: Path
    timed: TimedModel
    provider: str
    device: str
    threads: int | None
    precision: str | None
    load_ms: float
    data: dict[str, Any]
    singly: bool
    thresholds: Thresholds
    solving: PoseSolving | None = None
    notes: list[str] = field(default_factory=list)
    first_ms: float = float("nan")
    pictures: int = 0
    objects: int = 0
    poses: int = 0

    def look_at(self, images: Sequence[Picture]) -> tuple[float, ...]:
        """Look at pictures and count what is found; seconds of each part, last of the pose (0 without an object)."""
        parts, found = self.timed.look_at(images)
        poses, seconds = 0, 0.0
        if self.solving is not None and any(len(each.boxes) for each in found):
            start = time.perf_counter()
            poses = sum(map(self.solving.solve, found))
            seconds = time.perf_counter() - start
        self.pictures += len(images)
        self.objects += sum(len(each.boxes) for each in found)
        self.poses += poses
        return (*parts, seconds)

    def calls_on(self, pictures: Sequence[Picture], batch: int) -> Any:
        """Return a call that looks at the next pictures, from the first on, again and again.

        Args:
            pictures: (H, W, 3) uint8 RGB each.
            batch: of a call.
        """
        endless = cycle(pictures)
        return lambda: self.look_at(list(islice(endless, batch)))


def files_of(given: str) -> list[Path]:
    """Return the files that a name stands for: itself, or in a run folder the best checkpoint and its exports.

    Args:
        given: a file, a run folder, or a folder with models such as one of the store.

    Raises:
        ConfigError: there is none that can be timed.
        WeightsError: there is no such file or folder.

    Example:
        >>> weights = Path("runs/detect/gates/weights")
        >>> weights.mkdir(parents=True)
        >>> for name in ("best.ckpt", "best.onnx", "last.ckpt", "best.bin"):
        ...     (weights / name).touch()
        >>> [path.name for path in files_of("runs/detect/gates")]
        ['best.ckpt', 'best.onnx']
    """
    path = Path(expand_home(given))
    if path.is_file() and path.suffix in BENCHED:
        return [path]
    if not path.is_dir():
        return [find_model(given)]
    folder = path / BEST.parent if (path / BEST.parent).is_dir() else path
    found = sorted(each for each in folder.iterdir() if each.suffix in BENCHED and each.is_file())
    best = [each for each in found if each.stem.startswith(BEST.stem)]
    if not (best or found):
        raise ConfigError(f"{printable(given)} has no file that can be timed: {', '.join(BENCHED)}.")
    return best or found


def open_benched(path: Path, options: BenchOptions) -> BenchedModel:
    """Open a file to be timed.

    Args:
        path: of the file.
        options: image size, threads and device.

    Raises:
        ConfigError: a package is missing, or the image size does not fit.
        WeightsError: it cannot be opened.
    """
    if path.suffix == ENGINE and (ENGINE not in SUFFIXES or lacking("tensorrt")):
        raise ConfigError(f"{path} needs {lacking('tensorrt') or 'a version that opens engines'} (NVIDIA TensorRT).")
    gpu = options.device != "cpu"
    if is_exported(path):
        return _exported(path, options, gpu)
    open_model(path)  # which imports what it needs, of the first file of a kind
    start = time.perf_counter()
    module = open_model(path)
    load_ms = (time.perf_counter() - start) * 1e3
    data, on_gpu = dict(trained_with(path).data), gpu and torch.cuda.is_available()
    imgsz = options.imgsz or _size(data)
    stride = module.deployment.stride if module.deployment is not None else 1
    if imgsz % stride:
        raise ConfigError(f"--imgsz {imgsz} is no multiple of the stride of {path}, {stride}.")
    device = torch.device("cuda" if on_gpu else "cpu")
    precision = default_precision(on_gpu, training=False)
    timed = TimedModel(module, (imgsz, imgsz), _resizing(data), device, precision)
    name = torch.cuda.get_device_name(device) if on_gpu else "CPU"
    threads = None if on_gpu else torch.get_num_threads()
    how = ("PyTorch", name, threads, precision, load_ms)
    return _with_thresholds(BenchedModel(path, timed, *how, data, False, Thresholds()))


def _exported(path: Path, options: BenchOptions, gpu: bool) -> BenchedModel:
    told = told_by_exported(path)
    start = time.perf_counter()
    module = open_exported(path, told, gpu, options.threads)
    load_ms = (time.perf_counter() - start) * 1e3
    module.set_network(module.build_network(None))
    fixed, imgsz = module.fixed_size, options.imgsz or _size(told.data)
    if fixed is not None and options.imgsz is not None and set(fixed) != {options.imgsz}:
        raise ConfigError(f"--imgsz {options.imgsz}: {path} takes {fixed[1]} × {fixed[0]} alone.")
    timed = TimedModel(module, fixed or (imgsz, imgsz), _resizing(told.data), torch.device("cpu"), EXACT)
    graph = module.graph
    on_gpu = any(word in graph.provider.upper() for word in ("CUDA", "GPU", "TENSORRT"))
    name = torch.cuda.get_device_name() if on_gpu and torch.cuda.is_available() else "GPU" if on_gpu else "CPU"
    said = graph.told.get("precision")
    how = (graph.provider, name, graph.threads, None if said is None else str(said), load_ms)
    return _with_thresholds(BenchedModel(path, timed, *how, dict(told.data), fixed is not None, Thresholds()))


def _with_thresholds(model: BenchedModel) -> BenchedModel:
    """Let the confidence that was chosen for the model decide what is found, where there is one."""
    module = model.timed.module
    choice = thresholds_of_file(model.path, graph_of(module))
    if choice.warning:
        model.notes.append(choice.warning)
    if choice.thresholds is None:
        return model
    model.thresholds = choice.thresholds
    _limit(module, model.thresholds)
    if choice.by_frames:
        model.notes.append(f"thresholds of {choice.file}")
    return model


def _limit(module: BaseModule, thresholds: Thresholds) -> None:
    decoder = decoder_of(module)
    for each in (module, decoder, getattr(decoder, "inference", None)):  # a YOLO's suppression has limits of its own
        for name, value in thresholds.limits().items():
            if hasattr(each, name):
                setattr(each, name, value)


def _size(data: dict[str, Any]) -> int:
    size = data.get("imgsz")
    return size if type(size) is int and size > 0 else USUAL_SIZE


def _resizing(data: dict[str, Any]) -> Any:
    return find_resizing(data.get("resize", LETTERBOX.name))


def shown_path(path: Path) -> str:
    """Return a path as it is shown: below the working folder, if it is there.

    Args:
        path: of a file.

    Example:
        >>> shown_path(Path("runs/best.onnx").absolute())
        'runs/best.onnx'
    """
    here = os.path.relpath(path)
    return printable(str(path) if here.startswith(os.pardir) else here)


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return names for a table: of the files of one folder without it, of others as they are shown.

    Args:
        paths: of the files.

    Example:
        >>> short_names([Path("a/best.onnx"), Path("a/best.pt")]), short_names([Path("a/best.pt"), Path("b/best.pt")])
        (['best.onnx', 'best.pt'], ['a/best.pt', 'b/best.pt'])
    """
    alike = len({path.absolute().parent for path in paths}) == 1
    return [printable(path.name) if alike else shown_path(path) for path in paths]
