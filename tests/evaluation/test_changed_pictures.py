"""Pictures are ranked by what changed in them, and drawn side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from hand_made_results import results_of

from aigp_lightning.evaluation.changed_pictures import changed_pictures, draw_changes
from aigp_lightning.evaluation.outcomes import outcomes_at

A = [[(0, 0.9), (0, 0.9)], [(0, 0.9), (0, 0.0)], [(0, 0.9)], [(0, 0.9)], [(0, 0.9)]]
B = [[(0, 0.9), (0, 0.9)], [(0, 0.0), (0, 0.9)], [(0, 0.5)], [(0, 0.0)], [(0, 0.8)]]


def test_the_most_changed_come_first() -> None:
    """An object lost and another found are two changes, though there are as many errors as before."""
    a, b = outcomes_at(results_of(A), 0.25), outcomes_at(results_of(B, [[], [], [], [], []]), 0.25)
    found = changed_pictures(["0", "1", "2", "3", "4"], a, b, most=9)
    assert [picture.file for picture in found] == ["1", "3", "2", "4"]
    assert [(picture.a.total, picture.b.total, picture.changed) for picture in found] == [
        (1, 1, 2), (0, 1, 1), (0, 0, 0), (0, 0, 0),
    ]  # fmt: skip
    assert found[2].as_dict()["confidence"] == 0.4
    assert str(found[1].b) == "1 missed" and str(found[1].a) == "no errors"
    assert [picture.file for picture in changed_pictures(["0", "1", "2", "3", "4"], a, b, most=2)] == ["1", "3"]


def test_false_alarms_count() -> None:
    a, b = results_of([[], []], [[(0, 0.9)], []]), results_of([[], []], [[(0, 0.9)], [(0, 0.9), (0, 0.8), (0, 0.1)]])
    (picture,) = changed_pictures(a.files, outcomes_at(a, 0.25), outcomes_at(b, 0.25), most=9)
    assert (picture.file, picture.changed, picture.b.false_alarms) == ("001.png", 2, 2)


def test_nothing_changed() -> None:
    a = outcomes_at(results_of(A), 0.25)
    assert changed_pictures(["0", "1", "2", "3", "4"], a, a, most=9) == []


def test_a_and_b_are_drawn_side_by_side(tmp_path: Path) -> None:
    """Left what A makes of a picture, right what B does; what is missed is outlined in white."""
    a, b = results_of(A), results_of(B)
    for number in (1, 3):
        cv2.imwrite(f"{number:03d}.png", np.full((90, 120, 3), 60, np.uint8))
    outcomes = outcomes_at(a, 0.25), outcomes_at(b, 0.25)
    pictures = changed_pictures(a.files, *outcomes, most=3)
    assert [picture.file for picture in pictures] == ["001.png", "003.png", "002.png"]  # the last is not there
    drawn = draw_changes(pictures, (a, b), outcomes)
    assert drawn is not None and drawn.shape == (90, 480, 3)
    cells = np.split(drawn, 4, axis=1)
    missed_by_b = cells[3][20, :20]  # the lower edge of the object at the top left
    assert (missed_by_b[8:16] == 255).all() and not (cells[2][20, 8:16] == 255).all()
    assert draw_changes([], (a, b), outcomes) is None


def test_large_pictures_are_scaled_with_their_boxes() -> None:
    a, b = results_of([[(0, 0.9)]], side=400.0), results_of([[(0, 0.0)]], side=400.0)
    cv2.imwrite("000.png", np.full((960, 1280, 3), 60, np.uint8))
    outcomes = outcomes_at(a, 0.25), outcomes_at(b, 0.25)
    drawn = draw_changes(changed_pictures(a.files, *outcomes, most=1), (a, b), outcomes)
    assert drawn is not None and drawn.shape == (480, 1280, 3)
    assert (drawn[200, 640 + 100 : 640 + 190] == 255).all()
