"""Runs Ultralytics' own trainer and augmentation beside ours, so that what a recipe asks for can be compared.

Nothing is reported to anybody: the trainer has no callbacks but ours, and its data set is on this disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics.cfg import DEFAULT_CFG_DICT, get_cfg
from ultralytics.data.build import build_yolo_dataset
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.pose import PoseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer

from aigp_lightning.modules.yolo import quiet  # noqa: F401

SETTINGS = {
    **{"Mosaic": {"p": "mosaic"}, "MixUp": {"p": "mixup"}, "CutMix": {"p": "cutmix"}, "Format": {"bgr": "bgr"}},
    **{"CopyPaste": {"p": "copy_paste"}, "RandomHSV": {"hgain": "hsv_h", "sgain": "hsv_s", "vgain": "hsv_v"}},
    "RandomPerspective": {name: name for name in ("degrees", "translate", "scale", "shear", "perspective")},
}
"""Attributes of transforms, and the settings that they have their values of."""
DEFAULT_TRANSFORMS = {"Blur": "blur", "MedianBlur": "median_blur", "ToGray": "to_gray", "CLAHE": "clahe"}
"""Albumentations' transforms that are made by default, and our names for their probabilities."""
Step = tuple[int, dict[str, tuple[float, float | None, float]]]
"""Optimizer steps so far, and by the name of a parameter group: learning rate, momentum, weight decay."""
TRAINERS = {"detect": DetectionTrainer, "pose": PoseTrainer, "segment": SegmentationTrainer}
QUIET = {"device": "cpu", "plots": False, "val": False, "save": False, "workers": 0, "amp": False, "verbose": False,
         "deterministic": False, "exist_ok": True, "compile": False}  # fmt: skip
"""Settings with which a trainer does nothing but train."""


class _Enough(Exception):
    """Ends a training from within."""


class _Only(dict[str, list[Callable[[Any], None]]]):
    """Callbacks by event; what is added for other events is dropped."""

    def __missing__(self, event: str) -> list[Callable[[Any], None]]:
        return []


class _Quiet:
    """Goes before a trainer of Ultralytics': its data set was checked by us, and it neither validates nor measures."""

    description: Mapping[str, Any] = {}

    def get_dataset(self) -> dict[str, Any]:
        """Return what `data.yaml` says; Ultralytics would look for fonts on the network."""
        return dict(self.description)

    def validate(self) -> tuple[dict[str, float], float]:
        """Measure nothing."""
        return {}, 0.0

    def final_eval(self) -> None:
        """Measure nothing."""


def known_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings that the installed version of Ultralytics knows.

    Args:
        settings: by Ultralytics' names.
    """
    return {name: value for name, value in settings.items() if name in DEFAULT_CFG_DICT}


def train_by_reference(
    data: Mapping[str, Any], folder: Path, settings: Mapping[str, Any], steps: int
) -> tuple[list[Step], list[float]]:
    """Train with Ultralytics' trainer, for a few batches.

    Args:
        data: the content of a `data.yaml`, with absolute paths; its `task` is detect, pose or segment.
        folder: for what the trainer writes.
        settings: by Ultralytics' names: the network (`model`), length, batch, optimizer and schedule.
        steps: batches after which it ends.

    Returns:
        What the optimizer was set to at each batch, and the share of `lr0` in each epoch of the whole run.
    """
    rows: list[Step] = []
    shares: list[float] = []

    def note(trainer: Any) -> None:
        groups = {str(group.get("param_group")): _state(group) for group in trainer.optimizer.param_groups}
        rows.append((int(trainer.ema.updates), groups))
        if len(rows) == steps:
            shares.extend(float(trainer.lf(epoch)) for epoch in range(int(trainer.epochs)))
            raise _Enough

    kind: Any = type(
        "Reference", (_Quiet, TRAINERS[data["task"]]), {"description": data}
    )  # by "Trainer" in its name it gets W&B's hooks
    overrides = {**known_settings(settings), **QUIET, "project": str(folder), "name": "reference"}
    trainer = kind(overrides=overrides, _callbacks=_Only(on_train_batch_end=[note]))
    with suppress(_Enough):
        trainer.train()
    return rows, shares


def _state(group: Mapping[str, Any]) -> tuple[float, float | None, float]:
    momentum = group.get("momentum")
    return float(group["lr"]), None if momentum is None else float(momentum), float(group["weight_decay"])


def reference_samples(
    data: Mapping[str, Any], settings: Mapping[str, Any], imgsz: int, count: int
) -> tuple[list[str], dict[str, Any], Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]]:
    """Augment the training pictures of a data set as Ultralytics does.

    Args:
        data: see `train_by_reference`.
        settings: of the augmentation.
        imgsz: side of the samples.
        count: samples; each picture is augmented as often as it takes.

    Returns:
        The transforms in order, their parameters by the names of settings, and the samples: (H, W, 3) RGB, and boxes
        (n, 4) cxcywh as shares.
    """
    cfg = get_cfg(overrides={**known_settings(settings), "task": data["task"], "imgsz": imgsz})
    dataset: Any = build_yolo_dataset(cfg, str(data["train"]), 4, dict(data), mode="train", stride=32)

    def samples() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        for number in range(count):
            sample = dataset[number % len(dataset)]
            yield sample["img"].permute(1, 2, 0).numpy(), sample["bboxes"].numpy().reshape(-1, 4)

    return list(_transforms(dataset.transforms)), dict(_settings(dataset.transforms)), samples()


def _transforms(composed: Any) -> Iterator[str]:
    """Yield the transforms of a list, and of lists in it, that can change a picture, with their parameters."""
    for each in composed.transforms:
        if hasattr(each, "transforms"):
            yield from _transforms(each)
        elif type(each).__name__ == "Albumentations":
            own = [one for one in getattr(each.transform, "transforms", ()) if one.p]
            yield from (f"{type(one).__name__} p={one.p:g}" for one in own)
        elif type(each).__name__ == "Format":
            yield from [f"Format bgr={each.bgr:g}"] if getattr(each, "bgr", 0) else []
        elif getattr(each, "p", 1.0) and type(each).__name__ != "LetterBox":
            yield " ".join([type(each).__name__, *_parameters(each)])


def _settings(composed: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of all transforms by the names of the settings that they were made from."""
    for each in composed.transforms:
        name = type(each).__name__
        if hasattr(each, "transforms"):
            yield from _settings(each)
        elif name == "Albumentations":
            for one in getattr(each.transform, "transforms", ()):
                if type(one).__name__ in DEFAULT_TRANSFORMS:
                    yield DEFAULT_TRANSFORMS[type(one).__name__], float(one.p)
        elif name == "RandomFlip":
            yield ("flipud" if each.direction == "vertical" else "fliplr"), each.p
        for attribute, setting in SETTINGS.get(name, {}).items():
            yield setting, getattr(each, attribute)


def _parameters(transform: Any) -> Iterator[str]:
    named = ("p", "direction", "degrees", "translate", "scale", "shear", "perspective", "hgain", "sgain", "vgain")
    for name in named:
        value = getattr(transform, name, None)
        if isinstance(value, bool | int | float | str | list | tuple):
            yield f"{name}={value:g}" if isinstance(value, int | float) else f"{name}={value}"
