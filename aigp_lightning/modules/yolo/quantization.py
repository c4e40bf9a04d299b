"""Quantization-aware training (QAT): weights and activations are rounded to 8 bits while the network learns.

Ultralytics trains so with NVIDIA's ModelOpt. Here torch's own operators do it, by the same definition: every
convolution rounds its input, with one range a tensor, and its weight, with one range a channel, and every max pooling
its input; the head's last convolutions stay as they are. Ranges are found in batches of the training split before the
first step, and fixed. Gradients pass through the rounding. Exported to ONNX the roundings are Q/DQ nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor, nn

from aigp_lightning.errors import ConfigError, tell_user
from aigp_lightning.run.lightning_internals import datamodule_of

BATCHES = 8
"""Training batches in which the ranges are found."""
LEAST, MOST = -128, 127
TINY = 2.0**-24
"""Largest value of a range that is taken for this, so that nothing is divided by 0."""
QUANTIZERS = ("input_quantizer", "weight_quantizer")


class TensorQuantizer(nn.Module):
    """Rounds a tensor to 8 bits within a range that is symmetric about 0.

    The names of this class, of `amax` and of a layer's `weight_quantizer` are those by which Ultralytics' `fuse` knows
    such a network: it then rescales the ranges of weights along with them.

    Args:
        channels: of a weight, each with its own range; 0 for one range.
    """

    amax: Tensor

    def __init__(self, channels: int = 0) -> None:
        super().__init__()
        self.register_buffer("amax", torch.zeros((channels, 1, 1, 1) if channels else ()))
        self.observing = False
        self.constants: tuple[Tensor, Tensor] | None = None

    def fix(self) -> None:
        """Compute the step once, so that a traced graph has it as a constant, as runtimes for INT8 want it."""
        self.constants = _step(self.amax)

    def forward(self, values: Tensor) -> Tensor:
        """Return the values rounded, or as they are while the range is found."""
        if self.observing:
            self.amax = torch.maximum(self.amax, self._largest(values.detach().float()))
            return values
        scale, zero = self.constants or _step(self.amax)
        if torch.is_grad_enabled() and values.requires_grad:
            return cast("Tensor", _Rounded.apply(values, scale, zero))  # type: ignore[no-untyped-call]
        return _rounded(values, scale, zero)

    def _largest(self, values: Tensor) -> Tensor:
        return values.abs().amax((1, 2, 3), keepdim=True) if self.amax.ndim else values.abs().amax()


def _step(amax: Tensor) -> tuple[Tensor, Tensor]:
    """Return the step of a range, or of each channel's, and the number that 0 is rounded to: 0."""
    scale = amax.float().clamp(min=TINY) / MOST
    scale = scale.flatten() if scale.ndim else scale
    return scale, torch.zeros_like(scale, dtype=torch.int32)


def _rounded(values: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    full = values.float()
    if scale.ndim:
        done = torch.fake_quantize_per_channel_affine(full, scale, zero, 0, LEAST, MOST)
    else:
        done = torch.fake_quantize_per_tensor_affine(full, scale, zero, LEAST, MOST)
    return done.to(values.dtype)


class _Rounded(torch.autograd.Function):
    """Rounding whose gradient is that of leaving the values as they are."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        """Round."""
        return _rounded(values, scale, zero)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """Pass the gradient through."""
        return gradient, None, None


class QuantizedConv2d(nn.Conv2d):
    """A convolution that rounds its input and its weight."""

    input_quantizer: TensorQuantizer
    weight_quantizer: TensorQuantizer

    def forward(self, input: Tensor) -> Tensor:
        """Convolve."""
        given, weight = self.input_quantizer(input), self.weight_quantizer(self.weight)
        return cast("Tensor", self._conv_forward(given, weight, self.bias))


class QuantizedConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that rounds its input and its weight."""

    input_quantizer: TensorQuantizer
    weight_quantizer: TensorQuantizer

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve; another size of the output than the usual one is not asked for."""
        assert output_size is None
        convolve: Any = nn.functional.conv_transpose2d
        given, weight = self.input_quantizer(input), self.weight_quantizer(self.weight)
        settings = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return cast("Tensor", convolve(given, weight, self.bias, *settings))


class QuantizedMaxPool2d(nn.MaxPool2d):
    """A max pooling that rounds its input."""

    input_quantizer: TensorQuantizer

    def forward(self, input: Tensor) -> Any:
        """Pool."""
        return super().forward(self.input_quantizer(input))


KINDS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: QuantizedConv2d,
    nn.ConvTranspose2d: QuantizedConvTranspose2d,
    nn.MaxPool2d: QuantizedMaxPool2d,
}
"""Layers that round, by those they are made of."""


def is_quantized(network: nn.Module) -> bool:
    """True if a network rounds to 8 bits."""
    return any(isinstance(module, TensorQuantizer) for module in network.modules())


def quantize(network: nn.Module) -> None:
    """Have the layers of a network round to 8 bits; their ranges are 0 until they are found, or loaded.

    Names of weights stay as they are.

    Args:
        network: from `build_model`; changed in place.
    """
    head = f"model.{len(cast('Any', network).model) - 1}."
    for name, layer in list(network.named_modules()):
        last = name.startswith(head) and (not f"{name}.".count(".conv.") or ".dfl." in name)
        if type(layer) not in KINDS or last:
            continue
        layer.__class__ = KINDS[type(layer)]
        layer.input_quantizer = TensorQuantizer()
        if isinstance(weight := getattr(layer, "weight", None), Tensor):
            layer.weight_quantizer = TensorQuantizer(weight.shape[0])


def unquantize(network: nn.Module) -> nn.Module:
    """Have the layers of a network compute as usual again; the weights stay as they were learnt.

    Args:
        network: changed in place.
    """
    usual = {quantized: plain for plain, quantized in KINDS.items()}
    for layer in list(network.modules()):
        if type(layer) in usual:
            layer.__class__ = usual[type(layer)]
            for name in QUANTIZERS:
                layer._modules.pop(name, None)
    return network


@contextmanager
def _observing(network: nn.Module) -> Iterator[None]:
    """Have the ranges found within this context, with batch norms and all else as in evaluation."""
    quantizers, training = [each for each in network.modules() if isinstance(each, TensorQuantizer)], network.training
    for each in quantizers:
        each.observing = True
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)
        for each in quantizers:
            each.observing = False


def find_ranges(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Find the ranges of the layers' inputs and weights.

    Args:
        network: see `quantize`.
        images: batches, (B, 3, H, W) in 0…1.

    Raises:
        ConfigError: there was no batch.
    """
    found = 0
    with _observing(network):
        for batch in images:
            network(batch)
            found += 1
    if not found:
        raise ConfigError("--model.qat true: the training split has no batch in which to find the ranges.")
    tell_user(f"quantization-aware training: ranges of 8 bits found in {found} batches")


def check_qat(qat: bool, compile: bool | str) -> None:
    """Refuse options that do not go together; Ultralytics refuses them too.

    Args:
        qat: `--model.qat`.
        compile: `--model.compile`.

    Raises:
        ConfigError: both are asked for.
    """
    if qat and compile:
        raise ConfigError("--model.qat and --model.compile: a network that rounds to 8 bits is not compiled; take one.")


def prepare_qat(network: nn.Module, trainer: Any, preprocess: Callable[[Any], Any]) -> None:
    """Find the ranges in the first batches of a run's training split, on its device.

    Args:
        network: see `quantize`; on the CPU.
        trainer: about to train.
        preprocess: from a batch on the device to what the network takes.
    """
    device, data = trainer.strategy.root_device, datamodule_of(trainer)
    network.to(device)
    batches = islice(data.train_dataloader(), BATCHES)
    find_ranges(network, (preprocess(data.transfer_batch_to_device(each, device, 0))["img"] for each in batches))
    network.to("cpu")
