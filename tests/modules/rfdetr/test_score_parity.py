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

import numpy as np
import pytest
import torch
from rfdetr_networks import NAMES, SIZE, packages_configs, tiny_module

from aigp_lightning.data.images import read_image
from aigp_lightning.data.items import stretched
from aigp_lightning.modules.rfdetr.module import RFDETRModule
from aigp_lightning.modules.rfdetr.package import unchanged

YAML = "train: train/images\nval: valid/images\ntest: valid/images\nnc: 2\nnames: [gate, tree]\n"
IMAGES = 64


def draw(folder: Path) -> None:
    """Write pictures of three shapes, of coloured rectangles, without labels."""
    import cv2

    random = np.random.default_rng(0)
    for number in range(IMAGES):
        height, width = [(96, 128), (64, 64), (120, 80)][number % 3]
        picture = np.kron(random.integers(0, 255, (6, 8, 3)), np.ones((20, 20, 1)))[:height, :width].astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture)


def label_by_model(module: RFDETRModule, folder: Path) -> None:
    """Write most of a model's own best boxes, shaken, as labels: its scores are then well inside 0…1."""
    random = np.random.default_rng(1)
    for file in sorted((folder / "images").glob("*.png")):
        pixels = torch.from_numpy(stretched(read_image(str(file)), str(file), (SIZE, SIZE))["image"])
        with torch.no_grad():
            found = module.predict_batch({"img": pixels.permute(2, 0, 1)[None].float() / 255}, 0.0)[0]
        kept = torch.from_numpy(random.random(len(found.boxes)) < 0.8) & (found.scores > found.scores[12])
        corners = found.boxes[kept].numpy() / SIZE + random.normal(0, 0.012, (int(kept.sum()), 4))
        corners = corners.clip(0, 1)
        size = corners[:, 2:] - corners[:, :2]
        rows = np.column_stack((found.labels[kept].numpy(), (corners[:, :2] + corners[:, 2:]) / 2, size))
        text = "\n".join(
            " ".join([str(int(row[0])), *(f"{v:.6f}" for v in row[1:])]) for row in rows[(size > 0.03).all(1)]
        )
        (folder / "labels" / f"{file.stem}.txt").write_text(text, encoding="utf-8")


def spread_boxes(module: RFDETRModule) -> RFDETRModule:
    """Give an untrained network boxes of all places and sizes, which differ from picture to picture."""
    torch.manual_seed(5)
    for name, parameter in module.network.model.named_parameters():
        if name.startswith(("bbox_embed.layers.2", "class_embed", "transformer.enc_out_bbox_embed.0.layers.2")):
            torch.nn.init.normal_(parameter, std=0.15)
        if name in ("bbox_embed.layers.2.bias", "transformer.enc_out_bbox_embed.0.layers.2.bias"):
            parameter.data[2:] = 0.9  # wide and high
    return module.eval()


def packages_score(folder: Path, file: Path) -> dict[str, float]:
    """Validate a `.pth` with the package's own datamodule, module and callback."""
    with unchanged():
        training = pytest.importorskip("rfdetr.training")
        from rfdetr.training.callbacks.coco_eval import COCOEvalCallback
    import pytorch_lightning

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
    for split in ("train", "valid"):
        for part in ("images", "labels"):
            (tmp_path / split / part).mkdir(parents=True)
    (tmp_path / "data.yaml").write_text(YAML, encoding="utf-8")
    draw(tmp_path / "valid" / "images")
    module = spread_boxes(tiny_module(names=NAMES))
    label_by_model(module, tmp_path / "valid")
    for part in ("images", "labels"):
        for file in list((tmp_path / "valid" / part).iterdir())[:2]:
            (tmp_path / "train" / part / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "best.pth"
    module.deployment.write_portable(weights, 0, {"imgsz": SIZE, "resize": "stretch"})
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
