"""Objects found, missed, found twice, and found where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sequence_flights import placed

from aigp_lightning.evaluation.sequence.finding import counts, doubles, judge, recall
from aigp_lightning.evaluation.sequence.recording import DUPLICATE, FALSE, MATCHED

GATE = [0.0, 0.0, 100.0, 100.0]
INNER = [22.0, 22.0, 78.0, 78.0]


def judged(boxes: list[list[float]], scores: list[float], objects: list[list[float]]) -> tuple[list[int], list[int]]:
    zeros, none = np.zeros(len(boxes), np.int64), np.zeros(len(objects), np.int64)
    mine, kind = judge((zeros, np.array(boxes), zeros, np.array(scores)), (none, np.array(objects), none))
    return mine.tolist(), kind.tolist()


def test_nested_boxes_on_one_gate_are_duplicates() -> None:
    """As on a close gate: outer ring, opening, and half of it."""
    boxes = [GATE, INNER, [0, 0, 100, 50], [300, 300, 340, 340]]
    assert judged(boxes, [0.9, 0.8, 0.7, 0.6], [GATE]) == ([0], [MATCHED, DUPLICATE, DUPLICATE, FALSE])


def test_a_gate_seen_through_another_is_one_of_its_own() -> None:
    assert judged([GATE, INNER], [0.9, 0.8], [GATE, INNER]) == ([0, 1], [MATCHED, MATCHED])


def test_the_surest_has_the_object() -> None:
    assert judged([[2, 2, 100, 100], GATE], [0.5, 0.9], [GATE]) == ([1], [DUPLICATE, MATCHED])


def test_frames_and_classes_are_kept_apart() -> None:
    boxes, scores = np.array([GATE, GATE]), np.array([0.9, 0.8])
    zeros, one = np.zeros(2, np.int64), np.array([0])
    mine, kind = judge((np.array([0, 1]), boxes, zeros, scores), (one + 1, np.array([GATE]), one))
    assert (mine.tolist(), kind.tolist()) == ([1], [FALSE, MATCHED])
    mine, kind = judge((zeros, boxes, np.array([1, 0]), scores), (one, np.array([GATE]), one))
    assert (mine.tolist(), kind.tolist()) == ([1], [FALSE, MATCHED])


def test_without_labels_only_much_overlap_is_a_double() -> None:
    boxes, zeros = np.array([GATE, INNER, [5.0, 5, 95, 95], GATE]), np.zeros(4, np.int64)
    frame = np.array([0, 0, 0, 1])
    found = doubles(frame, boxes, zeros, np.array([0.9, 0.8, 0.7, 0.6]))
    assert found.tolist() == [False, False, True, False]  # the opening may be another gate


def test_rates_are_by_frames_and_objects() -> None:
    """Ten frames: in 0–5 an object, found in four of them; in 6–9 none, and three false alarms in one of these."""
    recording = placed(np.tile([0.0, 0.0, 5.0], (10, 1)))
    kept = np.arange(10) < 6
    objects = replace(
        recording.objects,
        **{
            name: getattr(recording.objects, name)[kept]
            for name in ("frame", "track", "cls", "box", "points", "could", "distance", "place")
        },
        match=np.array([0, 1, 2, 3, -1, -1]),
    )
    frame, kind = np.array([0, 1, 2, 3, 3, 5, 7, 7, 7, 0]), np.array([0, 0, 0, 0, 1, 2, 2, 2, 2, 1])
    found = counts(replace(recording, objects=objects, found=replace(recording.found, frame=frame, kind=kind)))
    assert (found["objects"], found["found"]) == (6, 4)
    assert found["recall"] == pytest.approx(4 / 6)
    assert found["duplicates_per_object"] == pytest.approx(2 / 4)
    assert found["empty_frames"] == 4
    assert found["false_alarms_per_empty_frame"] == pytest.approx(3 / 4)
    assert found["false_alarms_per_frame"] == pytest.approx(4 / 10)


def test_without_labels_nobody_knows() -> None:
    recording = placed(np.tile([0.0, 0.0, 5.0], (10, 1)))
    found = counts(replace(recording, frames=replace(recording.frames, labelled=np.zeros(10, bool))))
    unknown = ("objects", "recall", "empty_frames", "false_alarms_per_empty_frame", "false_alarms_per_frame")
    assert [found[name] for name in unknown] == [None] * 5
    assert found["duplicates_per_object"] == 0.0


def test_recall_goes_by_bands() -> None:
    place = np.array([[0.0, 0, far] for far in (3, 4, 7, 8, 30)])
    recording = placed(place)
    recording = replace(recording, objects=replace(recording.objects, match=np.array([0, -1, 2, 3, -1])))
    bands = recall(recording, recording.objects.distance, (5.0, 10.0, 20.0))
    assert [each["recall"] for each in bands] == [0.5, 1.0, None, 0.0]
    assert [each["objects"] for each in bands] == [2, 2, 0, 1]
    assert bands[2]["interval"] is None
