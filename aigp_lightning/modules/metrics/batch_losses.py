"""Validation losses, the same on any number of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class BatchLosses(Metric):
    """Mean over the batches of each loss component, every batch put together from all processes' shares of it.

    Ultralytics divides a component by what the batch holds (the sum of the targets' scores, or their number), so a
    mean over shares is not the batch's. With the divisors it can be had:
    ``Σ item · max(divisor, 1) / max(Σ divisor, 1)``. Every process runs the same number of steps, and takes part in one
    exchange of a few numbers a batch, at the end.

    Example:
        >>> losses = BatchLosses()
        >>> for item, divisor in ((0.5, 4.0), (1.5, 2.0)):
        ...     losses.update([torch.tensor(item)], [torch.tensor(divisor)])
        >>> losses.compute()
        [1.0]
    """

    full_state_update = False
    items: list[Tensor]
    divisors: list[Tensor]
    steps: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for state in ("items", "divisors", "steps"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, items: Sequence[Tensor], divisors: Sequence[Tensor]) -> None:
        """Add this process's share of a batch.

        Args:
            items: (C) scalars, the loss components; 0 for an empty share.
            divisors: (C) scalars, what each was divided by before that was made at least 1.
        """
        self.steps.append(torch.full((1,), len(self.steps), device=self.device))  # filled there: nothing waits
        for state, values in ((self.items, items), (self.divisors, divisors)):
            moved = [value.detach().float().to(self.device, non_blocking=True) for value in values]
            state.append(torch.stack(moved)[None])

    def compute(self) -> list[float]:
        """Return (C) means over the batches."""
        items, divisors, steps = (_joined(state) for state in (self.items, self.divisors, self.steps))
        of_batch = torch.zeros(int(steps.max()) + 1, items.shape[1], dtype=torch.float64)
        steps, items, divisors = steps.long(), items.double(), divisors.double()  # exact: products of two float32
        sums = of_batch.index_add(0, steps, items * divisors.clamp(min=1))
        means: list[float] = (sums / of_batch.index_add(0, steps, divisors).clamp(min=1)).mean(0).tolist()
        return means


def divisors_of(output: Mapping[str, Tensor] | None, names: Sequence[str], images: int) -> list[Tensor]:
    """Return the divisors of loss components; a family that gives none has means over images.

    Args:
        output: divisors by the components' names; None where there are none.
        names: of the components.
        images: in the batch.

    Example:
        >>> divisors_of(None, ["box_loss", "cls_loss"], images=8)
        [tensor(8.), tensor(8.)]
    """
    return [output[name] if output is not None else torch.tensor(float(images)) for name in names]


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    joined = torch.cat(state) if isinstance(state, list) else state  # torchmetrics hands a tensor after an exchange
    return joined.cpu()
