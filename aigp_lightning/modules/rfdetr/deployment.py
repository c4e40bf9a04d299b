"""The files in which an RF-DETR is opened by other programs: its own `.pth`, ONNX and TorchScript."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aigp_lightning.modules.deployment import Answers, Deployment, ExportGraph
from aigp_lightning.modules.rfdetr.network import RFDETRNetwork, best_predictions, without_negative_sizes
from aigp_lightning.modules.rfdetr.package import unchanged
from aigp_lightning.modules.rfdetr.transfer import transfer_weights
from aigp_lightning.modules.rfdetr.variants import VARIANTS
from aigp_lightning.modules.rfdetr.weights import read_weights, save_pth
from aigp_lightning.types import Prediction


class RFDETRDeployment(Deployment):
    """See `Deployment`. All files answer with one tensor (B, 4 + classes, queries): cxcywh in pixels, then confidences.

    Args:
        network: an RF-DETR, which asking for its files moves to the CPU, in float32 and eval mode.
        names: its class names by id.
    """

    formats = ("pth", "onnx", "torchscript")
    any_size = False  # the windows of attention are cut for one

    def __init__(self, network: RFDETRNetwork, names: Mapping[int, str]) -> None:
        self._network, self._names = network, dict(names)

    @property
    def stride(self) -> int:
        """Sides of the network's input are multiples of this, pixels."""
        return VARIANTS[self._network.description.variant].stride

    def write_portable(self, path: Path, epoch: int = -1, settings: Mapping[str, Any] | None = None) -> None:
        """Write a `.pth` that `rfdetr` opens; see `Deployment`."""
        save_pth(path, self._built(), self._names, epoch, settings)

    def portable_graph(self, path: Path, imgsz: int) -> tuple[Answers, ExportGraph]:
        """Return how a `.pth` answers, and how it should; see `Deployment`."""
        found = read_weights(path)
        network = RFDETRNetwork(found.description, self._built().gains).eval()
        transfer_weights(network, found.names, found)
        return _answers(network), self.graph(imgsz, dynamic=False)

    def graph(self, imgsz: int, dynamic: bool) -> ExportGraph:
        """Return what is traced; see `Deployment`."""
        network = self._built()
        classes = network.description.classes
        metadata = {
            "description": f"RF-DETR {network.description.variant}, trained with aigp_lightning",
            "author": "aigp_lightning",
            "task": "detect",
            "head": "RFDETR",
            "stride": self.stride,
            "batch": 1,
            "imgsz": [imgsz, imgsz],
            "names": self._names,
            "nms": False,
        }
        scores = range(4, 4 + classes)
        return ExportGraph(_Traced(network, imgsz), _answers(network), scores, {}, metadata, layout="queries")

    def _built(self) -> RFDETRNetwork:
        """Return the network as it is deployed: float32, on the CPU, in eval mode."""
        return self._network.cpu().float().eval()


def decode(module: Any, answers: Tensor, images: Tensor, conf: float) -> list[Prediction]:
    """Turn what an exported file returns into predictions, by the network's own choice; see `Decode`."""
    height, width = images.shape[-2:]
    size = torch.tensor([width, height, width, height], dtype=answers.dtype, device=answers.device)
    rows = answers.transpose(1, 2)
    return best_predictions(rows[..., :4] / size, rows[..., 4:], images, conf, module.max_det)


class _Traced(nn.Module):
    """The network by the package's graph for export, which is cut for one size."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: RFDETRNetwork, imgsz: int) -> None:
        super().__init__()
        copy = RFDETRNetwork(replace(network.description, imgsz=imgsz), network.gains).eval()
        copy.load_state_dict(network.state_dict())
        with unchanged():
            copy.model.export()
        for parameter in copy.parameters():  # also those that are new by now
            parameter.requires_grad_(False)
        for part in copy.modules():  # of language models; tracing asks for it, and one would be warned of None
            if getattr(part, "loss_type", "") is None:
                part.loss_type = "ForCausalLM"  # type: ignore[assignment]
        self.model, self.classes = copy.model, network.description.classes
        self.register_buffer("mean", copy.mean)
        self.register_buffer("std", copy.std)

    def forward(self, images: Tensor) -> Tensor:
        """Return what `RFDETRDeployment` says."""
        boxes, logits = self.model((images - self.mean) / self.std)[:2]
        return _joined(boxes, logits, images, self.classes)


def _answers(network: RFDETRNetwork) -> Answers:
    """Return how a network answers, in the form of exported files."""

    def answer(images: Tensor) -> Tensor:
        outputs = network(images)
        return _joined(outputs["pred_boxes"], outputs["pred_logits"], images, network.description.classes)

    return answer


def _joined(boxes: Tensor, logits: Tensor, images: Tensor, classes: int) -> Tensor:
    """Return boxes in pixels and confidences as one tensor (B, 4 + classes, queries)."""
    height, width = images.shape[-2:]
    size = torch.tensor([width, height, width, height], dtype=boxes.dtype, device=boxes.device)
    return torch.cat((without_negative_sizes(boxes) * size, logits[..., :classes].sigmoid()), -1).transpose(1, 2)
