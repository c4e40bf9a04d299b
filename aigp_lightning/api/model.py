"""A trained model for a script: opened from any file that this package writes, asked for what is in pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import torch

from aigp_lightning.api.inputs import Channels, Input, check_channels, read_inputs
from aigp_lightning.api.options import check_count, check_known, find_device
from aigp_lightning.api.result import Result
from aigp_lightning.data.collate import collate
from aigp_lightning.data.input_size import USUAL_SIZE, check_size
from aigp_lightning.data.one_size import OneSize
from aigp_lightning.data.resizing import LETTERBOX, Resizing, find_resizing
from aigp_lightning.errors import ConfigError, warn_user
from aigp_lightning.evaluation.exported import ExportedModule
from aigp_lightning.evaluation.file_thresholds import graph_of, thresholds_of_file
from aigp_lightning.evaluation.named_model import find_model
from aigp_lightning.evaluation.open_with_options import (
    decoder_of,
    open_with_options,
    prediction_precision,
    told_by,
    usual_device,
)
from aigp_lightning.media.detections import in_original
from aigp_lightning.media.module_facts import keypoint_conf_of, keypoints_of
from aigp_lightning.modules.thresholds import OF_THE_RUN, ChosenThresholds, Thresholds
from aigp_lightning.ranges import SHARE, check_range

if TYPE_CHECKING:
    from aigp_lightning.api.inputs import Picture
    from aigp_lightning.modules.base import BaseModule

OPTIONS = ("conf", "iou", "max_det", "imgsz", "batch", "channels", "stream")
"""Keywords of `Model.predict`."""
SHOWN = 10
"""Names of classes that a model is printed with."""


class Model:
    """A trained model, with the options of its run.

    Attributes:
        file: that it was opened from.
        module: the Lightning module, in eval mode.
        names: class names by id.
        task: such as `detect` or `pose`.
        imgsz: length of the input's long side at which it was trained, pixels.
        thresholds: that `calibrate` chose for it, or that the exported file carries, and that count; None: those of
            its run do.

    Args:
        file: a checkpoint (`.ckpt`), a family's own weights (`.pt`, `.pth`), an exported file (`.onnx`,
            `.torchscript`); a run folder, whose best checkpoint it is; or a folder of the model store.
        device: such as `cuda:0` or `cpu`; None takes a GPU where there is one. Exported files run on the CPU.
        thresholds: file of `calibrate` whose limits take the place of the run's; `auto`: the `thresholds.json` of the
            model's run, if there is one and it is of these weights, else those that an exported file carries; None:
            none.

    Raises:
        WeightsError: there is no such file, or it cannot be opened.
        ConfigError: the folder holds no model or several, a package is missing, there is no such device, or the file of
            the thresholds cannot be read.
    """

    def __init__(
        self,
        file: str | Path,
        device: str | torch.device | None = None,
        thresholds: str | Path | None = OF_THE_RUN,
    ) -> None:
        chosen = None if device is None else find_device(device)
        self.file = find_model(str(file))
        told = told_by(self.file)
        self.module = open_with_options(self.file, told)
        self._limits: BaseModule = decoder_of(self.module)
        self.device = chosen if chosen is not None else usual_device(self.module)
        self.module.to(self.device)
        self.names, self.task = dict(self.module.names), told.task
        self.imgsz = int(told.data.get("imgsz") or USUAL_SIZE)
        if not told.data.get("imgsz"):
            warn_user(f"{self.file} does not say at which image size it was trained: {USUAL_SIZE} is taken")
        self._resizing = find_resizing(told.data.get("resize", LETTERBOX.name))
        self._keypoints = keypoints_of(self.module)
        asked = None if thresholds is None else str(thresholds)
        self.thresholds = self._take(thresholds_of_file(self.file, graph_of(self.module), asked))

    def _take(self, chosen: ChosenThresholds) -> Thresholds | None:
        """Let calibrated thresholds count, as far as the model has such limits."""
        if chosen.warning:
            warn_user(chosen.warning)
        if (found := chosen.thresholds) is not None:
            for name, value in found.arguments().items():
                if (holder := self._holder(name)) is not None:
                    setattr(holder, name, value)
        return found

    @overload
    def predict(
        self, source: Picture | Sequence[Picture], *, conf: float | None = ..., iou: float | None = ...,
        max_det: int | None = ..., imgsz: int | None = ..., batch: int = ..., channels: Channels | None = ...,
        stream: Literal[False] = ...,
    ) -> list[Result]: ...  # fmt: skip
    @overload
    def predict(
        self, source: Picture | Sequence[Picture], *, conf: float | None = ..., iou: float | None = ...,
        max_det: int | None = ..., imgsz: int | None = ..., batch: int = ..., channels: Channels | None = ...,
        stream: Literal[True],
    ) -> Iterator[Result]: ...  # fmt: skip
    def predict(
        self,
        source: Picture | Sequence[Picture],
        *,
        conf: float | None = None,
        iou: float | None = None,
        max_det: int | None = None,
        imgsz: int | None = None,
        batch: int = 16,
        channels: Channels | None = None,
        stream: bool = False,
        **unknown: object,
    ) -> list[Result] | Iterator[Result]:
        """Find the objects in pictures, as the verb `predict` does.

        Args:
            source: a path of a picture, a folder, a glob or a video; an array or a picture of Pillow's; or a list.
            conf: lowest confidence, 0…1; None: that of the model's thresholds, or of its run.
            iou: overlap from which on the less sure of two boxes is left out; None: that of the run.
            max_det: most objects of a picture; None: that of the run.
            imgsz: length of the input's long side, pixels; None: as it was trained.
            batch: most pictures at once.
            channels: order of an array's channels: `bgr` for what OpenCV reads, or `rgb`.
            stream: return an iterator, which reads and predicts as it is asked for results: for videos.
            **unknown: none; they are refused with the nearest name.

        Returns:
            A result a picture or frame, in the order of the source. Of several files, those that cannot be read are
            left out, with a warning.

        Raises:
            ConfigError: an option is wrong or unknown, or the model has no such option.
            DataError: nothing can be read there.
        """
        check_known(unknown, OPTIONS)
        limits = self._checked({"predict_conf": conf, "iou": iou, "max_det": max_det})
        if batch is None:
            raise ConfigError("batch: a whole number of pictures, such as 16.")
        check_count("batch", batch)
        check_channels(channels)
        size, resizing = self._size(imgsz)
        found = self._results(source, size, resizing, int(batch), channels, limits)
        return found if stream else list(found)

    __call__ = predict

    def _checked(self, given: Mapping[str, float | None]) -> dict[str, Any]:
        """Return the limits that are given.

        Raises:
            ConfigError: one is out of range, or the model has none such.
        """
        limits = {name: value for name, value in given.items() if value is not None}
        for name, value in limits.items():
            said = name.removeprefix("predict_")
            if self._holder(name) is None:
                raise ConfigError(f"{said}: models of family {self.module.family} have no such option.")
            if name == "max_det":
                check_count(said, value)
                limits[name] = int(value)
            else:
                check_range(said, value, SHARE)
        return limits

    def _size(self, imgsz: int | None) -> tuple[int, Resizing]:
        """Return the size of the input, and the way to bring pictures to it.

        Raises:
            ConfigError: the model does not take this size.
        """
        fixed = self.module.fixed_size if isinstance(self.module, ExportedModule) else None
        if fixed is not None:
            if imgsz not in (None, max(fixed)):
                raise ConfigError(f"imgsz {imgsz}: {self.file} takes pictures of {fixed[0]} × {fixed[1]} alone.")
            return max(fixed), OneSize(fixed, self._resizing)
        if imgsz is not None:
            check_count("imgsz", imgsz)
        size = self.imgsz if imgsz is None else int(imgsz)
        try:
            check_size(self._limits, size, self._resizing.name)
        except ConfigError as error:
            raise ConfigError(str(error).replace("--data.", "")) from error  # in a script it is an argument
        return size, self._resizing

    def _results(
        self, source: Picture | Sequence[Picture], imgsz: int, resizing: Resizing, batch: int,
        channels: Channels | None, limits: Mapping[str, Any],
    ) -> Iterator[Result]:  # fmt: skip
        for inputs in read_inputs(source, imgsz, resizing, batch, channels):
            with self._set(limits), torch.inference_mode(), prediction_precision(self.device):
                batched: Any = collate([each.item for each in inputs])
                batched["img"] = batched["img"].to(self.device)
                ready = self.module.preprocess_batch(batched)
                predictions = self.module.predict_batch(ready, self._limits.predict_conf)
            for each, prediction in zip(inputs, predictions, strict=True):
                yield self._result(each, prediction)

    def _result(self, each: Input, prediction: Any) -> Result:
        found = in_original(prediction, each.item["ori_shape"], each.item["ratio_pad"])
        return Result(
            found, each.file, self.names, each.frame, each.picture, self._keypoints, keypoint_conf_of(self._limits)
        )

    @contextmanager
    def _set(self, limits: Mapping[str, Any]) -> Iterator[None]:
        """Let limits count for one batch: several iterators of one model may be under way."""
        before = {name: getattr(self._holder(name), name) for name in limits}
        try:
            for name, value in limits.items():
                setattr(self._holder(name), name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(self._holder(name), name, value)

    def _holder(self, name: str) -> Any:
        """Return the object that has a limit: the module, or its part that chooses among detections; None without."""
        parts = (self._limits, getattr(self._limits, "inference", None))
        return next((part for part in parts if hasattr(part, name)), None)

    def __repr__(self) -> str:
        named = list(self.names.values())
        more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
        return f"Model({str(self.file)!r}, {self.task}: {', '.join(named[:SHOWN])}{more})"
