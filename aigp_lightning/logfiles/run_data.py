"""Finds the data set of a finished run, wherever the run was started and this is called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigp_lightning.logfiles.paths import resolved


def start_folders(run: Path, config: Mapping[str, Any]) -> list[Path]:
    """Return the folder that a run was started from, as far as its place tells; none where it does not.

    Args:
        run: the run folder, ROOT/TASK/NAME.
        config: the run's.
    """
    root = Path(str(_group(config, "run").get("root") or "runs"))
    parents = resolved(run).parents
    above = len(root.parts) + 1
    return [] if root.is_absolute() or above >= len(parents) else [parents[above]]


def data_yaml_places(run: Path, config: Mapping[str, Any]) -> list[Path]:
    """Return where the `data.yaml` of a run may be: from where the run was started, then from here.

    `{task}` stands for that of generated data, as in `configs/quick.yaml`.

    Args:
        run: the run folder.
        config: the run's.

    Returns:
        Paths, at least one; none where the configuration names no data set.
    """
    data = _group(config, "data")
    written = data.get("data_yaml")
    if not isinstance(written, str) or not written:
        return []
    path = Path(written.replace("{task}", str(_group(data, "synthetic").get("task")))).expanduser()
    return [folder / path for folder in dict.fromkeys([*start_folders(run, config), Path.cwd()])]


def find_data_yaml(run: Path, config: Mapping[str, Any] | None) -> Path | None:
    """Return the `data.yaml` of a run, or the folder that it is in; None if it is not there.

    Args:
        run: the run folder.
        config: the run's; None is one that cannot be read.
    """
    return next((path for path in data_yaml_places(run, config or {}) if _is_there(path)), None)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that cannot be one
        return False


def _group(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    group = config.get(name)
    return group if isinstance(group, Mapping) else {}
