"""What a step is worth, in numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.reward import RewardWeights, Transition, reward

NOTHING = RewardWeights(progress=0, gate=0, finish=0, perception=0, rates=0, smooth=0, crash=0)

TERMS = ("progress", "gate", "finish", "perception", "rates", "smooth", "crash")


def moment(**values: object) -> Transition:
    column = np.zeros((4, 1), np.float32)
    base = Transition(
        before=np.array([5.0]),
        after=np.array([4.8]),
        gate=np.array([[1.0], [0.0], [0.0]]),
        rates=np.array([[3.0], [0.0], [4.0]]),
        action=column + 0.5,
        last=column,
        passed=np.array([True]),
        finished=np.array([True]),
        crashed=np.array([True]),
        dt=1 / 60,
    )
    return replace(base, **values)


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("progress", 0.2),
        ("gate", 1.0),
        ("finish", 1.0),
        ("perception", np.exp(-10 * np.deg2rad(20) ** 4)),  # straight ahead is 20 degrees below the camera's axis
        ("rates", -5.0),
        ("smooth", -1.0),
        ("crash", -1.0),
    ],
)
def test_terms(term: str, expected: float) -> None:
    assert reward(moment(), replace(NOTHING, **{term: 1.0}))[0] == pytest.approx(expected, rel=1e-5)
    assert reward(moment(), replace(NOTHING, **{term: 3.0}))[0] == pytest.approx(3 * expected, rel=1e-5)


def test_terms_add_up() -> None:
    weights = RewardWeights()
    apart = [reward(moment(), replace(NOTHING, **{term: getattr(weights, term)}))[0] for term in TERMS]
    assert reward(moment(), weights)[0] == pytest.approx(sum(apart), rel=1e-5)


def test_coming_and_going_gains_nothing() -> None:
    weights = replace(NOTHING, progress=1.0)
    there = reward(moment(before=np.array([5.0]), after=np.array([2.0])), weights)
    back = reward(moment(before=np.array([2.0]), after=np.array([5.0])), weights)
    assert there[0] == 3.0
    assert there[0] + back[0] == 0.0


def test_speed_beyond_the_limit_is_not_paid_for() -> None:
    weights = replace(NOTHING, progress=2.0, speed_limit=6.0)
    assert reward(moment(), weights)[0] == pytest.approx(2 * 6.0 / 60)  # 0.2 m in a step are 12 m/s
    assert reward(moment(before=np.array([4.8]), after=np.array([5.0])), weights)[0] == pytest.approx(-0.4)


def test_weights_are_not_negative() -> None:
    with pytest.raises(ConfigError, match=r"reward\.crash"):
        RewardWeights(crash=-1)
