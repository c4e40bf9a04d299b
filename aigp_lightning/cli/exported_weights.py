"""Exported files in the place of weights: `validate --model.weights best.int8.onnx` measures the file itself.

So does `test`, and `predict` looks at pictures with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.checkpoints.weight_places import located
from aigp_lightning.errors import ConfigError, warn_user
from aigp_lightning.evaluation.named_model import EXPORTED as SUFFIXES
from aigp_lightning.modules.metrics.camera_values import INTRINSICS, same_points
from aigp_lightning.modules.run_options import plain

if TYPE_CHECKING:
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.base import BaseModule

OPTION, POINTS = "model.camera", "object_points"
SAYS = ("profile", *INTRINSICS, "distortion", POINTS)
"""Options of a camera that a contract says."""


def with_exported_weights(verb: str, model: BaseModule, data: YoloDataModule) -> BaseModule:
    """Return the module that runs an exported file, where a module's weights are one; else the module.

    The file says how pictures are brought to its input, and of which size that is.

    Args:
        verb: fit, validate, test or predict; all but the first take exported files.
        model: of the configured class, whose limits count.
        data: of the verb.

    Raises:
        ConfigError: the file is of another class than the configured one, or takes no pictures of the size.
        WeightsError: it cannot be opened.
    """
    path = located(str(model.weights)) if verb != "fit" and model.weights is not None else None
    if path is None or path.suffix not in SUFFIXES:
        return model
    from aigp_lightning.evaluation.exported import ExportedModule, resize_of
    from aigp_lightning.evaluation.exported_graph import open_graph
    from aigp_lightning.modules.families import family_of_export

    graph = open_graph(path)
    family, task = family_of_export(graph.told), str(graph.told["task"])
    if (family, task) != (model.family, model.task):
        raise ConfigError(
            f"--model.weights {path} is of family {family} and task {task}, the configuration's model of "
            f"{model.family} and {model.task}: take the configuration that it was trained with."
        )
    _settle(data, resize_of(graph), path, graph.fixed_size)
    if (limits := getattr(model, "inference", None)) is not None:
        if getattr(limits, "tta", False):
            raise ConfigError(f"--model.tta true: {path} looks at a picture once; leave the option out.")
        nms_free = bool(graph.told.get("end2end"))  # by the head that it has
        cast("Any", model).inference = replace(limits, nms_free=nms_free)
    return ExportedModule(graph, model)


def keep_camera(config: Any, contract: Any, words: Sequence[str], path: Path) -> None:
    """Take the camera of a file's contract, where the command line names no other; a configuration's does not count.

    Args:
        config: of the verb; changed in place.
        contract: options of its camera; none where it says none.
        words: of the command line.
        path: of the file.
    """
    from aigp_lightning.evaluation.exported_contract import other_cameras

    arguments = config.model.get("init_args")
    camera = None if arguments is None else arguments.get("camera")
    if camera is None or not isinstance(contract, Mapping):
        return
    typed = {word.partition("=")[0].removeprefix("--").replace(".init_args.", ".") for word in words}
    given, kept = plain(camera.as_dict()), set(contract) & set(SAYS)
    if typed & {OPTION, *(f"{OPTION}.{name}" for name in SAYS if name != POINTS)}:
        kept &= {POINTS}
    if typed & {OPTION, f"{OPTION}.{POINTS}"}:
        kept -= {POINTS}
    if f"{OPTION}.profile" in typed:  # numbers of the contract's own camera would leave it without effect
        for name in INTRINSICS:
            if f"{OPTION}.{name}" not in typed and given.get(name) == contract.get(name):
                camera[name] = None
    differ = other_cameras(given, {**given, **{name: contract[name] for name in kept}})
    if POINTS in kept and given.get(POINTS) is not None and not same_points(given[POINTS], contract[POINTS]):
        differ = ", ".join([*([differ] if differ else []), f"{POINTS} of other places"])
    for name in kept:
        camera[name] = contract[name]
    if differ:
        warn_user(
            f"the configuration names another camera than the contract of {path}: {differ}. The contract's is taken; "
            f"--{OPTION} on the command line asks for another"
        )


def _settle(data: Any, resize: str | None, path: Path, fixed_size: tuple[int, int] | None) -> None:
    """Take from a file how pictures are brought to its input."""
    data.resize = data.resize if resize is None else resize
    data.fixed_size = fixed_size
    if fixed_size is None:
        return
    data.rect = False  # files of one size take no rectangles
    if data.imgsz != max(fixed_size):
        raise ConfigError(
            f"--data.imgsz {data.imgsz}: {path} takes pictures of {max(fixed_size)} pixels alone; say "
            f"--data.imgsz {max(fixed_size)}."
        )
