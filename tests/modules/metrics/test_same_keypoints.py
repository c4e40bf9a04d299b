"""Labels in another order than a model's keypoints are refused, and only those."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aigp_lightning.data.targets.built_in import TARGETS, square
from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.modules.metrics.same_keypoints import check_order, reordered
from aigp_lightning.types import Keypoints

UNNAMED = tuple(map(str, range(8)))
RINGS, ROWS = (Keypoints(8, 3, UNNAMED, points=TARGETS[name]) for name in ("gate-8", "gate-8-rows"))
NAMED = Keypoints(4, 3, ("tl", "tr", "br", "bl"))


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (RINGS, ROWS),
        (ROWS, RINGS),
        (RINGS, replace(ROWS, points=tuple((2 * x, 2 * y, z) for x, y, z in TARGETS["gate-8-rows"]))),
        (NAMED, replace(NAMED, names=("tl", "tr", "bl", "br"))),
        (replace(NAMED, points=square(1.5)), replace(NAMED, points=square(1.5)[1:] + square(1.5)[:1])),
    ],
)
def test_another_order_is_refused_by_name(model: Keypoints, data: Keypoints) -> None:
    with pytest.raises(WeightsError, match=r"^best.ckpt finds the keypoints of data.yaml in another order: .*train on"):
        check_order(model, data, "best.ckpt", "data.yaml")


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (RINGS, RINGS),
        (RINGS, None),
        (None, RINGS),
        (RINGS, replace(ROWS, points=None)),
        (NAMED, replace(NAMED, names=("0", "1", "2", "3"))),
        (NAMED, replace(NAMED, names=("top-left", "top-right", "bottom-right", "bottom-left"))),
        (replace(NAMED, points=square(1.5)), replace(NAMED, points=square(2.7))),
        (
            replace(NAMED, points=square(1.5)),
            replace(NAMED, points=tuple((2 * x, y, z + 1) for x, y, z in square(1.5))),
        ),
    ],
)
def test_what_is_not_known_and_what_is_another_object_is_not(model: Keypoints, data: Keypoints) -> None:
    check_order(model, data, "best.ckpt", "data.yaml")


def test_other_places_are_told_where_the_cameras_count(caplog: pytest.LogCaptureFixture) -> None:
    model, data = replace(NAMED, points=square(1.5)), replace(NAMED, points=square(2.7))
    check_order(model, data, "best.onnx", "data.yaml", GateCamera())
    check_order(model, model, "best.onnx", "data.yaml", GateCamera(object_points="gate-4"))
    assert caplog.text == ""
    check_order(model, data, "best.onnx", "data.yaml", GateCamera(object_points="gate-4"))
    assert "object_points of data.yaml are other places than those of best.onnx, whose are used" in caplog.text


def test_the_cameras_places_count_before_those_of_training() -> None:
    check_order(RINGS, ROWS, "best.ckpt", "data.yaml", GateCamera(object_points="gate-8-rows"))
    with pytest.raises(WeightsError, match="another order"):
        check_order(RINGS, RINGS, "best.ckpt", "data.yaml", GateCamera(object_points="gate-8-rows"))


def test_the_order_is_told() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(6, 3))
    shuffled = random.permutation(6)
    assert reordered(points, 3 * points[shuffled] + 1) == shuffled.tolist()
