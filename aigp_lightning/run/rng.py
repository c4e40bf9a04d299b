"""State of the random number generators (RNG) that a run draws from, so that a resumed run draws the same."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any


def rng_state() -> dict[str, Any]:
    """Return the RNG state of Python, NumPy and torch, as values that a checkpoint may hold.

    Example:
        >>> state = rng_state()
        >>> drawn = random.random()
        >>> restore_rng_state(state)
        >>> random.random() == drawn
        True
    """
    import numpy as np
    import torch

    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  a user's callback may draw from it
    state: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    state["numpy"] = (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_rng_state(state: Mapping[str, Any]) -> None:
    """Put the generators back into a state.

    Args:
        state: see `rng_state`.
    """
    import numpy as np
    import torch

    kind, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
