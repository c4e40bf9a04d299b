"""Metrics of weighted images are Ultralytics' own of images that are there several times."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.evaluation import weighted_curves
from aigp_lightning.evaluation.alignment import reordered, with_images_of
from aigp_lightning.evaluation.bootstrap import difference, differences, interval
from aigp_lightning.evaluation.weighted_metrics import WeightedMetrics, is_lower_better, metrics_of
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, empty_results, read_results

NAMES = {0: "gate", 1: "tree", 2: "cone", 3: "never"}


def made(
    images: int, most: int, seed: int = 0, skill: float = 0.6, pose: bool = False, mask: bool = False
) -> ImageResults:
    """Results by chance, of three classes that are there; the surer a detection, the more often it is right."""
    random = np.random.default_rng(seed)
    counts, objects = random.integers(0, most + 1, images), random.integers(0, 4, images)
    found_image, true_image = np.repeat(np.arange(images), counts), np.repeat(np.arange(images), objects)
    score = random.random(len(found_image)).astype(np.float32)
    order = np.lexsort((-score, found_image))
    rank = np.arange(len(score)) - np.repeat(np.cumsum(counts) - counts, counts)
    right = (random.random(len(score)) < skill * score[order]) & (rank < objects[found_image])
    correct = right[:, None] & (np.arange(10) < random.integers(1, 11, len(score))[:, None])
    second = correct & (random.random(len(score)) < 0.8)[:, None] if pose or mask else correct[:, :0]
    posed, masked = (second if wanted else correct[:, :0] for wanted in (pose, mask))
    true_label, found_label = random.integers(0, 3, len(true_image)), random.integers(0, 4, len(score))
    found_label[right] = true_label[((np.cumsum(objects) - objects)[found_image] + rank)[right]]
    rows = random.random((len(true_image), 13 if pose else 0))
    base = empty_results(
        [f"{number}.jpg" for number in range(images)], {"names": {str(k): v for k, v in NAMES.items()}}
    )
    return replace(
        base,
        found_image=found_image.astype(np.int32),
        found_label=found_label.astype(np.int32),
        found_score=score[order],
        found_box=np.zeros((len(score), 4), np.float32),
        found_points=np.zeros((len(score), 0, 3), np.float32),
        correct=correct,
        correct_pose=posed,
        correct_mask=masked,
        match=np.full(len(score), -1, np.int32),
        true_image=true_image.astype(np.int32),
        true_label=true_label.astype(np.int32),
        true_box=np.zeros((len(true_image), 4), np.float32),
        true_points=np.zeros((len(true_image), 0, 3), np.float32),
        corner_rows=np.where(rows < 0.7, rows * 9, np.nan).astype(np.float32),
    )


def ultralytics(results: ImageResults, weights: np.ndarray) -> dict[str, float]:
    """Ultralytics' metrics of the images, each written down as often as it counts."""
    from aigp_lightning.modules.yolo.metrics import detection_metrics

    found, true = (np.repeat(np.arange(len(image)), weights[image].astype(int)) for image in
                   (results.found_image, results.true_image))  # fmt: skip
    judged = {"pose": results.correct_pose[found], "mask": results.correct_mask[found]}
    second = next(((kind, right) for kind, right in judged.items() if right.shape[1]), None)
    told = detection_metrics(
        NAMES, results.correct[found], results.found_score[found], results.found_label[found].astype(np.float32),
        results.true_label[true].astype(np.float32), results.true_label[true].astype(np.float32),
        second,
    )  # fmt: skip
    return {key: float(value) for key, value in told.results_dict.items()}


@pytest.mark.parametrize("second", ["", "pose", "mask"])
@pytest.mark.parametrize("most", [6, 40])
def test_weight_two_is_the_image_twice(most: int, second: str) -> None:
    results = made(60, most, seed=most, pose=second == "pose", mask=second == "mask")
    random = np.random.default_rng(1)
    prepared = WeightedMetrics(results)
    for weights in (np.ones(60), np.full(60, 2), random.integers(0, 4, 60), random.integers(0, 2, 60)):
        expected = ultralytics(results, weights)
        assert 0.01 < expected["metrics/mAP50-95(B)"] < 0.9
        found = prepared.compute(weights)
        assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-9)
    alone = np.flatnonzero(results.true_label == 2)  # a class that no drawn image has does not count
    without = np.ones(60)
    without[results.true_image[alone]] = 0
    found = prepared.compute(without)
    expected = ultralytics(results, without)
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-9)


def test_errors_of_corners_are_those_of_repeated_objects() -> None:
    results, weights = made(40, 5, pose=True), np.random.default_rng(3).integers(0, 4, 40)
    rows = results.corner_rows[np.repeat(np.arange(len(results.true_image)), weights[results.true_image])]
    found = metrics_of(results, weights)
    for name, values in (("corners/error_px", rows[:, 5:9]), ("gate/position_m", rows[:, 3])):
        assert found[f"{name}_mean"] == pytest.approx(np.nanmean(values.astype(np.float64)))
        assert found[f"{name}_median"] == pytest.approx(np.nanmedian(values))
        assert is_lower_better(f"{name}_mean")
    halves = metrics_of(results, weights / 2)
    assert halves["gate/position_m_median"] == found["gate/position_m_median"]


def test_classes_are_chosen_by_id() -> None:
    results, ones = made(60, 20), np.ones(60)
    kept = replace(results, true_label=np.where(results.true_label == 1, 1, 3).astype(np.int32))
    expected = ultralytics(
        replace(results, found_label=np.where(results.found_label == 1, 1, 2).astype(np.int32)), ones
    )
    found = metrics_of(results, classes=[1])
    assert metrics_of(kept, classes=[1]) == found
    by_class = [metrics_of(results, classes=[number])["metrics/mAP50(B)"] for number in range(3)]
    assert np.mean(by_class) == pytest.approx(metrics_of(results)["metrics/mAP50(B)"])
    assert 0 < found["metrics/mAP50(B)"] != expected["metrics/mAP50(B)"]


@pytest.mark.parametrize("second", ["", "pose", "mask"])
def test_one_bootstrap_tells_what_one_for_each_class_would(second: str) -> None:
    """The same figures and the same intervals, also of a class that some draws do not have."""
    weak, strong = (
        made(30, 8, seed=5, skill=skill, pose=second == "pose", mask=second == "mask") for skill in (0.4, 0.9)
    )
    rare = np.flatnonzero(strong.true_label == 2)[0]
    labels = np.where((strong.true_label == 2) & (np.arange(len(strong.true_label)) != rare), 0, strong.true_label)
    weak, strong = (replace(each, true_label=labels) for each in (weak, strong))
    found = differences(strong, weak, draws=40, seed=3)
    kinds = {"": ("B",), "pose": ("B", "P"), "mask": ("B", "M")}[second]
    assert list(found.classes) == [0, 1, 2]
    assert found.overall == difference(strong, weak, draws=40, seed=3)
    for label, by_name in found.classes.items():
        assert sorted(by_name) == sorted(f"metrics/mAP50{end}({kind})" for kind in kinds for end in ("", "-95"))
        alone = difference(strong, weak, list(by_name), draws=40, seed=3, classes=[label])
        for name, each in by_name.items():
            assert vars(each) == pytest.approx(vars(alone[name]), abs=1e-12)
    assert any(each.low != each.high for each in found.classes[2].values())


def test_blocks_of_classes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes are looked at a few at a time; where those end makes no difference, also beside an unlabelled class."""
    results, weights = made(60, 20, pose=True), np.random.default_rng(1).integers(0, 3, 60)
    weights[results.true_image[results.true_label == 1]] = 0
    expected = WeightedMetrics(results).compute(weights)
    monkeypatch.setattr(weighted_curves, "AT_ONCE", 1)
    assert WeightedMetrics(results).compute(weights) == pytest.approx(expected, abs=1e-12)


def test_a_runs_results_give_the_runs_figures(finished_pose: Path) -> None:
    results = read_results(finished_pose / RESULTS_FILE)
    found, told = metrics_of(results), results.about["metrics"]
    for key, value in found.items():
        assert value == pytest.approx(told[key], rel=1e-6, abs=1e-7), key
    assert {"fitness", "metrics/mAP50-95(P)"} <= set(found)


def test_the_bootstrap_is_paired_and_repeatable() -> None:
    weak, strong = made(80, 8, seed=5, skill=0.4), made(80, 8, seed=5, skill=0.9)
    found = difference(strong, weak, draws=100, seed=3)
    assert found == difference(strong, weak, draws=100, seed=3)
    one = found["metrics/mAP50(B)"]
    assert one.low < one.value < one.high
    assert one.value == one.candidate - one.other == metrics_of(strong)["metrics/mAP50(B)"] - one.other
    assert one.low > 0
    assert not one.is_noise
    assert found != difference(strong, weak, draws=100, seed=4)
    turned = difference(weak, strong, draws=100, seed=3)["metrics/mAP50(B)"]
    assert (turned.low, turned.high) == pytest.approx((-one.high, -one.low))
    same = difference(weak, weak, ["fitness"], draws=50)["fitness"]
    assert (same.value, same.low, same.high) == (0, 0, 0)
    alone = interval(strong, "metrics/mAP50(B)", draws=100, seed=3)
    paired, apart = one.high - one.low, alone.high - alone.low
    assert alone.low < alone.value < alone.high
    assert paired < 2 * apart


def test_images_are_found_in_another_order_and_place() -> None:
    results = made(30, 8)
    order = np.random.default_rng(0).permutation(30)
    moved = reordered(results, order)
    moved = replace(moved, files=tuple(f"/elsewhere/val/{file}" for file in moved.files))
    back = with_images_of(results, moved)
    for name in ("found_score", "found_image", "true_label", "correct", "match"):
        np.testing.assert_array_equal(getattr(back, name), getattr(results, name))
    expected = difference(results, results, draws=5)["fitness"]
    assert difference(results, moved, draws=5)["fitness"] == expected


def test_other_images_labels_classes_and_figures_are_refused() -> None:
    results = made(10, 4)
    other = replace(results, files=(*results.files[:-1], "x.jpg"))
    with pytest.raises(DataError, match=r"same images: 1 are of the first alone, as 9\.jpg"):
        difference(results, other)
    fewer = replace(results, true_image=results.true_image[1:], true_label=results.true_label[1:])
    with pytest.raises(DataError, match=r"labels of .* are not the same for both"):
        difference(results, fewer)
    named = replace(results, about={"names": {"0": "a", "1": "b", "2": "c", "3": "d"}})
    with pytest.raises(DataError, match="other classes: gate, tree, cone, never; a, b, c, d"):
        difference(results, named)
    with pytest.raises(ConfigError, match=r"no figure 'mAP' here; known are metrics/precision\(B\)"):
        difference(results, results, ["mAP"])
    turned = {"0": "tree", "1": "gate", "2": "cone", "3": "never"}
    swap = np.array([1, 0, 2, 3], np.int32)
    renamed = replace(
        results, about={"names": turned}, found_label=swap[results.found_label], true_label=swap[results.true_label]
    )
    assert difference(results, renamed, draws=5) == difference(results, results, draws=5)


def test_a_thousand_draws_take_seconds() -> None:
    """500 images of some 300 detections and 80 classes: a fiftieth of the draws, in less than one of a minute."""
    results, random = made(500, 600), np.random.default_rng(0)
    names = {"names": {str(label): f"class {label}" for label in range(80)}}
    found_label, true_label = (
        random.integers(0, 80, len(labels)).astype(np.int32) for labels in (results.found_label, results.true_label)
    )
    results = replace(results, about=names, found_label=found_label, true_label=true_label)
    differences(results, results, draws=1)
    begun = time.process_time()
    found = differences(results, results, draws=20)
    assert time.process_time() - begun < 1.2  # some 0.3 s on an idle machine
    assert len(found.classes) == 80
