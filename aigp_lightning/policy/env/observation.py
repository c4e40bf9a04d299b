"""The policy's observation: 37 numbers in the body frame, without position in the world or heading.

| numbers | what |
|---|---|
| 0–2 | velocity, m/s |
| 3–5 | direction of gravity |
| 6–8 | body rates, rad/s |
| 9–20 | inner corners of the next gate, x y z each, m: top-left, top-right, bottom-right, bottom-left |
| 21–32 | those of the gate behind it |
| 33–36 | last action |

With a camera, a gate is measured when all four corners are in the image; with `needs_corners: 3` three are enough for
a gate that was measured before. With a dropout model, corners that are lost do not count. A gate that is measured gives
all its four corners: a pose from those that are seen says where the others are. The corners of a gate that is not are
estimated from their last measurement, as `lost` says; those of a gate never measured are zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.arrays import ALL, FLOAT, Bools, Floats, Ints, Rows, norm
from aigp_lightning.policy.env.camera import in_view
from aigp_lightning.policy.env.dropout import PLACES, CornerDropout
from aigp_lightning.policy.env.dropout_file import read_dropout
from aigp_lightning.policy.env.streams import Streams

SIZE = 37
CORNERS = slice(9, 33)
ACTION = slice(33, 37)
LIMIT = np.concatenate([np.full(3, 100.0), np.full(3, 2.0), np.full(3, 50.0), np.full(24, 200.0), np.full(4, 1.0)])
LOST = ("predict", "hold", "zero")
LEAST_CORNERS = len(PLACES) - 1
"""So many corners give a pose to who knows about where the gate is."""


@dataclass(frozen=True)
class Noise:
    """Errors of the observation: noise, limits of the camera, delay.

    Attributes:
        velocity: standard deviation, m/s.
        gravity: of each component of the direction.
        rates: rad/s.
        corner: of each corner's coordinates, m for each metre of distance.
        range: of a gate's distance, as a share of it, the same for its four corners.
        camera: True if corners are seen by the camera alone; False if always.
        frame_every: steps from one image to the next: 2 are 30 Hz at 60 Hz control.
        max_distance: m, beyond which no gate is recognised.
        dropout: share of images in which a near gate isn't recognised. It grows linearly from half `max_distance`
            on, to all of them at `max_distance`.
        dropout_model: a `dropout.json` of `validate --sequence`, with each corner's rate of losses, how long they last,
            and how both depend on distance; it takes the place of `dropout`. Beyond `max_distance` nothing is seen.
        needs_corners: corners in view and not lost that a gate is measured by: 4; or 3, which are enough for a gate
            that was measured before. Of a model with eight corners a gate, of those.
        lost: corners of a gate out of view: `predict` moves the last measurement by the measured velocity and rates,
            `hold` keeps it, `zero` gives zeros.
        delay: steps by which all but the last action is delayed.
    """

    velocity: float = 0.0
    gravity: float = 0.0
    rates: float = 0.0
    corner: float = 0.0
    range: float = 0.0
    camera: bool = False
    frame_every: int = 2
    max_distance: float = 40.0
    dropout: float = 0.0
    dropout_model: str | None = None
    needs_corners: int = 4
    lost: Literal["predict", "hold", "zero"] = "predict"
    delay: int = 0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, int | float) and value < 0:
                raise ConfigError(f"noise.{item.name} is {value}: it can't be negative")
        if self.lost not in LOST:
            raise ConfigError(f"noise.lost is {self.lost!r}; give {', '.join(LOST)}")
        if self.frame_every < 1 or self.max_distance <= 0 or self.dropout > 1:
            raise ConfigError("noise: frame_every is at least 1, max_distance above 0, dropout at most 1")
        if self.needs_corners not in (LEAST_CORNERS, len(PLACES)):
            raise ConfigError(f"noise.needs_corners is {self.needs_corners}; give 4, or 3 for gates measured before")


@dataclass(frozen=True)
class Truth:
    """The true state in the body frame, for m environments.

    Attributes:
        velocity, gravity, rates: (3, m).
        corners: of the next gate and the one after it, (3, 8, m), m.
        action: the last one, (4, m).
        step: of the episode, (m,).
        switched: True where the last gate was passed in this step, (m,).
    """

    velocity: Floats
    gravity: Floats
    rates: Floats
    corners: Floats
    action: Floats
    step: Ints
    switched: Bools


class Observer:
    """A sensor model: observations of `n` environments from their true states, with memory of the gates seen.

    Args:
        n: environments.
        noise: errors of the observations.
        dt: time between observations, s.
    """

    def __init__(self, n: int, noise: Noise, dt: float) -> None:
        self.noise, self._dt = noise, FLOAT(dt)
        self._known, self._ever = np.zeros((3, 8, n), FLOAT), np.zeros((2, n), np.bool_)
        self._queue = np.zeros((noise.delay + 1, ACTION.start, n), FLOAT)
        self._exact = noise == Noise(delay=noise.delay)
        self._dropout: CornerDropout | None = None
        if noise.dropout_model is not None:
            model, interval = read_dropout(noise.dropout_model), dt * (noise.frame_every if noise.camera else 1)
            self._dropout = CornerDropout(n, model, interval, noise.dropout_model)

    def reset(self, rows: Rows) -> None:
        """Forget what was seen in the environments `rows`, for new episodes."""
        self._known[..., rows], self._ever[:, rows] = 0, False
        if self._dropout is not None:
            self._dropout.reset(rows)

    def observe(self, truth: Truth, streams: Streams, rows: Rows = ALL) -> Floats:
        """Return observations, and update what is known of the gates: call it once a step.

        Args:
            truth: the true state of m environments.
            streams: random numbers for the noise.
            rows: those environments.

        Returns:
            (37, m).
        """
        own = np.concatenate([truth.velocity, truth.gravity, truth.rates])
        corners = truth.corners
        if not self._exact:
            own = own + self._deviations() * streams.normal(9, rows)
            corners = self._corners(truth, own, streams, rows)
        seen = np.concatenate([own, corners.transpose(1, 0, 2).reshape(24, -1)])
        if self.noise.delay:
            seen = self._delayed(seen, truth, rows)
        return np.concatenate([seen, truth.action])

    def _deviations(self) -> Floats:
        noise = self.noise
        return np.repeat(np.array([noise.velocity, noise.gravity, noise.rates], FLOAT), 3)[:, None]

    def _corners(self, truth: Truth, own: Floats, streams: Streams, rows: Rows) -> Floats:
        """Return the measured or remembered corners, (3, 8, m)."""
        noise, m = self.noise, truth.step.shape[0]
        pairs = truth.corners.reshape(3, 2, 4, m)
        distance = norm(pairs.mean(axis=2))
        measured = pairs
        if noise.corner or noise.range:
            draws = streams.normal(26, rows)
            measured = pairs * (1 + FLOAT(noise.range) * draws[24:, None])
            measured = measured + FLOAT(noise.corner) * draws[:24].reshape(3, 2, 4, m) * distance[:, None]
        if not noise.camera and not noise.dropout and self._dropout is None:
            return measured.reshape(3, 8, m)
        known, ever = self._remembered(truth, own, rows)
        recognised = self._recognised(pairs, distance, ever, truth, streams, rows)
        known = np.where(recognised[:, None], measured, known.reshape(3, 2, 4, m)).reshape(3, 8, m)
        self._known[..., rows], self._ever[:, rows] = known, ever | recognised
        return known

    def _recognised(
        self, pairs: Floats, distance: Floats, ever: Bools, truth: Truth, streams: Streams, rows: Rows
    ) -> Bools:
        """Return a mask of the gates, next and after it, that are measured in this step, (2, m)."""
        noise = self.noise
        new_image = truth.step % noise.frame_every == 0 if noise.camera else np.ones_like(truth.switched)
        if self._dropout is None:
            far = np.clip(2 * distance / FLOAT(noise.max_distance) - 1, 0, 1) if noise.camera else FLOAT(0)
            near: Bools = streams.uniform(2, rows) >= 1 - (1 - FLOAT(noise.dropout)) * (1 - far)
            if not noise.camera:
                return near
            seen = in_view(pairs)
        else:
            near = distance <= noise.max_distance if noise.camera else np.ones_like(ever)
            seen = ~self._dropout.update(distance, truth.switched, new_image, streams, rows)
            if noise.camera:
                centre = pairs.mean(axis=2, keepdims=True)
                seen &= in_view(centre + self._dropout.far[:, None] * (pairs[:, :, self._dropout.place] - centre))
        count = seen.sum(axis=1)
        enough: Bools = (count >= len(PLACES)) | (ever & (count >= noise.needs_corners))
        return near & new_image & enough

    def _remembered(self, truth: Truth, own: Floats, rows: Rows) -> tuple[Floats, Bools]:
        """Return the last known corners moved to now, (3, 8, m), and a mask of gates ever seen, (2, m)."""
        known, ever = self._known[..., rows], self._ever[:, rows]
        shifted = np.concatenate([known[:, 4:], np.zeros_like(known[:, 4:])], axis=1)
        known = np.where(truth.switched, shifted, known)
        ever = np.where(truth.switched, np.stack([ever[1], np.zeros_like(ever[1])]), ever)
        if self.noise.lost == "zero":
            return np.zeros_like(known), ever
        if self.noise.lost == "predict":
            known = known - self._dt * (own[:3, None] + _cross(own[6:9, None], known))
        return known * np.repeat(ever, 4, axis=0), ever

    def _delayed(self, seen: Floats, truth: Truth, rows: Rows) -> Floats:
        """Return what was seen `delay` steps ago; at the beginning of an episode the first observation."""
        queue = np.concatenate([seen[None], self._queue[:-1, :, rows]])
        queue = np.where(truth.step == 0, seen[None], queue)
        self._queue[..., rows] = queue
        oldest: Floats = queue[-1]
        return oldest


def _cross(one: Floats, other: Floats) -> Floats:
    """Return the cross product over the first axis."""
    return np.stack(
        [
            one[1] * other[2] - one[2] * other[1],
            one[2] * other[0] - one[0] * other[2],
            one[0] * other[1] - one[1] * other[0],
        ]
    )
