"""Tables, curves and corner errors of a run's best epoch, from its results image by image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import DataError, UserError, first_line
from aigp_lightning.logfiles.paths import is_file
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, read_results
from aigp_lightning.ranges import is_finite_number
from aigp_lightning.report.folder import RunFacts
from aigp_lightning.report.options import without_places
from aigp_lightning.types import Curves

POINTS = 200
"""Points of a curve at most; the values between are not seen on a screen."""
WHICH = {"PR": "pr", "F1": "f1", "P": "precision", "R": "recall"}
"""Names of the curves' files, and of the attributes of `Curves`."""


def results_of_run(facts: RunFacts) -> ImageResults | None:
    """Read the results of a run's best epoch; None where there are none, or they are another checkpoint's.

    Args:
        facts: of the run; gets a warning where the file cannot be used.
    """
    path = facts.path / RESULTS_FILE
    if not is_file(path):
        return None
    try:
        results = read_results(path)
    except DataError as error:
        facts.warnings.append(without_places(first_line(error)).replace(str(path), RESULTS_FILE))
        return None
    model = results.about.get("model")
    sha256 = model.get("sha256") if isinstance(model, dict) else None
    if sha256 != facts.model_sha256 or not facts.model_sha256:
        facts.warnings.append(
            f"{RESULTS_FILE} is of another checkpoint than weights/best.ckpt, so it is not shown."
            if facts.model_sha256
            else f"{RESULTS_FILE} is not shown, since the checkpoint that it is of is gone."
        )
        return None
    if lacking := results.not_kept:
        facts.warnings.append(f"{RESULTS_FILE} has no {lacking}: the run kept none, so there are no curves of them.")
    return results


def tables_of(results: ImageResults) -> dict[str, Any]:
    """Return what a report shows of results beside the images: `classes`, `curves`, `confusion` and `corners`.

    Args:
        results: of a validation.
    """
    from aigp_lightning.modules.metrics.result_metrics import confusion_of, curves_of

    names = [results.names[number] for number in sorted(results.names)]
    return {
        "classes": _plain_rows(results.about.get("table") or []),
        "curves": [row for curves in curves_of(results) for row in _curve_rows(curves)],
        "confusion": {"names": [*names, "background"], "matrix": confusion_of(results).tolist()},
        "corners": corners_of(results),
    }


def metrics_of_run(results: ImageResults) -> dict[str, float]:
    """Return the metrics that were measured with the results.

    Args:
        results: of a validation.
    """
    known = results.about.get("metrics")
    rows = known.items() if isinstance(known, dict) else ()
    return {str(key): float(value) for key, value in rows if is_finite_number(value)}


def corners_of(results: ImageResults) -> dict[str, Any] | None:
    """Return the errors of corners, by distance; None for detectors.

    Args:
        results: of a validation.
    """
    from aigp_lightning.modules.metrics.corner_report import CornerReport
    from aigp_lightning.modules.metrics.gate_camera import GateCamera
    from aigp_lightning.types import Keypoints

    named = results.about.get("keypoints")
    if not results.corner_rows.shape[1] or not named:
        return None
    names = tuple(map(str, named if isinstance(named, list) else named.get("names", ())))
    limits = results.about.get("bands") or []
    try:
        camera = GateCamera(bands=[float(limit) for limit in limits]) if limits else None
    except UserError:
        camera = None
    report = CornerReport(results.corner_rows, Keypoints(len(names), 3, names, points=_places(results)), camera)
    errors = report.errors()
    known = np.isfinite(errors.error) if errors is not None else np.zeros(0, np.bool_)
    return {
        "bands": report.bands(),
        "distance": rounded(errors.distance[known], 3) if errors is not None else [],
        "error": rounded(errors.error[known], 3) if errors is not None else [],
        "limits": [float(limit) for limit in limits],
    }


def _places(results: ImageResults) -> tuple[tuple[float, float, float], ...] | None:
    """Return where the keypoints are on the object, metres; None where nothing says, as in results of old."""
    places = results.about.get("object_points")
    return tuple((float(x), float(y), float(z)) for x, y, z in places) if places else None


def rounded(values: NDArray[Any], digits: int) -> list[Any]:
    """Return numbers as plain values with so many digits.

    Args:
        values: of any shape.
        digits: behind the point.

    Example:
        >>> rounded(np.float32([0.1, 2.55555]), 2)
        [0.1, 2.56]
    """
    plain: list[Any] = np.round(values.astype(np.float64), digits).tolist()
    return plain


def _curve_rows(curves: Curves) -> list[dict[str, Any]]:
    chosen = np.linspace(0, len(curves.x) - 1, min(POINTS, len(curves.x))).round().astype(np.int64)
    rows = []
    for which, attribute in WHICH.items():
        values = getattr(curves, attribute)[:, chosen]
        series = {name: rounded(one, 4) for name, one in zip(curves.names, values, strict=True)}
        x = rounded(curves.x[chosen], 4)
        rows.append({"prefix": curves.prefix, "which": which, "x": x, "series": series})
    return rows


def _plain_rows(rows: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
