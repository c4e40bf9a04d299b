"""How often a detector loses corners, and for how long: `dropout.json`, which `validate --sequence` writes.

A corner that could be seen is a chain of two states, seen and lost (Gilbert, *Capacity of a burst-noise channel*, Bell
System Technical Journal 39, 1960). With r its share of lost frames and s the chance that a lost corner is lost in the
next frame too, λ = (s − r) / (1 − r) is what two successive frames have in common: 0 if losses are independent, near 1
if they last. From one frame to another that is t seconds later it is λ to the power of t · `frame_hz`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError

FORMAT = "aigp-dropout-1"
LONGEST = 0.9999
"""Largest λ: a loss of 10,000 frames."""
STEPS = 60
"""Halvings that bring a band's shift to the last bit."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class DropoutModel:
    """A detector's losses of corners, of those that could be seen.

    Attributes:
        keypoints: (K,) their names.
        rate: (K,) share of the frames in which each was lost; None where it was never in view.
        stay_lost: (K,) chance that a lost one is lost in the next frame too; None where none was ever lost.
        frame_hz: frames a second.
        bands_m: limits between bands of the object's distance, metres, rising; empty without distances.
        rate_by_band: share lost in each band, all corners together; one more than the limits. None where nothing was
            seen in a band.
        intervals: 95 % intervals of `rate`, `stay_lost` and `rate_by_band`, each a pair or None.
        about: frames, model, thresholds; for people.

    Example:
        >>> model = DropoutModel(("tl", "tr"), (0.2, 0.1), (0.84, None), 30.0)
        >>> model.stickiness().round(3).tolist()
        [0.8, 0.0]
    """

    keypoints: tuple[str, ...]
    rate: tuple[float | None, ...]
    stay_lost: tuple[float | None, ...]
    frame_hz: float
    bands_m: tuple[float, ...] = ()
    rate_by_band: tuple[float | None, ...] = ()
    intervals: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> str:
        """Return the text of a `dropout.json`."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, allow_nan=False) + "\n"

    def stickiness(self) -> Array:
        """Return λ of each corner, (K,) 0…1; losses that last shorter than independent ones count as those."""
        rate = np.array([np.nan if each is None else each for each in self.rate])
        stay = np.array([np.nan if each is None else each for each in self.stay_lost])
        with np.errstate(invalid="ignore", divide="ignore"):
            common = (stay - rate) / (1 - rate)
        return np.asarray(np.nan_to_num(common).clip(0, LONGEST))

    def rates_by_band(self) -> Array:
        """Return the share lost of each corner in each band, (bands + 1, K).

        The corners' own rates are shifted in log-odds, all by as much, so that their mean is the band's. A band
        without a rate has the next nearer one's, or else the next farther one's.

        Example:
            >>> near_far = DropoutModel(("a", "b"), (0.1, 0.3), (0.8, 0.8), 30.0, (10.0,), (0.2, 0.6))
            >>> rates = near_far.rates_by_band()
            >>> rates.mean(1).round(6).tolist(), rates[0].round(6).tolist()
            ([0.2, 0.6], [0.1, 0.3])
        """
        rate = np.array([0.0 if each is None else each for each in self.rate])
        if not any(each is not None for each in self.rate_by_band):
            return np.asarray(rate[None])
        bands: list[float | None] = list(self.rate_by_band)
        for order in (range(len(bands)), range(len(bands) - 1, -1, -1)):
            last = None
            for place in order:
                last = bands[place] = last if bands[place] is None else bands[place]
        return np.stack([_shifted(rate, float(each or 0.0)) for each in bands])


def _shifted(rate: Array, mean: float) -> Array:
    """Return rates shifted in log-odds until they have a mean; rates of 0 and 1 stay where they can."""
    if mean <= 0 or mean >= 1 or rate.max() <= 0 or rate.min() >= 1:
        return np.full_like(rate, mean)
    odds = np.log(rate.clip(1e-9, 1 - 1e-9) / (1 - rate.clip(1e-9, 1 - 1e-9)))
    low, high = -50.0, 50.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-odds - middle))).mean() < mean else (low, middle)
    return np.asarray(1 / (1 + np.exp(-odds - (low + high) / 2)))


def read_dropout(path: str | Path) -> DropoutModel:
    """Read a `dropout.json`.

    Args:
        path: of the file.

    Raises:
        ConfigError: it is missing, no JSON, of another format, or a value of it is wrong; the message names both.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"dropout_model {path}: can't be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise ConfigError(f"dropout_model {path}: not valid JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ConfigError(f"dropout_model {path}: its 'format' is not {FORMAT!r}; `validate --sequence` writes it")
    if wrong := next(_faults(content), ""):
        raise ConfigError(f"dropout_model {path}: {wrong}")
    return DropoutModel(
        keypoints=tuple(map(str, content["keypoints"])),
        rate=tuple(content["rate"]),
        stay_lost=tuple(content["stay_lost"]),
        frame_hz=float(content["frame_hz"]),
        bands_m=tuple(map(float, content.get("bands_m", ()))),
        rate_by_band=tuple(content.get("rate_by_band", ())),
        intervals=content.get("intervals", {}),
        about=content.get("about", {}),
    )


def _faults(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the values of a file; only the first one is sure to make sense."""
    lists = {key: content.get(key, []) for key in ("keypoints", "rate", "stay_lost", "bands_m", "rate_by_band")}
    yield from (f"'{key}' must be a list" for key, value in lists.items() if not isinstance(value, list))
    names, rates, stays, limits, bands = lists.values()
    if not names or len(rates) != len(names) or len(stays) != len(names):
        yield "'keypoints', 'rate' and 'stay_lost' must have one entry for each corner"
    for key in ("rate", "stay_lost", "rate_by_band"):
        if any(each is not None and not (_is_number(each) and 0 <= each <= 1) for each in lists[key]):
            yield f"'{key}' must hold numbers from 0 to 1, or null where nothing was measured"
    if not _is_number(content.get("frame_hz")) or content["frame_hz"] <= 0:
        yield "'frame_hz' must be a number above 0: frames a second"
    if not all(_is_number(each) and each > 0 for each in limits) or sorted(set(limits)) != limits:
        yield "'bands_m' must be rising distances in metres"
    if bands and len(bands) != len(limits) + 1:
        yield "'rate_by_band' must have one entry more than 'bands_m' has limits"


def _is_number(value: object) -> bool:
    """True if a value of a file is a finite number and no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
