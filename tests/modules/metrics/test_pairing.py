"""The greedy choice among pairs of many images at once: as Ultralytics makes it image by image, and as by a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aigp_lightning.modules.metrics import pairing
from aigp_lightning.modules.metrics.pairing import choose, match_pairs, overlapping, overlaps, pairs_of_images

THRESHOLDS = torch.linspace(0.5, 0.95, 10)


def one_after_another(found: np.ndarray, true: np.ndarray, value: np.ndarray) -> set[tuple[int, int]]:
    """Choose by the definition: each detection in its turn takes the best object that is left, the first of equal."""
    taken, chosen = set(), set()
    for detection in np.unique(found).tolist():
        pairs = [
            (-v, t) for f, t, v in zip(found.tolist(), true.tolist(), value.tolist(), strict=True) if f == detection
        ]
        left = sorted(pair for pair in pairs if pair[1] not in taken)
        if left:
            taken.add(left[0][1])
            chosen.add((detection, left[0][1]))
    return chosen


@pytest.mark.parametrize("seed", range(20))
def test_choice_is_greedy(seed: int) -> None:
    """With equal values, and chains in which one detection drives out the next."""
    random = np.random.default_rng(seed)
    every = np.stack(np.meshgrid(np.arange(12), np.arange(9)), -1).reshape(-1, 2)
    some = every[random.random(len(every)) < random.uniform(0.1, 0.9)]
    some = random.permutation(some)
    value = random.integers(1, 5, len(some)).astype(np.float32)
    rows = choose(some[:, 0], some[:, 1], value)
    assert {tuple(pair) for pair in some[rows].tolist()} == one_after_another(some[:, 0], some[:, 1], value)
    assert len(choose(some[:0, 0], some[:0, 1], value[:0])) == 0


@pytest.mark.parametrize("most", [7, 1 << 20])
def test_many_images_match_as_each_by_ultralytics(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crowds with boxes that several objects share, doubled labels, images without one side, labels out of order."""
    from aigp_lightning.modules.yolo.metrics import match_predictions

    monkeypatch.setattr(pairing, "AT_ONCE", most)
    random = torch.Generator().manual_seed(0)
    boxes, labels, image, true, kinds, of = [], [], [], [], [], []
    expected = []
    for number in range(12):
        count, objects = (0 if number == 3 else 40), (0 if number == 5 else 6)
        object_boxes = torch.rand(objects, 4, generator=random) * 20
        object_boxes[:, 2:] += object_boxes[:, :2] + 10
        object_boxes[objects // 2 :] = object_boxes[: objects - objects // 2]  # of equal overlaps the first counts
        near = object_boxes.repeat(7, 1)[:count] if objects else torch.rand(count, 4, generator=random)
        near = near + torch.randn(near.shape, generator=random) * 2
        classes = torch.randint(0, 2, (objects,), generator=random)
        found = torch.randint(0, 2, (len(near),), generator=random)
        expected.append(match_predictions(near, found, object_boxes, classes))
        boxes.append(near), labels.append(found), image.append(torch.full((len(near),), number))
        true.append(object_boxes), kinds.append(classes), of.append(torch.full((objects,), number))
    found_boxes, found_labels, found_image = (torch.cat(one).numpy() for one in (boxes, labels, image))
    true_boxes, true_labels, true_image = (torch.cat(one).numpy() for one in (true, kinds, of))
    mixed = np.argsort(true_image % 3, kind="stable")  # images in another order, each with its labels in theirs
    true_boxes, true_labels, true_image = true_boxes[mixed], true_labels[mixed], true_image[mixed]
    found, object_, overlap = overlapping(found_boxes, true_boxes, found_image, true_image, 0.45)
    alike = found_labels[found] == true_labels[object_]
    correct = match_pairs(found[alike], object_[alike], overlap[alike], len(found_boxes), THRESHOLDS.numpy())
    np.testing.assert_array_equal(correct, torch.cat(expected).numpy())
    assert 0.02 < correct.mean() < 0.5


def test_every_pair_of_an_image_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "AT_ONCE", 4)
    found, true = np.array([0, 0, 0, 1, 3, 3]), np.array([3, 0, 2, 0, 9])
    pairs = [pair for part in pairs_of_images(found, true) for pair in zip(*map(np.ndarray.tolist, part), strict=True)]
    assert sorted(pairs) == [(0, 1), (0, 3), (1, 1), (1, 3), (2, 1), (2, 3), (4, 0), (5, 0)]
    assert list(pairs_of_images(found, true[:0])) == []


def test_overlaps_are_ultralytics_to_the_bit() -> None:
    from ultralytics.utils.metrics import box_iou

    random = torch.Generator().manual_seed(0)
    boxes = torch.rand(2, 500, 4, generator=random) * 100
    boxes[..., 2:] += boxes[..., :2]
    mine = overlaps(*boxes.numpy())
    np.testing.assert_array_equal(mine, box_iou(*boxes).diagonal().numpy())
