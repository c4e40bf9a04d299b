"""Poses over time: stretches without a break, and jitter of a size that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sequence_flights import detections, flights_of, placed, recorded, write_flights

from aigp_lightning.evaluation.sequence.flights import Flight
from aigp_lightning.evaluation.sequence.recording import FALSE
from aigp_lightning.evaluation.sequence.steadiness import (
    corner_errors,
    jitter,
    pose_errors,
    stretches,
    usability,
    usable_frames,
)


@pytest.fixture(scope="session")
def short(made_once: Callable[..., Path]) -> Flight:
    """A flight of 2 s, without anything drawn."""
    folder = made_once("short flight", lambda path: write_flights(path / "data", 1, 60, pictures=False))
    return flights_of(folder / "data" / "data.yaml")[0]


def flown(count: int = 4000) -> np.ndarray:
    """Places of a gate that is flown to, 10 m away on average, never twice as fast."""
    time = np.arange(count) / 30
    return np.stack((np.sin(time / 3), 0.2 * np.cos(time / 5), 10 + 3 * np.sin(time / 2)), 1)


@pytest.mark.parametrize("known", [True, False])
def test_jitter_has_the_size_of_the_noise(known: bool) -> None:
    random, true = np.random.default_rng(0), flown()
    far = np.linalg.norm(true, axis=1, keepdims=True)
    stretched = true * (1 + 0.05 * random.standard_normal(far.shape) / far)  # 5 cm along the line of sight
    found = jitter(placed(stretched, true if known else None))
    assert found is not None and found["by"] == ("truth" if known else "second difference")
    assert found["distance_m"] == pytest.approx(0.05, rel=0.05)
    assert found["bearing_deg"] < 0.002
    aside = true + np.array([[1.0, 0, 0]]) * far * np.radians(0.5) * random.standard_normal(far.shape)
    found = jitter(placed(aside, true if known else None))
    assert found is not None  # of two angles, one of which is still; it turns by less where the gate is aside
    assert found["bearing_deg"] == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_bearing_jitter_of_both_angles() -> None:
    random, true = np.random.default_rng(0), np.tile([0.0, 0.0, 10.0], (4000, 1))
    angles = np.radians(0.5) * random.standard_normal((2, 4000))
    place = 10 * np.stack((np.sin(angles[0]), np.sin(angles[1]), np.cos(angles).prod(0)), 1)
    found = jitter(placed(place, true))
    assert found is not None and found["bearing_deg"] == pytest.approx(0.5, rel=0.05)


def test_a_constant_error_and_a_few_wrong_poses_are_no_jitter() -> None:
    true = flown(400)
    biased = true * 1.1
    biased[::40] *= 2
    found = jitter(placed(biased, true))
    assert found is not None and found["distance_m"] < 0.01


def test_no_jitter_is_told_of_a_few_frames() -> None:
    assert jitter(placed(flown(6))) is None
    usable = np.arange(60) % 2 == 0  # never two in a row
    assert jitter(placed(flown(60), usable=usable)) is None
    assert jitter(replace(placed(flown(60)), metric=False)) is None


def test_stretches_end_at_gaps_and_flights() -> None:
    usable = np.ones(9, bool)
    flight, place = np.array([0] * 5 + [1] * 4), np.array([0, 1, 2, 5, 6, 0, 1, 2, 3])
    usable[6] = False
    assert stretches(usable, flight, place).tolist() == [3, 2, 1, 2]
    assert stretches(np.zeros(4, bool), flight[:4], place[:4]).tolist() == []


def test_usability_counts_frames_and_stretches() -> None:
    usable = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1, 0], bool)
    found = usability(placed(flown(10), usable=usable))
    assert found is not None
    assert (found["frames"], found["usable"], found["share"]) == (10, 6, 0.6)
    assert (found["stretches"], found["longest"], found["lengths"]) == (3, 3, [2, 3, 1])
    assert found["longest_s"] == pytest.approx(0.1)
    assert found["mean"] == 2.0


def test_a_pose_of_nothing_makes_no_frame_usable() -> None:
    recording = placed(flown(4))
    kind = np.array([0, FALSE, 0, 0])
    recording = replace(recording, found=replace(recording.found, kind=kind))
    assert usable_frames(recording).tolist() == [True, False, True, True]
    nobody_knows = replace(recording, frames=replace(recording.frames, labelled=np.zeros(4, bool)))
    assert usable_frames(nobody_knows).all()


def test_the_nearest_pose_decides_on_ambiguity() -> None:
    recording = placed(np.array([[0.0, 0, 5], [0, 0, 9], [0, 0, 5], [0, 0, 9]]))
    found = replace(recording.found, frame=np.array([0, 0, 1, 1]), ambiguity=np.array([0.9, 0.1, 0.1, 0.9]))
    both = replace(recording, found=found)
    usable = usability(both)
    assert usable is not None and usable["ambiguous_share"] == 0.5


def test_four_seen_corners_and_a_pose_make_a_frame_usable(short: Flight) -> None:
    sure = recorded(short, detections(short, 0.0, 0.0))
    labels = short.labels
    assert labels is not None
    whole = np.zeros(60, bool)
    whole[labels.frame[(labels.points[..., 2] == 2).all(1)]] = True
    assert np.array_equal(usable_frames(sure), whole)  # a gate that reaches out of the picture has no four corners
    strict = recorded(short, detections(short, 0.0, 0.0), keypoint_conf=0.95)
    assert not usable_frames(strict).any()


def test_the_reprojection_limit_refuses_poses(short: Flight) -> None:
    shaky = detections(short, 0.0, 0.0, noise=2.0)
    free, limited = recorded(short, shaky), recorded(short, shaky, reprojection_px=0.5)
    assert 0 < usable_frames(limited).sum() < usable_frames(free).sum()
    assert np.nanmax(limited.found.reprojection_px) <= 0.5 < np.nanmax(free.found.reprojection_px)


def test_exact_corners_give_the_true_place(short: Flight) -> None:
    errors = pose_errors(recorded(short, detections(short, 0.0, 0.0)))
    assert errors is not None and errors["position_m"]["p90"] < 1e-3
    assert corner_errors(recorded(short, detections(short, 0.0, 0.0)))["median"] < 1e-9  # type: ignore[index]
    noisy = corner_errors(recorded(short, detections(short, 0.0, 0.0, noise=0.5)))
    assert noisy is not None and noisy["median"] == pytest.approx(0.5 * np.sqrt(2 * np.log(2)), rel=0.12)
