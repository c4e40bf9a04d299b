"""Opened models timed on one picture, as `predict` looks at it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray

from aigp_lightning.data.resizing import find_resizing
from aigp_lightning.evaluation.latency import SECONDS, Call, Latency, sum_up, time_in_turns
from aigp_lightning.evaluation.open_model import is_exported
from aigp_lightning.run.precision import default_precision

if TYPE_CHECKING:
    from aigp_lightning.evaluation.evaluate_both import Compared


def measure_latency(models: Sequence[Compared], image: NDArray[np.uint8], seconds: float = SECONDS) -> list[Latency]:
    """Time models in turns on one picture, each at its own image size in a square, on a GPU where there is one.

    Exported files are timed where their runtime runs them, which is the CPU but for an ONNX Runtime with CUDA.

    Args:
        models: opened; a GPU has them afterwards.
        image: (H, W, 3) uint8 RGB.
        seconds: for all calls together.
    """
    settings = [model.results.about["settings"] for model in models]
    places = [_device(model) for model in models]
    calls = [_call(model, each, place, image) for model, each, place in zip(models, settings, places, strict=True)]
    times = time_in_turns(calls, seconds)
    return [
        sum_up(taken, int(each["imgsz"]), _told(model, place))
        for taken, each, place, model in zip(times, settings, places, models, strict=True)
    ]


def _device(model: Compared) -> torch.device:
    on_gpu = torch.cuda.is_available() and not is_exported(model.file)
    return torch.device("cuda" if on_gpu else "cpu")


def _call(model: Compared, settings: Mapping[str, Any], device: torch.device, image: NDArray[np.uint8]) -> Call:
    """Return a call that looks at the picture."""
    module, on_gpu = model.module, device.type == "cuda"
    imgsz, resizing = int(settings["imgsz"]), find_resizing(settings["resize"])
    trainer = Trainer(
        accelerator="gpu" if on_gpu else "cpu", devices=1, logger=False, enable_checkpointing=False,
        precision="32-true" if is_exported(model.file) else default_precision(on_gpu, training=False),
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    module.trainer = trainer  # as in `predict`: with one that does not fit, networks are folded
    module.to(device).eval()
    shape = (imgsz, imgsz)

    def call() -> tuple[float, float]:
        start = time.perf_counter()
        item = resizing.evaluated(image, "", imgsz, shape)
        resized = time.perf_counter()
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            pixels = torch.from_numpy(np.ascontiguousarray(item["image"].transpose(2, 0, 1)))[None].to(device)
            batch = module.preprocess_batch({"img": pixels})
            module.predict_batch(batch, module.predict_conf)[0].boxes.cpu()  # a GPU is done with it by then
        return resized - start, time.perf_counter() - resized

    return call


def _told(model: Compared, device: torch.device) -> str:
    """Describe where a model ran."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if model.file.suffix == ".onnx":
        import onnxruntime

        with_cuda = "CUDAExecutionProvider" in cast("Any", onnxruntime).get_available_providers()
        return f"{'GPU' if with_cuda else 'CPU'}, ONNX Runtime with its own threads"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
