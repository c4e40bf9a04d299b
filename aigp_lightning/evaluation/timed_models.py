"""Opened models timed on pictures, as `predict` looks at them: the network's input, the network, what it found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray

from aigp_lightning.data.resizing import Resizing, find_resizing
from aigp_lightning.evaluation.latency import SECONDS, Call, Latency, Turns, sum_up, time_in_turns
from aigp_lightning.evaluation.open_model import is_exported
from aigp_lightning.media.detections import ImageDetections, in_original
from aigp_lightning.modules.stopwatch import Stopwatch
from aigp_lightning.run.precision import default_precision

if TYPE_CHECKING:
    from aigp_lightning.evaluation.evaluate_both import Compared
    from aigp_lightning.modules.base import BaseModule

PARTS = ("pre", "network", "post")
"""Parts of a call: from the pictures to the network's input; the network; from its answer to detections in pixels of
the picture. What no module tells apart counts as the network's."""
NETWORK = "network"
EXACT = "32-true"
"""Precision of exported files."""


class StageClock(Stopwatch):
    """Adds up the seconds of the stages of one call, by the wall clock; a GPU is waited for at the end of each.

    Args:
        device: that the module is on.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.device, self.seconds = device, dict[str, float]()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Measure what is done inside.

        Args:
            stage: its name.
        """
        start = time.perf_counter()
        yield
        wait_for(self.device)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was told.

    Args:
        device: of any kind; others than CUDA's need no waiting.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class TimedModel:
    """A model that is ready to be timed.

    Args:
        module: opened, in eval mode.
        shape: height and width of the network's input, pixels.
        resizing: how pictures are brought to it.
        device: where the module computes.
        precision: by Lightning's name.

    Raises:
        ConfigError: the precision is none of Lightning's.
    """

    module: BaseModule
    shape: tuple[int, int]
    resizing: Resizing
    device: torch.device
    precision: str = EXACT

    def __post_init__(self) -> None:
        self._trainer = Trainer(
            accelerator="gpu" if self.device.type == "cuda" else "cpu", devices=1, logger=False,
            precision=cast("Any", self.precision), enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        self.module.trainer = self._trainer  # as in `predict`: with one that does not fit, networks are folded
        self.module.to(self.device).eval()

    def look_at(self, images: Sequence[NDArray[np.uint8]]) -> tuple[tuple[float, ...], list[ImageDetections]]:
        """Look at a batch of pictures.

        Args:
            images: (H, W, 3) uint8 RGB each.

        Returns:
            Seconds of each of `PARTS`; what was found in each picture, in its own pixels.
        """
        clock = self.module.stopwatch = StageClock(self.device)
        start = time.perf_counter()
        with torch.inference_mode(), self._trainer.precision_plugin.forward_context():
            items = [self.resizing.evaluated(image, "", max(self.shape), self.shape) for image in images]
            pixels = np.stack([item["image"].transpose(2, 0, 1) for item in items])
            batch = self.module.preprocess_batch({"img": torch.from_numpy(pixels).to(self.device)})
            wait_for(self.device)
            ready = time.perf_counter()
            found = self.module.predict_batch(batch, self.module.predict_conf)
            done = [
                in_original(one, item["ori_shape"], item["ratio_pad"]) for one, item in zip(found, items, strict=True)
            ]
        end = time.perf_counter()
        self.module.stopwatch = None
        network = clock.seconds.get(NETWORK, end - ready)
        return (ready - start, network, end - ready - network), done


def measure_latency(models: Sequence[Compared], image: NDArray[np.uint8], seconds: float = SECONDS) -> list[Latency]:
    """Time models in turns on one picture, each at its own image size in a square, on a GPU where there is one.

    Exported files are timed where their runtime runs them, which is the CPU but for an ONNX Runtime with CUDA.

    Args:
        models: opened; a GPU has them afterwards.
        image: (H, W, 3) uint8 RGB.
        seconds: for all calls together.
    """
    timed = [_timed(model) for model in models]
    times = time_in_turns([call_of(each, image) for each in timed], Turns(seconds=seconds))
    return [
        sum_up(taken, each.shape[0], _told(model, each.device))
        for taken, each, model in zip(times, timed, models, strict=True)
    ]


def call_of(model: TimedModel, image: NDArray[np.uint8]) -> Call:
    """Return a call that looks at one picture.

    Args:
        model: that looks.
        image: (H, W, 3) uint8 RGB.
    """
    look: Callable[[], tuple[float, ...]] = lambda: model.look_at([image])[0]  # noqa: E731
    return look


def _timed(model: Compared) -> TimedModel:
    settings, exported = model.results.about["settings"], is_exported(model.file)
    on_gpu, imgsz = torch.cuda.is_available() and not exported, int(settings["imgsz"])
    precision = EXACT if exported else default_precision(on_gpu, training=False)
    device = torch.device("cuda" if on_gpu else "cpu")
    return TimedModel(model.module, (imgsz, imgsz), find_resizing(settings["resize"]), device, precision)


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
