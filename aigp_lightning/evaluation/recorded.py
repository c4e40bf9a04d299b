"""Results that a run kept of its best epoch's validation."""

from __future__ import annotations

import math
from pathlib import Path

from aigp_lightning.checkpoints.load import read_metadata
from aigp_lightning.checkpoints.paths import BEST, run_folder_of
from aigp_lightning.errors import DataError, WeightsError, first_line, warn_user
from aigp_lightning.evaluation.weighted_metrics import metrics_of
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.metrics.image_results import KIND_NAMES, RESULTS_FILE, ImageResults, read_results

NEARLY = 1e-3
"""Part of a figure by which the one that a file names may differ from the one that its arrays give."""
NEEDED = {
    "task": (), "family": (), "names": (), "metrics": (), "settings": ("imgsz",),
    "data": ("data_yaml", "split", "sha256", "images", "labels"),
}  # fmt: skip
"""Parts of `about`, and values of a part, without which results are compared with nothing."""
LARGEST_SIDE = 1 << 16
"""Pixels; the side of no network's input is longer."""


def results_of(model: Path) -> ImageResults | None:
    """Return the results that a run, or a version in the store, has of its best checkpoint.

    Args:
        model: `best.ckpt` of either, or another file of the same weights beside it, such as `best.pt`. Other files of a
            run, such as `last.ckpt`, have no results.

    Returns:
        None where there are none that can be used: also if they are of another `best.ckpt` than the run has by now.
        The user is told in a line if they are damaged, lack what a comparison needs, name figures that their arrays
        contradict, or are of another task or other classes than the checkpoint.

    Example:
        >>> results_of(Path("runs/detect/gates/weights/best.ckpt")) is None  # there is no such run
        True
    """
    run = run_folder_of(model)
    path = (model.parent if run is None else run) / RESULTS_FILE
    best = model.with_name(BEST.name)
    if model.stem != BEST.stem or not path.is_file():
        return None
    try:
        results = read_results(path)
        known = results.about.get("model")
        digest = known.get("sha256") if isinstance(known, dict) else None
        if digest is None or digest != sha256_of(best):
            return None
    except OSError:
        return None
    except DataError as error:
        _warn(f"{first_line(error)} It is not used: what is needed of it is measured anew.")
        return None
    if fault := fault_of(results) or _other_model(results, best):
        _warn(f"{path} is not used, and what is needed of it is measured anew: {fault}.")
        return None
    return results


def _warn(text: str) -> None:
    import lightning.pytorch  # noqa: F401  # knows which process speaks; measuring anew, which is next, needs it too

    warn_user(text)


def fault_of(results: ImageResults) -> str:
    """Say why results, which anybody may have written, cannot be used; empty where they can.

    Args:
        results: of a validation.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> fault_of(empty_results(["a.jpg"], {"task": "detect"}))
        "it does not say its 'family'"
    """
    for part, values in NEEDED.items():
        content = results.about.get(part)
        lacking = part if content is None else next((name for name in values if content.get(name) is None), None)
        if lacking is not None:
            return f"it does not say its {lacking!r}"
    side = results.about["settings"]["imgsz"]
    if type(side) is not int or not 0 < side <= LARGEST_SIDE:
        return "its 'imgsz' is no size of pictures"
    if results.not_kept == KIND_NAMES["P"]:  # which every version has kept, masks not
        return "it has no keypoints picture by picture"
    return contradiction(results)


def contradiction(results: ImageResults) -> str:
    """Say which figure results name that their arrays contradict, beyond rounding; empty where there is none.

    Figures that the arrays do not give, and those that are not known, are not compared.

    Args:
        results: of a validation.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> contradiction(empty_results(["a.jpg"], {"task": "detect", "metrics": {"metrics/mAP50(B)": 0.99}}))
        'it says that metrics/mAP50(B) is 0.99, and its arrays give 0'
    """
    said = results.about.get("metrics") or {}
    try:
        found = metrics_of(results)
    except (IndexError, ValueError) as error:  # rows of corners of another width
        return f"its arrays give no figures ({first_line(error)})"
    for name in sorted(found.keys() & said.keys()):
        value = said[name]
        if value is not None and not math.isclose(value, found[name], rel_tol=NEARLY, abs_tol=NEARLY):
            return f"it says that {name} is {value:.6g}, and its arrays give {found[name]:.6g}"
    return ""


def _other_model(results: ImageResults, checkpoint: Path) -> str:
    """Say in what results are of another model than a checkpoint."""
    try:
        metadata = read_metadata(checkpoint)
    except WeightsError:  # which is said where it is opened
        return ""
    if (task := results.about["task"]) != metadata["task"]:
        return f"it is of task {task}, and the checkpoint of task {metadata['task']}"
    return "" if results.names == metadata["names"] else "it is of other classes than the checkpoint"
