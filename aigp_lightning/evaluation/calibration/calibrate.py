"""Thresholds chosen from frames by a rule, and written beside the model with how they were chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aigp_lightning.data.class_filter import class_ids
from aigp_lightning.errors import warn_user
from aigp_lightning.evaluation.bootstrap import Interval
from aigp_lightning.evaluation.calibration.choice import Choice, choose
from aigp_lightning.evaluation.calibration.counts import count_at
from aigp_lightning.evaluation.calibration.detections import run_network
from aigp_lightning.evaluation.calibration.evidence import Evidence, gather_evidence
from aigp_lightning.evaluation.calibration.frames import FrameQuery, Frames, find_frames
from aigp_lightning.evaluation.calibration.grid import Combination, Grid, check_size
from aigp_lightning.evaluation.calibration.intervals import blocks_of, intervals
from aigp_lightning.evaluation.calibration.options import CalibrateOptions
from aigp_lightning.evaluation.calibration.possible import missing_figures, parse, tried
from aigp_lightning.evaluation.calibration.rule import Rule, Values, choose_rule
from aigp_lightning.evaluation.calibration.subject import Subject, open_subject
from aigp_lightning.evaluation.calibration.sweep import sweep
from aigp_lightning.evaluation.frame_poses import FrameTarget, frame_target
from aigp_lightning.evaluation.named_model import find_model
from aigp_lightning.evaluation.trained_on import warn_if_trained_on
from aigp_lightning.modules.metrics.same_keypoints import check_order

if TYPE_CHECKING:
    from aigp_lightning.types import Keypoints

FEW = 50
"""Frames below which it is warned that they say little."""


@dataclass(frozen=True)
class Calibration:
    """The outcome of a calibration.

    Attributes:
        subject: the model.
        frames: that were looked at.
        grid: the combinations that were tried.
        figures: by name an array of the grid's shape.
        rule: by which one is chosen.
        choice: the outcome of the rule.
        chosen: figures of the chosen combination with their intervals; empty where none meets the targets.
        now: those of the thresholds that the model has without.
        lacking: by figure why it could not be had; empty texts for those that could.
        notes: sentences on what was not tried.
        read: frames that could be read.
        draws: of the bootstrap.
        trained_on: frames that the model was trained on; None where that is not known.
    """

    subject: Subject
    frames: Frames
    grid: Grid
    figures: dict[str, Values]
    rule: Rule
    choice: Choice
    chosen: dict[str, Interval]
    now: dict[str, Interval]
    lacking: dict[str, str]
    notes: tuple[str, ...]
    read: int
    draws: int
    trained_on: int | None = None

    @property
    def best(self) -> Combination | None:
        """The chosen combination; None where none meets the targets."""
        return None if self.choice.place is None else self.grid.at(self.choice.place)


def calibrate(options: CalibrateOptions, progress: bool = True) -> Calibration:
    """Choose a model's thresholds from frames; nothing is written.

    The network runs once. What it found is judged at every combination of thresholds.

    Args:
        options: the model, the frames, the grid and the rule.
        progress: show progress.

    Raises:
        ConfigError: an option is wrong, or asks for a figure that cannot be had.
        DataError: the frames cannot be used.
        WeightsError: the model cannot be opened, has other classes than the data set, or finds its keypoints in
            another order.
    """
    asked = parse(options)
    subject = open_subject(find_model(str(options.ckpt_path or options.weights)))
    frames = find_frames(_query(subject, options, progress))
    trained_on = warn_if_trained_on([each.path for each in frames.dataset.files], subject.data)
    target = _target(subject, frames)
    grid, notes = tried(asked, subject, target)
    lacking = missing_figures(frames, subject, target)
    rule = choose_rule(asked.targets, asked.maximize, asked.minimize, lacking, int(frames.empty.sum()))
    check_size(grid)
    now = subject.now
    ious = _with(grid.iou, now.iou)
    classes = subject.data.get("classes") if options.data.source is None else None
    found = run_network(
        subject.module, frames.dataset, min(*grid.conf, now.conf), ious,
        classes=class_ids(classes, subject.module.names, str(subject.file)) if classes else None,
        batch_size=options.data.batch_size, workers=options.data.workers, progress=progress,
    )  # fmt: skip
    if (read := int(found.read.sum())) < FEW:
        warn_user(f"{read} frames say little: figures of fewer than {FEW} are as good as their intervals")
    if len(frames) and not blocks_of(frames).any():
        warn_user(
            f"all frames are one block of {frames.block} in a row, so there are no intervals; --data.block 1 where "
            "each frame is by itself"
        )
    evidence = gather_evidence(frames, found, _with(grid.keypoint_conf, now.keypoint_conf), target)
    outcome = judge(evidence, grid, rule, ious, options, now)
    return Calibration(subject, frames, grid, *outcome, lacking, notes, read, options.draws, trained_on)


def judge(
    evidence: Evidence,
    grid: Grid,
    rule: Rule,
    ious: tuple[float | None, ...],
    options: CalibrateOptions,
    now: Combination,
) -> tuple[dict[str, Values], Rule, Choice, dict[str, Interval], dict[str, Interval]]:
    """Sweep the grid and choose.

    Args:
        evidence: of all frames.
        grid: the combinations.
        rule: what is wanted.
        ious: overlaps of the evidence.
        options: of the bootstrap.
        now: the thresholds that the model has without.

    Returns:
        Figures, the rule, its choice, and with intervals the figures of the chosen combination and of the present one.
    """
    confidences = evidence.keypoint_conf
    columns, keypoints = [ious.index(iou) for iou in grid.iou], [confidences.index(one) for one in grid.keypoint_conf]
    figures = sweep(evidence, grid, columns, keypoints)
    choice, blocks = choose(figures, rule), blocks_of(evidence.frames)

    def told(combination: Combination) -> dict[str, Interval]:
        places = ious.index(combination.iou), confidences.index(combination.keypoint_conf)
        return intervals(count_at(evidence, combination, *places), blocks, options.draws, options.seed)

    chosen = {} if choice.place is None else told(grid.at(choice.place))
    present = replace(now, keypoint_conf=now.keypoint_conf if now.keypoint_conf in confidences else confidences[0])
    return figures, rule, choice, chosen, told(present)


def _query(subject: Subject, options: CalibrateOptions, progress: bool) -> FrameQuery:
    asked = options.data
    return FrameQuery(
        asked.source, asked.split, asked.vid_stride, subject.data, dict(subject.module.names), subject.keypoints,
        str(subject.file), subject.imgsz, subject.resizing, asked.block, progress,
    )  # fmt: skip


def _target(subject: Subject, frames: Frames) -> FrameTarget | None:
    """Return the object whose pose is solved, and the camera; see `frame_target`.

    Raises:
        WeightsError: the data set's keypoints are in another order.
    """
    camera = getattr(subject.decoder, "camera", None)
    check_order(subject.keypoints, frames.keypoints, str(subject.file), frames.source, camera)
    return frame_target(_keypoints(subject, frames), camera)


def _keypoints(subject: Subject, frames: Frames) -> Keypoints | None:
    """Return the model's keypoints, with the object's points of the data set where that says them."""
    own, said = subject.keypoints, frames.keypoints
    if own is None or said is None or said.points is None or said.count != own.count:
        return own
    return replace(own, points=said.points)


def _with(values: tuple[float | None, ...], more: float | None) -> tuple[float | None, ...]:
    """Return values with another one, where it is not among them; None stands alone."""
    return values if more in values or values == (None,) else (*values, more)
