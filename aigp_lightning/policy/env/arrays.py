"""Types and precision of the environment's arrays."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FLOAT = np.float32
"""Precision of the state. See `benchmarks/policy/RESULTS.md` for what it costs against the reference integration."""

Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = slice | NDArray[np.int64]

ALL = slice(None)


def norm(vector: Floats) -> Floats:
    """Return the length of vectors.

    Args:
        vector: (3, …).

    Returns:
        (…).
    """
    length: Floats = np.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
    return length
