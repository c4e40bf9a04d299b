"""The same weights on the same pictures score the same here and by the package's own data, module and evaluation.

Average precision is computed from the same matches by two rules. COCO's, which the package takes, is the mean of the
precision at 101 levels of recall, each that of the first detection that reaches it; Ultralytics', which all families
here are judged by, is the area below the line through the points. The more labels a class has, the smaller the steps
of recall and the difference between the two: here it has hundreds.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rfdetr_networks import packages_configs
from rfdetr_scored import make_scored

from aigp_lightning.modules.rfdetr.package import unchanged

IMAGES = 64


def packages_score(folder: Path, file: Path) -> dict[str, float]:
    """Validate a `.pth` with the package's own datamodule, module and callback."""
    with unchanged():
        training = pytest.importorskip("rfdetr.training")
        import pytorch_lightning
        from rfdetr.training.callbacks.coco_eval import COCOEvalCallback
    backend = {"dataset_file": "yolo", "eval_backend": "hotcoco", "batch_size": 16}
    model_config, train_config = packages_configs(**backend)
    train_config.dataset_dir, model_config.pretrain_weights = str(folder), str(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = training.RFDETRModelModule(model_config, train_config)
        data = training.RFDETRDataModule(model_config, train_config)
        trainer = pytorch_lightning.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, max_epochs=1,
            callbacks=[COCOEvalCallback(max_dets=500, eval_backend="hotcoco")], default_root_dir=str(folder),
        )  # fmt: skip
        found: dict[str, float] = trainer.validate(module, datamodule=data, verbose=False)[0]
    return found


def test_scores_are_the_packages(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    make_scored(tmp_path, IMAGES)
    weights = tmp_path / "best.pth"
    words = (
        "--model.weights",
        weights,
        "--data.data_yaml",
        tmp_path / "data.yaml",
        "--run.json",
        tmp_path / "ours.json",
    )
    words = (*words, "--model.conf", 0, "--data.workers", 0, "--trainer.accelerator", "cpu", "--data.batch_size", 8)
    assert run_cli("validate", *words) == 0
    ours = json.loads((tmp_path / "ours.json").read_text(encoding="utf-8"))["metrics"]
    theirs: Any = packages_score(tmp_path, weights)
    assert 0.2 < ours["metrics/mAP50-95(B)"] < 0.9
    assert ours["metrics/mAP50-95(B)"] == pytest.approx(theirs["val/mAP_50_95"], abs=0.002)
    assert ours["metrics/mAP50(B)"] == pytest.approx(theirs["val/mAP_50"], abs=0.004)
