"""The package's network and criterion as one module: images and labels in, losses and predictions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from aigp_lightning.boxes import xywh_to_xyxy
from aigp_lightning.modules.rfdetr.description import Description, DetrGains
from aigp_lightning.modules.rfdetr.package import module_of_package, unchanged
from aigp_lightning.modules.rfdetr.variants import VARIANTS
from aigp_lightning.types import DetectionBatch, Prediction

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's channels, by which the encoder was trained."""
NOT_LOADED = "./not-loaded.pth"
"""Stands for weights that come later: without any name, the package would ask a hub for some."""


class RFDETRNetwork(nn.Module):
    """An RF-DETR that takes images of 0…1, with its criterion.

    Both are in training or in evaluation together: in training there are several groups of queries, of which each is
    matched with the labels.

    Args:
        description: see `Description`.
        gains: weights of the losses.
        drop_path: chance that the encoder's last layer is skipped for an image in training; earlier ones less often.
        freeze_encoder: train all but the encoder.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, description: Description, gains: DetrGains, drop_path: float = 0.0, freeze_encoder: bool = False
    ) -> None:
        super().__init__()
        self.description, self.gains = description, gains
        self.names: dict[int, str] = {}
        model_config, train_config, defaults = _settings(description, gains, drop_path, freeze_encoder)
        models = module_of_package("rfdetr.models")
        with unchanged():
            self.model = models.build_model_from_config(model_config, train_config, defaults)
            self.criterion, _ = models.build_criterion_from_config(model_config, train_config, defaults)
        _scale_layers(self.criterion.weight_dict, gains)
        if drop_path > 0:
            self.model.update_drop_path(drop_path, len(self.model.backbone[0].encoder.encoder.encoder.layer))
        for name, parameter in self.model.named_parameters():
            if name.endswith("mask_token"):  # of a pre-training that hides patches: never used, so without a gradient
                parameter.requires_grad_(False)
        for name, channels in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(channels).view(3, 1, 1), persistent=False)
        self.layers: int = model_config.out_feature_indexes[-1] + 1

    def forward(self, images: Tensor) -> dict[str, Any]:
        """Return the package's raw outputs for images (B, 3, H, W), 0…1."""
        outputs: dict[str, Any] = self.model((images - self.mean) / self.std)
        return outputs

    def losses(self, outputs: Mapping[str, Any], batch: DetectionBatch, boxes: Tensor | None = None) -> dict[str, Any]:
        """Match predictions with labels, and return the package's loss components, not weighted yet.

        Args:
            outputs: see `forward`.
            batch: its labels.
            boxes: number by which the losses are divided; None: the mean number of labels over all processes, which
                exchange it.
        """
        targets = split_targets(batch)
        found: dict[str, Any] = self.criterion(outputs, targets, num_boxes=boxes)
        return found

    def weighted(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the loss components by their weights, a scalar."""
        weights = self.criterion.weight_dict
        return torch.stack([losses[name] * weights[name] for name in losses if name in weights]).sum()

    def predictions(
        self, outputs: Mapping[str, Any], images: Tensor, conf: float, most: int, classes: Sequence[int] | None = None
    ) -> list[Prediction]:
        """Return the best pairs of query and class of each image: no suppression is needed.

        Args:
            outputs: see `forward`.
            images: (B, 3, H, W); boxes are in their pixels.
            conf: lowest confidence, 0…1.
            most: objects an image.
            classes: ids of the classes that are wanted; None for all.
        """
        scores = outputs["pred_logits"][..., : self.description.classes].float().sigmoid()
        if classes is not None:
            wanted = torch.zeros(scores.shape[-1], dtype=torch.bool, device=scores.device)
            wanted[list(classes)] = True
            scores = scores.masked_fill(~wanted, -1)  # below any confidence
        return best_predictions(outputs["pred_boxes"].float(), scores, images, conf, most)


def best_predictions(boxes: Tensor, scores: Tensor, images: Tensor, conf: float, most: int) -> list[Prediction]:
    """Return the best pairs of query and class of each image.

    Args:
        boxes: (B, Q, 4) cxcywh, fractions of the image.
        scores: (B, Q, C) confidences. The head's last row is of no class and never trained to be, so it is not there.
        images: (B, 3, H, W); the boxes that are returned are in their pixels.
        conf: lowest confidence, 0…1.
        most: objects an image.
    """
    scores, classes = scores.nan_to_num(0.0), scores.shape[-1]  # what is no number would come first
    best, places = scores.flatten(1).topk(min(most, scores[0].numel()))
    height, width = images.shape[-2:]
    size = torch.tensor((width, height, width, height), dtype=torch.float32, device=images.device)
    found = without_negative_sizes(boxes)
    corners = xywh_to_xyxy(found.flatten(0, 1)).clamp(0, 1).view_as(found) * size
    corners = corners.gather(1, (places // classes)[..., None].expand(-1, -1, 4))
    kept = (best >= conf).sum(1).tolist()
    labels = places % classes
    return [
        Prediction(corners[number, :count], best[number, :count], labels[number, :count])
        for number, count in enumerate(kept)
    ]


def without_negative_sizes(boxes: Tensor) -> Tensor:
    """Return boxes (…, 4) cxcywh with sizes of at least 0: those of an untrained network may be less.

    Args:
        boxes: in any unit.
    """
    return torch.cat((boxes[..., :2], boxes[..., 2:].clamp(min=0)), -1)


def split_targets(batch: DetectionBatch) -> list[dict[str, Tensor]]:
    """Return the labels of each image as the package's criterion takes them.

    Args:
        batch: as a module gets it.
    """
    counts = batch.get("counts")
    if counts is None or sum(counts) != len(batch["cls"]):  # not of our loaders: a GPU is waited for
        counts = batch["batch_idx"].bincount(minlength=len(batch["img"])).tolist()
    order = batch["batch_idx"].argsort(stable=True)
    labels, boxes = (torch.split(values[order], counts) for values in (batch["cls"], batch["bboxes"]))
    return [{"labels": label, "boxes": box} for label, box in zip(labels, boxes, strict=True)]


def _settings(description: Description, gains: DetrGains, drop_path: float, freeze_encoder: bool) -> tuple[Any, ...]:
    """Return the package's settings of network, training and everything else."""
    config = module_of_package("rfdetr.config")
    defaults = module_of_package("rfdetr.models._defaults").MODEL_DEFAULTS
    with unchanged():
        model = getattr(config, VARIANTS[description.variant].config)(
            num_classes=description.classes,
            resolution=description.imgsz,
            positional_encoding_size=description.positions,
            dec_layers=description.decoder_layers,
            num_queries=description.queries,
            num_select=description.queries,
            group_detr=description.groups,
            freeze_encoder=freeze_encoder,
            pretrain_weights=NOT_LOADED,
            device="cpu",
        )
        train = config.TrainConfig(dataset_dir=".", output_dir=".", drop_path=drop_path, cls_loss_coef=gains.cls)
    return model, train, replace(defaults, bbox_loss_coef=gains.bbox, giou_loss_coef=gains.giou)


def _scale_layers(weights: dict[str, float], gains: DetrGains) -> None:
    """Scale the weights of the losses that are not of the decoder's last layer.

    A weight of 0 keeps its loss in the sum: without it, parameters would have no gradient, which several processes
    wait for.
    """
    for name in weights:
        last = name.rpartition("_")[2]
        if last == "enc":
            weights[name] *= gains.encoder
        elif last.isdigit():
            weights[name] *= gains.aux
