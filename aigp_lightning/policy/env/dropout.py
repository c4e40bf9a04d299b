"""Corners that the detector loses, in all environments at once: a chain of two states for each corner of a gate."""

from __future__ import annotations

import numpy as np

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.arrays import FLOAT, Bools, Floats, Ints, Rows
from aigp_lightning.policy.env.dropout_file import DropoutModel
from aigp_lightning.policy.env.streams import Streams
from aigp_lightning.policy.env.track import OPENING, OUTER

GATES = 2
"""Gates of an observation: the next, and the one behind it."""
PLACES = ("top_left", "top_right", "bottom_right", "bottom_left")
"""Inner corners of a gate, in the observation's order."""
RINGS = {"inner": 1.0, "outer": OUTER / OPENING}
"""How far a ring's corners are from the gate's centre, as a share of the inner ones' distance."""


def corners_of_gate(names: tuple[str, ...], source: str) -> tuple[Ints, Floats]:
    """Say which corners of a gate keypoints are.

    Args:
        names: (K,) of the keypoints. Four are the inner corners, in the observation's order, unless they are called
            `top_left` and so on; eight are called `inner_top_left` to `outer_bottom_left`, in any order.
        source: the file that has them, for the error.

    Returns:
        (K,) the place of each among `PLACES`, and (K,) how far out it is, see `RINGS`.

    Raises:
        ConfigError: they are others.

    Example:
        >>> place, far = corners_of_gate(("inner_top_left", "outer_top_left"), "dropout.json")
        >>> place.tolist(), [round(float(each), 2) for each in far]
        ([0, 0], [1.0, 1.8])
    """
    known = {place: (number, 1.0) for number, place in enumerate(PLACES)}
    known |= {f"{ring}_{place}": (number, far) for ring, far in RINGS.items() for number, place in enumerate(PLACES)}
    plain = tuple(name.strip().lower().replace("-", "_").replace(" ", "_") for name in names)
    if not all(name in known for name in plain):
        if len(names) != len(PLACES):
            raise ConfigError(
                f"dropout_model {source} has {len(names)} keypoints ({', '.join(names)}), which are no gate's: it "
                f"takes four inner corners, or names such as {list(known)[-1]}"
            )
        plain = PLACES
    found = [known[name] for name in plain]
    return np.array([place for place, _ in found], np.int64), np.array([far for _, far in found], FLOAT)


class CornerDropout:
    """The corners of the next two gates that are lost in the latest picture, in `n` environments.

    Args:
        n: environments.
        model: rates and stickiness.
        interval: from one picture to the next, s.
        source: the model's file, for errors.

    Attributes:
        place, far: (K,) see `corners_of_gate`.

    Raises:
        ConfigError: the model's keypoints are no gate's, or a rate of it was never measured.

    Example:
        >>> model = DropoutModel(("0", "1", "2", "3"), (0.2,) * 4, (0.8,) * 4, frame_hz=30.0)
        >>> dropout, streams = CornerDropout(1000, model, interval=1 / 30), Streams(1000)
        >>> streams.seed(np.arange(1000, dtype=np.uint64))
        >>> here = np.full((2, 1000), 8.0), np.zeros(1000, bool), np.ones(1000, bool)
        >>> bool(abs(dropout.update(*here, streams, slice(None)).mean() - 0.2) < 0.02)
        True
    """

    def __init__(self, n: int, model: DropoutModel, interval: float, source: str = "dropout.json") -> None:
        self.place, self.far = corners_of_gate(model.keypoints, source)
        for name, rate, stay in zip(model.keypoints, model.rate, model.stay_lost, strict=True):
            if rate is None or (rate > 0 and stay is None):
                what = "was never in view" if rate is None else "was lost too rarely to say for how long"
                raise ConfigError(f"dropout_model {source}: corner {name} {what}; measure on more frames")
        if all(rate == 1 for rate in model.rate):
            raise ConfigError(f"dropout_model {source}: all corners are always lost, so that nothing is ever measured")
        self._rates = model.rates_by_band().astype(FLOAT)
        self._limits = np.array(model.bands_m if len(self._rates) > 1 else (), FLOAT)
        self._common = (model.stickiness() ** (interval * model.frame_hz)).astype(FLOAT)[:, None]
        self._lost = np.zeros((GATES, len(self.place), n), np.bool_)
        self._fresh = np.ones((GATES, n), np.bool_)  # no picture since the gate became one of the two

    def reset(self, rows: Rows) -> None:
        """Forget the past in the environments `rows`."""
        self._fresh[:, rows] = True

    def update(self, distance: Floats, switched: Bools, new_image: Bools, streams: Streams, rows: Rows) -> Bools:
        """Return which corners are lost, (2, K, m), after a step: in a new picture anew, else as before.

        The first picture of a gate draws from the rates, later ones go on from the picture before. Each step draws as
        many random numbers, whatever happens in it.

        Args:
            distance: of the two gates, (2, m), m.
            switched: True where the last gate was passed in this step, (m,).
            new_image: True where there is a new picture, (m,).
            streams: random numbers.
            rows: the m environments.
        """
        lost, fresh = self._lost[..., rows], self._fresh[:, rows]
        fresh = np.where(switched, np.stack([fresh[1], np.ones_like(fresh[1])]), fresh)
        lost = np.where(switched, lost[[1, 1]], lost)
        rate = self._rates[np.searchsorted(self._limits, distance, side="right")].transpose(0, 2, 1)
        # A lost corner stays lost with r + (1 − r) λ, a seen one is lost with r (1 − λ): r stays the share of lost.
        chance = rate * (1 - self._common) + np.where(lost, self._common, 0)
        chance = np.where(fresh[:, None], rate, chance)
        drawn = streams.uniform(lost.shape[0] * lost.shape[1], rows).reshape(lost.shape) < chance
        lost = np.where(new_image, drawn, lost)
        self._lost[..., rows], self._fresh[:, rows] = lost, fresh & ~new_image
        return lost
