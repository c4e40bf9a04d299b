"""Every kind of file is measured as `validate` measures it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from yolo_scored import build_case, write_checkpoint

from aigp_lightning.deploy.export import export
from aigp_lightning.deploy.options import ExportOptions
from aigp_lightning.errors import UserError
from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate
from aigp_lightning.evaluation.recorded import results_of

pytestmark = pytest.mark.usefixtures("one_thread")
QUIET = EvaluationData(workers=0, progress=False)


def figures(file: Path) -> dict[str, float]:
    told = json.loads(file.read_text(encoding="utf-8"))["metrics"]
    return {key: value for key, value in told.items() if not key.startswith("val/")}


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A checkpoint on whose data set it scores, with the `.pt` beside it."""
    weights, data = build_case(tmp_path, rect=True)
    return write_checkpoint(weights, data)


def test_a_checkpoint_and_its_pt_score_as_validate_says(scored: Path, run_cli: Callable[..., int]) -> None:
    told = scored.with_name("m.json")
    options = ("--run.root", scored.parent, "--run.json", told, "--data.workers", 0)
    assert run_cli("validate", "--ckpt_path", scored, *options) == 0
    results = evaluate(scored, QUIET)
    assert results.about["metrics"] == figures(told)
    assert 0.02 < results.about["metrics"]["metrics/mAP50-95(B)"] < 0.95
    assert results.about["model"]["file"] == "model.ckpt"
    assert evaluate(scored.with_suffix(".pt"), QUIET).about["metrics"] == results.about["metrics"]


def test_a_run_kept_what_its_best_checkpoint_scores(finished: Path) -> None:
    best = finished / "weights" / "best.ckpt"
    kept, results = results_of(best), evaluate(best, QUIET)
    assert kept is not None
    assert kept.about["metrics"] == pytest.approx(results.about["metrics"], abs=1e-3)
    assert kept.about["data"] == results.about["data"]
    assert kept.about["model"]["sha256"] == results.about["model"]["sha256"]
    assert kept.files == results.files


def test_results_of_another_best_epoch_are_not_taken(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "weights").mkdir(parents=True)
    shutil.copy(finished / "image_results.npz", run)
    shutil.copy(finished / "weights" / "best.ckpt", run / "weights")
    assert results_of(run / "weights" / "best.ckpt") is not None
    assert results_of(run / "weights" / "best.pt") is not None
    assert results_of(run / "weights" / "last.ckpt") is None
    with (run / "weights" / "best.ckpt").open("ab") as file:
        file.write(b"\0")
    assert results_of(run / "weights" / "best.ckpt") is None
    (run / "image_results.npz").write_bytes(b"half")
    assert results_of(run / "weights" / "best.ckpt") is None


def check_exported(checkpoint: Path, forms: list[str]) -> None:
    """Exports beside a checkpoint score as it does on squares."""
    export(ExportOptions(ckpt_path=str(checkpoint), format=forms))
    square = evaluate(checkpoint, replace(QUIET, rect=False))
    for form in forms:
        found = evaluate(checkpoint.with_suffix(f".{form}"), QUIET)
        assert found.files == square.files
        assert found.about["settings"] == square.about["settings"]
        assert found.about["metrics"] == pytest.approx(square.about["metrics"], abs=1e-3, nan_ok=True)
        np.testing.assert_allclose(found.true_box, square.true_box)
        best = [np.unique(each.found_image, return_index=True) for each in (found, square)]
        assert len(best[0][0]) > 5
        np.testing.assert_array_equal(best[0][0], best[1][0])
        for name, most in (("found_score", 1e-4), ("found_box", 0.1), ("found_points", 0.1)):
            one, other = (getattr(each, name)[rows] for each, (_, rows) in zip((found, square), best, strict=True))
            np.testing.assert_allclose(one, other, atol=most)


def test_exported_files_score_as_the_checkpoint(scored: Path) -> None:
    check_exported(scored, ["onnx", "torchscript"])


def test_exported_keypoints_score_as_the_checkpoint(finished_pose: Path, tmp_path: Path) -> None:
    shutil.copy(finished_pose / "weights" / "best.ckpt", tmp_path)
    check_exported(tmp_path / "best.ckpt", ["onnx"])
    (tmp_path / "best.ckpt").unlink()
    with pytest.raises(UserError, match="does not say which data set"):
        evaluate(tmp_path / "best.onnx", QUIET)


def test_rfdetrs_files_score_alike(scored_rfdetr: Path, tmp_path: Path) -> None:
    weights = scored_rfdetr / "best.pth"
    data = replace(QUIET, data_yaml=str(scored_rfdetr / "data.yaml"), batch_size=8)
    expected = evaluate(weights, data)
    assert 0.02 < expected.about["metrics"]["metrics/mAP50-95(B)"] < 0.99
    export(ExportOptions(weights=str(weights), out=str(tmp_path), format="onnx", tolerance=0.01))
    found = evaluate(tmp_path / "best.onnx", data)
    assert found.about["family"] == "rfdetr"
    assert found.about["settings"]["resize"] == "stretch"
    assert found.about["metrics"] == pytest.approx(expected.about["metrics"], abs=1e-3)


def test_what_cannot_be_measured_is_told_in_a_line(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    (tmp_path / "a.torchscript").write_bytes(b"nothing")
    (tmp_path / "a.txt").write_text("nothing", encoding="utf-8")
    for name, words in (
        ("a.onnx", "cannot be opened"),
        ("a.torchscript", "cannot be opened"),
        ("a.txt", r"\.ckpt, \.pt, \.pth, \.onnx, \.torchscript"),
        ("b.ckpt", "no weights file at"),
    ):
        with pytest.raises(UserError, match=words) as error:
            evaluate(tmp_path / name, replace(QUIET, data_yaml=str(shapes)))
        assert "\n" not in str(error.value)


def test_the_part_of_the_data_is_the_run_s(scored: Path, run_cli: Callable[..., int]) -> None:
    """And the classes; of another data set that is named, all of it is measured."""
    content = torch.load(scored, weights_only=True)
    content["aigp"]["run"]["data"] |= {"fraction": {"val": 5}, "classes": [1]}
    torch.save(content, scored)
    told = scored.with_name("m.json")
    options = ("--run.root", scored.parent, "--run.json", told, "--data.workers", 0)
    assert run_cli("validate", "--ckpt_path", scored, *options) == 0
    results = evaluate(scored, QUIET)
    assert results.about["metrics"] == figures(told)
    assert (len(results.files), set(results.true_label.tolist())) == (5, {1})
    whole = evaluate(scored, replace(QUIET, data_yaml=content["aigp"]["run"]["data"]["data_yaml"]))
    assert (len(whole.files), set(whole.true_label.tolist())) == (13, {1})
