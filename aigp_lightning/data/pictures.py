"""The images of a split as the network sees them, by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigp_lightning.data.samplers import EvalRequest

if TYPE_CHECKING:
    from aigp_lightning.data.dataset import EvalDataset
    from aigp_lightning.data.items import Item
    from aigp_lightning.data.samplers import EvalBatchSampler


class EvalPictures:
    """Evaluation samples by their place in the loader's order, over all processes.

    Args:
        dataset: makes the samples.
        batches: the batches of a single process, so that no group of images is split.
        limit: only so many batches; None: all.

    Attributes:
        files: path of every image, in order.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> import numpy as np
        >>> from aigp_lightning.data.records import ImageRecord
        >>> from aigp_lightning.data.sample_sets import evaluation_set
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = f"{folder}/000.png"
        ...     _ = cv2.imwrite(file, np.zeros((48, 64, 3), np.uint8))
        ...     record = ImageRecord(file, (48, 64), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        ...     pictures = EvalPictures(*evaluation_set([record], imgsz=64, batch_size=1, rect=False))
        ...     len(pictures), pictures[0]["image"].shape
        (1, (64, 64, 3))
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
