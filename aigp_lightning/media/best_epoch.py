"""Keeps the figures of the best epoch (curves, confusion matrix, corner errors) until they are drawn at the end."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from aigp_lightning.media.render_jobs import confusion_jobs, corner_error_job, curve_jobs
from aigp_lightning.types import CornerErrors, CornerMetrics, CurveMetrics, Curves

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aigp_lightning.media.types import RenderJob


class BestEpochFigures:
    """Figures of a run's best validation. Epochs are compared as for `best.ckpt`: the first of equals wins.

    Example:
        >>> class Metrics:
        ...     def __init__(self, fitness, found):
        ...         self.fitness, self.confusion = fitness, np.full((2, 2), found)
        ...     def curves(self):
        ...         return []
        >>> best = BestEpochFigures()
        >>> for fitness, found in ((0.1, 3), (0.4, 7), (0.2, 5)):
        ...     best.update(Metrics(fitness, found))
        >>> best.fitness, int(best.confusion[0, 0]), [job.name for job in best.jobs({0: "gate"})]
        (0.4, 7, ['confusion_matrix.png', 'confusion_matrix_normalized.png'])
    """

    def __init__(self) -> None:
        self.fitness = float("-inf")
        self.epoch: int | None = None
        self.curves: list[Curves] = []
        self.confusion: Any = None
        self.corners: CornerErrors | None = None

    def update(self, metrics: object, epoch: int | None = None) -> None:
        """Keep a validation's figures if it was the best so far.

        Args:
            metrics: a module's; `CurveMetrics` have figures, and corner errors if they are `CornerMetrics` as well.
                Others are passed over.
            epoch: of the validation, from 0.
        """
        if isinstance(metrics, CurveMetrics) and metrics.fitness > self.fitness:
            self.fitness, self.curves, self.confusion = metrics.fitness, metrics.curves(), metrics.confusion
            self.epoch = epoch
            self.corners = metrics.corner_errors() if isinstance(metrics, CornerMetrics) else None

    def jobs(self, names: Mapping[int, str], kinds: Collection[str] = ()) -> list[RenderJob]:
        """List what to draw when training ends.

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
        """Return the figures as tensors and plain values, which a checkpoint may hold."""
        import torch

        return {
            "fitness": self.fitness,
            "epoch": self.epoch,
            "curves": [_plain(one) for one in self.curves],
            "confusion": None if self.confusion is None else torch.as_tensor(self.confusion),
            "corners": None if self.corners is None else _plain(self.corners),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the figures from a checkpoint."""
        self.fitness, self.epoch = state["fitness"], state.get("epoch")
        self.curves = [Curves(**_arrays(one)) for one in state["curves"]]
        self.confusion = _array(state["confusion"])
        corners = state.get("corners")  # checkpoints of earlier versions have none
        self.corners = None if corners is None else CornerErrors(**_arrays(corners))


def _plain(figures: Curves | CornerErrors) -> dict[str, Any]:
    return {key: _tensor(value) for key, value in asdict(figures).items()}


def _arrays(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _array(value) for key, value in state.items()}


def _tensor(value: Any) -> Any:
    import torch

    return value if isinstance(value, (str, tuple, list)) else torch.as_tensor(value)


def _array(value: Any) -> Any:
    import torch

    return value.cpu().numpy() if isinstance(value, torch.Tensor) else value
