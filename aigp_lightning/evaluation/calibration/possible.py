"""Thresholds that can be tried with a model, and figures that can be had from frames."""

from __future__ import annotations

from dataclasses import dataclass

from aigp_lightning.evaluation.calibration.frames import Frames
from aigp_lightning.evaluation.calibration.grid import Grid, parse_values
from aigp_lightning.evaluation.calibration.options import CalibrateOptions
from aigp_lightning.evaluation.calibration.rule import Target, check_figure, parse_targets
from aigp_lightning.evaluation.calibration.subject import Subject
from aigp_lightning.evaluation.frame_poses import FrameTarget


@dataclass(frozen=True)
class Asked:
    """What is asked for, parsed: values of each threshold as they are typed, and the parts of the rule."""

    values: dict[str, tuple[float | None, ...]]
    targets: tuple[Target, ...]
    maximize: str | None
    minimize: str | None


def parse(options: CalibrateOptions) -> Asked:
    """Parse the grid and the rule, before anything is read.

    Args:
        options: of the verb.

    Raises:
        ConfigError: something in them cannot be meant.
    """
    options.check()
    names = ("conf", "keypoint_conf", "iou", "reprojection")
    values = {name: parse_values(name, str(getattr(options, name))) for name in names}
    for option, figure in (("--maximize", options.maximize), ("--minimize", options.minimize)):
        if figure is not None:
            check_figure(option, figure)
    return Asked(values, parse_targets(options.target), options.maximize, options.minimize)


def tried(asked: Asked, subject: Subject, target: FrameTarget | None) -> tuple[Grid, tuple[str, ...]]:
    """Return the combinations that are tried for a model, and what is not tried and why.

    Args:
        asked: the values of the options.
        subject: the model.
        target: object and camera; None where poses cannot be had.
    """
    notes: list[str] = []
    now, keypoints = subject.now, subject.keypoints
    iou: tuple[float | None, ...] = asked.values["iou"][::-1]
    if not subject.has_nms:
        iou = (None,)
        notes.append("iou is not tried: this model suppresses no boxes")
    reprojection, confidence = asked.values["reprojection"][::-1], asked.values["keypoint_conf"]
    if keypoints is None:
        return Grid(asked.values["conf"], iou=iou), tuple(notes)  # type: ignore[arg-type]
    if target is None:
        reprojection, confidence = (now.reprojection_px,), (now.keypoint_conf,)
        notes.append("keypoint_conf and reprojection_px are not tried: it is not known where keypoints are on the "
                     "object (object_points in data.yaml), so there are no poses")  # fmt: skip
    elif now.keypoint_conf is None:
        confidence = (None,)
        notes.append("keypoint_conf is not tried: this model's keypoints have no confidence, and all count as seen")
    return Grid(asked.values["conf"], confidence, iou, reprojection), tuple(notes)  # type: ignore[arg-type]


def missing_figures(frames: Frames, subject: Subject, target: FrameTarget | None) -> dict[str, str]:
    """Return why a figure cannot be had, by its name; an empty text for one that can.

    Args:
        frames: that are looked at.
        subject: the model.
        target: object and camera; None where poses cannot be had.
    """
    objects = "" if len(frames.image) else "no object is labelled in these frames"
    poses = ""
    if subject.keypoints is None:
        poses = "the model finds no keypoints"
    elif target is None:
        poses = "it is not known where keypoints are on the object (object_points in data.yaml, or --model.camera)"
    elif not (~frames.empty).any():
        poses = "all frames are labelled as empty"
    corners = "the model finds no keypoints" if subject.keypoints is None else objects
    return {
        "usable": poses,
        **dict.fromkeys(("position_m", "rotation_deg"), poses or objects),
        "corner_px": corners,
        **dict.fromkeys(("precision", "recall", "f1", "duplicates"), objects),
        "false_alarms": "" if frames.empty.any() else "no frame is labelled as empty, which a background is",
    }
