"""Runs our trainer and augmentation on a few pictures, with the options that a recipe became."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
from lightning.pytorch.trainer.states import TrainerFn

from aigp_lightning.callbacks.ema import EMA
from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.modules.registry import module_class
from aigp_lightning.modules.yolo.optim import OptimConfig
from aigp_lightning.recipes.stand_in import StandIn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aigp_lightning.modules.yolo.reference import Step

OPTIM, AUGMENT = "model.optim.", "data.augment."


class _Recorder(pl.Callback):
    """Notes what the optimizer is set to at every batch, and ends the run after some."""

    def __init__(self, steps: int) -> None:
        self.steps, self.rows = steps, list["Step"]()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note the state of each group of parameters."""
        groups = {
            str(group["param_group"]): (group["lr"], group.get("momentum"), group["weight_decay"])
            for group in trainer.optimizers[0].param_groups
        }
        self.rows.append((trainer.global_step, groups))
        trainer.should_stop = len(self.rows) >= self.steps


def chosen(options: Mapping[str, Any], prefix: str, kind: type) -> dict[str, Any]:
    """Return the options of a group that its class has, by their own names.

    Args:
        options: by dotted names.
        prefix: of the group.
        kind: its dataclass.
    """
    known = {field.name for field in fields(kind)}
    short = {name.removeprefix(prefix): value for name, value in options.items() if name.startswith(prefix)}
    return {name: value for name, value in short.items() if name in known}


def augment_config(options: Mapping[str, Any]) -> AugmentConfig:
    """Return the augmentation that a recipe became.

    Args:
        options: by dotted names.
    """
    return AugmentConfig(**chosen(options, AUGMENT, AugmentConfig))


def train_here(
    stand_in: StandIn, folder: Path, options: Mapping[str, Any], batch: int, imgsz: int, steps: int
) -> tuple[list[Step], list[float]]:
    """Train for a few batches.

    Args:
        stand_in: pictures.
        folder: for what is written.
        options: that the recipe became.
        batch: pictures a step.
        imgsz: side of the input.
        steps: batches after which it ends.

    Returns:
        As `train_by_reference`.
    """
    recorder, epochs = _Recorder(steps), int(options["trainer.max_epochs"])
    trainer = _trainer(folder, epochs, [recorder, EMA()])
    module = _module(stand_in, optim=OptimConfig(**chosen(options, OPTIM, OptimConfig)))
    trainer.fit(module, YoloDataModule(str(stand_in.data_yaml), imgsz=imgsz, batch_size=batch, workers=0))
    return recorder.rows[:steps], [module.optimization.schedule.factor(epoch) for epoch in range(epochs)]


def _trainer(folder: Path, epochs: int, callbacks: list[pl.Callback]) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, logger=False, callbacks=callbacks, default_root_dir=folder,
        limit_val_batches=0, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def _module(stand_in: StandIn, **options: Any) -> Any:
    kind: Any = module_class("yolo", stand_in.about["task"])
    return kind(**options, **({"camera": None} if stand_in.about["task"] == "pose" else {}))


def samples_here(
    stand_in: StandIn, folder: Path, options: Mapping[str, Any], imgsz: int, count: int
) -> tuple[list[str], Mapping[str, Any], Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]]:
    """Augment the training pictures of a data set.

    Args:
        stand_in: pictures.
        folder: for what is written.
        options: that the recipe became.
        imgsz: side of the samples.
        count: samples; each picture is augmented as often as it takes.

    Returns:
        As `reference_samples`.
    """
    from aigp_lightning.data.augment.pipeline import TrainPipeline

    config = augment_config(options)
    data = YoloDataModule(str(stand_in.data_yaml), imgsz=imgsz, batch_size=4, workers=0, augment=config)
    trainer = _trainer(folder, 1, [])
    trainer.strategy.connect(_module(stand_in))
    trainer.state.fn, data.trainer = TrainerFn.FITTING, trainer
    data.prepare_data()
    data.setup("fit")

    def samples() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        loader: Any = data.train_dataloader()
        for epoch in range(count):
            loader.batch_sampler.sampler.set_epoch(epoch)  # other samples of the same pictures
            for batch in loader:
                for index, picture in enumerate(batch["img"]):
                    boxes = batch["bboxes"][batch["batch_idx"] == index]
                    yield picture.permute(1, 2, 0).numpy(), boxes.numpy().reshape(-1, 4)

    points = data.spec.keypoints if data.pose else None
    flips = (points.flip_idx, points.flip_idx_vertical) if points is not None else (None, None)
    pipeline = TrainPipeline(imgsz, config, *flips, keypoints=data.pose)
    parameters = {field.name: getattr(pipeline.config, field.name) for field in fields(AugmentConfig)}
    names = [_named(each, config) for each in pipeline.transforms]
    return names, parameters, islice(samples(), count)


def _named(transform: Any, config: AugmentConfig) -> str:
    """Name a transform with its parameters."""
    name = type(transform).__name__
    own = {"MosaicAffine": ("mosaic", "degrees", "translate", "scale", "shear", "perspective"),
           "RandomHSV": ("hsv_h", "hsv_s", "hsv_v"), "SwapChannels": ("bgr",)}.get(name, ())  # fmt: skip
    shown = [f"{each}={getattr(config, each)}" for each in own if hasattr(config, each)]
    # who is mixed with whom is drawn before the transform, whose own probability is 1 then
    chances = {"MixUp": config.mixup, "CutMix": config.cutmix, "CopyPaste": config.copy_paste}
    return " ".join([name, *(shown or [f"p={chances.get(name, transform.p):g}"])])
