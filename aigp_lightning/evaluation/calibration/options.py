"""Options of the `calibrate` verb, as plain data: refusing a misspelt one imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT, COUNT_OR_NONE, SEED, check_range, check_ranges


@dataclass
class FrameOptions:
    """The frames.

    Args:
        source: a data.yaml or a folder with one, a folder of pictures, a glob or a video, labelled or not; by default
            the data set of the model's run.
        split: of a data set: train, val or test.
        vid_stride: of a video, look at every so many frames.
        batch_size: most frames at once.
        workers: processes that load frames; never more than there are cores.
        block: frames in a row that the bootstrap draws together, since neighbours are alike; by default 30 of videos
            and rendered sequences, 1 of other pictures.
    """

    source: str | None = None
    split: str = "val"
    vid_stride: int = 1
    batch_size: int = 16
    workers: int = 8
    block: int | None = None

    def check(self) -> None:
        """Refuse numbers that make no sense.

        Raises:
            ConfigError: one does not.
        """
        check_ranges("--data", self, dict.fromkeys(("vid_stride", "batch_size", "block"), COUNT))
        check_range("--data.workers", self.workers, COUNT_OR_NONE)


@dataclass
class CalibrateOptions:
    """The model, the thresholds that are tried, and the rule by which they are chosen.

    Args:
        ckpt_path: a checkpoint of ours, or a run folder, whose best it is.
        weights: or a family's own weights file, or an exported one such as an ONNX. Exactly one of the two.
        data: the frames that thresholds are chosen on.
        conf: lowest confidences of a box: a range, start:end:step, or a list with commas.
        keypoint_conf: lowest confidences of a keypoint that counts as seen.
        iou: overlaps from which NMS drops the less sure of two boxes.
        reprojection: largest reprojection errors of a pose, pixels of the camera's picture; null is no limit.
        target: limits that have to be kept, such as 'false_alarms <= 0.05'; several with commas, or the option
            repeated. Figures are usable, position_m, rotation_deg, corner_px, precision, recall, f1, false_alarms and
            duplicates. Where no rule is given, and there are frames without objects, that one; of fewer than 20 such
            frames one false alarm in all.
        maximize: figure of which the most is taken among what keeps the limits; by default usable, and where poses
            cannot be had f1.
        minimize: or the one of which the least is.
        out: folder for thresholds.json and its pictures; by default the model's run folder, or the folder of its file.
        draws: of the bootstrap, by which intervals are told.
        seed: of these draws.
    """

    ckpt_path: str | None = None
    weights: str | None = None
    data: FrameOptions = field(default_factory=FrameOptions)
    conf: str = "0.05:0.95:0.05"
    keypoint_conf: str = "0.05:0.95:0.05"
    iou: str = "0.3:0.8:0.1"
    reprojection: str = "1,2,3,4,6,8,12,null"
    target: str | list[str] | None = None
    maximize: str | None = None
    minimize: str | None = None
    out: str | None = None
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.data, Mapping):  # of a parser, which gives plain values
            values: Any = self.data
            self.data = FrameOptions(**values)

    def check(self) -> None:
        """Refuse options that cannot be meant, before anything is read.

        Raises:
            ConfigError: one cannot.
        """
        if (self.ckpt_path is None) == (self.weights is None):
            raise ConfigError("calibrate needs one model: a run folder, --ckpt_path FILE.ckpt or --weights FILE.")
        self.data.check()
        check_range("--draws", self.draws, COUNT)
        check_range("--seed", self.seed, SEED)
