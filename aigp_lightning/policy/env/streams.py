"""Random numbers: a stream of its own for each environment, drawn for many at once.

NumPy's generators hold one state each, so that a stream per environment would need a Python loop, and one stream for
all would make an environment's numbers depend on its neighbours. A counter-based generator (Salmon et al., *Parallel
random numbers: as easy as 1, 2, 3*, SC 2011) has no state but a key and a position: number `i` of stream `k` is a
function of both. Here that function is SplitMix64's output (Steele, Lea and Flood, *Fast splittable pseudorandom
number generators*, OOPSLA 2014), whose state after `i` steps is `key + i·GOLDEN`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.policy.env.arrays import FLOAT, Floats, Ints, Rows

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
UNIT = 2.0**-24  # the upper 24 bits become a float32 without rounding


def mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply SplitMix64's output function: an input bit changes each output bit with a probability of about one half."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed


class Streams:
    """Random numbers for `n` environments, a stream each."""

    def __init__(self, n: int) -> None:
        self._key = np.zeros(n, np.uint64)
        self._position = np.zeros(n, np.uint64)

    def seed(self, seeds: NDArray[np.uint64]) -> None:
        """Restart all streams.

        Args:
            seeds: (n,), one for each environment.
        """
        self._key = mix(mix(seeds + GOLDEN))
        self._position = np.zeros_like(self._key)

    def uniform(self, k: int, rows: Rows) -> Floats:
        """Draw from [0, 1).

        Args:
            k: numbers for each environment.
            rows: environments; only their streams advance.

        Returns:
            (k, m) for the m environments selected.
        """
        start = self._position[rows]
        counters = start + np.arange(1, k + 1, dtype=np.uint64)[:, None]
        self._position[rows] = start + np.uint64(k)
        drawn: Floats = (mix(self._key[rows] + GOLDEN * counters) >> np.uint64(40)).astype(FLOAT) * FLOAT(UNIT)
        return drawn

    def signed(self, k: int, rows: Rows) -> Floats:
        """Draw from [-1, 1), else as `uniform`."""
        return self.uniform(k, rows) * 2 - 1

    def normal(self, k: int, rows: Rows) -> Floats:
        """Draw from the standard normal distribution (Box and Muller, 1958), else as `uniform`."""
        half = (k + 1) // 2
        draws = self.uniform(2 * half, rows)
        radius = np.sqrt(-2 * np.log1p(-draws[:half]))
        angle = draws[half:] * FLOAT(2 * np.pi)
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:k]

    def integers(self, low: int, high: Ints | int, rows: Rows) -> Ints:
        """Draw whole numbers from `low` to `high`, the latter excluded.

        Args:
            low: smallest.
            high: one more than the largest, for all or (m,) for each environment.
            rows: environments, m of them.

        Returns:
            (m,).
        """
        drawn: Ints = (low + self.uniform(1, rows)[0] * (np.asarray(high) - low)).astype(np.int64)
        return drawn
