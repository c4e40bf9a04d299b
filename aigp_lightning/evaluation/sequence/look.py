"""A model that looks at the frames of a flight, as `predict` does, with its thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from aigp_lightning.data.input_size import USUAL_SIZE, check_size
from aigp_lightning.data.resizing import Resizing, find_resizing
from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.exported import ExportedModule
from aigp_lightning.evaluation.open_model import is_exported, open_model
from aigp_lightning.evaluation.open_with_options import decoder_of, open_with_options, told_by
from aigp_lightning.evaluation.sequence.frames import FrameReader
from aigp_lightning.media.detections import NOTHING, ImageDetections, in_original
from aigp_lightning.modules.thresholds import Thresholds

if TYPE_CHECKING:
    from aigp_lightning.data.items import Item
    from aigp_lightning.data.sources import SourceFile
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.metrics.gate_camera import GateCamera
    from aigp_lightning.types import Keypoints

READERS = 2
"""Threads that decode pictures while the network looks at others."""


@dataclass
class Looker:
    """A model that is ready to look.

    Attributes:
        module: in eval mode, on its device.
        file: of the model.
        thresholds: that it looks with.
        imgsz: side of the network's input, pixels.
        resizing: way to bring pictures there.
        device: name of the device.
        data: options of its run's data, as far as its file says them.
    """

    module: BaseModule
    file: Path
    thresholds: Thresholds
    imgsz: int
    resizing: Resizing
    device: str
    data: dict[str, Any]

    @property
    def decoder(self) -> BaseModule:
        """The module that knows limits, keypoints and camera: of an exported file its family's."""
        return decoder_of(self.module)

    @property
    def keypoints(self) -> Keypoints | None:
        """Keypoints that it finds."""
        return self.module.keypoints

    @property
    def camera(self) -> GateCamera | None:
        """Camera that it was trained for."""
        return cast("GateCamera | None", getattr(self.decoder, "camera", None))

    def use(self, thresholds: Thresholds) -> None:
        """Look with other thresholds from here on.

        Args:
            thresholds: of the model.
        """
        self.thresholds = thresholds
        if (suppression := _suppression(self.decoder)) is not None:
            suppression.iou, suppression.max_det = thresholds.iou, thresholds.max_det

    def look(
        self, files: Sequence[SourceFile], batch: int, advance: Callable[[int], None]
    ) -> Iterator[ImageDetections]:
        """Yield what is found in each frame, in order, in pixels of the picture.

        Args:
            files: pictures, one a frame, or one video.
            batch: frames that are looked at together.
            advance: is told how many are done.

        Raises:
            DataError: a frame cannot be decoded.
        """
        import torch

        reader = FrameReader(files)
        # Not one context around all: a generator that waits would leave its caller in it.
        for items in _batches(len(reader), batch, partial(self._item, reader), 1 if reader.is_video else READERS):
            with torch.inference_mode(), self.module.trainer.precision_plugin.forward_context():
                found = [one for group in _of_one_size(items) for one in self._found(items[group])]
            advance(len(items))
            yield from found
        reader.close()

    def _item(self, reader: FrameReader, index: int) -> Item:
        """Return a frame as the network gets it; an exported file of one size gets it in that."""
        image, name = reader.image(index), reader.name(index)
        size = self.module.fixed_size if isinstance(self.module, ExportedModule) else None
        if size is not None:
            return self.resizing.evaluated(image, name, self.imgsz, size)
        return self.resizing.predicted(image, name, self.imgsz, reader.file(index).shape)

    def _found(self, items: list[Item]) -> list[ImageDetections]:
        import torch

        limits = self.thresholds
        pixels = torch.from_numpy(np.stack([item["image"].transpose(2, 0, 1) for item in items]))
        batch = self.module.preprocess_batch({"img": pixels.to(self.module.device)})
        found = self.module.predict_batch(batch, limits.conf)
        done = [in_original(one, item["ori_shape"], item["ratio_pad"]) for item, one in zip(items, found, strict=True)]
        return [_best(one, limits.conf, limits.max_det) for one in done]


def _best(found: ImageDetections, conf: float, most: int) -> ImageDetections:
    """Return the surest detections above a confidence, without masks."""
    rows = np.flatnonzero(found.scores >= conf)
    rows = rows[np.argsort(-found.scores[rows], kind="stable")][:most]
    if not len(rows):
        return NOTHING
    points = None if found.keypoints is None else found.keypoints[rows]
    return ImageDetections(found.boxes[rows], found.scores[rows], found.labels[rows], points, found.shape)


def _batches(count: int, size: int, make: Callable[[int], Item], readers: int) -> Iterator[list[Item]]:
    """Yield batches of frames; the next one is decoded meanwhile."""
    with ThreadPoolExecutor(readers) as pool:

        def ask(start: int) -> list[Any]:
            return [pool.submit(make, index) for index in range(start, min(start + size, count))]

        waiting = ask(0)
        for start in range(0, count, size):
            now, waiting = waiting, ask(start + size)
            yield [each.result() for each in now]


def _of_one_size(items: list[Item]) -> Iterator[slice]:
    """Yield runs of frames of one size."""
    start = 0
    for end in range(1, len(items) + 1):
        if end == len(items) or items[end]["image"].shape != items[start]["image"].shape:
            yield slice(start, end)
            start = end


def open_looker(file: Path, thresholds: Thresholds | None, imgsz: int | None = None) -> Looker:
    """Open a model to look with, on a GPU where there is one.

    Args:
        file: a checkpoint, a family's own weights file, or an exported file.
        thresholds: None for the module's own: `predict_conf`, `iou`, `max_det`.
        imgsz: side of the network's input, pixels; None for the one that it was trained with.

    Raises:
        WeightsError: it cannot be opened.
        ConfigError: `imgsz` is none that the model takes.
    """
    import torch
    from lightning.pytorch import Trainer

    from aigp_lightning.run.precision import default_precision

    exported = is_exported(file)
    told = told_by(file)
    module = open_with_options(file, told) if exported else open_model(file)
    on_gpu = torch.cuda.is_available() and not exported
    # As in `predict`: with a trainer that does not fit, networks are folded.
    module.trainer = Trainer(
        accelerator="gpu" if on_gpu else "cpu", devices=1, logger=False, enable_checkpointing=False,
        precision=cast("Any", "32-true" if exported else default_precision(on_gpu, training=False)),
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    module.to("cuda" if on_gpu else "cpu").eval()
    size = imgsz or int(told.data.get("imgsz", USUAL_SIZE))
    if isinstance(module, ExportedModule) and module.fixed_size and imgsz not in (None, max(module.fixed_size)):
        raise ConfigError(f"--imgsz {imgsz}: {file} takes {max(module.fixed_size)} alone.")
    resize = str(told.data.get("resize", "letterbox"))
    if not exported:
        check_size(module, size, resize)
    device = torch.cuda.get_device_name() if on_gpu else "cpu"
    looker = Looker(module, file, Thresholds(), size, find_resizing(resize), device, told.validated_by)
    looker.use(thresholds or usual_thresholds(looker.decoder))
    return looker


def usual_thresholds(module: BaseModule) -> Thresholds:
    """Return the thresholds of a module for which nobody has chosen any.

    Args:
        module: of any family.
    """
    usual = Thresholds()
    own = _suppression(module) or usual
    return Thresholds(module.predict_conf, usual.keypoint_conf, own.iou, max_det=own.max_det)


def _suppression(module: BaseModule) -> Any:
    """Return what has the limits of a family's suppression, `iou` and `max_det`; None for families without."""
    return getattr(module, "inference", None)
