"""Which validation images are selected, and what a validation needs for pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from aigp_lightning.media.detections import ImageDetections
from aigp_lightning.media.val_selection import Select, ValImageSelection
from aigp_lightning.types import Prediction


class Split:
    def __init__(self, count: int) -> None:
        self.files = [f"{number}.jpg" for number in range(count)]

    def __getitem__(self, place: int) -> Any:
        raise NotImplementedError


class Data:
    def pictures(self, split: str, batches: int | None = None) -> Split:
        return Split(6)


class Module:
    """Calls right what has the score that says so: a detector of no family."""

    def __init__(self) -> None:
        self.names = {0: "gate"}

    def predict_batch(self, batch: object, conf: float) -> list[Prediction]:
        return []

    def match(self, prediction: Prediction, boxes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (prediction.scores > 0.5)[:, None].repeat(1, 10)


def selection(select: Select, mosaics: int = 1, per_mosaic: int = 2) -> ValImageSelection:
    return ValImageSelection(select, None, mosaics, per_mosaic, 0.25, lambda text: None)


@pytest.mark.parametrize(
    ("select", "data", "module", "lacking"),
    [
        ("first", Data(), object(), ""),
        ("first", object(), Module(), "the datamodule has no `pictures`"),
        ("worst", Data(), Module(), ""),
        ("worst_each", Data(), object(), "the module has no `match`"),
    ],
)
def test_what_a_validation_needs(select: Select, data: object, module: object, lacking: str) -> None:
    said = selection(select).start(data, module, 1)
    assert said.startswith(lacking)
    assert bool(said) is bool(lacking)


def test_the_worst_are_those_that_the_module_gets_wrong() -> None:
    """Image 3 has a wrong box and image 1 a right one; where there is no box there is no label either."""
    mine = selection("worst")
    assert mine.start(Data(), Module(), 1) == ""
    labels = torch.tensor([1, 3])
    batch: Any = {
        "img": torch.zeros(6, 3, 8, 8), "im_file": Split(6).files, "batch_idx": labels,
        "cls": torch.zeros(2, dtype=torch.int64), "bboxes": torch.full((2, 4), 0.5),
    }  # fmt: skip
    scores = {1: [0.9], 3: [0.3]}
    found = [
        Prediction(torch.zeros(len(one), 4), torch.tensor(one), torch.zeros(len(one), dtype=torch.int64))
        for one in (scores.get(number, []) for number in range(6))
    ]
    mine.collect(found, batch, Module())
    mine.merge([mine.share()])
    assert mine.scores == {"0.jpg": 1, "1.jpg": 1, "2.jpg": 1, "3.jpg": 0, "4.jpg": 1, "5.jpg": 1}
    assert mine.chunks() == [["3.jpg", "0.jpg"]]


def found(count: int) -> ImageDetections:
    return ImageDetections(np.zeros((count, 4), np.float32), np.ones(count, np.float32), np.zeros(count, np.int64))


def test_the_worst_are_chosen_once_there_is_something_to_choose_by() -> None:
    """Not while nothing is found, whatever backgrounds there are, nor by the first lucky image; then once, and said."""
    said: list[str] = []
    mine = ValImageSelection("worst", None, 1, 2, 0.25, said.append)
    files = Split(6).files

    def validate(scores: list[float], boxes: list[int], epoch: int) -> None:
        assert mine.start(Data(), Module(), 1) == ""
        share = dict(zip(files, map(found, boxes), strict=True)), dict(zip(files, scores, strict=True)), {}
        mine.merge([share], epoch)

    validate([0, 0, 0, 0, 0, 0], [0] * 6, 0)
    validate([0, 0, 1, 1, 1, 1], [0] * 6, 1)  # four backgrounds without a box
    validate([0, 0, 0, 0, 0.5, 0], [0, 0, 0, 0, 1, 0], 2)
    assert mine.shown is None and said == []
    assert mine.chunks() == [["0.jpg", "1.jpg"]]
    validate([0.5, 0.75, 0.25, 1, 0, 1], [1] * 6, 3)
    assert mine.shown == ["4.jpg", "2.jpg"]
    assert said == [
        "epoch 4: the worst 2 of 6 validation images are chosen (F1 0.00 to 0.25); pictures show these from now on"
    ]
    validate([0, 0, 1, 1, 1, 1], [1] * 6, 4)
    assert mine.shown == ["4.jpg", "2.jpg"] and len(said) == 1


def test_a_process_without_the_others_scores_chooses_nothing() -> None:
    mine = selection("worst")
    mine.start(Data(), Module(), 1)
    mine.found, mine.scores = (
        {file: found(1) for file in Split(6).files},
        dict(zip(Split(6).files, range(6), strict=True)),
    )
    mine.merge([])
    assert mine.shown is None
