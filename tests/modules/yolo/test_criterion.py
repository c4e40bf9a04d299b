"""Our loss, held against Ultralytics' own on the same predictions: figures, gradients, and what it asks of a device."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sync_watch import SyncWatch
from ultralytics.utils.loss import v8DetectionLoss, v8PoseLoss
from yolo_networks import GAINS

from aigp_lightning.modules.pose import PoseGains
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.criterion import DetectionCriterion, PoseCriterion, criterion_for
from aigp_lightning.modules.yolo.loss import noted_divisors, prepare_criterion, weigh_classes

STRIDES, BINS, SIDE = (8.0, 16.0, 32.0), 16, 96

pytestmark = pytest.mark.usefixtures("one_thread")


def head_of(classes: int = 3, keypoints: tuple[int, int] | None = None, weights: Any = None, sigmas: Any = None) -> Any:
    """What both criteria read off a model, without its layers."""
    head = SimpleNamespace(stride=torch.tensor(STRIDES), nc=classes, reg_max=BINS, kpt_shape=list(keypoints or (0, 0)))
    model = SimpleNamespace(model=[head], args=SimpleNamespace(**PoseGains().__dict__), class_weights=weights)
    model.parameters = lambda: iter([torch.zeros(1)])
    model.kpt_oks_sigmas = sigmas
    return model


def predictions(images: int, classes: int, keypoints: tuple[int, int] | None, seed: int = 0) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)
    feats = [torch.zeros(images, 1, SIDE // int(stride), SIDE // int(stride)) for stride in STRIDES]
    anchors = sum(each.shape[2] * each.shape[3] for each in feats)
    sides = torch.randn(images, 4, BINS, anchors, generator=random) - 0.7 * torch.arange(BINS).view(1, 1, -1, 1)
    raw: dict[str, Any] = {
        "boxes": sides.flatten(1, 2),
        "scores": torch.randn(images, classes, anchors, generator=random) - 1,
        "feats": feats,
    }
    if keypoints is not None:
        raw["kpts"] = torch.randn(images, keypoints[0] * keypoints[1], anchors, generator=random)
    return {key: value.requires_grad_() if key != "feats" else value for key, value in raw.items()}


def labels(counts: list[int], classes: int, keypoints: tuple[int, int] | None, seed: int = 0) -> dict[str, Any]:
    """Boxes from 3 to 60 pixels, many on top of each other."""
    random = torch.Generator().manual_seed(seed)
    boxes = torch.rand(sum(counts), 4, generator=random) * 0.6 + 0.2
    boxes[:, 2:] = (boxes[:, 2:] - 0.2) + 0.03
    batch = {
        "cls": torch.randint(0, classes, (len(boxes),), generator=random),
        "bboxes": boxes,
        "batch_idx": torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)),
    }
    if keypoints is not None:
        points = boxes[:, None, :2] + (torch.rand(len(boxes), keypoints[0], 2, generator=random) - 0.5) * 0.3
        seen = torch.randint(0, 3, (len(boxes), keypoints[0], 1), generator=random).float()
        batch["keypoints"] = torch.cat((points, seen), -1) if keypoints[1] == 3 else points
    return batch


CASES = {
    "detection": ([3, 0, 7, 2], 3, None, False),
    "one class": ([3, 5], 1, None, False),
    "many labels": ([60, 3], 3, None, False),
    "one label": ([0, 1, 0], 3, None, False),
    "no label": ([0, 0], 3, None, False),
    "class weights": ([4, 4], 3, None, True),
    "keypoints": ([3, 0, 7, 40], 2, (4, 3), False),
    "keypoints that all count": ([3, 0, 7], 2, (4, 2), False),
    "person": ([6, 2], 1, (17, 3), False),
    "keypoints without labels": ([0, 0], 1, (4, 3), False),
    "keypoints and class weights": ([5], 3, (4, 3), True),
}


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_figures_and_gradients_are_the_reference_s(case: str, dense: bool) -> None:
    counts, classes, keypoints, weighted = CASES[case]
    model = head_of(classes, keypoints, torch.rand(classes) + 0.5 if weighted else None)
    theirs: Any = v8DetectionLoss(model) if keypoints is None else v8PoseLoss(model)
    ours = (DetectionCriterion if keypoints is None else PoseCriterion)(model, dense)
    batch = labels(counts, classes, keypoints)
    found = []
    for criterion in (ours, theirs):
        raw = predictions(len(counts), classes, keypoints)
        loss, items = criterion(raw, batch)
        loss.sum().backward()
        found.append((loss, items, {key: raw[key].grad for key in raw if key != "feats"}))
    (loss, items, gradients), (their_loss, their_items, their_gradients) = found
    assert list(items) == list(their_items) == list(ours.loss_names)
    torch.testing.assert_close(loss, their_loss, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(items, their_items, rtol=1e-5, atol=1e-7)
    assert (items["box_loss"] > 0) == (sum(counts) > 0)
    for key, gradient in gradients.items():
        expected = their_gradients[key] if their_gradients[key] is not None else torch.zeros_like(gradient)
        assert bool(gradient.any()) == (key == "scores" or sum(counts) > 0)
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()), msg=key)


@pytest.mark.parametrize("seed", range(5))
def test_both_ways_to_compare_assign_alike(seed: int) -> None:
    model = head_of(3, (4, 3), sigmas=[0.1, 0.2, 0.3, 0.4])
    batch = labels([9, 0, 30], 3, (4, 3), seed)
    raw = predictions(3, 3, (4, 3), seed)
    one, other = (PoseCriterion(model, dense)(raw, batch)[1] for dense in (True, False))
    torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
    expected = v8PoseLoss(model)(raw, batch)[1]
    torch.testing.assert_close(one, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("keypoints", [None, (4, 3)])
def test_nothing_is_asked_of_the_device(keypoints: Any) -> None:
    """Neither forward nor backward; Ultralytics' own loss shows that the watch sees such questions."""
    model = head_of(3, keypoints)
    ours: Any = (DetectionCriterion if keypoints is None else PoseCriterion)(model, dense=True)
    theirs: Any = (v8DetectionLoss if keypoints is None else v8PoseLoss)(model)
    asked = []
    for criterion in (ours, theirs):
        raw, batch = predictions(2, 3, keypoints), labels([3, 5], 3, keypoints)
        criterion(raw, batch)  # what lies on the device from then on
        with SyncWatch() as watch:
            criterion(raw, batch)[0].sum().backward()
        asked.append(watch.found)
    assert asked[0] == []
    assert {"aten.nonzero", "aten._local_scalar_dense"} <= set(asked[1])


def test_mixed_precision_computes_the_loss_in_float32() -> None:
    """From predictions in bfloat16, the same figures as from the same numbers in float32."""
    model, batch = head_of(3), labels([3, 5], 3, None)
    raw = predictions(2, 3, None)
    half: dict[str, Any] = {
        key: value if key == "feats" else value.detach().bfloat16().requires_grad_() for key, value in raw.items()
    }
    full: dict[str, Any] = {key: value if key == "feats" else value.detach().float() for key, value in half.items()}
    criterion = DetectionCriterion(model)
    with torch.autocast("cpu", torch.bfloat16):
        loss, items = criterion(half, batch)
    torch.testing.assert_close(items, criterion(full, batch)[1], rtol=0, atol=0)
    loss.sum().backward()
    assert half["boxes"].grad.dtype == torch.bfloat16


def test_a_label_without_area_has_no_anchor() -> None:
    """As one that lies beyond the upper left corner: it costs nothing, and no figure becomes nan."""
    model, raw = head_of(3), predictions(1, 3, None)
    batch = labels([1], 3, None)
    batch["bboxes"] = torch.zeros(1, 4)
    items = DetectionCriterion(model)(raw, batch)[1]
    none = DetectionCriterion(model)(raw, labels([0], 3, None))[1]
    torch.testing.assert_close(items, none, rtol=0, atol=0)
    assert items["box_loss"] == 0


@pytest.mark.parametrize(("variant", "ours"), [("yolo11n", True), ("yolov8n", True), ("yolo26n", False)])
def test_heads_that_are_covered(variant: str, ours: bool) -> None:
    model: Any = build_model(variant, {0: "gate"}, GAINS)
    criterion = prepare_criterion(model)
    assert isinstance(criterion, DetectionCriterion) == ours
    assert criterion is model.criterion
    assert isinstance(criterion_for(model, model.init_criterion()), DetectionCriterion) == ours


def test_divisors_and_class_weights(built: Any) -> None:
    """The divisors are the last call's; other weights make another loss."""
    import numpy as np

    model = deepcopy(built).train()
    random = torch.Generator().manual_seed(0)
    batch = {**labels([2, 3], 2, None), "img": torch.rand(2, 3, 64, 64, generator=random)}
    raw = model(batch["img"])
    figures = []
    for weights in (None, np.array([1.0, 1.0], np.float32), np.array([2.0, 2.0], np.float32)):
        weigh_classes(model, weights)
        with noted_divisors(model) as divisors:
            items = model.loss(batch, raw)[1]
        assert set(divisors) == {"box_loss", "cls_loss", "dfl_loss"}
        assert divisors["cls_loss"] == model.criterion.divisors["box_loss"] > 0
        figures.append(float(items["cls_loss"]))
    assert figures[1] == pytest.approx(figures[0], rel=1e-6)
    assert figures[2] == pytest.approx(2 * figures[0], rel=1e-6)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize("dense", [True, False])
def test_predictions_that_are_no_numbers_give_a_loss_that_is_none(value: float, dense: bool) -> None:
    """An error from deep inside would hide the line about the loss."""
    raw = predictions(2, 3, None)
    with torch.no_grad():
        raw["boxes"].fill_(value)
        raw["scores"].fill_(value)
    loss, _ = DetectionCriterion(head_of(), dense)(raw, labels([9, 4], 3, None))
    assert not loss.sum().isfinite()
