"""The values of a `thresholds.json`, each held to its kind and range."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT, POSITIVE, SHARE, is_finite_number

SHA256 = re.compile("[0-9a-f]{64}")
SHOWN = 60
"""So many characters of a wrong value are shown."""
RANGES = {"conf": SHARE, "keypoint_conf": SHARE, "iou": SHARE, "reprojection_px": POSITIVE, "max_det": COUNT}


def finite_number(text: str) -> float:
    """Read a number of JSON; NaN and infinity are none.

    Args:
        text: of the number.

    Raises:
        ValueError: it is one of these, or too large.

    Example:
        >>> finite_number("0.5")
        0.5
    """
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no finite number")
    return number


def check_values(path: Path, values: Mapping[str, object]) -> None:
    """Refuse thresholds of the wrong kind or out of range, and an account of them that cannot be read.

    Args:
        path: of the file that has them.
        values: by name; those that are not there are not looked at.

    Raises:
        ConfigError: it names the file and the key.

    Example:
        >>> check_values(Path("thresholds.json"), {"conf": 2})
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: thresholds.json: conf 2: a number from 0 to 1.
    """
    for key in RANGES:
        if key in values:
            _check_value(path, key, values[key])
    _check_about(path, values.get("about", {}))


def _check_value(path: Path, key: str, value: object) -> None:
    """Refuse a threshold of the wrong kind or out of range.

    Raises:
        ConfigError: it names the file and the key.
    """
    if value is None and key == "reprojection_px":
        return
    allowed = RANGES[key]
    whole = allowed is COUNT
    if not is_finite_number(value) or value not in allowed or (whole and not isinstance(value, int)):
        null = ", or null for no limit" if key == "reprojection_px" else ""
        raise ConfigError(
            f"{path}: {key} {_shown(value)}: {'a whole number' if whole else 'a number'} {allowed}{null}."
        )


def _check_about(path: Path, about: object) -> None:
    """Refuse an account of how thresholds were chosen that cannot be read, above all for which weights.

    Raises:
        ConfigError: it names the file and the key.
    """
    if not isinstance(about, dict):
        raise ConfigError(f"{path}: about is a mapping that says how the thresholds were chosen.")
    model = about.get("model", {})
    if not isinstance(model, dict):
        raise ConfigError(f"{path}: about.model is a mapping that says for which weights, with 'sha256'.")
    said = model.get("sha256")
    if "sha256" in model and not (isinstance(said, str) and SHA256.fullmatch(said)):
        raise ConfigError(f"{path}: about.model.sha256 {_shown(said)}: 64 hexadecimal digits.")


def _shown(value: object) -> str:
    """Return a value as JSON spells it, not all of a long one."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return json.dumps(value)[:SHOWN]
