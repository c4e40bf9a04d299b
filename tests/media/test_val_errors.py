"""The images with the most mistakes: which they are, what is drawn of them, and that they are given up first."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.media.budget import Budget
from aigp_lightning.media.detections import ImageDetections
from aigp_lightning.media.plots.errors import (
    FALSE_ALARM,
    HIT,
    LEGEND,
    MISS,
    WRONG_CLASS,
    draw_errors,
    error_cell,
)
from aigp_lightning.media.plots.mosaic import HIDDEN, Cell
from aigp_lightning.media.val_errors import Judged, WorstImages, errors_job

NAMES = {0: "gate", 1: "tree"}


def detections(boxes: list[list[float]], labels: list[int], keypoints: np.ndarray | None = None) -> ImageDetections:
    scores = np.linspace(0.9, 0.5, len(boxes)).astype(np.float32)
    return ImageDetections(np.array(boxes, np.float32).reshape(-1, 4), scores, np.array(labels, np.int64), keypoints)


def truth(size: int = 320) -> Cell:
    boxes = np.array([[20, 60, 100, 140], [120, 60, 200, 140], [220, 60, 300, 140]], np.float32)
    return Cell(np.zeros((size, size, 3), np.uint8), boxes, np.array([0, 1, 0]), caption="a.jpg")


FOUND = detections([[22, 60, 100, 140], [120, 62, 200, 140], [20, 220, 90, 300]], [0, 0, 1])
RIGHT = np.array([True, False, False])


def test_each_object_and_each_prediction_is_there_once_with_its_kind() -> None:
    cell = error_cell(truth(), FOUND, RIGHT, NAMES)
    assert cell.marks is not None
    assert [(words, colour) for words, colour in cell.marks] == [
        ("gate 0.90", HIT), ("gate 0.70, is tree", WRONG_CLASS), ("tree 0.50", FALSE_ALARM), ("gate", MISS),
    ]  # fmt: skip
    assert cell.boxes.tolist() == [*FOUND.boxes.tolist(), [220, 60, 300, 140]]
    assert cell.grade == "F1 0.33"  # one hit, three labelled, three found


def test_the_colours_are_in_the_picture_with_a_legend() -> None:
    drawn = draw_errors([error_cell(truth(), FOUND, RIGHT, NAMES)], NAMES)
    for (x, y), colour in {(22, 100): HIT, (120, 100): WRONG_CLASS, (20, 260): FALSE_ALARM, (220, 100): MISS}.items():
        assert tuple(drawn[y, x].tolist()) == colour
    for _, colour in LEGEND:
        assert (drawn[320:] == colour).all(2).sum() > 100
    assert (drawn[:20, 280:320] > 200).any()  # the F1 in the corner


def test_keypoints_of_hits_alone_are_drawn() -> None:
    points = np.zeros((3, 1, 3), np.float32)
    points[:, 0] = [60, 100, 0.9], [160, 100, 0.9], [50, 260, 0.9]
    found = detections(FOUND.boxes.tolist(), FOUND.labels.tolist(), points)
    drawn = draw_errors([error_cell(truth(), found, RIGHT, NAMES)], NAMES)
    assert [bool(drawn[y, x].any()) for x, y in ((60, 100), (160, 100), (50, 260))] == [True, False, False]


@pytest.mark.parametrize("labelled", [0, 2])
def test_images_without_predictions_or_labels(labelled: int) -> None:
    some = truth()
    cell = Cell(some.image, some.boxes[:labelled], some.labels[:labelled])
    nothing = error_cell(cell, detections([], []), np.zeros(0, np.bool_), NAMES)
    assert nothing.grade == ("F1 0.00" if labelled else "F1 1.00")
    assert nothing.marks == [("gate", MISS), ("tree", MISS)][:labelled]


def test_a_private_image_is_masked_whatever_went_wrong_in_it() -> None:
    job = errors_job(0, ["a.jpg", "b.jpg"], lambda: [truth()] * 2, [Judged(FOUND, RIGHT, 3)] * 2, NAMES)
    drawn = job.draw(frozenset({1}))
    assert {tuple(pixel) for pixel in drawn[200:320, 330:600].reshape(-1, 3).tolist()} == {HIDDEN}
    assert job.sources(frozenset({1})) == ["a.jpg"]


def test_the_worst_of_all_processes_are_the_worst_of_all_images() -> None:
    """Lowest F1 first, among equals the most mistakes; each process keeps no more than are drawn."""
    rng = np.random.default_rng(3)
    images = {
        f"{number:03}.jpg": Judged(detections([[0, 0, 9, 9]] * found, [0] * found), np.arange(found) < right, labelled)
        for number in range(400)
        for found, labelled in [rng.integers(0, 5, 2).tolist()]
        for right in [int(rng.integers(0, min(found, labelled) + 1))]
    }
    parts = [WorstImages(2, 4) for _ in range(3)]
    for number, (file, judged) in enumerate(images.items()):
        parts[number % 3].add(file, judged)
    shares = [part.share() for part in parts]
    assert [len(share) for share in shares] == [8, 8, 8]
    first = WorstImages(2, 4)
    first.merge(shares)
    expected = sorted(images, key=lambda file: (images[file].f1, -images[file].mistakes, file))[:8]
    jobs = first.jobs(lambda files: lambda: [], NAMES)
    assert [job.name for job in jobs] == ["val_errors0.jpg", "val_errors1.jpg"]
    assert [file for job in jobs for file in job.sources()] == expected


def test_a_budget_gives_them_up_before_any_other_mosaic() -> None:
    jobs = [errors_job(0, ["a.jpg"], lambda: [], [], NAMES)]
    budget = Budget(5, sent=0, say=lambda text: None)
    budget.allocate({0: 1_000_000, 1: 1_000_000, jobs[0].mosaic: 1_000_000}, epochs=2)
    assert [budget.admits("val_pred", 1_000_000, number) for number in (0, 1)] == [True, True]
    assert not budget.admits("val_errors", 1_000_000, jobs[0].mosaic)
