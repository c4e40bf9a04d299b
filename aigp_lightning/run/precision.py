"""The precision in which a run computes where none is asked for."""

from __future__ import annotations

from typing import Literal

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
ASKED = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
"""Functions of `torch.cpu`."""


def default_precision(gpu: bool, training: bool) -> Precision:
    """Return the precision for this machine.

    bfloat16 has the range of float32, so it needs no gradient scaler and no step is lost to an overflow; what has too
    few digits in it (coordinates, the loss) is computed in float32 either way. On a CPU figures of a finished model
    are computed in float32, so that they are the same on every machine.

    Args:
        gpu: whether the run is on a GPU of NVIDIA's or AMD's.
        training: whether it trains.

    Example:
        >>> default_precision(gpu=False, training=False)
        '32-true'
    """
    if gpu:
        return "bf16-mixed" if _gpu_has_bfloat16() else "16-mixed"
    return "bf16-mixed" if training and cpu_has_bfloat16() else "32-true"


def _gpu_has_bfloat16() -> bool:
    """True if a GPU computes in bfloat16 itself; older ones emulate it, which is slower than float32."""
    import torch

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def cpu_has_bfloat16() -> bool:
    """True if the processor computes in bfloat16 itself, by AVX512-BF16 or AMX-BF16; others would be slower in it.

    Example:
        >>> cpu_has_bfloat16() in (True, False)
        True
    """
    import torch

    asked = [getattr(torch.cpu, name, None) for name in ASKED]  # none of them public in every version of torch
    return any(bool(each()) for each in asked if each is not None)
