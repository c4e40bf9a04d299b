"""The copy with folded batch norms: the same detections, and never that of other weights."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.fused import FusedCopy

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def woken(built) -> torch.nn.Module:
    """A network whose batch norms do something."""
    network, random = deepcopy(built), torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.copy_(torch.randn(layer.num_features, generator=random) / 9)
            layer.running_var.copy_(torch.rand(layer.num_features, generator=random) + 0.5)
    return network.eval()


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@torch.no_grad()
def test_copy_finds_the_same_but_for_rounding(woken, layout):
    woken.to(memory_format=layout)
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1)).to(memory_format=layout)
    before = {name: tensor.clone() for name, tensor in woken.state_dict().items()}
    copy = FusedCopy().of(woken)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in copy.modules())
    assert copy.model[0].conv.weight.is_contiguous(memory_format=layout)
    torch.testing.assert_close(copy(images)[0], woken(images)[0], rtol=1e-3, atol=1e-3)
    assert all(torch.equal(before[name], tensor) for name, tensor in woken.state_dict().items())


def test_copy_follows_its_weights(woken):
    fused = FusedCopy()
    first = fused.of(woken)
    assert fused.of(woken) is first
    other = {name: tensor * 2 if tensor.is_floating_point() else tensor for name, tensor in woken.state_dict().items()}
    woken.load_state_dict(other)
    second = fused.of(woken)
    assert second is not first
    assert not torch.equal(second.model[0].conv.weight, first.model[0].conv.weight)
    woken.model[0].bn.running_mean.add_(1)  # as averaging moves them
    assert not torch.equal(fused.of(woken).model[0].conv.bias, second.model[0].conv.bias)


def test_nothing_is_folded_that_would_change():
    woken = build_model("yolo11n", {0: "gate"}, {})
    assert FusedCopy().of(woken.train()) is woken
    assert FusedCopy().of(woken.eval().half()) is woken
    two_heads = build_model("yolo26n", {0: "gate"}, {}).eval()
    assert FusedCopy().of(two_heads) is two_heads
