"""Options of `validate --sequence`, as plain data: refusing a misspelt one imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT, POSITIVE, Range, check_range

SPLITS = ("train", "val", "test", "all")
SIZES = Range(32, 16384)


@dataclass
class SequenceOptions:
    """What is looked at in order, by which model, and where the results go.

    Args:
        sequence: a data set with flights (its folder or data.yaml), a folder of pictures, a folder with a folder of
            pictures for each flight, or a video. Frames are in the order of their names, or of the data set's
            truth/FLIGHT.jsonl.
        ckpt_path: the model: a checkpoint of ours, or a run folder, whose best one it is.
        weights: or a family's own weights file (.pt, .pth), or an exported file (.onnx, .torchscript);
            --model.weights is the same.
        thresholds: a thresholds.json of `calibrate`; by default the one that lies with the model.
        fps: frames a second of pictures without time stamps; by default the video's, the truth's, or 30.
        split: of a data set, whose flights are measured: train, val, test or all.
        out: folder of the results; by default runs/TASK/sequence, with a number where it exists.
        video: draw what was found into a video of each flight.
        camera: the camera, where it is not the one that the model was trained for: fields of --model.camera.
        imgsz: side of the network's input, pixels; by default as the model was trained.
        batch: frames that the network looks at together.
    """

    sequence: str
    ckpt_path: str | None = None
    weights: str | None = None
    thresholds: str | None = None
    fps: float | None = None
    split: str = "val"
    out: str | None = None
    video: bool = True
    camera: dict[str, Any] = field(default_factory=dict)
    imgsz: int | None = None
    batch: int = 8

    def check(self) -> None:
        """Refuse what cannot go well, before anything is opened.

        Raises:
            ConfigError: it names the option.

        Example:
            >>> SequenceOptions("flights", ckpt_path="best.ckpt", fps=0).check()
            Traceback (most recent call last):
            aigp_lightning.errors.ConfigError: --fps 0: a number above 0.
        """
        if (self.ckpt_path is None) == (self.weights is None):
            raise ConfigError("which model? Give --ckpt_path a checkpoint or run folder, or --model.weights a file.")
        if not self.sequence:
            raise ConfigError("--sequence is empty; name a data set, a folder of pictures or a video.")
        if self.split not in SPLITS:
            raise ConfigError(f"--split {self.split}: it is one of {', '.join(SPLITS)}.")
        check_range("--fps", self.fps, POSITIVE)
        check_range("--imgsz", self.imgsz, SIZES)
        check_range("--batch", self.batch, COUNT)
