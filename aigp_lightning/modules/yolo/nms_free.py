"""Networks with two heads: predictions by the one-to-one head, whose boxes need no NMS, or by the one-to-many head.

Such a network (YOLOv10, YOLO26) trains both heads together. Ultralytics validates, predicts and exports by the
one-to-many head and NMS where nothing else is asked for, and by the other with its `nms=False`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.deployment import Answers

COLUMNS = 6
"""Numbers of a box before its keypoints: xyxy, confidence, class."""
CONFIDENCE, CLASS = 4, 5
"""The columns of the two."""


def has_one_to_one_head(network: nn.Module) -> bool:
    """True if a network has a head whose boxes need no NMS.

    Args:
        network: from `build_model`.
    """
    return getattr(cast("Any", network).model[-1], "one2one_cv2", None) is not None


def is_nms_free(network: nn.Module) -> bool:
    """True if a network answers by its one-to-one head.

    Args:
        network: from `build_model`.
    """
    return bool(getattr(cast("Any", network).model[-1], "end2end", False))


def choose_head(network: nn.Module, nms_free: bool, max_det: int, option: str = "--model.nms_free") -> None:
    """Have a network answer by its one-to-one head, or by its one-to-many head; both are trained either way.

    Args:
        network: from `build_model`.
        nms_free: by the one-to-one head.
        max_det: most boxes of an image that this head gives.
        option: that asks for it, for errors.

    Raises:
        ConfigError: the network has no such head.
    """
    if nms_free and not has_one_to_one_head(network):
        raise ConfigError(
            f"{option} true: this network has one head, whose boxes need NMS. Those of YOLOv10 and YOLO26 have a "
            "second without (--model.variant yolov10n, yolo26n, yolo26n-pose, …); leave the option out for others."
        )
    attributes: Any = network
    attributes.end2end, attributes.model[-1].max_det = nms_free, max_det


def sure_rows(raw: Any, conf: float, max_det: int) -> list[Tensor]:
    """Return the boxes of a one-to-one head above a confidence.

    Args:
        raw: what the network returns in eval mode, or an exported file.
        conf: lowest confidence kept, 0…1.
        max_det: most boxes kept an image.

    Returns:
        Per image (n, 6 + extra): xyxy in network-input pixels, confidence, class, extra channels; best first.
    """
    output: Tensor = raw[0] if isinstance(raw, list | tuple) else raw
    sure = output[..., CONFIDENCE] > conf
    sure &= sure.cumsum(1) <= max_det
    return list(torch.split(output[sure].float(), sure.sum(1).tolist()))


def decoded_one_to_one(network: nn.Module, raw: Any) -> Tensor:
    """Decode all anchors of the one-to-one head, (B, 4 + classes + extra, A).

    Args:
        network: from `build_model`.
        raw: the second part of what it returns in eval mode.
    """
    return cast("Tensor", cast("Any", network).model[-1]._inference(raw["one2one"]))


def all_candidates(network: nn.Module) -> Answers:
    """Return a function from images to all that the one-to-one head could choose from, (B, 4 + classes + extra, A).

    With masks to that and the prototypes.

    Args:
        network: from `build_model`, that answers by this head.
    """

    def answers(images: Tensor) -> Any:
        output, raw = network(images)
        candidates = decoded_one_to_one(network, raw)
        return (candidates, *output[1:]) if isinstance(output, tuple) else candidates

    return answers


def in_order_of(found: Tensor, candidates: Tensor, classes: int, imgsz: int) -> tuple[Tensor, Tensor]:
    """Bring what an exported one-to-one head should have answered into the order of what it answered.

    It answers with the surest boxes, best first. Where two are equally sure but for rounding their places change, and
    so each is held against the candidate that it is most like, and its confidence against the one of this rank.

    Args:
        found: (B, k, 6 + extra), the file's answer.
        candidates: see `all_candidates`.
        classes: how many there are.
        imgsz: side of the input, pixels.

    Returns:
        Both as (B, 6 + extra, k).
    """
    expected = torch.stack([_nearest(rows, each, classes, imgsz) for rows, each in zip(found, candidates, strict=True)])
    ranked = candidates[:, 4 : 4 + classes].flatten(1).topk(found.shape[1], dim=1).values
    expected[..., CONFIDENCE] = ranked
    return found.transpose(1, 2).clone(), expected.transpose(1, 2).contiguous()


def _nearest(rows: Tensor, candidates: Tensor, classes: int, imgsz: int) -> Tensor:
    """Return for each row (k, 6 + extra) the candidate of its class that it is most like, in the same columns."""
    boxes, scores, extra = torch.split(candidates.T, [4, classes, len(candidates) - 4 - classes], 1)
    expected = rows.clone()
    for label in cast("Tensor", torch.unique(rows[:, CLASS])):
        mine = rows[:, CLASS] == label
        theirs = torch.cat((boxes, scores[:, int(label), None], label.expand(len(boxes), 1), extra), 1)
        scale = torch.full((theirs.shape[1],), float(imgsz)).index_fill_(0, torch.tensor([CONFIDENCE, CLASS]), 1)
        place = torch.cdist(rows[mine] / scale, theirs / scale, p=float("inf")).argmin(1)
        expected[mine] = theirs[place]
    return expected


def order_of(classes: int, imgsz: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return `in_order_of` for a file's classes and size.

    Args:
        classes: how many there are.
        imgsz: side of the input, pixels.
    """
    return partial(in_order_of, classes=classes, imgsz=imgsz)
