"""Checkpoints in the forms that other programs open: Ultralytics `.pt`, ONNX, TorchScript.

Every file is read back and held against the module on one picture before it takes its place.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from aigp_lightning.errors import ConfigError, UserError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMATS = ("pt", "onnx", "torchscript")


@dataclass
class ExportOptions:
    """What to export, and how.

    Args:
        ckpt_path: a checkpoint of ours; its averaged weights are exported.
        weights: or an Ultralytics .pt. Exactly one of the two.
        format: any of pt, onnx, torchscript.
        out: folder of the files, named as the checkpoint is; beside the checkpoint if not given.
        imgsz: side of the square input, pixels; a multiple of the network's stride.
        opset: ONNX operator set.
        dynamic: ONNX and TorchScript files take any batch and any size that is a multiple of the stride.
        tolerance: how far a file's answers may be from the module's, or nothing is written. Confidences (0…1) are
            compared as they are, boxes and keypoints (pixels) as a share of `imgsz`. A .pt stores float16, so it is
            held against the module with its weights rounded to float16.
    """

    ckpt_path: str | None = None
    weights: str | None = None
    format: list[str] = field(default_factory=lambda: list(FORMATS))
    out: str | None = None
    imgsz: int = 640
    opset: int = 17
    dynamic: bool = False
    tolerance: float = 1e-3


@dataclass(frozen=True)
class Difference:
    """The greatest differences between two raw outputs.

    Args:
        pixels: of boxes and keypoints, pixels.
        scores: of confidences, 0…1.
    """

    pixels: float
    scores: float

    def within(self, tolerance: float, imgsz: int) -> bool:
        """Whether both are small enough; a NaN is not."""
        return self.pixels <= tolerance * imgsz and self.scores <= tolerance

    def __str__(self) -> str:
        return f"boxes and keypoints {self.pixels:.2g} px, confidences {self.scores:.2g}"


def export(options: ExportOptions) -> list[Path]:
    """Write the files that the options ask for, each checked and written whole or not at all.

    Returns:
        The files written, in the order of `options.format`.

    Raises:
        ConfigError: an option is wrong, or a package that it needs is missing.
        WeightsError: the checkpoint is unreadable, or a written file does not answer as the module does.
    """
    source = _check(options)
    network = _load(options)
    stride = int(cast("Any", network).stride.max())
    if options.imgsz <= 0 or options.imgsz % stride:
        nearest = max(round(options.imgsz / stride), 1) * stride
        raise ConfigError(f"--imgsz {options.imgsz} is no multiple of this network's stride {stride}; try {nearest}.")
    folder = Path(options.out) if options.out else source.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigError(f"--out {folder} cannot be a folder: {error.strerror}.") from error
    written = []
    for form in dict.fromkeys(options.format):
        target = folder / f"{source.stem}.{form}"
        if target.resolve() == source.resolve():
            print(f"{target}  (the source itself; --out FOLDER writes a copy elsewhere)")
        else:
            written.append(_write(form, target, network, options))
    return written


def _check(options: ExportOptions) -> Path:
    """Refuse what cannot work before any work is done; return the source's path."""
    if bool(options.ckpt_path) == bool(options.weights):
        raise ConfigError("export needs one source: --ckpt_path FILE.ckpt (ours) or --weights FILE.pt (Ultralytics').")
    unknown = sorted(set(options.format) - set(FORMATS))
    if unknown or not options.format:
        raise ConfigError(f"--format {', '.join(unknown) or '[]'}: known are {', '.join(FORMATS)}.")
    if not options.tolerance > 0:
        raise ConfigError(f"--tolerance must be above 0, not {options.tolerance}.")
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if "onnx" in options.format and missing:
        raise ConfigError(
            f"ONNX export needs {' and '.join(missing)}: pip install 'aigp_lightning[export]', or leave it out with "
            "--format '[pt,torchscript]'."
        )
    source = Path(str(options.ckpt_path or options.weights))
    return source


def _load(options: ExportOptions) -> nn.Module:
    """The network with the weights to export: float32, on the CPU, in eval mode."""
    from aigp_lightning.modules.yolo import bridge

    if options.weights:
        network: Any = bridge.load_weights(options.weights)
        if network.task not in bridge.MODEL_CLASSES:
            raise WeightsError(
                f"{options.weights} is a {network.task} model; export knows {', '.join(bridge.MODEL_CLASSES)}."
            )
        names = network.names if isinstance(network.names, dict) else dict(enumerate(network.names))
        bridge.prepare_model(network, names, {}, network.task)
        return cast("nn.Module", network.eval())
    import torch

    from aigp_lightning.checkpoints.load import load_module

    network = cast("nn.Module", load_module(str(options.ckpt_path)).network).cpu().float().eval()
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]


def _write(form: str, path: Path, network: nn.Module, options: ExportOptions) -> Path:
    """Write one file under a passing name, check it, and only then give it its place."""
    makers: dict[str, Callable[[Path, nn.Module, ExportOptions], Difference]] = {
        "pt": _make_pt,
        "onnx": _make_onnx,
        "torchscript": _make_torchscript,
    }
    passing = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with warnings.catch_warnings():  # on tracing and its future; what was traced is checked by its answers
            warnings.simplefilter("ignore")
            difference = makers[form](passing, network, options)
        if not difference.within(options.tolerance, options.imgsz):
            raise WeightsError(
                f"{path.name} does not answer as the module does: {difference}; the tolerance {options.tolerance:g} "
                f"allows {options.tolerance * options.imgsz:.2g} px and {options.tolerance:g}. It was removed."
            )
        os.replace(passing, path)
    except UserError:
        raise
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        passing.unlink(missing_ok=True)
    reference = "the module rounded to float16" if form == "pt" else "the module"
    print(f"{path}  ({path.stat().st_size / 1e6:.1f} MB; greatest difference from {reference}: {difference})")
    return path


def _make_pt(path: Path, network: nn.Module, options: ExportOptions) -> Difference:
    from aigp_lightning.modules.yolo import bridge

    bridge.save_pt(path, network, train_args={"imgsz": options.imgsz})
    rounded = deepcopy(network).half().float()
    return _greatest_difference(_raw(bridge.load_weights(path).eval()), _raw(rounded), rounded, options)


def _make_torchscript(path: Path, network: nn.Module, options: ExportOptions) -> Difference:
    import torch

    from aigp_lightning.modules.yolo import bridge

    copy = bridge.deployable(network, options.dynamic)
    metadata = bridge.deployment_metadata(network, options.imgsz, options.dynamic)
    buffer = io.BytesIO()  # torch's own writer cannot open every path on Windows
    with torch.no_grad():
        traced = cast("Any", torch.jit).trace(copy, _picture(options.imgsz), strict=False, check_trace=False)
    torch.jit.save(traced, buffer, _extra_files={"config.txt": json.dumps(metadata)})
    path.write_bytes(buffer.getvalue())
    reread = cast("Any", torch.jit).load(io.BytesIO(path.read_bytes()))
    return _greatest_difference(reread, _raw(network), network, options)


def _make_onnx(path: Path, network: nn.Module, options: ExportOptions) -> Difference:
    import onnx
    import onnxruntime
    import torch

    from aigp_lightning.modules.yolo import bridge

    axes = {"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "anchors"}}
    buffer = io.BytesIO()
    try:
        with torch.no_grad():
            torch.onnx.export(  # the tracing exporter, since the other needs one more package
                bridge.deployable(network, options.dynamic),
                (_picture(options.imgsz),),
                cast("Any", buffer),
                opset_version=options.opset,
                input_names=["images"],
                output_names=["output0"],
                dynamic_axes=axes if options.dynamic else None,
                dynamo=False,
            )
    except Exception as error:
        raise ConfigError(f"cannot export to ONNX with --opset {options.opset}: {_first_line(error)}") from error
    graph = onnx.load_model_from_string(buffer.getvalue())
    for key, value in bridge.deployment_metadata(network, options.imgsz, options.dynamic).items():
        graph.metadata_props.add(key=key, value=str(value))
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString())
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def answer(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    return _greatest_difference(answer, _raw(network), network, options)


def _raw(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The (B, 4 + nc + extra, anchors) tensor alone, as exported files return it."""
    return lambda images: cast("Tensor", network(images)[0])


def _greatest_difference(
    exported: Callable[[Tensor], Tensor],
    reference: Callable[[Tensor], Tensor],
    network: nn.Module,
    options: ExportOptions,
) -> Difference:
    """Compare on the test picture, and if sizes are free also on a batch of another shape."""
    import torch

    pictures = [_picture(options.imgsz)]
    if options.dynamic:
        stride = int(cast("Any", network).stride.max())
        pictures.append(_picture(options.imgsz)[..., stride:].repeat(2, 1, 1, 1).contiguous())
    scores = _confidences(network)
    worst_pixels = worst_scores = 0.0
    with torch.no_grad():
        for picture in pictures:
            gap = (exported(picture).float() - reference(picture).float()).abs().nan_to_num(nan=float("inf"))
            worst_scores = max(worst_scores, float(gap[:, scores].max()))
            gap[:, scores] = 0
            worst_pixels = max(worst_pixels, float(gap.max()))
    return Difference(worst_pixels, worst_scores)


def _confidences(network: nn.Module) -> list[int]:
    """Channels of the raw output that hold confidences: of the classes, and whether a keypoint is to be seen."""
    from aigp_lightning.modules.yolo.bridge import keypoint_shape

    described: Any = network
    first, last = 4, 4 + len(described.names)
    count, numbers = keypoint_shape(network) if described.task == "pose" else (0, 0)
    seen = range(last + 2, last + count * numbers, numbers) if numbers == len(("x", "y", "seen")) else ()
    return [*range(first, last), *seen]


def _picture(imgsz: int) -> Tensor:
    """The test picture: seeded shapes and noise, three quarters as high as wide, letterboxed in grey.

    Returns:
        (1, 3, imgsz, imgsz) float32 RGB, 0…1.
    """
    import torch

    random = np.random.default_rng(0)
    canvas = np.full((imgsz, imgsz, 3), 114.0)
    top = imgsz // 8
    view = canvas[top : imgsz - top]
    height, width = view.shape[:2]
    view[:] = np.linspace(40, 200, width)[None, :, None] + random.normal(0, 12, view.shape)
    for x, y, side in random.random((12, 3)):
        left, upper, size = int(x * width), int(y * height), 4 + int(side * imgsz / 4)
        view[upper : upper + size, left : left + size] = random.uniform(0, 255, 3)
    image = canvas.clip(0, 255).astype(np.uint8).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(image))[None].float() / 255


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
