"""Colour changes against Ultralytics' RandomHSV with the same gains."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from ultralytics.data.augment import RandomHSV as ReferenceHSV

from aigp_lightning.data.augment.color import RandomHSV, shift_hue


def reference(image: np.ndarray, gains: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Ultralytics' result, RGB to RGB, with its random numbers all at their upper end."""
    monkeypatch.setattr(np.random, "uniform", lambda *_: np.ones(3))
    bgr = np.ascontiguousarray(image[..., ::-1])
    return ReferenceHSV(*gains).apply_image({"img": bgr})["img"][..., ::-1]


@pytest.mark.parametrize("seed", range(20))
def test_within_two_levels_of_the_look_up(
    photo: Callable[..., np.ndarray], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    gains = tuple(rng.uniform(-1, 1, 3) * ((0.015, 0.7, 0.4) if seed < 14 else (1.0, 1.0, 1.0)))
    image = photo(120, 160, seed)
    ours = RandomHSV().apply(image, gains=gains)
    difference = np.abs(ours.astype(int) - reference(image, gains, monkeypatch))
    assert difference.max() <= 2
    assert difference.mean() < 0.02


def test_every_level_as_in_the_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """All greys and all pure colours, at gains that give whole numbers (where rounding down could slip)."""
    ramp = np.arange(256, dtype=np.uint8)
    zero = np.zeros_like(ramp)
    image = np.stack(
        [np.stack(planes, -1) for planes in ((ramp, ramp, ramp), (ramp, zero, zero), (zero, ramp, 255 - ramp))]
    )
    for gains in ((0.0, 0.5, -0.5), (0.015, -0.5, 0.25), (-0.015, 0.0, 0.0)):
        ours = RandomHSV().apply(image, gains=gains)
        assert np.abs(ours.astype(int) - reference(image, gains, monkeypatch)).max() <= 1


@pytest.mark.parametrize("steps", [0, 1, 2, 90, 177, 179])
def test_hue_wraps_round_the_circle(steps: int) -> None:
    hue = np.arange(180, dtype=np.uint8).reshape(1, -1)
    shift_hue(hue, steps)
    assert hue[0].tolist() == [(value + steps) % 180 for value in range(180)]


def test_input_is_left_alone_and_white_stays_white(photo: Callable[..., np.ndarray]) -> None:
    image = photo(40, 50, 1)
    image[:5] = 255
    before = image.copy()
    ours = RandomHSV().apply(image, gains=(0.01, 0.7, 0.3))
    assert np.array_equal(image, before)
    assert (ours[:5] == 255).all()


def test_gains_are_uniform_within_their_limits() -> None:
    transform = RandomHSV(0.1, 0.2, 0.3)
    transform.set_random_seed(3)
    gains = np.array([transform.get_params()["gains"] for _ in range(800)])
    limits = np.array((0.1, 0.2, 0.3))
    assert (np.abs(gains) <= limits).all()
    assert (np.abs(gains.mean(0)) < 0.07 * limits).all()
    assert np.allclose(gains.std(0), limits / 3**0.5, rtol=0.06)


def test_channels_are_rgb() -> None:
    """A hue shift of a third of the circle turns red into green."""
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    ours = RandomHSV().apply(red, gains=(1 / 3 + 1e-6, 0.0, 0.0))
    assert cv2.absdiff(ours, np.broadcast_to(np.array((0, 200, 0), np.uint8), red.shape).copy()).max() <= 1
