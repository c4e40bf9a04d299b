"""Names the network of an Ultralytics `.pt` as Ultralytics does."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

from ultralytics.nn.tasks import yaml_model_load

from aigp_lightning.modules.yolo import quiet  # noqa: F401
from aigp_lightning.modules.yolo.pt_file import read_pt
from aigp_lightning.modules.yolo.weights import task_of_weights


def variant_of(path: Path) -> tuple[str, str | None]:
    """Return the task of an Ultralytics `.pt`, and by which name Ultralytics has its network.

    Args:
        path: the file.

    Returns:
        Task, and a name such as `yolo11n-pose`; None in its place for a network of one's own.

    Raises:
        WeightsError: it cannot be read, or is of a task that is not trained here.
    """
    task = task_of_weights(path)
    described = read_pt(path)[0].get("yaml")
    file = described.get("yaml_file") if isinstance(described, dict) else None
    name = PureWindowsPath(str(file or "")).stem
    try:
        known = bool(name) and bool(yaml_model_load(f"{name}.yaml").get("scale"))
    except Exception:  # there is no such network
        known = False
    return task, name if known else None
