"""A YOLO that was not trained, and pictures on which it scores: labels are its own best finds, shaken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from helpers import draw_squares

NAMES = {0: "square", 1: "disc", 2: "other"}


def label_by_model(weights: Path, data: Path, rect: bool) -> None:
    """Replace the labels by most of an untrained model's own best boxes, shaken: mAPs are then well inside 0…1."""
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.dataset import EvalDataset
    from aigp_lightning.data.images import label_path
    from aigp_lightning.data.samplers import EvalBatchSampler
    from aigp_lightning.data.scan import scan_split
    from aigp_lightning.modules.yolo.nms import nms
    from aigp_lightning.modules.yolo.weights import load_weights

    model, random = load_weights(weights).eval(), np.random.default_rng(3)
    records = scan_split(read_data_yaml(data), "val", progress=False).records
    dataset = EvalDataset(records, 96)
    batches = EvalBatchSampler([record.shape for record in records], 16, 96, rect=rect)
    for request in (request for batch in batches for request in batch):
        item = dataset[request]
        pixels = torch.from_numpy(item["image"]).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            found = nms(model(pixels), 0.001, 0.5, 300, 3)[0].numpy()
        found = found[:24][random.random(min(len(found), 24)) < 0.6]
        (gain, _), (left, top) = item["ratio_pad"]
        height, width = item["ori_shape"]
        boxes = (found[:, :4] - [left, top, left, top]) / gain + random.normal(0, 0.8, (len(found), 4))
        boxes = np.clip(boxes / [width, height, width, height], 0, 1)
        size = boxes[:, 2:] - boxes[:, :2]
        keep = (size > 0.05).all(1)
        rows = np.column_stack((found[:, 5], (boxes[:, :2] + boxes[:, 2:]) / 2, size))[keep]
        text = "\n".join(f"{int(row[0])} " + " ".join(f"{value:.6f}" for value in row[1:]) for row in rows)
        Path(label_path(item["im_file"])).write_text(text, encoding="utf-8")


def wake_up(model: torch.nn.Module) -> None:
    """Give an untrained model boxes and scores that differ from place to place."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()(torch.rand(8, 3, 96, 96))
    head = model.model[-1]
    for box, score in zip(head.cv2, head.cv3, strict=True):
        torch.nn.init.normal_(box[-1].weight, std=0.3)
        torch.nn.init.normal_(score[-1].weight, std=0.3)
        score[-1].bias.data.fill_(-4)
        bins = torch.arange(float(head.reg_max))
        box[-1].bias.data.copy_((-1.5 * bins.sub(1.5).abs() if len(bins) > 1 else bins + 1.5).repeat(4))
    for name in ("cv2", "cv3"):  # the other head finds about the same
        if (twin := getattr(head, f"one2one_{name}", None)) is not None:
            twin.load_state_dict(getattr(head, name).state_dict())


def build_case(folder: Path, rect: bool, variant: str = "yolo11n") -> tuple[Path, Path]:
    """Make an untrained model's `.pt`, and a data set on which it scores."""
    from aigp_lightning.modules.yolo.build import build_model
    from aigp_lightning.modules.yolo.weights import save_pt

    torch.manual_seed(0)
    model = build_model(variant, NAMES, {})
    wake_up(model)
    save_pt(folder / "model.pt", model)
    for split, count in (("train", 2), ("val", 13)):
        draw_squares(folder, split, count, seed=5)
    yaml = folder / "data.yaml"
    yaml.write_text(f"train: images/train\nval: images/val\nnames: {json.dumps(list(NAMES.values()))}\n")
    label_by_model(folder / "model.pt", yaml, rect)
    return folder / "model.pt", yaml


def write_checkpoint(weights: Path, data: Path) -> Path:
    """Write what a run at 96 pixels would have left of a `.pt` of `build_case`: its checkpoint and that file."""
    from aigp_lightning.modules.registry import open_weights

    module = open_weights(weights)
    content = {"state_dict": module.state_dict(), "epoch": 0, "global_step": 0, "pytorch-lightning_version": "2.5.0"}
    module.on_save_checkpoint(content)
    options = {"data_yaml": str(data), "imgsz": 96, "batch_size": 8, "rect": True, "resize": "letterbox"}
    content["aigp"]["run"]["data"] = options
    torch.save(content, weights.with_suffix(".ckpt"))
    module.deployment.write_portable(weights, settings={"imgsz": 96})
    return weights.with_suffix(".ckpt")


def build_mask_case(folder: Path, rect: bool) -> tuple[Path, Path]:
    """Make an untrained segmentation model's `.pt`, and a data set whose outlines are its own best masks, shaken."""
    import cv2
    from helpers import draw_masks

    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.images import label_path
    from aigp_lightning.data.sample_sets import evaluation_set
    from aigp_lightning.data.scan import scan_split
    from aigp_lightning.modules.registry import open_weights
    from aigp_lightning.modules.yolo.build import build_model
    from aigp_lightning.modules.yolo.weights import save_pt

    torch.manual_seed(0)
    model = build_model("yolo11n-seg", NAMES, {}, "segment")
    wake_up(model)
    for coefficients in model.model[-1].cv4:  # masks that fill most of their boxes
        torch.nn.init.normal_(coefficients[-1].weight, std=0.03)
        coefficients[-1].bias.data.fill_(0.4)
    model.model[-1].proto.cv3.bn.bias.data.fill_(0.5)
    save_pt(folder / "model.pt", model)
    for split, count in (("train", 2), ("val", 13)):
        draw_masks(folder, split, count, seed=5)
    module, random = open_weights(folder / "model.pt"), np.random.default_rng(3)
    yaml = folder / "data.yaml"
    yaml.write_text(f"train: images/train\nval: images/val\nnames: {json.dumps(list(NAMES.values()))}\n")
    records = scan_split(read_data_yaml(yaml), "val", progress=False).records
    dataset, batches = evaluation_set(records, 96, 8, rect)
    for item in (dataset[request] for batch in batches for request in batch):
        pixels = torch.from_numpy(item["image"]).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            found = module.predict_batch({"img": pixels}, 0.001)[0]
        (gain, _), (left, top) = item["ratio_pad"]
        height, width = item["ori_shape"]
        rows = []
        for label, mask in list(zip(found.labels.tolist(), found.masks.numpy(), strict=True))[:60]:
            rings, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            ring = max(rings, key=cv2.contourArea, default=None)
            if ring is None or cv2.contourArea(ring) < 20 or random.random() > 0.6:
                continue
            points = (ring[:, 0] - [left, top]) / gain + random.normal(0, 0.5, 2)
            points = points / [width, height]
            if ((points < 0) | (points > 1)).any(1).mean() > 0.2:  # what is found in the grey around
                continue
            points = np.clip(points, 0, 1)
            if (np.ptp(points, axis=0) > 0.05).all():
                rows.append(f"{label} " + " ".join(f"{value:.6f}" for value in points.ravel()))
        Path(label_path(item["im_file"])).write_text("\n".join(rows), encoding="utf-8")
    return folder / "model.pt", yaml
