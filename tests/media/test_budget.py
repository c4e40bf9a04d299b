"""What is given up first, and that the limit holds."""

from __future__ import annotations

import pytest

from aigp_lightning.media.budget import RESERVE, Budget

MOSAIC = 1_000_000


def run(megabytes: float | None, epochs: int, mosaics: int = 4) -> tuple[list[int], Budget, list[str]]:
    """Send a run's mosaics as a delivery would; returns how many went in each epoch."""
    said: list[str] = []
    budget = Budget(megabytes, 0, said.append)
    budget.reserve_for({"curves": 1, "confusion_matrix": 1, "results": 1})
    went = []
    for epoch in range(epochs):
        budget.allocate(dict.fromkeys(range(mosaics), MOSAIC), epochs - epoch)
        sent = sum(budget.admits("val_pred", MOSAIC, mosaic) for mosaic in range(mosaics))
        budget.sent += sent * MOSAIC
        went.append(sent)
    return went, budget, said


def test_no_limit() -> None:
    went, budget, said = run(None, 5)
    assert went == [4] * 5
    assert said == []
    assert budget.admits("results", 10**12)


def test_enough() -> None:
    went, _, said = run(21, 5)
    assert went == [4] * 5
    assert said == []


@pytest.mark.parametrize(("megabytes", "each"), [(16.5, 3), (11, 2), (6, 1)])
def test_fewer_mosaics_first(megabytes: float, each: int) -> None:
    """Every epoch still has its share, rather than the first epochs having all."""
    went, budget, said = run(megabytes, 5)
    assert went == [each] * 5
    assert said == [f"media.max_mb is {megabytes:g}, 0.0 MB of it used: {each} of 4 validation mosaics an epoch go to "
                    "remote destinations from now on. Files stay complete."]  # fmt: skip
    assert budget.admits("curves", 100_000)


def test_then_curves_only_then_scalars_only() -> None:
    went, budget, said = run(1.2, 5)
    assert went == [0] * 5
    assert "no more mosaics go to remote destinations, only the curves" in said[0]
    assert not budget.admits("labels", 400_000), "the closing curves need the room"
    assert budget.admits("curves", 400_000)
    budget.sent += 400_000
    assert not budget.admits("results", 900_000)
    assert "no more pictures go to remote destinations, only scalars" in said[-1]


def test_the_last_mosaic_goes_on_as_long_as_there_is_room() -> None:
    went, _, said = run(3.2, 5)
    assert went == [1, 1, 0, 0, 0]
    assert [text.split(": ")[1].split(".")[0] for text in said] == [
        "1 of 4 validation mosaics an epoch go to remote destinations from now on",
        "no more mosaics go to remote destinations, only the curves when training ends",
    ]


def test_nothing_at_all() -> None:
    went, budget, _ = run(0, 3)
    assert went == [0, 0, 0]
    assert not budget.admits("curves", 1)


def test_never_more_again() -> None:
    """Pictures that shrink later do not bring back what was given up: a slider with gaps helps nobody."""
    budget = Budget(10, 0, lambda text: None)
    budget.allocate(dict.fromkeys(range(4), MOSAIC), 4)
    assert budget.mosaics == 2
    budget.allocate(dict.fromkeys(range(4), MOSAIC // 10), 3)
    assert budget.mosaics == 2


def test_pictures_that_grow_never_pass_the_limit() -> None:
    budget = Budget(5, 0, lambda text: None)
    for epoch in range(10):
        size = 200_000 * (epoch + 1)
        budget.allocate({0: size, 1: size}, 10 - epoch)
        for mosaic in range(2):
            if budget.admits("val_pred", size, mosaic):
                budget.sent += size
    assert 2_000_000 < budget.sent <= 5_000_000


def test_what_an_earlier_part_of_the_run_sent_counts() -> None:
    budget = Budget(1.0, 900_000, lambda text: None)
    assert budget.admits("curves", 100_000)
    assert not budget.admits("curves", 100_001)


def test_the_reserve_covers_the_closing_kinds() -> None:
    from aigp_lightning.media.routing import CLOSING

    assert set(RESERVE) == set(CLOSING)
