"""Options of the `export` verb, as plain data: refusing a misspelt one imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

OWN_FORMATS = {"pt": "Ultralytics'", "pth": "RF-DETR's"}
"""Weights files that one family alone has, by their suffix without the dot, and whose they are."""
GRAPHS = ("onnx", "torchscript")
"""Formats that a model of any family may be traced to."""
FORMATS = (*OWN_FORMATS, *GRAPHS)
THEIR_CALL = "yolo export model=best.pt format="
OF_ULTRALYTICS = (
    "engine", "openvino", "coreml", "saved_model", "pb", "tflite", "edgetpu", "tfjs", "paddle", "mnn", "ncnn", "imx",
    "rknn", "executorch", "axelera",
)  # fmt: skip
"""Formats that Ultralytics writes besides, of its own weights files."""


@dataclass
class ExportOptions:
    """What to export, and how.

    Args:
        ckpt_path: a checkpoint of ours; its averaged weights are exported.
        weights: or a family's own weights file, such as an Ultralytics .pt. Exactly one of the two.
        format: any of pt, pth, onnx, torchscript: one, or several with commas; by default all that the model's family
            has.
        out: folder of the files, named as the checkpoint is; beside the checkpoint if not given.
        imgsz: side of the square input, pixels; a multiple of the network's stride. By default the one that the
            checkpoint was trained at.
        opset: ONNX operator set.
        dynamic: ONNX and TorchScript files take any batch and any size that is a multiple of the stride.
        nms_free: ONNX and TorchScript files answer by the one-to-one head of YOLOv10 and YOLO26, and need no NMS after
            them; false: by the other head. By default as `--model.nms_free` was in training.
        tolerance: how far a file's answers may be from the module's, or nothing is written. Confidences (0…1) are
            compared as they are, boxes and keypoints (pixels) as a share of `imgsz`. A .pt stores float16, so it is
            held against the module with its weights rounded to float16.
    """

    ckpt_path: str | None = None
    weights: str | None = None
    format: str | list[str] | None = None
    out: str | None = None
    imgsz: int | None = None
    opset: int = 17
    dynamic: bool = False
    nms_free: bool | None = None
    tolerance: float = 1e-3

    @property
    def formats(self) -> list[str] | None:
        """The formats as a list, of `onnx` and `pt,onnx` too; None for all of the family's.

        Example:
            >>> ExportOptions(format="pt, onnx").formats
            ['pt', 'onnx']
        """
        given = [self.format] if isinstance(self.format, str) else self.format
        return given if given is None else [form.strip() for each in given for form in each.split(",")]
