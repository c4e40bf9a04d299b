"""The `export` verb."""

from __future__ import annotations

from aigp_lightning.cli.parser import parse_options
from aigp_lightning.deploy.options import ExportOptions


def main(verb: str, arguments: list[str]) -> None:
    """Export a checkpoint as the options say."""
    description = (
        "Write a checkpoint as ONNX, TorchScript and its family's own weights file, such as an Ultralytics .pt, each "
        "checked against the model."
    )
    example = "export --ckpt_path runs/detect/gates/weights/best.ckpt --format [onnx]"
    options = parse_options(ExportOptions, verb, arguments, description, example)
    from aigp_lightning.deploy.export import export

    export(options)
