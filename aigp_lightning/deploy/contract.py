"""The contract that an exported file carries: what must be the same on the drone as it was in training.

`runtime.py`, which is copied to the drone, reads it and refuses what differs. Each field is hashed, and all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from aigp_lightning.data.items import stretch
from aigp_lightning.data.resizing import LETTERBOX, STRETCH
from aigp_lightning.deploy import runtime
from aigp_lightning.errors import warn_user
from aigp_lightning.evaluation.exported_contract import EXPORTED_FROM
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.deployment import Answers, Deployment, ExportGraph
from aigp_lightning.modules.metrics.rigid_pose import target_of
from aigp_lightning.modules.thresholds import Thresholds, choose_thresholds
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.types import Keypoints

GREY = 114
"""Of the letterbox."""
PROBE = (24, 10), (16, 8)
"""Height and width of a picture, and of what it is stretched to, where versions of Pillow differ."""


class Contracted(Deployment):
    """A family's deployment whose graphs carry the contract, and the SHA-256 of the file that they were made of.

    Attributes:
        fields: of the graph last made; empty before.

    Args:
        deployment: the family's own.
        module: that is deployed.
        source: its file, beside which or in whose run folder thresholds are looked for.
        resize: `letterbox` or `stretch`.
    """

    def __init__(self, deployment: Deployment, module: BaseModule, source: Path, resize: str) -> None:
        self._deployment, self._module, self._source, self._resize = deployment, module, source, resize
        self.formats, self.any_size = deployment.formats, deployment.any_size
        self.portable_reference = deployment.portable_reference
        self.fields: dict[str, Any] = {}
        self._origin = {EXPORTED_FROM: {"file": source.name, "sha256": sha256_of(source)}}

    @property
    def stride(self) -> int:
        """Sides of the network's input are multiples of this, pixels."""
        return self._deployment.stride

    def write_portable(self, path: Path, epoch: int = -1, settings: Mapping[str, Any] | None = None) -> None:
        """Write the family's own weights file, which has no contract; see `Deployment`."""
        self._deployment.write_portable(path, epoch, settings)

    def portable_graph(self, path: Path, imgsz: int) -> tuple[Answers, ExportGraph]:
        """Return how a file of `write_portable` answers, and how it should; see `Deployment`."""
        return self._deployment.portable_graph(path, imgsz)

    def graph(self, imgsz: int, dynamic: bool) -> ExportGraph:
        """Return what is traced, its metadata with the contract; see `Deployment`.

        Raises:
            ConfigError: the model's `thresholds.json` cannot be read.
        """
        graph = self._deployment.graph(imgsz, dynamic)
        told = not self.fields
        self.fields = contract_of(self._module, self._source, graph, imgsz, dynamic, self._resize)
        if told:
            _tell(self.fields, self._source)
        return replace(graph, metadata={**graph.metadata, **self._origin, **runtime.seal(self.fields)})

    def answer_nms_free(self, wanted: bool) -> None:
        """Have graphs answer by another head; see `Deployment`."""
        self._deployment.answer_nms_free(wanted)


def contract_of(
    module: BaseModule, source: Path, graph: ExportGraph, imgsz: int, dynamic: bool, resize: str
) -> dict[str, Any]:
    """Return the fields of a contract, see `runtime.FIELDS`, as plain values.

    Args:
        module: that is exported.
        source: its file.
        graph: what is traced of it.
        imgsz: side of the input, pixels.
        dynamic: whether files take any size.
        resize: `letterbox` or `stretch`.

    Raises:
        ConfigError: its `thresholds.json` cannot be read.

    Example:
        >>> from aigp_lightning.modules.detector import DetectorModule
        >>> module = DetectorModule("yolo11n").eval()
        >>> module.set_network(module.build_network({0: "gate"}))
        >>> fields = contract_of(module, Path("best.pt"), module.deployment.graph(64, False), 64, False, "letterbox")
        >>> fields["classes"], fields["thresholds"]["conf"], fields["camera"]
        (['gate'], 0.25, None)
    """
    keypoints, camera = module.keypoints if module.wants_keypoints else None, _camera(module, source)
    named = module.names
    return {
        "task": module.task,
        "classes": [named[label] for label in sorted(named)],
        "keypoints": None if keypoints is None else _keypoints(keypoints),
        "input": {"width": imgsz, "height": imgsz, "dynamic": dynamic, "batch": 1, "axes": "NCHW"},
        "resize": _resize(resize, dynamic),
        "colour": "RGB",
        "scaling": {"divide_by": 255},
        "output": {
            "family": module.family,
            "layout": graph.layout,
            "boxes": "xyxy" if graph.layout == runtime.ONE_TO_ONE else "cxcywh",
            "unit": "pixels of the input",
            "nms": graph.layout == runtime.CANDIDATES,
            "agnostic": bool(module.checkpoint_options().get("agnostic_nms", False)),
        },
        "thresholds": _thresholds(module, source),
        "camera": camera,
        "object_points": _object_points(module, keypoints, camera),
    }


def _keypoints(keypoints: Keypoints) -> dict[str, Any]:
    return {
        "count": keypoints.count,
        "numbers": keypoints.numbers,
        "names": list(keypoints.names),
        "flip_idx": None if keypoints.flip_idx is None else list(keypoints.flip_idx),
    }


def _resize(rule: str, dynamic: bool) -> dict[str, Any]:
    if rule == STRETCH.name:
        return {"rule": rule, "interpolation": "bilinear, antialiased", "passes": _passes()}
    rounding = "nearest" if dynamic else "up"
    return {"rule": LETTERBOX.name, "interpolation": "bilinear", "rounding": rounding, "grey": GREY, "centred": True}


def _passes() -> str:
    """Return in which order this machine's Pillow resizes, which its versions do differently."""
    shape, size = PROBE
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    ours = stretch(picture, size)
    for passes in ("by shrinkage", "width first"):
        if np.array_equal(runtime.stretched(picture, size, passes), ours):
            return passes
    import PIL

    return f"as Pillow {PIL.__version__} does it"


def _thresholds(module: BaseModule, source: Path) -> dict[str, Any]:
    """Return the thresholds that were chosen for a model, else its own."""
    choice = choose_thresholds(source)
    if choice.thresholds is not None:
        found, chosen = choice.thresholds, True
    else:
        own = module.checkpoint_options()
        limits = {name: own[name] for name in ("iou", "max_det", "keypoint_conf") if own.get(name) is not None}
        limit = getattr(getattr(module, "camera", None), "reprojection_px", None)
        found, chosen = Thresholds(conf=module.predict_conf, reprojection_px=limit, **limits), False
    values = found.values()
    return {name: values[name] if name == "max_det" else _float(values[name]) for name in values} | {"chosen": chosen}


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _camera(module: BaseModule, source: Path) -> dict[str, Any] | None:
    """Return the camera of the run that made a model; None where its file says none: a default is nobody's camera."""
    from aigp_lightning.modules.registry import trained_with

    camera = getattr(module, "camera", None)
    if camera is None or not trained_with(source).model.get("camera"):
        return None
    own = camera.runtime
    numbers = {name: float(getattr(own, name)) for name in ("fx", "fy", "cx", "cy")}
    size = {name: int(getattr(own, name)) for name in ("width", "height")}
    return {**size, **numbers, "distortion": [float(value) for value in own.distortion]}


def _object_points(
    module: BaseModule, keypoints: Keypoints | None, camera: Mapping[str, Any] | None
) -> list[list[float]] | None:
    """Return where each keypoint is on the object, metres; None where nobody said."""
    points = None if keypoints is None else keypoints.points
    target = target_of(keypoints, cast("Any", module).camera) if camera is not None else points
    return None if target is None else [[float(value) for value in point] for point in target]


def _tell(fields: Mapping[str, Any], source: Path) -> None:
    """Tell which thresholds the files carry, and why they will not fly, if so."""
    for fault in runtime.faults(fields):
        warn_user(f"runtime.py refuses files with this contract: {fault}.")
    values = fields["thresholds"]
    shown = ", ".join(f"{name} {value:g}" for name, value in values.items() if name != "chosen" and value is not None)
    choice = choose_thresholds(source)
    whose = f"of {choice.file}" if values["chosen"] else "the model's own, which nobody chose by frames"
    if choice.warning:
        warn_user(choice.warning + ".")
    print_line(f"thresholds in the files: {shown}; {whose}")
