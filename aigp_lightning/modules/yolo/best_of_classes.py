"""Raw outputs without the boxes whose best class is not wanted, before they are suppressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from aigp_lightning.modules.yolo.nms_free import CLASS, COLUMNS, CONFIDENCE


def best_of_classes(raw: Any, nc: int, classes: Sequence[int] | None, nms_free: bool = False) -> Any:
    """Take the confidence from all boxes whose best class is none of some.

    Done before suppression, so that boxes of other classes do not use up the number of boxes that are kept.

    Args:
        raw: what the model returns in eval mode.
        nc: number of classes.
        classes: ids of those that are wanted; None for all.
        nms_free: it is of a one-to-one head, whose boxes have one class each.

    Returns:
        The raw outputs, with another tensor where boxes are left out.
    """
    if classes is None:
        return raw
    if isinstance(raw, list | tuple):  # the decoded boxes come first, with masks in a pair within the pair
        return (best_of_classes(raw[0], nc, classes, nms_free), *raw[1:])
    wanted = torch.zeros(nc, dtype=torch.bool, device=raw.device)
    wanted[list(classes)] = True
    output: Tensor = raw.clone()
    if nms_free or output.shape[-1] == COLUMNS:
        output[..., CONFIDENCE] *= wanted[output[..., CLASS].long()]
    else:
        output[:, 4 : 4 + nc] *= wanted[output[:, 4 : 4 + nc].argmax(1)][:, None]
    return output
