"""How far an exported file's answers are from the module's, on a picture of shapes and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from aigp_lightning.modules.deployment import Answers, ExportGraph


@dataclass(frozen=True)
class Difference:
    """The greatest differences between two raw outputs.

    Args:
        pixels: of boxes and keypoints, pixels.
        scores: of confidences, 0…1; and of the values of which masks are made, by the largest of them.
    """

    pixels: float
    scores: float

    def within(self, tolerance: float, imgsz: int) -> bool:
        """True if both are small enough; a NaN is not.

        Args:
            tolerance: of confidences; of boxes and keypoints as a share of `imgsz`.
            imgsz: side of the input, pixels.
        """
        return self.pixels <= tolerance * imgsz and self.scores <= tolerance

    def __str__(self) -> str:
        return f"boxes and keypoints {self.pixels:.2g} px, confidences {self.scores:.2g}"


def greatest_difference(exported: Answers, graph: ExportGraph, imgsz: int, other: int | None = None) -> Difference:
    """Compare a file's answers with the module's.

    Args:
        exported: the file's answers.
        graph: it has the module's.
        imgsz: side of the test picture, pixels.
        other: by how much less wide a second pair of pictures is, where the file takes any size.
    """
    import torch

    pictures = [example_picture(imgsz)]
    if other is not None:
        pictures.append(example_picture(imgsz)[..., other:].repeat(2, 1, 1, 1).contiguous())
    scores = list(graph.scores)
    worst_pixels = worst_scores = 0.0
    with torch.no_grad():
        for picture in pictures:
            found, expected = _tensors(exported(picture)), _tensors(graph.reference(picture))
            if graph.order is not None:
                found[0], expected[0] = graph.order(found[0].float(), expected[0].float())
            (gap, *others), largest = _gaps(found, expected)
            further = [float(one.max()) / size for one, size in zip(others, largest, strict=True)]
            worst_scores = max(worst_scores, float(gap[:, scores].max()), *further)
            gap[:, scores] = 0
            worst_pixels = max(worst_pixels, float(gap.max()))
    return Difference(worst_pixels, worst_scores)


def _tensors(answers: Any) -> list[Tensor]:
    return list(answers) if isinstance(answers, list | tuple) else [answers]


def _gaps(ours: list[Tensor], theirs: list[Tensor]) -> tuple[list[Tensor], list[float]]:
    """Return how far off every value of each tensor is, and of all but the first their largest value, 1 or more."""
    gaps = [
        (mine.float() - its.float()).abs().nan_to_num(nan=float("inf")) for mine, its in zip(ours, theirs, strict=True)
    ]
    return gaps, [max(float(its.abs().max()), 1.0) for its in theirs[1:]]


def example_picture(imgsz: int) -> Tensor:
    """Draw the test picture: seeded shapes and noise, three quarters as high as wide, letterboxed in grey.

    Args:
        imgsz: its side, pixels.

    Returns:
        (1, 3, imgsz, imgsz) float32 RGB, 0…1.

    Example:
        >>> tuple(example_picture(64).shape)
        (1, 3, 64, 64)
    """
    import torch

    random = np.random.default_rng(0)
    canvas = np.full((imgsz, imgsz, 3), 114.0)
    top = imgsz // 8
    view = canvas[top : imgsz - top]
    height, width = view.shape[:2]
    view[:] = np.linspace(40, 200, width)[None, :, None] + random.normal(0, 12, view.shape)
    for x, y, side in random.random((12, 3)):
        left, upper, size = int(x * width), int(y * height), 4 + int(side * imgsz / 4)
        view[upper : upper + size, left : left + size] = random.uniform(0, 255, 3)
    image = canvas.clip(0, 255).astype(np.uint8).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(image))[None].float() / 255
