"""An RF-DETR that was not trained, and pictures on which it scores: labels are its own best finds, shaken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from rfdetr_networks import NAMES, SIZE, tiny_module

from aigp_lightning.data.images import read_image
from aigp_lightning.data.items import stretched
from aigp_lightning.modules.rfdetr.module import RFDETRModule

YAML = "train: train/images\nval: valid/images\ntest: valid/images\nnc: 2\nnames: [gate, tree]\n"


def draw(folder: Path, images: int) -> None:
    """Write pictures of three shapes, of coloured rectangles, without labels."""
    import cv2

    random = np.random.default_rng(0)
    for number in range(images):
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


def make_scored(folder: Path, images: int) -> None:
    """Write `best.pth` and a data set of validation pictures, and of eight to train on, of which one has objects.

    Args:
        folder: an empty one.
        images: of the validation split.
    """
    for split in ("train", "valid"):
        for part in ("images", "labels"):
            (folder / split / part).mkdir(parents=True)
    (folder / "data.yaml").write_text(YAML, encoding="utf-8")
    draw(folder / "valid" / "images", images)
    module = spread_boxes(tiny_module(names=NAMES))
    label_by_model(module, folder / "valid")
    for number, file in enumerate(sorted((folder / "valid" / "images").iterdir())[:8]):
        (folder / "train" / "images" / file.name).write_bytes(file.read_bytes())
        labels = (folder / "valid" / "labels" / f"{file.stem}.txt").read_text(encoding="utf-8") if number == 0 else ""
        (folder / "train" / "labels" / f"{file.stem}.txt").write_text(labels, encoding="utf-8")
    module.deployment.write_portable(folder / "best.pth", 0, {"imgsz": SIZE, "resize": "stretch"})
