"""A network's outputs for evaluation, with boxes and keypoints decoded in float32."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from ultralytics.nn.modules.head import Detect

from aigp_lightning.modules.yolo.nms_free import decoded_one_to_one, is_nms_free

TRAINING_ONLY = ("kpts_sigma",)
"""Raw outputs that the head of YOLO26-pose gives in training alone; in validation its loss goes without."""


def network_outputs(network: nn.Module, images: Tensor, full: bool = False) -> Any:
    """Run a network in evaluation.

    Under mixed precision Ultralytics' head would compute coordinates in 16 bits too. In bfloat16, neighbouring numbers
    around 500 pixels are 2 pixels apart: boxes would be worth nothing. So the layers run in 16 bits, and what they say
    is decoded in 32.

    Args:
        network: from `build_model`, in evaluation.
        images: (B, 3, H, W) in 0…1.
        full: whether the layers run in float32 too.

    Returns:
        What the network itself returns: decoded rows (B, 4 + classes + …, A), and the raw outputs.
    """
    head: Any = cast("Any", network).model[-1]
    device = images.device.type
    if full:
        with torch.autocast(device, enabled=False):
            return network(images)
    if not torch.is_autocast_enabled(device) or not isinstance(head, Detect):
        return network(images)
    head.training = True  # of the head itself, not of its layers: it then returns what they say
    try:
        raw = network(images)
    finally:
        head.training = False
    with torch.autocast(device, enabled=False):
        raw = _float32(raw)
        used = raw.get("one2many", raw)
        if is_nms_free(network):
            decoded = head.postprocess(decoded_one_to_one(network, raw).permute(0, 2, 1))
        else:
            decoded = head._inference(used)
        return ((decoded, used["proto"]) if "proto" in used else decoded), raw


def _float32(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _float32(each) for key, each in value.items() if key not in TRAINING_ONLY}
    if isinstance(value, list):  # feature maps, of which only shape and type are looked at
        return [each.new_empty(1, dtype=torch.float32).expand(each.shape) for each in value]
    return value.float()
