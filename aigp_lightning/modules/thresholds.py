"""The thresholds that a model flies with, as `calibrate` writes them: `thresholds.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.paths import run_folder_of
from aigp_lightning.errors import ConfigError
from aigp_lightning.files import sha256_of, write_atomic
from aigp_lightning.modules.threshold_values import check_values, finite_number

NAME = "thresholds.json"
FORMAT = "aigp-thresholds-1"
OF_THE_RUN = "auto"
"""In the place of a file: the `thresholds.json` of the model's run, where there is one."""
CHECKPOINT = ".ckpt"
OLDER = 2.0
"""Seconds by which an export may be older than its checkpoint: copying a run gives its files times of their own."""


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
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "about"}

    def limits(self) -> dict[str, Any]:
        """Return what limits detections, by the names of the modules' arguments.

        Example:
            >>> Thresholds(conf=0.3).limits()
            {'predict_conf': 0.3, 'iou': 0.7, 'max_det': 300}
        """
        return {"predict_conf": self.conf, "iou": self.iou, "max_det": self.max_det}

    def arguments(self) -> dict[str, Any]:
        """Return all of them that modules have arguments for, by their names."""
        return {**self.limits(), "keypoint_conf": self.keypoint_conf}

    @property
    def weights_sha256(self) -> str | None:
        """SHA-256 of the weights that they were chosen for; None where the file does not say it."""
        model = self.about.get("model")
        said = model.get("sha256") if isinstance(model, dict) else None
        return said if isinstance(said, str) else None


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
        ConfigError: it is missing, no JSON, of another format, or a value is of the wrong kind or out of range; the
            message names file and key.
    """
    try:
        content = json.loads(path.read_bytes(), parse_constant=finite_number, parse_float=finite_number)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except RecursionError:
        raise ConfigError(f"{path} is no JSON: nested too deeply.") from None
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ConfigError(f"{path} holds no thresholds: its 'format' is not {FORMAT!r}.")
    known = {each.name for each in fields(Thresholds)}
    if unknown := sorted(content.keys() - known - {"format"}):
        names = ", ".join(map(json.dumps, unknown))
        raise ConfigError(f"{path}: {names} is no threshold; known are {', '.join(sorted(known))}.")
    values = {key: value for key, value in content.items() if key != "format"}
    check_values(path, values)
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


def thresholds_for(model: Path, sha256: str | None = None) -> Thresholds | None:
    """Return the thresholds that were chosen for a model's weights; None without any, or with those of other weights.

    Args:
        model: a checkpoint, a weights file or an exported file.
        sha256: of its bytes, where that is known already.

    Raises:
        ConfigError: the file of the thresholds cannot be read.

    Example:
        >>> thresholds_for(Path("no/such/weights/best.ckpt")) is None
        True
    """
    file = thresholds_of(model)
    if file is None:
        return None
    found = read_thresholds(file)
    return found if are_of(found, model, sha256) else None


def are_of(thresholds: Thresholds, model: Path, sha256: str | None = None, source: str | None = None) -> bool:
    """True if thresholds were chosen for a file's weights, or do not say for which.

    An exported file has those of the file that it was written from, where it says which. Those of `best.ckpt` are those
    of a `best.pt` or `best.onnx` beside it, too, which was written after it.

    Args:
        thresholds: as they were read.
        model: the file.
        sha256: of its bytes, where that is known already.
        source: SHA-256 of the file that it was written from; None where it does not say.

    Example:
        >>> are_of(Thresholds(), Path("best.ckpt"))
        True
    """
    said = thresholds.weights_sha256
    if said is None or said == source or said == (sha256 or sha256_of(model)):
        return True
    beside = model.with_suffix(CHECKPOINT)
    if source is not None or model.suffix == CHECKPOINT or not beside.is_file():
        return False
    return model.stat().st_mtime >= beside.stat().st_mtime - OLDER and said == sha256_of(beside)


@dataclass(frozen=True)
class ChosenThresholds:
    """The thresholds that a command takes, and what it tells the user about them.

    Attributes:
        thresholds: to be used; None: those of the model's run stay.
        file: that they are from; None without one.
        warning: in a line, where a file is there that is not used, or is of other weights; else empty.
        by_frames: somebody chose them by frames; False for the model's own, as an exported file may carry them.
    """

    thresholds: Thresholds | None = None
    file: Path | None = None
    warning: str = ""
    by_frames: bool = True


def choose_thresholds(model: Path, asked: str | None = OF_THE_RUN, source: str | None = None) -> ChosenThresholds:
    """Return the thresholds that count for a model.

    Args:
        model: a checkpoint, a weights file or an exported file.
        asked: a file, which counts whatever weights it is of; `auto`: that of the model's run, if it is of these
            weights; None: none.
        source: SHA-256 of the file that an exported one was written from, see `are_of`.

    Raises:
        ConfigError: the file cannot be read.

    Example:
        >>> choose_thresholds(Path("best.ckpt"), None).thresholds is None
        True
    """
    if asked is None:
        return ChosenThresholds()
    named = asked != OF_THE_RUN
    file = Path(asked) if named else thresholds_of(model)
    if file is None:
        return ChosenThresholds()
    found = read_thresholds(file)
    if are_of(found, model, source=source):
        return ChosenThresholds(found, file)
    text = f"{file} was calibrated for other weights than those of {model}"
    if named:
        return ChosenThresholds(found, file, f"{text}; it counts, since it is named")
    return ChosenThresholds(None, file, f"{text}: its thresholds are not used. Run `calibrate` again")
