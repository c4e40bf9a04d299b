"""One model measured on one split of a data set, as the verbs `validate` and `test` measure it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.checkpoints.weight_places import find_weights
from aigp_lightning.data.input_size import USUAL_SIZE
from aigp_lightning.errors import ConfigError, WeightsError, warn_user
from aigp_lightning.evaluation.exported import open_exported, told_by_exported
from aigp_lightning.evaluation.exported_graph import SUFFIXES
from aigp_lightning.evaluation.open_model import check_numbers
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.registry import kind_of_file, module_class, trained_with
from aigp_lightning.modules.run_options import accepted_options, build_module
from aigp_lightning.terminal.output import has_live_terminal

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.metrics.image_results import ImageResults
    from aigp_lightning.modules.trained_with import TrainedWith

CHECKPOINT = ".ckpt"
SPLITS = ("val", "test")
OF_ITS_DATA = ("fraction",)
"""Options that say nothing of another data set."""
EXACT = "32-true"
"""Precision of exported files."""


@dataclass(frozen=True)
class EvaluationData:
    """The images that a model is measured on; what is None is as the model's run had it.

    Args:
        data_yaml: the data set.
        split: `val` or `test`.
        batch_size: half of the images that are validated at once, as `--data.batch_size`.
        workers: processes that load images.
        progress: show progress, where a terminal is there to show it.
        rect: validate in rectangles that fit the images. Exported files of one size always take squares.
        imgsz: side of the network's input, pixels. Exported files of one size take no other.

    Example:
        >>> EvaluationData("datasets/gates/data.yaml").split
        'val'
    """

    data_yaml: str | None = None
    split: str = "val"
    batch_size: int | None = None
    workers: int | None = None
    progress: bool = True
    rect: bool | None = None
    imgsz: int | None = None


def evaluate(model: Path, data: EvaluationData, run: TrainedWith | None = None) -> ImageResults:
    """Measure a model, on a GPU where there is one.

    Args:
        model: a checkpoint of ours, a family's own weights file (`.pt`, `.pth`), or an export (`.onnx`,
            `.torchscript`, `.xml`, `.engine`). The options of its run are taken from it, or from the checkpoint beside
            it.
        data: what it is measured on.
        run: the options of its run, instead of those.

    Returns:
        The results. In `about`, `model` is the file's name and SHA-256, `settings` tells how it was measured.

    Raises:
        ConfigError: an option is wrong or missing.
        WeightsError: the model cannot be opened, has weights that are no numbers, or is of other classes or keypoints
            than the data set.
        DataError: the data set cannot be used.

    Example:
        >>> evaluate(Path("runs/best.onnx"), EvaluationData("data.yaml"))
        Traceback (most recent call last):
        aigp_lightning.errors.WeightsError: no weights file at runs/best.onnx. Give the path of a model on this disk.
    """
    if data.split not in SPLITS:
        raise ConfigError(f"split {data.split!r} cannot be measured; take one of {', '.join(SPLITS)}.")
    model = find_weights(model, kind="a model")
    told, module = _opened(model, run)
    return _measured(module, _options(model, told, data), model, data)


def _opened(model: Path, run: TrainedWith | None) -> tuple[TrainedWith, BaseModule]:
    """Return what a file tells of its run, or what is known of it, and the module that measures it."""
    if model.suffix in SUFFIXES:
        told = told_by_exported(model, run)
        return told, open_exported(model, told)
    if model.suffix != CHECKPOINT and kind_of_file(model) is None:
        raise WeightsError(f"{model} is no model that is known here; those end in {', '.join(known_suffixes())}.")
    told = trained_with(model) if run is None else run
    kind = module_class(told.family, told.task, model)
    module = build_module(kind, accepted_options(kind, told.model), model)
    if model.suffix != CHECKPOINT:
        module.weights = str(model)
    return told, module


def known_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the files that `evaluate` opens.

    Example:
        >>> known_suffixes()
        ('.ckpt', '.pt', '.pth', '.onnx', '.torchscript', '.xml', '.engine')
    """
    from aigp_lightning.modules.families import FILES

    return CHECKPOINT, *FILES, *SUFFIXES


def _options(model: Path, told: TrainedWith, data: EvaluationData) -> dict[str, Any]:
    """Return the arguments of the datamodule."""
    options = told.validated_by
    if data.data_yaml is not None:
        options = {name: value for name, value in options.items() if name not in OF_ITS_DATA}
    asked: dict[str, Any] = {"data_yaml": data.data_yaml, "batch_size": data.batch_size, "workers": data.workers}
    asked |= {"rect": data.rect, "imgsz": data.imgsz}
    options |= {name: value for name, value in asked.items() if value is not None}
    if "data_yaml" not in options:
        raise ConfigError(f"{model} does not say which data set it was trained on: name a data.yaml.")
    if not Path(options["data_yaml"]).exists() and data.data_yaml is None:
        raise ConfigError(f"the data set of {model} is not there any more: {options['data_yaml']}. Name its data.yaml.")
    if "imgsz" not in options:
        warn_user(f"{model} does not say at which image size it was trained: {USUAL_SIZE} is taken")
    return {"imgsz": USUAL_SIZE, **options}


def _measured(module: BaseModule, options: dict[str, Any], model: Path, asked: EvaluationData) -> ImageResults:
    """Validate or test a module, and return what was found."""
    import torch
    from lightning.pytorch import Trainer

    from aigp_lightning.callbacks.image_results import CollectImageResults
    from aigp_lightning.checkpoints.io import AtomicCheckpointIO
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.run.precision import default_precision

    live, on_gpu = asked.progress and has_live_terminal(), torch.cuda.is_available()
    collecting = CollectImageResults(live)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="gpu" if on_gpu else "cpu",
            devices=1,
            precision=cast("Any", EXACT if model.suffix in SUFFIXES else default_precision(on_gpu, training=False)),
            logger=False,
            callbacks=[collecting],
            plugins=[AtomicCheckpointIO()],
            default_root_dir=folder,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=live,
            use_distributed_sampler=False,
        )
        measure = trainer.test if asked.split == "test" else trainer.validate
        checkpoint = str(model) if model.suffix == CHECKPOINT else None
        measure(module, datamodule=YoloDataModule(**options), ckpt_path=checkpoint, verbose=False)
    check_numbers(module, model)
    results = collecting.results
    assert results is not None
    return replace(results, about={**results.about, "model": {"file": model.name, "sha256": sha256_of(model)}})
