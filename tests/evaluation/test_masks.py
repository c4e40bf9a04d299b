"""Segmentation models are compared by masks too: kept results, compare and the gate of promote."""

from __future__ import annotations

import io
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from yolo_scored import build_mask_case, write_checkpoint

from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.checkpoints.schema import METADATA, RUN_OPTIONS
from aigp_lightning.evaluation.bootstrap import difference
from aigp_lightning.evaluation.comparison import SAME_SETTINGS, Comparison, Options
from aigp_lightning.evaluation.comparison_row import NOTHING, WORSE
from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate
from aigp_lightning.evaluation.evaluate_both import evaluate_both
from aigp_lightning.evaluation.weighted_metrics import metrics_of
from aigp_lightning.modules.metrics.false_alarms import FALSE_ALARMS
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, read_results
from aigp_lightning.modules.metrics.result_metrics import curves_of
from aigp_lightning.modules.metrics.result_settings import INFERENCE
from aigp_lightning.store.gate_comparison import SHARED, compare_with_latest
from aigp_lightning.store.gates import judge
from aigp_lightning.store.kept_results import as_kept
from aigp_lightning.store.receipt import build_receipt, file_fact, write_receipt
from aigp_lightning.store.run_check import _fingerprint

FIGURES = ("precision", "recall", "mAP50", "mAP50-95")
BOXES, MASKS = "metrics/mAP50-95(B)", "metrics/mAP50-95(M)"
OPTIONS = Options(draws=40)


def measured(model: Path, data: Path) -> ImageResults:
    return evaluate(model, EvaluationData(str(data), batch_size=8, workers=0, progress=False, imgsz=96))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A network's checkpoint, that of one with the same boxes and smaller masks, and pictures on which both score."""
    folder = tmp_path_factory.mktemp("masks")
    weights, data = build_mask_case(folder, rect=True)
    good, poor = write_checkpoint(weights, data), folder / "poor.ckpt"
    content = torch.load(good, weights_only=True)
    content[METADATA][RUN_OPTIONS]["data"]["overlap_mask"] = False  # what is evaluated follows the run
    torch.save(content, good)
    (bias,) = (name for name in content["state_dict"] if name.endswith("proto.cv3.bn.bias"))
    content["state_dict"][bias] -= 1.2
    torch.save(content, poor)
    return good, poor, data


@pytest.fixture(scope="module")
def results(case: tuple[Path, Path, Path]) -> tuple[ImageResults, ImageResults]:
    return measured(case[0], case[2]), measured(case[1], case[2])


def without_masks(results: ImageResults, path: Path) -> None:
    """Write the results as they were before masks were kept."""
    results.save(path)
    with np.load(path) as content:
        kept = {name: content[name] for name in content.files if name != "correct_mask"}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **kept)
    path.write_bytes(buffer.getvalue())


def run_of(folder: Path, checkpoint: Path, results: ImageResults, masks: bool = True) -> Path:
    """A run's folder with its best checkpoint and its results."""
    (folder / BEST).parent.mkdir(parents=True)
    (folder / BEST).write_bytes(checkpoint.read_bytes())
    (results.save if masks else lambda path: without_masks(results, path))(folder / RESULTS_FILE)
    return folder


def version_of(folder: Path, run: Path) -> Path:
    """A version of the store that was promoted from a run."""
    folder.mkdir(parents=True)
    results = as_kept(read_results(run / RESULTS_FILE))
    results.save(folder / RESULTS_FILE)
    (folder / "best.ckpt").write_bytes((run / BEST).read_bytes())
    files = {name: file_fact(folder / name) for name in ("best.ckpt", RESULTS_FILE)}
    write_receipt(folder / "receipt.json", build_receipt(run, files, results, {}))
    return folder


def test_kept_results_give_the_validations_own_figures(
    results: tuple[ImageResults, ImageResults], tmp_path: Path
) -> None:
    for number, each in enumerate(results):
        each.save(tmp_path / f"{number}.npz")
        kept = read_results(tmp_path / f"{number}.npz")
        found = metrics_of(kept)
        assert {name for name in found if name.startswith("metrics/")} == {
            FALSE_ALARMS,
            *(f"metrics/{name}({kind})" for kind in "BM" for name in FIGURES),
        }
        for name, value in found.items():
            assert value == pytest.approx(each.about["metrics"][name], rel=1e-6), name  # which has float32 numbers
        whole = each.about["table"][0]
        for kind, prefix in (("B", ""), ("M", "mask ")):
            for name in ("precision", "recall", "mAP50", "mAP50-95"):
                assert found[f"metrics/{name}({kind})"] == pytest.approx(whole[f"{prefix}{name}"], abs=1e-9)
        assert found["fitness"] == pytest.approx(found[BOXES] + found[MASKS], abs=1e-12)
        assert 0.003 < found[MASKS] < 0.9 and kept.correct_mask.shape == (len(kept.found_score), 10)
        assert {curves.prefix for curves in curves_of(kept)} == {"Box", "Mask"}
        assert curves_of(kept)[1].ap50.mean() == pytest.approx(found["metrics/mAP50(M)"], abs=1e-6)
        assert (kept.about["settings"]["mask_ratio"], kept.about["settings"]["overlap_mask"]) == (4, False)


def test_equal_boxes_with_other_masks_are_told_apart(results: tuple[ImageResults, ImageResults]) -> None:
    good, poor = results
    np.testing.assert_allclose(good.found_box, poor.found_box, atol=1e-4)
    np.testing.assert_array_equal(good.correct, poor.correct)
    comparison = Comparison(good, poor, OPTIONS)
    boxes, masks = comparison.main
    assert (boxes.metric, boxes.difference, boxes.verdict()) == (BOXES, 0.0, NOTHING)
    assert (masks.metric, masks.verdict()) == (MASKS, WORSE)
    assert masks.difference == pytest.approx(metrics_of(poor)[MASKS] - metrics_of(good)[MASKS], abs=1e-9)
    assert masks.difference is not None and masks.difference < -0.01 and masks.span.high is not None
    assert masks.span.high < 0
    assert {row.metric for row in comparison.classes} >= {MASKS, "metrics/mAP50(M)"} and comparison.notes == []


def test_the_bootstrap_draws_pictures_for_masks(results: tuple[ImageResults, ImageResults]) -> None:
    """The interval is that of the metrics over the same drawn pictures."""
    good, poor = results
    found = difference(poor, good, [MASKS], draws=30, seed=4)[MASKS]
    images, random = len(good.files), np.random.default_rng(4)
    drawn = [np.bincount(row, minlength=images).astype(float) for row in random.integers(images, size=(30, images))]
    apart = [metrics_of(poor, weights)[MASKS] - metrics_of(good, weights)[MASKS] for weights in drawn]
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(apart, (2.5, 97.5))), abs=1e-9)
    assert found.low < found.value < found.high < 0


def test_results_from_before_masks_were_kept(results: tuple[ImageResults, ImageResults], tmp_path: Path) -> None:
    """They open; what they do not have is not shown, and a line says so."""
    good, poor = results
    without_masks(good, tmp_path / RESULTS_FILE)
    old = read_results(tmp_path / RESULTS_FILE)
    assert old.not_kept == "masks" and not good.not_kept and list(old.judged) == ["B"]
    found = metrics_of(old)
    assert found[BOXES] == metrics_of(good)[BOXES] and not {MASKS, "fitness"} & set(found)
    comparison = Comparison(old, poor, OPTIONS)
    assert [row.metric for row in comparison.main] == [BOXES]
    assert comparison.notes == ["masks are not compared: they were not kept in the results of A"]


def test_recorded_results_count_where_they_have_masks(
    case: tuple[Path, Path, Path],
    results: tuple[ImageResults, ImageResults],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = [run_of(tmp_path / name, *each) for name, *each in zip("ab", case[:2], results, strict=True)]
    files = (runs[0] / BEST, runs[1] / BEST)
    sides = evaluate_both(files, str(case[2]), "val", fresh=False, progress=False)
    assert [side.recorded for side in sides] == [True, True]
    without_masks(results[0], runs[0] / RESULTS_FILE)
    with caplog.at_level("INFO", "lightning.pytorch.utilities.rank_zero"):
        sides = evaluate_both(files, str(case[2]), "val", fresh=False, progress=False)
    assert [side.recorded for side in sides] == [False, False]
    assert "the runs' recorded results have no masks" in caplog.text
    assert [row.metric for row in Comparison(sides[0].results, sides[1].results, OPTIONS).main] == [BOXES, MASKS]


@pytest.mark.parametrize(("candidate", "passed"), [(0, True), (1, False)])
def test_the_gate_judges_masks(
    case: tuple[Path, Path, Path],
    results: tuple[ImageResults, ImageResults],
    tmp_path: Path,
    candidate: int,
    passed: bool,
) -> None:
    """Against a latest with the same boxes, and masks that are better or worse."""
    runs = [run_of(tmp_path / name, *each) for name, *each in zip("ab", case[:2], results, strict=True)]
    latest = version_of(tmp_path / "v", runs[1 - candidate])
    found = compare_with_latest(runs[candidate], latest, 40, progress=False)
    judged = judge([], found.candidate, found.latest, found.difference, len(results[0].files))
    assert [row["metric"] for row in judged.rows] == [BOXES, MASKS]
    assert [row["passed"] for row in judged.rows] == [True, passed] and judged.passed is passed
    assert found.notes == ("the latest's results are those of its promotion: the same pictures and labels",)


def test_the_gate_evaluates_anew_where_masks_were_not_kept(
    case: tuple[Path, Path, Path], results: tuple[ImageResults, ImageResults], tmp_path: Path
) -> None:
    runs = [run_of(tmp_path / name, *each, masks=False) for name, *each in zip("ab", case[:2], results, strict=True)]
    first = compare_with_latest(runs[0], None)
    assert first.results is not None and first.results.not_kept  # the figures are those of the run: nothing is compared
    latest = version_of(tmp_path / "v", runs[0])
    found = compare_with_latest(runs[1], latest, 40, progress=False)
    assert found.notes[:2] == (
        "the candidate was evaluated anew: its run had kept no masks picture by picture",
        "the latest was evaluated on the candidate's pictures",
    )
    assert list(found.difference) == [BOXES, MASKS] and found.difference[MASKS].high < 0
    assert not judge([], found.candidate, found.latest, found.difference, 13).passed


def test_the_fingerprint_has_the_outlines(
    case: tuple[Path, Path, Path], results: tuple[ImageResults, ImageResults]
) -> None:
    """A further corner within the box is another label; results that were kept without masks are of boxes alone."""
    about = results[0].about
    kept: dict[str, Any] = {"settings": about["settings"]}
    assert _fingerprint(case[2], "val", kept).sha256 == about["data"]["sha256"]
    boxes = _fingerprint(case[2], "val", {"settings": {}}).sha256
    assert boxes != about["data"]["sha256"]
    label = max((case[2].parent / "labels" / "val").glob("*.txt"), key=lambda file: file.stat().st_size)
    before = label.read_text(encoding="utf-8")
    row, *others = before.splitlines()
    number, *numbers = row.split()
    points = np.array(numbers, float).reshape(-1, 2)
    points = np.vstack((points, points.mean(0)))
    label.write_text("\n".join([" ".join([number, *map(str, points.ravel())]), *others]), encoding="utf-8")
    try:
        assert _fingerprint(case[2], "val", kept).sha256 != about["data"]["sha256"]
    finally:
        label.write_text(before, encoding="utf-8")


# ---- settings -------------------------------------------------------------------------------------------------------


def test_all_options_of_inference_are_kept_and_compared(results: tuple[ImageResults, ImageResults]) -> None:
    """An option that is added to inference is one of those by which two evaluations differ."""
    from aigp_lightning.modules.yolo.inference import Inference

    options = {each.name for each in fields(Inference)} - {"fused"}
    assert options | {"conf"} == set(INFERENCE) <= set(SHARED) & set(SAME_SETTINGS)
    assert set(INFERENCE) <= set(results[0].about["settings"])
    good = results[0]
    settings = {name: value for name, value in good.about["settings"].items() if name != "tta"}
    earlier = replace(good, about={**good.about, "settings": settings})
    assert Comparison(earlier, good, OPTIONS).notes == []  # off, where results do not name it
    changed = replace(good, about={**good.about, "settings": {**settings, "tta": True, "overlap_mask": True}})
    assert Comparison(good, changed, OPTIONS).notes == [
        "tta is False for A and True for B", "overlap_mask is False for A and True for B",
    ]  # fmt: skip
