"""The thresholds that a model flies with, as `calibrate` writes them: `thresholds.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.paths import run_folder_of
from aigp_lightning.errors import ConfigError
from aigp_lightning.files import write_atomic
from aigp_lightning.ranges import COUNT, POSITIVE, SHARE, check_ranges

NAME = "thresholds.json"
FORMAT = "aigp-thresholds-1"
RANGES = {"conf": SHARE, "keypoint_conf": SHARE, "iou": SHARE, "reprojection_px": POSITIVE, "max_det": COUNT}


@dataclass(frozen=True)
class Thresholds:
    """What decides which detections and corners are used.

    Attributes:
        conf: lowest confidence of a box, 0…1.
        keypoint_conf: lowest confidence of a keypoint that counts as seen, 0…1.
        iou: overlap from which NMS drops the less sure of two boxes, 0…1.
        reprojection_px: largest RMS reprojection error of a pose that is used, pixels of the camera's picture; None:
            no limit.
        max_det: most detections of a picture.
        about: how they were chosen: the rule, the figures, the frames, SHA-256 of the weights; empty where nobody
            chose.

    Example:
        >>> Thresholds(conf=0.3).values()["conf"]
        0.3
    """

    conf: float = 0.25
    keypoint_conf: float = 0.5
    iou: float = 0.7
    reprojection_px: float | None = None
    max_det: int = 300
    about: dict[str, Any] = field(default_factory=dict, compare=False)

    def values(self) -> dict[str, Any]:
        """Return the thresholds alone, by name."""
        return {name: value for name, value in asdict(self).items() if name != "about"}


def write_thresholds(path: Path, thresholds: Thresholds) -> None:
    """Write thresholds as JSON, atomically.

    Args:
        path: where to.
        thresholds: what to write.

    Raises:
        OSError: it names the file.
    """
    content = {"format": FORMAT, **asdict(thresholds)}
    write_atomic(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_thresholds(path: Path) -> Thresholds:
    """Read a file that `calibrate` wrote, or somebody by hand.

    Args:
        path: of the file.

    Raises:
        ConfigError: it is missing, no JSON, of another format, or a value is out of range.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ConfigError(f"{path} holds no thresholds: its 'format' is not {FORMAT!r}.")
    known = {each.name for each in fields(Thresholds)}
    if unknown := sorted(content.keys() - known - {"format"}):
        raise ConfigError(f"{path}: {', '.join(unknown)} is no threshold; known are {', '.join(sorted(known))}.")
    values = {key: value for key, value in content.items() if key != "format"}
    check_ranges(str(path), values, {key: allowed for key, allowed in RANGES.items() if values.get(key) is not None})
    if any(values.get(key, 0.5) is None for key in RANGES if key != "reprojection_px"):
        raise ConfigError(f"{path}: only reprojection_px may be null.")
    return Thresholds(**values)


def thresholds_of(model: Path) -> Path | None:
    """Return the `thresholds.json` that belongs to a model: in its run folder, else beside it; None without one.

    Args:
        model: a checkpoint or a weights file.

    Example:
        >>> thresholds_of(Path("no/such/weights/best.ckpt")) is None
        True
    """
    places = (run_folder_of(model), model.parent)
    return next((place / NAME for place in places if place is not None and (place / NAME).is_file()), None)
