"""Objects are right, of a wrong class or missed; detections that are neither are false alarms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hand_made_results import results_of, with_corners

from aigp_lightning.evaluation.by_size import SIZES, chosen_part, of_size
from aigp_lightning.evaluation.distance_bands import distance_bands
from aigp_lightning.evaluation.outcomes import MISSED, RIGHT, WRONG_CLASS, outcomes_at


def test_only_what_is_sure_enough_counts() -> None:
    results = results_of([[(0, 0.9), (0, 0.2)], [(1, 0.25)]], [[(1, 0.3), (1, 0.1)], []])
    found = outcomes_at(results, 0.25)
    assert found.outcome.tolist() == [RIGHT, MISSED, RIGHT]
    assert found.score.tolist() == np.float32([0.9, 0, 0.25]).tolist()
    assert found.errors_by_image().tolist() == [2, 0]  # a miss and a false alarm
    assert outcomes_at(results, 0.05).errors_by_image().tolist() == [2, 0]  # two false alarms
    assert outcomes_at(results, 0.95).outcome.tolist() == [MISSED] * 3


def test_a_wrong_class_is_one_error() -> None:
    results = results_of([[(0, 0.9), (0, 0.8)]])
    wrong = replace(results, found_label=np.array([1, 0], np.int32), match=np.array([-1, 1], np.int32))
    found = outcomes_at(wrong, 0.25)
    assert found.outcome.tolist() == [WRONG_CLASS, RIGHT] and not found.false_alarm.any()
    assert found.errors_by_image().tolist() == [1]
    apart = replace(wrong, found_box=wrong.found_box + np.float32([10, 10, 10, 10]))  # overlaps by a seventh
    assert outcomes_at(apart, 0.25).outcome.tolist() == [MISSED, RIGHT]
    assert outcomes_at(apart, 0.25).errors_by_image().tolist() == [2]


def test_a_part_keeps_what_belongs_to_its_objects() -> None:
    results = results_of([[(0, 0.9), (1, 0.8)], [(1, 0.7)]], [[(0, 0.3)], []])
    trees = chosen_part(results, results.true_label == 1, results.found_label == 1)
    assert trees.true_image.tolist() == [0, 1] and trees.found_image.tolist() == [0, 1]
    assert trees.match.tolist() == [0, 1] and trees.files == results.files
    assert chosen_part(results, results.true_label == 1, results.found_label == 0).match.tolist() == [-1, -1]


def test_sizes_ignore_detections_on_objects_of_another_size() -> None:
    """An object of 31 pixels found by a box of 33 is small; a false alarm is of its own size."""
    results = results_of([[(0, 0.9), (0, 0.8)]], [[(0, 0.7)]], side=31.0)
    large = np.array([[0, 0, 31, 31], [62, 0, 159, 97]], np.float32)
    boxes = np.array([[0, 0, 33, 33], [62, 0, 92, 30], [200, 200, 240, 240]], np.float32)
    results = replace(results, true_box=large, found_box=boxes)
    small, medium, big = (of_size(results, size) for size in SIZES)
    assert (small.found_score.tolist(), small.match.tolist()) == (np.float32([0.9]).tolist(), [0])
    assert (medium.found_score.tolist(), medium.match.tolist()) == (np.float32([0.7]).tolist(), [-1])
    assert (big.found_score.tolist(), big.match.tolist()) == (np.float32([0.8]).tolist(), [0])
    assert [len(each.true_image) for each in (small, medium, big)] == [1, 0, 1]


def test_bands_of_distance() -> None:
    results = with_corners(results_of([[(0, 0.9)] * 5]), 1.0, [1.0, 5.0, 9.9, 10.0, np.nan])
    bands = {name: chosen.tolist() for name, chosen in distance_bands(results).items()}
    assert bands == {
        "0–5 m": [True, False, False, False, False],
        "5–10 m": [False, True, True, False, False],
        "over 10 m": [False, False, False, True, False],
    }
    assert distance_bands(results_of([[(0, 0.9)]])) == {}
