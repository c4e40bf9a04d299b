"""The results of the best epoch, image by image, in the run folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, read_results


def test_a_finished_run_has_its_best_epochs_results(finished: Path, shapes: Path) -> None:
    results = read_results(finished / RESULTS_FILE)
    metrics = json.loads((finished.parent.parent / "metrics.json").read_text(encoding="utf-8"))
    assert sorted(results.files) == sorted(str(path) for path in (shapes.parent / "images" / "val").iterdir())
    assert {tuple(shape) for shape in results.shapes.tolist()} == {(96, 96), (64, 96), (96, 64)}
    assert len(results.true_label) == 22
    assert results.about["names"] == {"0": "square", "1": "disc"}
    assert results.about["metrics"] == {k: v for k, v in metrics["metrics"].items() if not k.startswith("val/")}
    assert results.about["table"] == metrics["classes"]
    best = hashlib.sha256((finished / "weights" / "best.ckpt").read_bytes()).hexdigest()
    assert results.about["model"] == {"file": "weights/best.ckpt", "sha256": best}
    assert (results.about["data"]["images"], results.about["data"]["labels"]) == (11, 22)
    assert results.about["settings"]["imgsz"] == 96


def test_labels_are_in_pixels_of_the_originals(finished: Path) -> None:
    results = read_results(finished / RESULTS_FILE)
    for number, file in enumerate(results.files):
        text = Path(file.replace("images", "labels").replace(".png", ".txt")).read_text(encoding="utf-8")
        rows = np.array([row.split() for row in text.splitlines()], float)
        height, width = results.shapes[number]
        centre, size = rows[:, 1:3] * [width, height], rows[:, 3:] * [width, height]
        mine = results.true_image == number
        np.testing.assert_allclose(results.true_box[mine], np.hstack((centre - size / 2, centre + size / 2)), atol=1e-3)
        assert results.true_label[mine].tolist() == rows[:, 0].tolist()


def test_corners_are_measured_as_the_run_measured_them(finished_pose: Path) -> None:
    from aigp_lightning.modules.metrics.corner_report import CornerReport
    from aigp_lightning.types import Keypoints

    results = read_results(finished_pose / RESULTS_FILE)
    assert results.true_points.shape == (len(results.true_label), 4, 3)
    assert results.found_points.shape == (len(results.found_label), 4, 3)
    assert results.correct_pose.shape == (len(results.found_label), 10)
    assert results.about["keypoints"] == ["tl", "tr", "br", "bl"]
    assert results.about["bands"] == [5.0, 10.0, 20.0]
    report = CornerReport(results.corner_rows, Keypoints(4, 3, ("tl", "tr", "br", "bl")), None)
    told = results.about["metrics"]
    for key, value in report.scalars().items():
        assert told[key] == pytest.approx(value, rel=1e-6), key


def test_a_failure_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import lightning.pytorch as pl
    import torch
    from lightning.pytorch.trainer.states import TrainerFn

    from aigp_lightning.callbacks.image_results import ImageResultsFile
    from aigp_lightning.modules.base import BaseModule

    trainer = pl.Trainer(default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_checkpointing=False)
    module, callback = BaseModule(), ImageResultsFile()
    for verb, told in ((TrainerFn.FITTING, False), (TrainerFn.VALIDATING, True)):
        trainer.state.fn = verb
        caplog.clear()
        with caplog.at_level("INFO", "lightning.pytorch.utilities.rank_zero"):
            callback.on_validation_start(trainer, module)
            callback.on_validation_batch_end(
                trainer, module, {"predictions": [None]}, {"img": torch.zeros(1, 3, 8, 8)}, 0
            )
            callback.on_validation_end(trainer, module)
        assert (f"could not write {tmp_path / RESULTS_FILE}" in caplog.text) == told
    assert list(tmp_path.iterdir()) == []
