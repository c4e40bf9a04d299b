"""Options of the `export` verb, as plain data: refusing a misspelt one imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OWN_FORMATS = {"pt": "Ultralytics'", "pth": "RF-DETR's"}
"""Weights files that one family alone has, by their suffix without the dot, and whose they are."""
GRAPHS = ("onnx", "torchscript")
"""Formats that a model of any family may be traced to."""
CONVERTED = {"openvino": ".xml", "tensorrt": ".engine"}
"""Formats that are made of the ONNX graph, and the ending of their files; an OpenVINO `.xml` has a `.bin` beside it."""
FORMATS = (*OWN_FORMATS, *GRAPHS, *CONVERTED)
ALSO_CALLED = {"engine": "tensorrt"}
"""Ultralytics' names of formats."""
FULL, HALF, INT8 = PRECISIONS = ("fp32", "fp16", "int8")
"""Precisions that files of `WITH_PRECISION` have; all others have the first."""
WITH_PRECISION = ("onnx", *CONVERTED)
COMPARED_ON = ("none", "val")
WEIGHTS_BESIDE = ".bin"
"""Ending of an OpenVINO file's weights."""
THEIR_CALL = "yolo export model=best.pt format="
OF_ULTRALYTICS = (
    "coreml", "saved_model", "pb", "tflite", "edgetpu", "tfjs", "paddle", "mnn", "ncnn", "imx", "rknn", "executorch",
    "axelera",
)  # fmt: skip
"""Formats that Ultralytics writes besides, of its own weights files."""


@dataclass
class ExportOptions:
    """What to export, and how.

    Args:
        ckpt_path: a checkpoint of ours; its averaged weights are exported.
        weights: or a family's own weights file, such as an Ultralytics .pt. Exactly one of the two.
        format: any of pt, pth, onnx, torchscript, openvino, tensorrt: one, or several with commas; by default all of
            the first four that the model's family has.
        precision: any of fp32, fp16, int8: one, or several with commas, of onnx, openvino and tensorrt. Files of 16
            and 8 bits have it in their names, as in best.int8.onnx.
        out: folder of the files, named as the checkpoint is; beside the checkpoint if not given.
        imgsz: side of the square input, pixels; a multiple of the network's stride. By default the one that the
            checkpoint was trained at.
        opset: ONNX operator set.
        dynamic: ONNX and TorchScript files, and those made of ONNX, take any batch and any size that is a multiple of
            the stride.
        nms_free: graphs answer by the one-to-one head of YOLOv10 and YOLO26, and need no NMS after them; false: by the
            other head. By default as `--model.nms_free` was in training.
        tolerance: how far a file's answers may be from the module's, or nothing is written. Confidences (0…1) are
            compared as they are, boxes and keypoints (pixels) as a share of `imgsz`. A .pt stores float16, so it is
            held against the module with its weights rounded to float16. Files of fp16 and int8 are judged by max_drop.
        calibration: training pictures by which the ranges of int8 are found.
        data_yaml: the data set of calibration and comparison; by default that of the model's run.
        compare: val: every file is measured on the validation split, beside the module; none: it is not. By default val
            where fp16 or int8 is asked for.
        max_drop: how much of the module's mAP50-95 (0…1) a file that is compared may lose, or it is not written.
        with_runtime: write `runtime.py` beside the files: with NumPy, OpenCV and ONNX Runtime alone it runs the .onnx
            on the drone.
    """

    ckpt_path: str | None = None
    weights: str | None = None
    format: str | list[str] | None = None
    precision: str | list[str] = FULL
    out: str | None = None
    imgsz: int | None = None
    opset: int = 17
    dynamic: bool = False
    nms_free: bool | None = None
    tolerance: float = 1e-3
    calibration: int = 128
    data_yaml: str | None = None
    compare: str | None = None
    max_drop: float = 0.02
    with_runtime: bool = False

    @property
    def formats(self) -> list[str] | None:
        """The formats as a list, of `onnx` and `pt,onnx` too; None for all of the family's.

        Example:
            >>> ExportOptions(format="pt, engine").formats
            ['pt', 'tensorrt']
        """
        return None if self.format is None else [ALSO_CALLED.get(form, form) for form in _listed(self.format)]

    @property
    def precisions(self) -> list[str]:
        """The precisions as a list.

        Example:
            >>> ExportOptions(precision="fp32, int8").precisions
            ['fp32', 'int8']
        """
        return _listed(self.precision)


@dataclass(frozen=True)
class Form:
    """A file to write.

    Attributes:
        format: of `FORMATS`, or another family's own.
        precision: of `PRECISIONS`.

    Example:
        >>> Form("openvino", "int8").file_name("best"), Form("onnx", "fp32").file_name("best")
        ('best.int8.xml', 'best.onnx')
    """

    format: str
    precision: str = FULL

    def file_name(self, stem: str) -> str:
        """Return the file's name.

        Args:
            stem: of the checkpoint.
        """
        middle = "" if self.precision == FULL else f".{self.precision}"
        return f"{stem}{middle}{CONVERTED.get(self.format, f'.{self.format}')}"


def form_of(path: Path) -> Form:
    """Return the format and precision that a file's name tells.

    Args:
        path: of the file.

    Example:
        >>> form_of(Path("best.int8.xml"))
        Form(format='openvino', precision='int8')
    """
    endings = {ending: form for form, ending in CONVERTED.items()}
    middle = Path(path.stem).suffix[1:]
    return Form(endings.get(path.suffix, path.suffix[1:]), middle if middle in (HALF, INT8) else FULL)


def beside(path: Path, suffix: str) -> Path:
    """Return the path of another file of the same model, such as the checkpoint that an export was written from.

    Args:
        path: of an exported file.
        suffix: of the other file.

    Example:
        >>> beside(Path("best.int8.onnx"), ".ckpt").name, beside(Path("best.onnx"), ".ckpt").name
        ('best.ckpt', 'best.ckpt')
    """
    stem = path.with_suffix("") if form_of(path).precision != FULL else path
    return stem.with_suffix(suffix)


def _listed(given: str | list[str]) -> list[str]:
    return [word.strip() for each in ([given] if isinstance(given, str) else given) for word in each.split(",")]
