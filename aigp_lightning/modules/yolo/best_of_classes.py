"""Raw outputs without the boxes whose best class is not wanted, before they are suppressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from aigp_lightning.modules.yolo.nms import END_TO_END


def best_of_classes(raw: Any, nc: int, classes: Sequence[int] | None) -> Any:
    """Take the confidence from all boxes whose best class is none of some.

    Done before suppression, so that boxes of other classes do not use up the number of boxes that are kept.

    Args:
        raw: what the model returns in eval mode.
        nc: number of classes.
        classes: ids of those that are wanted; None for all.

    Returns:
        The raw outputs; another tensor where boxes are left out.
    """
    output: Tensor = raw[0] if isinstance(raw, list | tuple) else raw
    if classes is None:
        return raw
    wanted = torch.zeros(nc, dtype=torch.bool, device=output.device)
    wanted[list(classes)] = True
    output = output.clone()
    if output.shape[-1] == END_TO_END:  # of a head that suppresses by itself: xyxy, confidence, class
        output[..., 4] *= wanted[output[..., 5].long()]
    else:
        output[:, 4 : 4 + nc] *= wanted[output[:, 4 : 4 + nc].argmax(1)][:, None]
    return output
