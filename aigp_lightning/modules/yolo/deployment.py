"""The files in which a YOLO is opened by other programs: Ultralytics' `.pt`, ONNX and TorchScript."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.modules.deployment import Answers, Deployment, ExportGraph

if TYPE_CHECKING:
    from torch import Tensor, nn

    from aigp_lightning.types import Prediction


class YoloDeployment(Deployment):
    """See `Deployment`. A `.pt` stores float16, so it is held against the network with its weights rounded to float16.

    Of a network that was trained rounded to 8 bits (`--model.qat`) the traced files round as it does, in ONNX by Q/DQ
    nodes; the `.pt` has its weights alone.

    Args:
        network: a YOLO, which asking for its files moves to the CPU, in float32 and eval mode.
    """

    formats = ("pt", "onnx", "torchscript")
    portable_reference = "the module rounded to float16"

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    @property
    def stride(self) -> int:
        """Largest stride of the network, pixels."""
        return int(cast("Any", self._network).stride.max())

    def write_portable(self, path: Path, epoch: int = -1, settings: Mapping[str, Any] | None = None) -> None:
        """Write a `.pt` that `ultralytics.YOLO` opens; see `Deployment`."""
        from aigp_lightning.modules.yolo.weights import save_pt

        save_pt(path, self._built(), epoch, train_args=settings)

    def portable_graph(self, path: Path, imgsz: int) -> tuple[Answers, ExportGraph]:
        """Return how a `.pt` answers, and how it should; see `Deployment`."""
        from aigp_lightning.modules.yolo.export import export_graph, output_of_all_heads
        from aigp_lightning.modules.yolo.quantization import unquantize
        from aigp_lightning.modules.yolo.weights import load_weights

        rounded = unquantize(deepcopy(self._built())).half().float()
        reference = output_of_all_heads(rounded)
        graph = replace(export_graph(rounded, imgsz, dynamic=False), reference=reference)
        return output_of_all_heads(load_weights(path).eval()), graph

    def graph(self, imgsz: int, dynamic: bool) -> ExportGraph:
        """Return what is traced; see `Deployment`."""
        from aigp_lightning.modules.yolo.export import export_graph

        return export_graph(self._built(), imgsz, dynamic)

    def answer_nms_free(self, wanted: bool) -> None:
        """Have graphs answer by the one-to-one head, or by the one-to-many head; see `Deployment`."""
        from aigp_lightning.modules.yolo.nms_free import choose_head

        choose_head(self._network, wanted, int(cast("Any", self._network).model[-1].max_det), "--nms_free")

    def _built(self) -> nn.Module:
        """Return the network as it is deployed: float32, on the CPU, in eval mode, in the usual memory layout."""
        import torch

        network = self._network.cpu().float().eval()
        return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload,no-any-return]


def decode(module: Any, answers: Any, images: Tensor, conf: float) -> list[Prediction]:
    """Turn what an exported file returns into predictions, by the module's own suppression; see `Decode`."""
    found: list[Prediction] = module.decode(answers, conf)
    return found
