"""Boxes and keypoints of a network that runs in 16 bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from yolo_networks import GAINS, NAMES

from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.forward import network_outputs
from aigp_lightning.types import Keypoints

pytestmark = pytest.mark.usefixtures("one_thread")

CORNERS = Keypoints(4, 3, ("tl", "tr", "br", "bl"))


@torch.no_grad()
@pytest.mark.parametrize("variant", ["yolo11n", "yolo11n-pose", "yolo26n"])
def test_coordinates_are_decoded_in_32_bits(variant: str) -> None:
    """From raw outputs in bfloat16, exactly what the head makes of the same numbers in float32."""
    pose = variant.endswith("pose")
    model: Any = build_model(variant, NAMES, GAINS, "pose" if pose else "detect", CORNERS if pose else None).eval()
    random = torch.Generator().manual_seed(0)
    for box in model.model[-1].cv2:
        box[-1].bias.data.normal_(0, 2, generator=random)
    images = torch.rand(1, 3, 64, 512, generator=random)
    with torch.autocast("cpu", torch.bfloat16):
        theirs, _ = model(images)
        rows, raw = network_outputs(model, images)
    heads = raw.get("one2many", raw)
    assert {each.dtype for each in (rows, heads["boxes"], heads["scores"])} == {torch.float32}
    assert torch.equal(heads["scores"], heads["scores"].bfloat16().float()), "the layers ran in 16 bits"
    head = model.model[-1]
    assert not head.training
    head.shape = None  # as new: it keeps the anchors of the shape it has seen
    torch.testing.assert_close(rows, head._inference(heads), rtol=0, atol=0)
    assert float((rows[:, :4] - theirs[:, :4].float()).abs().max()) > 0.5, "pixels: why it is done"


@torch.no_grad()
def test_32_bits_are_the_networks_own() -> None:
    model: Any = build_model("yolo11n", NAMES, GAINS).eval()
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network_outputs(model, images)[0], model(images)[0], rtol=0, atol=0)
