"""The images of a split as the network sees them, by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigp_lightning.data.samplers import EvalRequest

if TYPE_CHECKING:
    from aigp_lightning.data.dataset import EvalDataset, Item
    from aigp_lightning.data.samplers import EvalBatchSampler


class EvalPictures:
    """Evaluation samples by their place in the loader's order, over all processes.

    Args:
        dataset: makes the samples.
        batches: the batches of a single process, so that no group of images is split.
        limit: only so many batches; None: all.

    Attributes:
        files: path of every image, in order.
    """

    def __init__(self, dataset: EvalDataset, batches: EvalBatchSampler, limit: int | None = None) -> None:
        self._dataset = dataset
        self._requests: list[EvalRequest] = [request for batch in list(batches)[:limit] for request in batch]
        self.files = [dataset.records[request.index].im_file for request in self._requests]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> Item:
        """Read and letterbox the sample at this place.

        Raises:
            DataError: the image cannot be read.
        """
        return self._dataset[self._requests[place]]
