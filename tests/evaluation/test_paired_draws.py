"""The bootstrap over pictures: its figures are those of all pictures, its intervals as wide as theory has them."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.errors import DataError
from aigp_lightning.evaluation import paired_draws
from aigp_lightning.evaluation.comparison_row import BETTER, NOTHING, TOO_FEW, UNKNOWN, WORSE, Row, Span, is_worse
from aigp_lightning.evaluation.paired_draws import PairedDraws


def test_the_interval_of_a_mean_is_as_wide_as_theory_has_it() -> None:
    """Of n paired differences with deviation s the interval is ± 1.96 s / √n."""
    random = np.random.default_rng(0)
    hard, gain = random.normal(0, 50, 400), random.normal(1, 2, 400)
    values = np.stack((hard, hard + gain), 1)
    span = PairedDraws(400, draws=4000).mean(values, np.arange(400, dtype=np.int32))
    assert span.a == pytest.approx(hard.mean()) and span.b == pytest.approx((hard + gain).mean())
    half = 1.96 * gain.std() / 20
    assert span.low == pytest.approx(gain.mean() - half, abs=0.03)
    assert span.high == pytest.approx(gain.mean() + half, abs=0.03)


def test_medians_are_numpys_in_every_draw() -> None:
    random = np.random.default_rng(1)
    values, image = random.normal(0, 1, (31, 2)), random.integers(12, size=31).astype(np.int32)
    draws = PairedDraws(12, draws=50, seed=3)
    span = draws.median(values, image)
    weights = np.concatenate(list(draws.weights())).astype(int)
    assert weights.shape == (50, 12) and (weights.sum(1) == 12).all()
    medians = [np.median(np.repeat(values, row[image], axis=0), axis=0) for row in weights]
    differences = np.diff(medians, axis=1)
    assert (span.a, span.b) == tuple(np.median(values, axis=0))
    np.testing.assert_allclose((span.low, span.high), np.percentile(differences, (2.5, 97.5)), atol=1e-12)


def test_draws_in_small_parts_are_of_the_same_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many draws, each of as many pictures as there are, whatever is looked at at a time."""
    monkeypatch.setattr(paired_draws, "AT_ONCE", 25)
    parts = list(PairedDraws(10, draws=7).weights())
    assert [len(part) for part in parts] == [2, 2, 2, 1]
    assert all((part.sum(1) == 10).all() for part in parts)


def test_no_figure_without_objects() -> None:
    nothing, ones = np.zeros(4), np.ones(4)
    draws = PairedDraws(4, draws=100)
    assert draws.ratio((nothing, nothing), (nothing, nothing)) == Span(None, None, None, None)
    assert draws.ratio((nothing, nothing), (ones, ones)) == Span(None, 1.0, None, None)
    assert draws.median(np.zeros((0, 2)), np.zeros(0, np.int32)) == Span(None, None, None, None)


def test_no_interval_where_most_draws_have_no_object() -> None:
    """One picture of 100 has objects: 37 of 100 draws miss it; one of two models has it in half as many."""
    right, count = np.zeros(100), np.zeros(100)
    count[0], right[0] = 4, 2
    span = PairedDraws(100, draws=400).ratio((right, count), (count, count))
    assert (span.a, span.b, span.low, span.high) == (0.5, 1.0, 0.5, 0.5)
    row = Row("", "found", span, images=1, objects=4)
    assert row.verdict() == TOO_FEW


def test_the_same_is_exactly_no_difference() -> None:
    random = np.random.default_rng(2)
    values = np.repeat(random.normal(0, 1, (50, 1)), 2, 1)
    image = np.arange(50, dtype=np.int32)
    for span in (PairedDraws(50).mean(values, image), PairedDraws(50).median(values, image)):
        assert span.a == span.b and (span.low, span.high) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("low", "high", "higher", "said"),
    [
        (0.1, 0.2, True, BETTER), (0.1, 0.2, False, WORSE), (-0.2, -0.1, True, WORSE), (-0.2, -0.1, False, BETTER),
        (0.0, 0.2, True, NOTHING), (-0.1, 0.0, True, NOTHING), (0.0, 0.0, True, NOTHING), (None, None, True, UNKNOWN),
    ],
)  # fmt: skip
def test_a_verdict_is_told_where_the_interval_excludes_0(
    low: float | None, high: float | None, higher: bool, said: str
) -> None:
    row = Row("", "x", Span(0.5, 0.5, low, high), images=6, objects=9, higher_is_better=higher)
    assert row.verdict() == said


def test_of_five_pictures_nothing_is_told() -> None:
    span = Span(0.5, 0.9, 0.1, 0.6)
    assert [Row("", "x", span, images=count, objects=9).verdict() for count in (5, 6)] == [TOO_FEW, BETTER]
    assert Row("", "x", span, images=6, objects=9).verdict(margin=0.1) == NOTHING


@pytest.mark.parametrize(("unit", "shown"), [("", 0.0001), ("px", 0.01), ("m", 0.001), ("°", 0.01)])
def test_a_difference_too_small_to_be_shown_is_none(unit: str, shown: float) -> None:
    """Rounding of weights and of networks, in the same direction in every picture."""
    ends = [Span(0.5, 0.5, share * shown, 1.1 * shown) for share in (0.4, 0.6)]
    assert [Row("", "x", each, images=9, objects=9, unit=unit).verdict() for each in ends] == [NOTHING, BETTER]


def test_the_figures_that_decide() -> None:
    """Worse where one of them is worse by more than the margin; what is not known is no pass."""
    worse, unknown = Span(0.5, 0.25, -0.3, -0.2), Span(None, None, None, None)
    rows = [Row("", "boxes", Span(0.5, 0.5, 0.0, 0.0), 40, 90), Row("", "points", worse, 40, 90)]
    assert [is_worse(rows, margin) for margin in (0.0, 0.1, 0.2, 0.3)] == [True, True, False, False]
    assert not is_worse(rows[:1], 0.0)
    for span, images, said in ((unknown, 40, "not measured"), (worse, 5, "too few pictures")):
        with pytest.raises(DataError, match=f"--fail-if-worse cannot be decided by boxes: {said}"):
            is_worse([Row("", "boxes", span, images, 90)], 0.0)
        assert is_worse([Row("", "boxes", span, images, 90), rows[1]], 0.0)
