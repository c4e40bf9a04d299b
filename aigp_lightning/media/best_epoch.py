"""Curves and confusion matrix of the best epoch, kept until they are drawn when training ends."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from aigp_lightning.media.render_jobs import confusion_jobs, corner_error_job, curve_jobs
from aigp_lightning.types import CornerErrors, Curves

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aigp_lightning.media.jobs import Job


class BestEpochFigures:
    """What the best validation of a run showed. Epochs are compared as for `best.ckpt`: the first of equals wins."""

    def __init__(self) -> None:
        self.fitness = float("-inf")
        self.curves: list[Curves] = []
        self.confusion: Any = None
        self.corners: CornerErrors | None = None

    def look(self, metrics: Any) -> None:
        """Keep a validation's figures if it was the best so far.

        Args:
            metrics: the module's, with `fitness`, `curves()` and `confusion`; others are passed over. Where corners are
                judged it has `corner_errors()` as well.
        """
        if hasattr(metrics, "curves") and metrics.fitness > self.fitness:
            self.fitness, self.curves, self.confusion = metrics.fitness, metrics.curves(), metrics.confusion
            self.corners = metrics.corner_errors() if hasattr(metrics, "corner_errors") else None

    def jobs(self, names: Mapping[int, str], kinds: Collection[str] = ()) -> list[Job]:
        """What to draw.

        Args:
            names: class names by id.
            kinds: those of some modules only that are drawn in any case, if only to say that there is nothing.
        """
        jobs = curve_jobs(self.curves)
        if self.confusion is not None:
            jobs += confusion_jobs(self.confusion, names)
        corners = self.corners
        if corners is None and "corner_error" in kinds and self.fitness > float("-inf"):
            corners = CornerErrors(np.zeros(0, np.float32), np.zeros(0, np.float32), ())
        return jobs if corners is None else [*jobs, corner_error_job(corners)]

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, which a checkpoint may hold."""
        import torch

        return {
            "fitness": self.fitness,
            "curves": [_plain(one) for one in self.curves],
            "confusion": None if self.confusion is None else torch.as_tensor(self.confusion),
            "corners": None if self.corners is None else _plain(self.corners),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.fitness = state["fitness"]
        self.curves = [Curves(**_arrays(one)) for one in state["curves"]]
        self.confusion = _array(state["confusion"])
        corners = state.get("corners")  # a run begun by an earlier version has none
        self.corners = None if corners is None else CornerErrors(**_arrays(corners))


def _plain(figures: Curves | CornerErrors) -> dict[str, Any]:
    return {key: _tensor(value) for key, value in asdict(figures).items()}


def _arrays(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _array(value) for key, value in state.items()}


def _tensor(value: Any) -> Any:
    import torch

    return value if isinstance(value, (str, tuple, list)) else torch.as_tensor(value)


def _array(value: Any) -> Any:
    return value.cpu().numpy() if hasattr(value, "cpu") else value
