"""Quantization-aware training: rounded as ModelOpt's INT8 configuration says, trained, exported as Q/DQ, resumed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import onnx
import pytest
import torch
import yaml
from fuzz.generators import TINY
from helpers import small
from resume_runs import StopAfter, differing, load
from ultralytics.utils.torch_utils import is_qat
from yolo_networks import GAINS, NAMES, labelled_batch

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.registry import load_module
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.fused import FusedCopy
from aigp_lightning.modules.yolo.quantization import (
    QuantizedConv2d,
    TensorQuantizer,
    find_ranges,
    is_quantized,
    quantize,
    unquantize,
)
from aigp_lightning.modules.yolo.weights import load_weights

pytestmark = pytest.mark.usefixtures("one_thread")


def rounded(values: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
    """Round by the definition: a step is the 127th part of the largest value."""
    return torch.clamp((values * (127 / largest)).round(), -128, 127) / (127 / largest)


@pytest.fixture
def quantized() -> torch.nn.Module:
    torch.manual_seed(0)
    network = build_model(TINY, NAMES, GAINS)
    quantize(network)
    find_ranges(network, [torch.rand(2, 3, 64, 64) for _ in range(3)])
    return network


def test_layers_round_by_the_definition(quantized):
    layer = quantized.model[0].conv
    assert isinstance(layer, QuantizedConv2d)
    images = torch.rand(1, 3, 64, 64)
    largest = layer.weight.detach().abs().amax((1, 2, 3), keepdim=True)
    assert torch.equal(layer.weight_quantizer.amax, largest)
    assert 0.999 < float(layer.input_quantizer.amax) <= 1
    given, weight = rounded(images, layer.input_quantizer.amax), rounded(layer.weight, largest)
    expected = torch.nn.functional.conv2d(given, weight, None, layer.stride, layer.padding)
    torch.testing.assert_close(layer(images), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(expected, unquantize(deepcopy(quantized)).model[0].conv(images), atol=1e-4)


def test_gradients_pass_through():
    quantizer = TensorQuantizer()
    quantizer.amax.fill_(1.0)
    values = torch.tensor([-3.0, 0.2501, 3.0], requires_grad=True)
    found = quantizer(values)
    torch.testing.assert_close(found.detach(), torch.tensor([-128 / 127, 32 / 127, 1.0]))
    (found * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1.0, 2.0, 3.0]


def test_layers_are_those_of_modelopt(built):
    """All convolutions of Ultralytics' blocks and the pooling of SPPF, but not the head's last ones."""
    network = deepcopy(built)
    names = list(network.state_dict())
    quantize(network)
    found = [name for name, each in network.named_modules() if isinstance(each, TensorQuantizer)]
    assert len(found) == 163  # as many as ModelOpt 0.47 has enabled after Ultralytics' prepare_qat of this network
    assert [name for name in found if ".conv." not in name] == ["model.9.m.input_quantizer"]
    assert is_qat(network)  # so that its `fuse` treats ranges along with weights
    assert [name for name in network.state_dict() if not name.endswith(".amax")] == names
    assert list(unquantize(network).state_dict()) == names
    assert not is_quantized(network)


@torch.no_grad()
def test_folded_batch_norms_change_nothing(quantized):
    for layer in quantized.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_var.uniform_(0.5, 2.0)
            layer.weight.uniform_(0.5, 2.0)
    quantized.eval()
    images = torch.rand(2, 3, 64, 64)
    folded = FusedCopy().of(quantized)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded.modules())
    torch.testing.assert_close(folded(images)[0], quantized(images)[0], rtol=1e-3, atol=1e-3)


def test_what_does_not_go_together_is_refused(quantized):
    with pytest.raises(ConfigError, match=r"--model\.qat and --model\.compile"):
        DetectorModule(qat=True, compile="default")
    with pytest.raises(ConfigError, match="no batch in which to find the ranges"):
        find_ranges(quantized, [])


def test_training_learns(quantized):
    module = DetectorModule()
    module.set_network(quantized)
    module.train()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    losses = []
    for _ in range(6):
        loss, _ = module.compute_loss(labelled_batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0] * 0.9


def options(shapes: Path, root: Path, folder: Path) -> list[object]:
    return [
        *(
            "fit",
            *small(shapes, root),
            "--data.imgsz",
            64,
            "--model.variant",
            folder / "tiny.yaml",
            "--model.qat",
            "true",
        ),
        *("--trainer.limit_train_batches", 2, "--trainer.limit_val_batches", 1, "--trainer.max_epochs", 2),
        *("--trainer.logger", "false", "--model.optim.nbs", 16, "--run.name", "run"),
        *("--media.routes.everything", "[]"),
    ]


def test_a_run_resumes_and_exports_nodes_that_quantize(shapes, tmp_path, run_cli: Callable[..., int]) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    stop = f'{{"class_path": "{StopAfter.__module__}.StopAfter", "init_args": {{"epochs": 1}}}}'
    with pytest.raises(SystemExit):
        run_cli(*options(shapes, tmp_path / "stopped", tmp_path), "--trainer.callbacks+", stop)
    run = tmp_path / "stopped" / "detect" / "run"
    assert run_cli(*options(shapes, tmp_path / "stopped", tmp_path), "--ckpt_path", run / "weights" / "last.ckpt") == 0
    assert run_cli(*options(shapes, tmp_path / "whole", tmp_path)) == 0
    weights = tmp_path / "whole" / "detect" / "run" / "weights"
    last = [load(folder / "last.ckpt") for folder in (run / "weights", weights)]
    for key in ("state_dict", "current_model_state", "optimizer_states"):
        assert differing(last[0][key], last[1][key]) == [], key

    module = load_module(weights / "best.ckpt")
    assert module.network is not None
    ranges = {name: value for name, value in module.network.state_dict().items() if name.endswith("amax")}
    assert len(ranges) == 20
    assert all(bool((value > 0).all()) for value in ranges.values())
    plain = load_weights(weights / "best.pt")
    assert not is_quantized(plain)
    assert list(plain.state_dict()) == [name for name in module.network.state_dict() if name not in ranges]

    assert run_cli("export", "--ckpt_path", weights / "best.ckpt", "--format", "[onnx, pt, torchscript]",
                   "--out", tmp_path / "out") == 0  # fmt: skip
    graph = onnx.load(tmp_path / "out" / "best.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("QuantizeLinear") == kinds.count("DequantizeLinear") == 20
    constants = {each.name for each in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    assert {node.input[1] for node in graph.node if node.op_type == "QuantizeLinear"} <= constants  # their steps
