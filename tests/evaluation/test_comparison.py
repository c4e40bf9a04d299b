"""Differences of two models whose results are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hand_made_results import results_of, with_corners

from aigp_lightning.evaluation.comparison import Comparison, Options
from aigp_lightning.evaluation.comparison_row import BETTER, NOTHING, WORSE, Row
from aigp_lightning.modules.metrics.image_results import ImageResults

OPTIONS = Options(draws=60)
NEAR, FAR = 4.0, 20.0


def results(trees_found: float, false: float = 0.0) -> ImageResults:
    """20 pictures with a gate that is found, and a tree that is found in a share of them."""
    pictures = [[(0, 0.9), (1, 0.8 if number < 20 * trees_found else 0.0)] for number in range(20)]
    alarms = [[(0, 0.95)] if number < 20 * false else [] for number in range(20)]
    return results_of(pictures, alarms, settings={"imgsz": 96})


def by_name(rows: list[Row]) -> dict[tuple[str, str], Row]:
    return {(row.group, row.metric): row for row in rows}


def test_a_model_against_itself_differs_by_exactly_nothing() -> None:
    """Every figure, every interval, whatever is measured."""
    base = results(0.7, false=0.3)
    posed = with_corners(base, error=3.0, distance=[NEAR, FAR] * 20)
    for same in (base, posed):
        comparison = Comparison(same, same, OPTIONS)
        rows = [row for part in comparison.parts().values() for row in part]
        assert len(rows) > 10
        assert all((row.difference, row.span.low, row.span.high) == (0.0, 0.0, 0.0) for row in rows)
        assert {row.verdict() for row in rows} == {NOTHING}


def test_by_class() -> None:
    """B finds 18 of 20 trees, A half of them; gates are as before."""
    comparison = Comparison(results(0.5), results(0.9), OPTIONS)
    rows = by_name(comparison.classes)
    gate, tree = rows["gate", "metrics/mAP50-95(B)"], rows["tree", "metrics/mAP50-95(B)"]
    assert gate.difference == 0.0 and gate.verdict() == NOTHING and gate.objects == 20
    assert tree.span.a == pytest.approx(0.5, abs=0.01) and tree.span.b == pytest.approx(0.9, abs=0.01)
    assert tree.span.low is not None and 0.1 < tree.span.low < 0.4 and tree.verdict() == BETTER
    (main,) = comparison.main
    assert main.difference == pytest.approx(0.2, abs=0.01) and main.verdict() == BETTER
    assert Comparison(results(0.9), results(0.5), OPTIONS).main[0].verdict() == WORSE


def test_found_precise_and_false_alarms_at_a_confidence() -> None:
    rows = by_name(Comparison(results(0.5), results(0.5, false=0.5), OPTIONS).overall)
    found, precise, false = (rows["", f"{name} at 0.25"] for name in ("recall", "precision", "false alarms"))
    assert (found.span.a, found.span.b, found.verdict()) == (0.75, 0.75, NOTHING)
    assert (precise.span.a, precise.span.b, precise.verdict()) == (1.0, 0.75, WORSE)
    assert (false.span.a, false.span.b, false.verdict()) == (0.0, 0.5, WORSE)
    higher = by_name(Comparison(results(0.5), results(0.5), Options(conf=0.85, draws=60)).overall)
    assert higher["", "recall at 0.85"].span.b == 0.5


def test_by_size() -> None:
    """Gates are of 20 pixels and trees of 100; those that there are not have no row."""

    def sized(share: float) -> ImageResults:
        base = results(share)
        boxes = {}
        for axis in ("found", "true"):
            box = getattr(base, f"{axis}_box").copy()
            box[getattr(base, f"{axis}_label") == 1, 2:] += 80
            boxes[f"{axis}_box"] = box
        return replace(base, **boxes)

    rows = by_name(Comparison(sized(0.5), sized(1.0), OPTIONS).sizes)
    assert [(group, metric) for group, metric in rows] == [
        ("small", "recall at 0.25"), ("small", "metrics/mAP50-95(B)"),
        ("large", "recall at 0.25"), ("large", "metrics/mAP50-95(B)"),
    ]  # fmt: skip
    assert rows["small", "metrics/mAP50-95(B)"].difference == 0.0
    assert rows["large", "recall at 0.25"].difference == 0.5
    assert rows["large", "metrics/mAP50-95(B)"].difference == pytest.approx(0.5, abs=0.01)


def test_keypoints_and_distances() -> None:
    """Errors are of the objects that both found: the gates, which are near, and half of the trees."""
    distance = [NEAR, FAR] * 20
    a = with_corners(results(0.5), error=4.0, distance=distance, metres=0.2)
    b = with_corners(results(1.0), error=1.0, distance=distance, metres=0.3)
    comparison = Comparison(a, b, OPTIONS)
    rows = by_name(comparison.keypoints)
    pixels, metres, degrees = (rows["", f"{name} error, mean"] for name in ("keypoint", "position", "rotation"))
    assert (pixels.span.a, pixels.span.b, pixels.objects, pixels.verdict()) == (4.0, 1.0, 30, BETTER)
    assert metres.difference == pytest.approx(0.1) and metres.verdict() == WORSE and metres.unit == "m"
    assert degrees.difference == pytest.approx(1.0) and degrees.unit == "°"
    bands = by_name(comparison.distances)
    assert bands["0–5 m", "recall at 0.25"].span[:2] == (1.0, 1.0)
    assert bands["over 10 m", "recall at 0.25"].span[:2] == (0.5, 1.0)
    assert bands["over 10 m", "keypoint error, median"].objects == 10
    assert ("5–10 m", "recall at 0.25") not in bands
    assert [row.metric for row in comparison.main] == ["metrics/mAP50-95(B)", "metrics/mAP50-95(P)"]


def test_two_cameras_are_told_and_nothing_is_in_metres() -> None:
    base = results(1.0)
    a, b = (with_corners(base, error=1.0, distance=[gap] * 40) for gap in (4.0, 4.5))
    comparison = Comparison(a, b, OPTIONS)
    assert comparison.notes == ["the models take the camera or the gate for different ones: nothing is told in metres"]
    assert {row.unit for row in comparison.keypoints} == {"px"}


def test_what_was_not_measured_is_no_figure() -> None:
    """Without a label there is no recall, and without a gate that both found no error."""
    empty = results_of([[] for _ in range(8)], [[(0, 0.9)] for _ in range(8)])
    comparison = Comparison(empty, empty, OPTIONS)
    rows = by_name(comparison.overall)
    assert rows["", "metrics/mAP50(B)"].as_dict()["a"] is None and rows["", "recall at 0.25"].span.a is None
    assert rows["", "precision at 0.25"].span.a == 0.0
    assert comparison.sizes == comparison.keypoints == comparison.distances == []
    missed = with_corners(results_of([[(0, 0.0)]] * 8), error=1.0, distance=[NEAR] * 8)
    assert Comparison(missed, missed, OPTIONS).keypoints == []


def test_it_is_plain_json() -> None:
    posed = with_corners(results(0.7), error=3.0, distance=[NEAR, FAR] * 20)
    rows = [row.as_dict() for part in Comparison(posed, posed, OPTIONS).parts().values() for row in part]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert rows[0] == {
        "group": "", "metric": "metrics/precision(B)", "unit": "", "higher_is_better": True, "images": 20,
        "objects": 40, "a": rows[0]["b"], "b": rows[0]["b"], "low": 0.0, "high": 0.0, "difference": 0.0,
        "verdict": NOTHING,
    }  # fmt: skip
    assert np.isfinite(rows[0]["b"])
