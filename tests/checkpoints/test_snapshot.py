"""The copy of a checkpoint is what it was at the time, to the byte."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from aigp_lightning.checkpoints.snapshot import same_content, snapshot


def network() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def checkpoint(device: str = "cpu") -> tuple[dict[str, Any], nn.Module]:
    """Make what Lightning collects: a state dict with its versions, an optimizer's state, tied and sliced tensors."""
    module = network().to(device)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(2, 3, 4, 4, device=device)).sum().backward()
    optimizer.step()
    flat = torch.arange(6.0, device=device)
    content = {
        "state_dict": module.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "parts": (flat[:2], flat[2:].view(2, 2), torch.zeros(0, device=device)),
        "epoch": 3,
        "callbacks": {"best": {"score": torch.tensor(0.5), "path": "best.ckpt", "none": None}},
        "of_a_parameter": nn.Parameter(torch.ones(2, device=device)),
    }
    return content, module


def saved(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_a_copy_is_written_as_its_original_was() -> None:
    content, module = checkpoint()
    before = saved(content)
    copied = snapshot(content)()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.add_(1)
        content["parts"][0].zero_()
        content["of_a_parameter"].zero_()
    content["epoch"] = 4
    assert saved(copied) == before
    assert saved(content) != before
    flat = copied["parts"][0].untyped_storage().data_ptr()
    assert flat == copied["parts"][1].untyped_storage().data_ptr()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_copy_from_a_gpu() -> None:
    content, module = checkpoint("cuda")
    torch.cuda.synchronize()
    before = {name: tensor.cpu().clone() for name, tensor in module.state_dict().items()}
    with torch.cuda.stream(torch.cuda.current_stream()):
        copied = snapshot(content)
        with torch.no_grad():
            for tensor in module.state_dict().values():
                tensor.add_(1)
    for name, tensor in copied()["state_dict"].items():
        assert tensor.device.type == "cpu"
        assert torch.equal(tensor, before[name]), name
    assert copied()["parts"][1].tolist() == [[2.0, 3.0], [4.0, 5.0]]


def change_weight(content: dict[str, Any]) -> None:
    content["state_dict"]["0.weight"][0, 0] += 1


def change_epoch(content: dict[str, Any]) -> None:
    content["epoch"] = 3.0


def change_order(content: dict[str, Any]) -> None:
    content["state_dict"] = OrderedDict(reversed(content["state_dict"].items()))


def change_text(content: dict[str, Any]) -> None:
    content["callbacks"]["best"]["path"] = "other.ckpt"


def add_a_set(content: dict[str, Any]) -> None:
    content["callbacks"]["users"] = {1}


@pytest.mark.parametrize("change", [change_weight, change_epoch, change_order, change_text, add_a_set])
def test_what_differs_is_not_the_same(change: Callable[[dict[str, Any]], None]) -> None:
    content, _ = checkpoint()
    del content["of_a_parameter"]
    content["callbacks"]["figure"] = float("nan")
    one, other = snapshot(content)(), snapshot(content)()
    assert same_content(one, other)
    change(other)
    assert not same_content(one, other)


def test_tensors_of_one_memory_that_end_at_different_places() -> None:
    """As of arrays of NumPy's that overlap: each storage has its own length."""
    memory = np.arange(8, dtype=np.float32)
    content = {"part": torch.from_numpy(memory[:2]), "whole": torch.from_numpy(memory)}
    copied = snapshot(content)()
    assert {key: value.tolist() for key, value in copied.items()} == {"part": [0.0, 1.0], "whole": memory.tolist()}
