"""The families of models: the class of each task, and the suffix of their own weights files.

Classes are imported when they are asked for: most of them pull in a library of their own. The table itself imports
neither torch nor Lightning, so that `fetch` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.deployment import Decode
    from aigp_lightning.modules.published import Published
    from aigp_lightning.modules.trained_with import TrainedWith

ClassOf = Callable[[], "type[BaseModule]"]
"""Imports a module's class and returns it."""


@dataclass(frozen=True)
class WeightsFile:
    """A family's own form of weights file.

    Attributes:
        kind: for messages, such as "an Ultralytics file".
        family: whose it is.
        config: a configuration of that family, for messages.
        open: opens one as a module, in eval mode on the CPU.
        told_by: returns what one says of the run that wrote it.
        check: reads one as data, whatever its task, and refuses what is none; its name may have another ending.
        published: returns the address of one that the family's makers publish, by its name; None for others.
        published_names: lists those.

    Example:
        >>> FILES[".pt"].kind
        'an Ultralytics file'
    """

    kind: str
    family: str
    config: str
    open: Callable[[Path], BaseModule]
    told_by: Callable[[Path], TrainedWith]
    check: Callable[[Path], None]
    published: Callable[[str], Published | None]
    published_names: Callable[[], list[str]]


def _yolo_detect() -> type[BaseModule]:
    from aigp_lightning.modules.detector import DetectorModule

    return DetectorModule


def _yolo_pose() -> type[BaseModule]:
    from aigp_lightning.modules.pose import PoseModule

    return PoseModule


def _yolo_segment() -> type[BaseModule]:
    from aigp_lightning.modules.segment import SegmentModule

    return SegmentModule


def _open_pt(path: Path) -> BaseModule:
    from aigp_lightning.modules.yolo.weights import task_of_weights

    build: Any = CLASSES["yolo", task_of_weights(path)]()
    module: BaseModule = build(weights=str(path))
    module.set_network(module.build_network(None))
    return module.eval()


def _told_by_pt(path: Path) -> TrainedWith:
    from aigp_lightning.modules.yolo.told_by_pt import told_by_pt

    return told_by_pt(path)


def _check_pt(path: Path) -> None:
    from aigp_lightning.modules.yolo.pt_file import read_pt

    read_pt(path)


def _published_pt(name: str) -> Published | None:
    from aigp_lightning.modules.yolo.published import published_pt

    return published_pt(name)


def _names_of_pt() -> list[str]:
    from aigp_lightning.modules.yolo.published import published_names

    return published_names()


def _rfdetr() -> type[BaseModule]:
    from aigp_lightning.modules.rfdetr import RFDETRModule

    return RFDETRModule


def _open_pth(path: Path) -> BaseModule:
    module = _rfdetr()()
    module.weights = str(path)
    module.set_network(module.build_network(None))
    return module.eval()


def _told_by_pth(path: Path) -> TrainedWith:
    from aigp_lightning.modules.rfdetr.told_by_pth import told_by_pth

    return told_by_pth(path)


def _check_pth(path: Path) -> None:
    from aigp_lightning.modules.rfdetr.pth_file import load_pth, network_tensors

    network_tensors(load_pth(path), path)


def _published_pth(name: str) -> Published | None:
    from aigp_lightning.modules.rfdetr.published import published_pth

    return published_pth(name)


def _names_of_pth() -> list[str]:
    from aigp_lightning.modules.rfdetr.published import published_names

    return published_names()


def _decode_yolo() -> Decode:
    from aigp_lightning.modules.yolo.deployment import decode

    return decode


def _decode_rfdetr() -> Decode:
    from aigp_lightning.modules.rfdetr.deployment import decode

    return decode


def family_of_export(metadata: Mapping[str, Any]) -> str:
    """Return the family of an exported file.

    Args:
        metadata: what the file says of itself; those of Ultralytics' own export name no `head`.

    Example:
        >>> family_of_export({"head": "Detect"}), family_of_export({"head": "RFDETR"})
        ('yolo', 'rfdetr')
    """
    return HEADS.get(str(metadata.get("head")), DEFAULT[0])


CLASSES: dict[tuple[str, str], ClassOf] = {
    ("yolo", "detect"): _yolo_detect,
    ("yolo", "pose"): _yolo_pose,
    ("yolo", "segment"): _yolo_segment,
    ("rfdetr", "detect"): _rfdetr,
}
"""Classes by family and task."""
DEFAULT = ("yolo", "detect")
"""Family and task of the class that a command has where nobody says another."""
FILES: dict[str, WeightsFile] = {
    ".pt": WeightsFile(
        "an Ultralytics file",
        "yolo",
        "configs/detector.yaml",
        _open_pt,
        _told_by_pt,
        _check_pt,
        _published_pt,
        _names_of_pt,
    ),
    ".pth": WeightsFile(
        "an RF-DETR file",
        "rfdetr",
        "configs/rfdetr.yaml",
        _open_pth,
        _told_by_pth,
        _check_pth,
        _published_pth,
        _names_of_pth,
    ),
}
"""Families' own weights files by suffix."""
HEADS = {"RFDETR": "rfdetr"}
"""Families by the `head` that exported files name; all others are heads of the first family."""
DECODERS: dict[str, Callable[[], Decode]] = {"yolo": _decode_yolo, "rfdetr": _decode_rfdetr}
"""Imports the function that turns what a family's exported files return into predictions."""
