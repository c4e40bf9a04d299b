"""The files in which other programs open a model: what a family says of them, and what `deploy/` writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from aigp_lightning.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from aigp_lightning.types import Prediction

Answers: TypeAlias = "Callable[[Tensor], Tensor | tuple[Tensor, ...]]"
"""From images (B, 3, H, W) float, 0…1, to what a network answers: a tensor, or with masks two."""

Decode: TypeAlias = "Callable[[Any, Any, Tensor, float], list[Prediction]]"
"""From a module of the family, which knows classes and limits, what an exported file returns, the images
(B, 3, H, W) and the lowest confidence to predictions, as the module's own validation has them."""


@dataclass(frozen=True)
class ExportGraph:
    """A network as a graph that other programs run, and what its files are checked against.

    Attributes:
        network: what is traced: images (B, 3, H, W) float, 0…1, to one tensor, or more.
        reference: returns what the module itself answers to the same images.
        scores: channels of the first tensor that hold confidences, 0…1; the others hold pixels.
        axes: names of its axes that depend on the image's size, by their number.
        metadata: what the file says of itself.
        further: of each further tensor, names of its axes that depend on the image's size, by their number.
        order: from a file's answer and the module's to both in one order, (B, C, N), where the file picks the surest
            and equals may change places; None where the answers are compared as they are.
        layout: of the first tensor, as `deploy/runtime.py` describes them.

    Example:
        >>> import torch
        >>> network = torch.nn.Conv2d(3, 5, 1)
        >>> graph = ExportGraph(network, network, scores=[4], axes={0: "batch"}, metadata={"names": {0: "gate"}})
        >>> graph.reference(torch.zeros(1, 3, 8, 8)).shape[1]
        5
    """

    network: nn.Module
    reference: Answers
    scores: Sequence[int]
    axes: dict[int, str]
    metadata: dict[str, Any]
    further: tuple[dict[int, str], ...] = ()
    order: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    layout: Literal["candidates", "one_to_one", "queries"] = "candidates"


class Deployment(Protocol):
    """The files in which a family's models are opened by other programs.

    Attributes:
        formats: what `export` may write: `onnx`, `torchscript`; any other is the suffix of the family's own weights
            file, without the dot.
        stride: sides of the network's input are multiples of this, pixels.
        portable_reference: what the family's own weights file is held against, for messages.
        any_size: whether traced files can take any batch and size, where that is asked for.

    Example:
        >>> class Portable(Deployment):  # a whole one has the methods below, too
        ...     formats = ("onnx", "bin")
        ...     stride = 8
        >>> Portable().stride
        8
    """

    formats: tuple[str, ...]
    portable_reference: str = "the module"
    any_size: bool = True

    @property
    def stride(self) -> int:
        """Sides of the network's input are multiples of this, pixels."""

    def write_portable(self, path: Path, epoch: int = -1, settings: Mapping[str, Any] | None = None) -> None:
        """Write the family's own weights file.

        Args:
            path: where to.
            epoch: the epoch that the weights are from.
            settings: of the data they were trained on: `imgsz`, `data`, `batch`.
        """

    def portable_graph(self, path: Path, imgsz: int) -> tuple[Answers, ExportGraph]:
        """Return how a file of `write_portable` answers, and how it should.

        Args:
            path: the file.
            imgsz: side of the input, pixels.
        """

    def graph(self, imgsz: int, dynamic: bool) -> ExportGraph:
        """Return what is traced for ONNX and TorchScript.

        Args:
            imgsz: side of the input, pixels.
            dynamic: whether files take any batch, and any size that is a multiple of `stride`.
        """

    def answer_nms_free(self, wanted: bool) -> None:
        """Have traced files answer by a head whose boxes need no suppression, or by another.

        Args:
            wanted: by such a head.

        Raises:
            ConfigError: the network does not leave that choice.
        """
        raise ConfigError("--nms_free: networks of this family have no head to choose; leave the option out.")
