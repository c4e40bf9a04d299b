"""The images of a split as the network sees them, for whoever wants to look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigp_lightning.data.samplers import EvalRequest

if TYPE_CHECKING:
    from aigp_lightning.data.dataset import EvalDataset, Item
    from aigp_lightning.data.samplers import EvalBatchSampler


class EvalPictures:
    """Evaluation samples by their place in the order in which a loader gives them, over all processes.

    Args:
        dataset: it makes the samples.
        batches: of a single process, so that it has all groups whole.
        limit: only so many batches; None: all.
    """

    def __init__(self, dataset: EvalDataset, batches: EvalBatchSampler, limit: int | None = None) -> None:
        self._dataset = dataset
        self._requests: list[EvalRequest] = [request for batch in list(batches)[:limit] for request in batch]
        self.files = [dataset.records[request.index].im_file for request in self._requests]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> Item:
        """The sample at this place, read and letterboxed now."""
        return self._dataset[self._requests[place]]
