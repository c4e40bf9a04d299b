"""The comparison of a candidate with the latest: on the same pictures, and of policies by their episodes."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from receipt_runs import MAP, about_of, make_policy_run, make_run

from aigp_lightning.errors import ConfigError, UserError
from aigp_lightning.evaluation.weighted_metrics import metrics_of
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, empty_results
from aigp_lightning.store.gate_comparison import compare_with_latest, success_difference
from aigp_lightning.store.gates import SUCCESS, judge, parse_gate
from aigp_lightning.store.kept_results import as_kept
from aigp_lightning.store.receipt import build_receipt, file_fact, write_receipt

IMAGES = 60
DATA = {"split": "val", "sha256": "cd" * 32, "images": IMAGES, "labels": IMAGES}


def results_with(run: Path, right: int) -> ImageResults:
    """Results of images with one object and one detection each, of which so many are right."""
    numbers, fine = np.arange(IMAGES, dtype=np.int32), np.arange(IMAGES) < right
    empty = empty_results([f"/data/images/val/{number:03d}.png" for number in numbers], about_of(run, DATA))
    boxes = np.tile(np.float32([10, 10, 20, 20]), (IMAGES, 1))
    found = replace(
        empty,
        found_image=numbers, found_label=np.zeros(IMAGES, np.int32), found_box=boxes, true_image=numbers,
        found_score=np.linspace(0.9, 0.5, IMAGES, dtype=np.float32), found_points=np.zeros((IMAGES, 0, 3), np.float32),
        correct=np.tile(fine[:, None], (1, 10)), correct_pose=np.zeros((IMAGES, 0), np.bool_),
        correct_mask=np.zeros((IMAGES, 0), np.bool_),
        match=np.where(fine, numbers, -1).astype(np.int32), true_label=np.zeros(IMAGES, np.int32), true_box=boxes,
        true_points=np.zeros((IMAGES, 0, 3), np.float32), corner_rows=np.zeros((IMAGES, 0), np.float32),
        shapes=np.full((IMAGES, 2), 96, np.int32),
    )  # fmt: skip
    return replace(found, about={**found.about, "metrics": metrics_of(found)})


def candidate(tmp_path: Path, right: int) -> Path:
    run = tmp_path / "runs" / f"candidate-{right}"
    make_run(run)
    results_with(run, right).save(run / RESULTS_FILE)
    return run


@pytest.fixture
def latest(tmp_path: Path) -> Path:
    """A version of the store whose model finds 50 of 60 objects; it has no file that could be evaluated."""
    run, folder = tmp_path / "runs" / "latest", tmp_path / "models" / "latest"
    make_run(run)
    folder.mkdir(parents=True)
    results = as_kept(results_with(run, 50))
    results.save(folder / RESULTS_FILE)
    kept = {"best.ckpt": run / "weights" / "best.ckpt", RESULTS_FILE: folder / RESULTS_FILE}
    files = {name: file_fact(path) for name, path in kept.items()}
    write_receipt(folder / "receipt.json", build_receipt(run, files, results, {}))
    return folder


def test_the_first_one_is_compared_with_nothing(tmp_path: Path) -> None:
    found = compare_with_latest(candidate(tmp_path, 50), None)
    assert found.latest is None and found.difference == {} and found.results is not None
    assert found.candidate[MAP] == pytest.approx(metrics_of(found.results)[MAP])
    assert judge([], found.candidate, found.latest, found.difference).passed


@pytest.mark.parametrize(("right", "passed"), [(49, True), (20, False), (60, True)])
def test_worse_within_the_noise_passes_and_beyond_it_does_not(
    tmp_path: Path, latest: Path, right: int, passed: bool
) -> None:
    found = compare_with_latest(candidate(tmp_path, right), latest, 200)
    assert list(found.difference) == [MAP] and found.latest is not None
    one = found.difference[MAP]
    assert one.candidate == pytest.approx(found.candidate[MAP]) and one.other == pytest.approx(found.latest[MAP])
    assert one.low <= one.value <= one.high and (one.high < 0) is not passed
    assert found.notes == ("the latest's results are those of its promotion: the same pictures and labels",)
    judged = judge([], found.candidate, found.latest, found.difference)
    assert judged.passed is passed and judged.rows[0]["interval"] == [one.low, one.high]
    strict = judge([parse_gate(f"{MAP} >= latest")], found.candidate, found.latest, found.difference)
    assert strict.passed is (right >= 50)


def test_figures_of_other_pictures_are_no_limit(tmp_path: Path, latest: Path) -> None:
    """The latest was measured on another data set, and has no file by which it could be measured on this one."""
    receipt = json.loads((latest / "receipt.json").read_text(encoding="utf-8"))
    receipt["data"]["sha256"] = "0" * 64
    write_receipt(latest / "receipt.json", receipt)
    found = compare_with_latest(candidate(tmp_path, 60), latest)
    assert found.latest == {} and found.difference == {}
    assert found.notes == (
        "the latest cannot be compared on the same pictures: latest has no file that can be evaluated",
    )
    assert not judge([], found.candidate, found.latest, found.difference).passed
    judged = judge([parse_gate(f"{MAP} >= latest - 0.5")], found.candidate, found.latest, found.difference)
    assert judged.rows[0]["message"] == f"the latest's {MAP} is not known"


def test_damaged_results_are_not_believed(tmp_path: Path, latest: Path) -> None:
    worse = as_kept(results_with(tmp_path / "runs" / "latest", 10))
    worse.save(latest / RESULTS_FILE)
    assert compare_with_latest(candidate(tmp_path, 20), latest, 20).difference == {}


def forged(results: ImageResults, value: float) -> ImageResults:
    return replace(results, about={**results.about, "metrics": {**results.about["metrics"], MAP: value}})


def test_metrics_that_the_arrays_contradict_pass_no_gate(
    tmp_path: Path, latest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The candidate is to be evaluated anew, which its data set, that is not there, does not let it."""
    run = candidate(tmp_path, 20)
    forged(results_with(run, 20), 0.99).save(run / RESULTS_FILE)
    with caplog.at_level("INFO", "lightning.pytorch.utilities.rank_zero"), pytest.raises(UserError):
        compare_with_latest(run, None, progress=False)
    line = f"it says that {MAP} is 0.99, and its arrays give {metrics_of(results_with(run, 20))[MAP]:.6g}."
    assert line in caplog.text


def test_a_latest_that_contradicts_itself_is_not_believed(tmp_path: Path, latest: Path) -> None:
    receipt = json.loads((latest / "receipt.json").read_text(encoding="utf-8"))
    forged(as_kept(results_with(tmp_path / "runs" / "latest", 50)), 0.01).save(latest / RESULTS_FILE)
    receipt["files"][RESULTS_FILE] = asdict(file_fact(latest / RESULTS_FILE))
    receipt["evaluation"]["metrics"] = {MAP: 10**400, "fitness": "high"}
    write_receipt(latest / "receipt.json", receipt)
    found = compare_with_latest(candidate(tmp_path, 20), latest, 20, progress=False)
    assert found.difference == {} and found.latest == {MAP: None, "fitness": None}
    assert not judge([parse_gate(f"{MAP} >= latest")], found.candidate, found.latest, found.difference).passed


def test_other_settings_are_told(tmp_path: Path, latest: Path) -> None:
    run = candidate(tmp_path, 50)
    results = results_with(run, 50)
    settings = {**results.about["settings"], "conf": 0.1, "tta": True, "agnostic_nms": False}
    replace(results, about={**results.about, "settings": settings}).save(run / RESULTS_FILE)
    notes = compare_with_latest(run, latest, 20).notes
    assert (
        notes[1]
        == "candidate and latest were evaluated with different settings: conf 0.1 and 0.001, tta True and False"
    )


# ---- policies -------------------------------------------------------------------------------------------------------


def test_the_interval_of_two_success_rates_is_newcombes() -> None:
    """The example of his article: 56 of 70 and 48 of 80, method 10."""
    found = success_difference({SUCCESS: 56 / 70, "episodes": 70}, {SUCCESS: 48 / 80, "episodes": 80})
    assert found is not None
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (0.2, 0.0524, 0.3339)
    assert success_difference({SUCCESS: None, "episodes": 70}, {SUCCESS: 0.5, "episodes": 80}) is None
    assert success_difference({SUCCESS: 0.5, "episodes": 0}, {SUCCESS: 0.5, "episodes": 80}) is None


@pytest.mark.parametrize(("success", "passed"), [(0.7, True), (0.25, False)])
def test_a_policy_is_compared_by_its_successes(tmp_path: Path, success: float, passed: bool) -> None:
    make_policy_run(tmp_path / "before", 0.75)
    make_policy_run(tmp_path / "after", success)
    write_receipt(tmp_path / "v" / "receipt.json", build_receipt(tmp_path / "before", {}, None, {}))
    found = compare_with_latest(tmp_path / "after", tmp_path / "v")
    assert list(found.difference) == [SUCCESS] and list(found.notes) == []
    assert found.difference[SUCCESS].value == pytest.approx(success - 0.75)
    assert judge([], found.candidate, found.latest, found.difference).passed is passed
    assert judge([parse_gate("pass_rate >= latest")], found.candidate, found.latest, found.difference).passed


def test_policies_of_two_environments_are_not_compared(tmp_path: Path) -> None:
    make_policy_run(tmp_path / "run")
    receipt = build_receipt(tmp_path / "run", {}, None, {})
    receipt["evaluation"]["settings"]["kwargs"] = {"track": "figure8.json"}
    write_receipt(tmp_path / "v" / "receipt.json", receipt)
    found = compare_with_latest(tmp_path / "run", tmp_path / "v")
    assert found.notes == ("the latest was evaluated in another environment",)
    assert not judge([], found.candidate, found.latest, found.difference).passed


def test_a_policy_that_nobody_has_evaluated_is_told_how(tmp_path: Path) -> None:
    make_policy_run(tmp_path / "run")
    (tmp_path / "run" / "evaluation" / "best" / "evaluation.json").unlink()
    (tmp_path / "run" / "best" / "about.json").write_text('{"steps": 9}', encoding="utf-8")
    with pytest.raises(ConfigError, match="run `ppo evaluate --model"):
        compare_with_latest(tmp_path / "run", None)


# ---- by evaluating the latest ---------------------------------------------------------------------------------------


def test_a_latest_of_another_data_set_is_evaluated_on_the_candidates_pictures(finished: Path, tmp_path: Path) -> None:
    """The latest is the same checkpoint, promoted on other pictures: the two then have the same figures."""
    latest = tmp_path / "v"
    latest.mkdir()
    shutil.copy(finished / "weights" / "best.ckpt", latest)
    receipt = build_receipt(finished, {"best.ckpt": file_fact(latest / "best.ckpt")}, None, {})
    assert receipt["data"] is None
    write_receipt(latest / "receipt.json", receipt)
    found = compare_with_latest(finished, latest, 20, progress=False)
    assert found.results is not None and found.latest is not None
    said = found.results.about["settings"]["precision"]
    # A machine with bfloat16 has trained and validated the candidate with it; the latest is evaluated exactly.
    other = f"candidate and latest were evaluated with different settings: precision {said} and 32-true"
    assert found.notes == (
        "the latest was evaluated on the candidate's pictures",
        *([] if said == "32-true" else [other]),
    )
    assert found.latest[MAP] == pytest.approx(found.candidate[MAP], abs=1e-6)
    assert len(found.results.files) == 11
    assert found.difference[MAP].value == 0 and found.difference[MAP].high == 0
    assert judge([], found.candidate, found.latest, found.difference).passed
