"""Classes and sizes are alike in all splits, as far as what stays together allows."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.splitting.balance import choose, deal, histograms
from aigp_lightning.data.splitting.blocks import UNUSED, fewest_without, numbered, whole_options


def records(count: int, seed: int) -> list[ImageRecord]:
    """Pictures of 0 to 4 objects of three classes, the last of them rare and large."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        cls = random.choice(3, random.integers(0, 5), p=[0.7, 0.27, 0.03])
        side = np.where(cls == 2, 0.8, random.uniform(0.02, 0.4, len(cls)))
        boxes = np.column_stack([np.full((len(cls), 2), 0.5), side, side]).astype(np.float32)
        found.append(ImageRecord(f"{number}.jpg", (90, 160), cls.astype(np.int64), boxes, None))
    return found


def off(table: np.ndarray, sides: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """How far each split's share of each quantity is from what it should be, (S, F)."""
    have = np.stack([table[sides == split].sum(0) for split in range(len(shares))])
    return np.abs(have / table.sum(0) - shares[:, None])


def test_histograms_count_objects_by_class_and_thirds_of_sizes() -> None:
    table = histograms(records(300, 0))
    objects = table[:, 2:5].sum()
    assert table[:, 0].sum() == 300
    np.testing.assert_array_equal(table[:, 1] == 1, table[:, 2:5].sum(1) == 0)
    np.testing.assert_allclose(table[:, 5:].sum(0) / objects, 1 / 3, atol=0.03)
    np.testing.assert_array_equal(table[:, 5:].sum(1), table[:, 2:5].sum(1))


@pytest.mark.parametrize("shares", [(0.8, 0.2), (0.7, 0.2, 0.1)])
def test_single_pictures_are_dealt_evenly(shares: tuple[float, ...]) -> None:
    """Nearer to the shares than chance brings them, the rare class too; all of them, by the seed."""
    table, goal = histograms(records(600, 1)), np.array(shares)
    sides = deal(table, goal, seed=4)
    np.testing.assert_array_equal(sides, deal(table, goal, seed=4))
    assert (sides != deal(table, goal, seed=5)).any()
    assert off(table, sides, goal)[:, 0].max() <= 1 / 600 * len(shares)
    random = np.random.default_rng(0)
    chance = np.mean([off(table, random.permutation(sides), goal)[:, 1:5].mean() for _ in range(50)])
    assert off(table, sides, goal)[:, 1:5].mean() < chance / 2


def test_groups_are_chosen_as_well_as_any_can_be() -> None:
    """Of all 16,384 ways to part 14 groups one of the best hundredth of a percent, number of pictures first."""
    table, goal = histograms(records(400, 2)), np.array([0.8, 0.2])
    groups = np.sort(np.random.default_rng(1).integers(0, 14, 400))
    parts = numbered(groups)
    assert all((groups[part] == number).all() for number, part in enumerate(parts))
    chosen = choose([whole_options(table[part], 2) for part in parts], goal, seed=0)
    sums = np.stack([table[part].sum(0) for part in parts]) / table.sum(0)
    weights = np.array([table.shape[1] - 1, *[1] * (table.shape[1] - 1)])
    ways = (np.arange(2**14)[:, None] >> np.arange(14)) & 1
    costs = ((ways @ sums - goal[1]) ** 2 * weights).sum(1)
    mine = ((np.array(chosen) @ sums - goal[1]) ** 2 * weights).sum()
    assert mine <= np.sort(costs)[1]
    assert off(table, np.array(chosen)[groups], goal)[:, 0].max() < 0.02


def test_no_split_stays_empty_where_there_are_enough_groups() -> None:
    table = np.ones((20, 1))
    parts = [np.arange(18), np.array([18]), np.array([19])]
    chosen = choose([whole_options(table[part], 3) for part in parts], np.array([0.98, 0.01, 0.01]), seed=0)
    assert sorted(chosen) == [0, 1, 2]


def test_fewest_without_leaves_no_pair() -> None:
    random = np.random.default_rng(0)
    sides = np.repeat([0, 1], 50)
    pairs = np.column_stack([random.integers(50, 100, 120), random.integers(0, 50, 120)])
    gone = fewest_without(pairs, sides)
    assert not any(len({*pair} & set(gone.tolist())) == 0 for pair in pairs.tolist())
    assert len(gone) < 50
    assert UNUSED not in gone
