"""All that is measured of a recording as plain values, and its losses as the policy's environment takes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from aigp_lightning.evaluation.sequence.corners import (
    corner_chains,
    flips,
    object_chain,
    overall,
    rate_by_distance,
)
from aigp_lightning.evaluation.sequence.finding import counts, recall
from aigp_lightning.evaluation.sequence.recording import Recording
from aigp_lightning.evaluation.sequence.steadiness import corner_errors, jitter, pose_errors, usability
from aigp_lightning.policy.env.dropout_file import DropoutModel

TURNING = (0.5, 1.0, 2.0, 4.0)
"""Limits between bands of how fast the camera turns, rad/s."""


def summarize(recording: Recording, bands: Sequence[float]) -> dict[str, Any]:
    """Measure a recording; what cannot be measured is None.

    Args:
        recording: of one flight or several.
        bands: limits between bands of distance, metres.
    """
    frames, objects = recording.frames, recording.objects
    known = bool(np.isfinite(objects.distance).any())
    told = bool(np.isfinite(frames.turning).any()) and recording.is_labelled
    corners = bool(recording.keypoints) and len(objects.frame) > 0
    return {
        "flights": list(recording.names),
        "frames": len(frames.flight),
        "seconds": len(frames.flight) / recording.hz,
        "hz": recording.hz,
        "labelled": recording.is_labelled,
        "visits": len(np.unique(objects.track)),
        **counts(recording),
        "flips": flips(recording) if corners else None,
        "corners": _corners(recording) if corners else None,
        "all_corners": overall(recording) if corners else None,
        "object": object_chain(recording).as_dict() if len(objects.frame) else None,
        "by_distance": _by_distance(recording, bands, corners) if known else None,
        "by_turning": _by_turning(recording) if told else None,
        "usable": usability(recording),
        "jitter": jitter(recording),
        "pose_error": pose_errors(recording),
        "corner_error_px": corner_errors(recording),
    }


def _corners(recording: Recording) -> list[dict[str, Any]]:
    chains = corner_chains(recording)
    return [{"name": name, **chain.as_dict()} for name, chain in zip(recording.keypoints, chains, strict=True)]


def _by_distance(recording: Recording, bands: Sequence[float], corners: bool) -> list[dict[str, Any]]:
    rows = spans(bands)
    if recording.is_labelled:
        for row, found in zip(rows, recall(recording, recording.objects.distance, bands), strict=True):
            row |= {"objects": found["objects"], "recall": found["recall"], "recall_interval": found["interval"]}
    if corners:
        for row, lost in zip(rows, rate_by_distance(recording, bands), strict=True):
            row |= {"corners": lost["corners"], "lost": lost["rate"], "lost_interval": lost["interval"]}
    return rows


def _by_turning(recording: Recording) -> list[dict[str, Any]]:
    rows = spans(TURNING)
    turning = recording.frames.turning[recording.objects.frame]
    for row, found in zip(rows, recall(recording, turning, TURNING), strict=True):
        row |= {"objects": found["objects"], "recall": found["recall"], "recall_interval": found["interval"]}
    return rows


def spans(limits: Sequence[float]) -> list[dict[str, Any]]:
    """Return the bands between limits, each from its lower to its upper one; the last has none.

    Example:
        >>> spans([5.0])
        [{'from': 0.0, 'to': 5.0}, {'from': 5.0, 'to': None}]
    """
    ends = [0.0, *map(float, limits), None]
    return [{"from": low, "to": high} for low, high in pairwise(ends)]


def not_measured(recording: Recording, summary: dict[str, Any]) -> dict[str, str]:
    """Say of each measure that is None why.

    Args:
        recording: that was measured.
        summary: see `summarize`.
    """
    labels = "nothing is labelled"
    reasons = {
        "recall": labels if not recording.is_labelled else "there is no object",
        "false_alarms_per_frame": labels,
        "false_alarms_per_empty_frame": labels if not recording.is_labelled else "no frame is without an object",
        "duplicates_per_object": "no object was found",
        "by_turning": labels if not recording.is_labelled else "there is no truth with angular rates",
        "pose_error": "there is no truth with positions, or no usable pose",
        "corner_error_px": labels if not recording.is_labelled else "no labelled corner was found",
    }
    no_corners = "the model finds no keypoints" if not recording.keypoints else "there is no object"
    no_metres = "no metres: places of the keypoints on the object (object_points), or the camera, are not known"
    reasons |= dict.fromkeys(("flips", "corners", "all_corners"), no_corners)
    reasons |= {"usable": no_metres if recording.keypoints else no_corners, "object": "there is no object"}
    reasons |= {"by_distance": no_metres if not recording.metric else "no object's distance is known"}
    reasons |= {"jitter": no_metres if not recording.metric else "too few usable poses follow each other"}
    return {name: why for name, why in reasons.items() if summary.get(name) is None}


def dropout_model(recording: Recording, bands: Sequence[float], about: dict[str, Any]) -> DropoutModel | None:
    """Return the losses of corners as the policy's environment takes them; None where nothing could be counted.

    Args:
        recording: of one flight or several.
        bands: limits between bands of distance, metres.
        about: what it was measured on.
    """
    if not recording.keypoints or not len(recording.objects.frame):
        return None
    chains = corner_chains(recording)
    if not any(chain.frames for chain in chains):
        return None
    known = bool(np.isfinite(recording.objects.distance).any())
    by_band = rate_by_distance(recording, bands) if known else []
    whole = overall(recording)
    return DropoutModel(
        keypoints=recording.keypoints,
        rate=tuple(chain.rate for chain in chains),
        stay_lost=tuple(chain.stay_lost for chain in chains),
        frame_hz=recording.hz,
        bands_m=tuple(bands) if known else (),
        rate_by_band=tuple(each["rate"] for each in by_band),
        intervals={
            "rate": [chain.rate_interval for chain in chains],
            "stay_lost": [chain.stay_lost_interval for chain in chains],
            "rate_by_band": [each["interval"] for each in by_band],
        },
        about={**about, "frames": [chain.frames for chain in chains], "all_corners": whole},
    )
