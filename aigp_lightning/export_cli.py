"""The `export` verb."""

from __future__ import annotations

from aigp_lightning.export import ExportOptions, export
from aigp_lightning.options import parse_options


def main(verb: str, arguments: list[str]) -> None:
    """Export a checkpoint as the options say."""
    description = "Write a checkpoint as an Ultralytics .pt, ONNX and TorchScript, each checked against the model."
    example = "export --ckpt_path runs/detect/gates/weights/best.ckpt --format [onnx] --imgsz 640"
    export(parse_options(ExportOptions, verb, arguments, description, example))
