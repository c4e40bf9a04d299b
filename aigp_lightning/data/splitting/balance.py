"""Chooses sides so that all splits have like classes and sizes.

After Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011, for pictures that
must stay together: the largest parts first, each to where the histograms come closest to the shares that are asked for,
then one part after the other again, until no move makes it better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.records import ImageRecord

SIZES = (1 / 3, 2 / 3)
"""Quantiles of the objects' sizes that part small, medium and large ones."""
FEWEST_STARTS, MOST_STARTS, MOVES = 4, 60, 6000
"""Orders that are tried, the more the fewer parts there are."""
ROUNDS = 20
EMPTY = 1e6
"""Cost of a split without a picture."""
Floats = NDArray[np.float64]


def histograms(records: Sequence[ImageRecord]) -> Floats:
    """Count for each picture what splits are to have alike.

    Args:
        records: n pictures.

    Returns:
        float64 (n, 2 + C + 3): 1, 1 without an object, objects of each class, of each third of the sizes.

    Example:
        >>> record = ImageRecord("0.jpg", (9, 9), np.array([0, 1]), np.array([[0, 0, .1, .1], [0, 0, .9, .9]]), None)
        >>> histograms([record]).astype(int).tolist()
        [[1, 0, 1, 1, 1, 0, 1]]
    """
    counts = np.array([len(record.cls) for record in records], np.int64)
    owner = np.repeat(np.arange(len(records)), counts)
    cls = np.concatenate([np.zeros(0, np.int64), *(record.cls for record in records)])
    boxes = np.concatenate([np.zeros((0, 4)), *(record.bboxes for record in records)])
    ids, kinds = np.unique(cls, return_inverse=True)
    sides = np.sqrt(boxes[:, 2] * boxes[:, 3])
    size = np.searchsorted(np.quantile(sides, SIZES), sides) if len(sides) else np.zeros(0, np.int64)
    table = np.zeros((len(records), 2 + len(ids) + 3))
    table[:, 0], table[:, 1] = 1, counts == 0
    np.add.at(table, (owner, 2 + kinds), 1)
    np.add.at(table, (owner, 2 + len(ids) + size), 1)
    return table


def choose(options: Sequence[Floats], shares: Floats, seed: int, base: Floats | None = None) -> list[int]:
    """Choose one option for each part, so that the splits' histograms come closest to their shares.

    Args:
        options: for each part (O, S, F): histograms that each option adds to each of S splits.
        shares: (S,) of the pictures.
        seed: of the orders that are tried.
        base: (S, F) what is assigned already.

    Returns:
        Place of the option of each part.

    Example:
        >>> whole = np.stack([np.diag([1.0, 0]), np.diag([0, 1.0])]).sum(2)[:, :, None]
        >>> sorted(choose([whole, whole, whole * 2], np.array([0.5, 0.5]), seed=0)[:2]) in ([0, 0], [1, 1])
        True
    """
    if not options:
        return []
    base = np.zeros(options[0].shape[1:]) if base is None else base
    totals = np.maximum(base.sum(0) + sum(option.sum(1).max(0) for option in options), 1e-9)
    weights = np.where(totals > 1e-6, 1.0, 0.0) / totals**2  # noqa: PLR2004
    weights[0] *= max(len(totals) - 1, 1)  # the number of pictures counts as much as all that is in them
    goals = shares[:, None] * totals

    def cost(have: Floats) -> Floats:
        off = ((have - goals) ** 2 * weights / shares[:, None]).sum((-2, -1))
        return np.asarray(off + EMPTY * (have[..., 0] <= 0).sum(-1))

    sizes = np.array([option[:, :, 0].sum(1).max() for option in options])
    best: tuple[float, list[int]] | None = None
    for start in range(int(np.clip(MOVES // len(options), FEWEST_STARTS, MOST_STARTS))):
        random = np.random.default_rng((seed, start))
        order = np.argsort(-sizes * random.uniform(0.7, 1.0, len(sizes)), kind="stable").tolist()
        chosen, have = [-1] * len(options), base.copy()
        for _ in range(ROUNDS):
            moved = False
            for place in order:
                without = have - (options[place][chosen[place]] if chosen[place] >= 0 else 0)
                costs = cost(without + options[place])
                to = int(costs.argmin())
                if chosen[place] < 0 or costs[to] < costs[chosen[place]] - 1e-12:
                    moved, chosen[place], have = True, to, without + options[place][to]
            if not moved:
                break
        found = float(cost(have))
        if best is None or found < best[0] - 1e-12:
            best = found, chosen
    assert best is not None
    return best[1]


def deal(table: Floats, shares: Floats, seed: int) -> NDArray[np.int64]:
    """Deal single pictures to splits: those with the same rarest class and size after each other, in random order.

    Args:
        table: (n, F) see `histograms`.
        shares: (S,) of the pictures, summing to 1.
        seed: of the order.

    Returns:
        int64 (n,) split of each.

    Example:
        >>> table = np.array([[1.0, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 1]])
        >>> sorted(deal(table, np.array([0.5, 0.5]), seed=0)[:2].tolist())
        [0, 1]
    """
    if not len(table):
        return np.zeros(0, np.int64)
    random = np.random.default_rng(seed)
    totals = table.sum(0)
    rarity = np.where(table > 0, totals, np.inf)
    rarity[:, 0] = np.inf  # the picture itself
    kind = np.where(np.isinf(rarity.min(1)), -1, rarity.argmin(1))
    largest = table.shape[1] - 1 - (table[:, :0:-1] > 0).argmax(1)
    order = np.lexsort((random.permutation(len(table)), largest, kind))
    # A split gets its next picture when the sum of its shares so far passes a whole number; the most behind goes first.
    sides, given = np.zeros(len(table), np.int64), random.uniform(-0.5, 0.5, len(shares))
    for count, place in enumerate(order.tolist(), 1):
        side = int((shares * count - given).argmax())
        sides[place], given[side] = side, given[side] + 1
    return sides
