"""Objects that keep their number from frame to frame."""

from __future__ import annotations

import numpy as np

from aigp_lightning.evaluation.sequence.tracks import PATIENCE, filled, follow


def boxes(*middles: tuple[float, float], side: float = 20.0) -> np.ndarray:
    points = np.array(middles)
    return np.concatenate((points - side / 2, points + side / 2), 1)


def test_objects_that_pass_each_other_keep_their_numbers() -> None:
    """One from the left, one from the right, 6 pixels a frame, their boxes all over each other half way."""
    steps = np.arange(40)
    left, right = 20 + 6.0 * steps, 260 - 6.0 * steps
    rows = np.stack([boxes(*((x, 50.0) for x in left)), boxes(*((x, 62.0) for x in right))], 1).reshape(-1, 4)
    numbers = follow(np.repeat(steps, 2), rows, np.zeros(80, np.int64))
    assert (numbers[::2] == numbers[0]).all() and (numbers[1::2] == numbers[1]).all()


def test_a_turning_camera_moves_boxes_by_more_than_their_size() -> None:
    steps = np.arange(10)
    numbers = follow(steps, boxes(*((10.0 + 2.0 * step**2, 50.0) for step in steps)), np.zeros(10, np.int64))
    assert (numbers == 0).all()


def test_an_object_may_be_away_for_a_while_and_no_longer() -> None:
    there = np.array([0, 1, 2 + PATIENCE])
    assert follow(there, boxes(*[(50.0, 50.0)] * 3), np.zeros(3, np.int64)).tolist() == [0, 0, 0]
    assert follow(np.array([0, 1, 3 + PATIENCE]), boxes(*[(50.0, 50.0)] * 3), np.zeros(3, np.int64)).tolist() == [
        0,
        0,
        1,
    ]


def test_other_classes_and_sizes_are_others() -> None:
    two = np.concatenate((boxes((50, 50)), boxes((50, 50), side=60)))
    assert follow(np.array([0, 1]), two, np.zeros(2, np.int64)).tolist() == [0, 1]
    assert follow(np.array([0, 1]), boxes((50, 50), (50, 50)), np.array([0, 1])).tolist() == [0, 1]


def test_frames_between_are_filled_in() -> None:
    before, after, place, share = filled(np.array([3, 3, 6, 4]), np.array([1, 0, 1, 0]))
    order = np.lexsort((place, before))
    assert place[order].tolist() == [3, 4, 5, 3, 6, 4]
    assert before[order].tolist() == [0, 0, 0, 1, 2, 3]
    assert after[order].tolist() == [0, 2, 2, 1, 2, 3]
    assert share[order].round(3).tolist() == [0, 0.333, 0.667, 0, 0, 0]


def test_nothing_is_followed_nowhere() -> None:
    none = np.zeros(0, np.int64)
    assert len(follow(none, np.zeros((0, 4)), none)) == 0
    assert [len(part) for part in filled(none, none)] == [0, 0, 0, 0]
