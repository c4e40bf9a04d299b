"""Results that a run kept of its best epoch's validation."""

from __future__ import annotations

from pathlib import Path

from aigp_lightning.checkpoints.paths import BEST, run_folder_of
from aigp_lightning.errors import DataError
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, read_results


def results_of(model: Path) -> ImageResults | None:
    """Return the results that a run kept of its best checkpoint.

    Args:
        model: `best.ckpt` of a run, or another file of the same weights beside it, such as `best.pt`. Other files of a
            run, such as `last.ckpt`, have no results.

    Returns:
        None where there are none: also if they are damaged, or of another `best.ckpt` than the run has by now.

    Example:
        >>> results_of(Path("runs/detect/gates/weights/best.ckpt")) is None  # there is no such run
        True
    """
    folder = run_folder_of(model)
    if folder is None or model.stem != BEST.stem:
        return None
    try:
        results = read_results(folder / RESULTS_FILE)
        known = results.about.get("model")
        digest = known.get("sha256") if isinstance(known, dict) else None
        return results if digest is not None and digest == sha256_of(folder / BEST) else None
    except (DataError, OSError):
        return None
