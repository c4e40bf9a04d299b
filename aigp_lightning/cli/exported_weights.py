"""Exported files in the place of weights: `validate --model.weights best.int8.onnx` measures the file itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.checkpoints.weight_places import located
from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.exported_graph import SUFFIXES

if TYPE_CHECKING:
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.base import BaseModule


def with_exported_weights(verb: str, model: BaseModule, data: YoloDataModule) -> BaseModule:
    """Return the module that measures an exported file, where a module's weights are one; else the module.

    The file says how pictures are brought to its input, and of which size that is.

    Args:
        verb: fit, validate, test or predict; an exported file can be measured, by the middle two.
        model: of the configured class, whose limits count.
        data: of the verb.

    Raises:
        ConfigError: the file is of another class than the configured one, or takes no pictures of the size.
        WeightsError: it cannot be opened.
    """
    path = located(str(model.weights)) if verb in ("validate", "test") and model.weights is not None else None
    if path is None or path.suffix not in SUFFIXES:
        return model
    from aigp_lightning.evaluation.exported import ExportedModule, told_by_exported
    from aigp_lightning.evaluation.exported_graph import open_graph

    told, graph = told_by_exported(path), open_graph(path)
    if (told.family, told.task) != (model.family, model.task):
        raise ConfigError(
            f"--model.weights {path} is of family {told.family} and task {told.task}, the configuration's model of "
            f"{model.family} and {model.task}: take the configuration that it was trained with."
        )
    _settle(data, told.data, path, graph.fixed_size)
    if (limits := getattr(model, "inference", None)) is not None:
        cast("Any", model).inference = replace(limits, nms_free=told.model["nms_free"])  # by the head that it has
    return ExportedModule(graph, model)


def _settle(data: Any, told: dict[str, Any], path: Path, fixed_size: tuple[int, int] | None) -> None:
    """Take from a file how pictures are brought to its input."""
    data.resize = told.get("resize", data.resize)
    if fixed_size is None:
        return
    data.rect = False  # files of one size take no rectangles
    if data.imgsz != max(fixed_size):
        raise ConfigError(
            f"--data.imgsz {data.imgsz}: {path} takes pictures of {max(fixed_size)} pixels alone; say "
            f"--data.imgsz {max(fixed_size)}."
        )
