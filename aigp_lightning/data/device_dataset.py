"""Training samples whose labels are augmented already and whose pixels are not: the training device does these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aigp_lightning.data.augment import Sample
from aigp_lightning.data.augment.on_device.draws import Draws, draw
from aigp_lightning.data.augment.on_device.inputs import INPUTS, pack_inputs
from aigp_lightning.data.augment.on_device.jpeg import read_encoded
from aigp_lightning.data.collate import collate
from aigp_lightning.data.dataset import TrainDataset
from aigp_lightning.data.items import Item
from aigp_lightning.data.lost_files import Lost

if TYPE_CHECKING:
    from aigp_lightning.types import DetectionBatch


class DrawnSample(Sample):
    """A sample whose picture is still to be made; its `image` has the shape of that picture, and no channels.

    Attributes:
        draws: what was drawn for it.

    Example:
        >>> DrawnSample.__annotations__["draws"].__forward_arg__
        'Draws'
    """

    draws: Draws


class DeviceTrainDataset(TrainDataset):
    """Samples as `TrainDataset` makes them, from the same requests, up to the pixels.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> from aigp_lightning.data.augment import AugmentConfig
        >>> from aigp_lightning.data.augment.pipeline import TrainPipeline
        >>> from aigp_lightning.data.records import ImageRecord
        >>> from aigp_lightning.data.samplers import TrainRequest
        >>> pipeline = TrainPipeline(64, AugmentConfig())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = f"{folder}/000.png"
        ...     _ = cv2.imwrite(file, np.zeros((48, 64, 3), np.uint8))
        ...     record = ImageRecord(file, (48, 64), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        ...     dataset = DeviceTrainDataset([record], imgsz=64, pipeline=pipeline, batch_size=2)
        ...     batch = dataset.collate(dataset.__getitems__([TrainRequest(index=0, seed=1)] * 2))
        >>> batch["img"].shape, batch["augment_inputs"]["colour"].shape
        (torch.Size([2, 0, 64, 64]), torch.Size([2, 3]))
    """

    def _augment(
        self, sample: Sample, partners: Sequence[Sample], seed: int, shape: tuple[int, int] | None = None
    ) -> DrawnSample:
        """Draw how a sample is to be augmented, and augment its labels alone."""
        draws = draw(self.pipeline, sample, partners, seed)
        return {
            "image": np.empty((self.imgsz, self.imgsz, 0), np.uint8),
            "bboxes": draws.instances.bboxes,
            "cls": draws.instances.cls,
            "keypoints": draws.instances.keypoints,
            "im_file": sample["im_file"],
            "draws": draws,
        }

    def collate(self, found: Sequence[Item | Lost]) -> DetectionBatch:
        """Collate labels and names as `collate` does, and pack what the pictures are made of beside them.

        Args:
            found: samples, and images that could not be read.

        Returns:
            A batch whose `img` has no channels yet, (B, 0, H, W), and with `augment_inputs`; see `finish_on_device`.
        """
        config = self.pipeline.config
        batch = collate(found)
        draws = [item["draws"] for item in found if not isinstance(item, Lost)]  # type: ignore[typeddict-item]
        batch[INPUTS] = pack_inputs(  # type: ignore[literal-required]
            draws,
            self.imgsz,
            straight=not (config.degrees or config.shear),
            recolour=bool(config.hsv_h or config.hsv_s or config.hsv_v),
        )
        return batch


class EncodedTrainDataset(DeviceTrainDataset):
    """The same, and plain colour JPEG files go to the device as they are; all other pictures are decoded here.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> from aigp_lightning.data.augment import AugmentConfig
        >>> from aigp_lightning.data.augment.pipeline import TrainPipeline
        >>> from aigp_lightning.data.records import ImageRecord
        >>> from aigp_lightning.data.samplers import TrainRequest
        >>> pipeline = TrainPipeline(64, AugmentConfig())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = f"{folder}/000.jpg"
        ...     _ = cv2.imwrite(file, np.zeros((72, 128, 3), np.uint8))
        ...     record = ImageRecord(file, (72, 128), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        ...     dataset = EncodedTrainDataset([record], imgsz=64, pipeline=pipeline, batch_size=2)
        ...     batch = dataset.collate(dataset.__getitems__([TrainRequest(index=0, seed=1)] * 2))
        >>> len(batch["augment_inputs"]["encoded"]), batch["augment_inputs"]["encoded"][0].size
        (1, (36, 64))
    """

    def _image(self, index: int) -> Any:
        """Return a picture as a file, or decoded where it is no file for the device."""
        encoded = read_encoded(self.records[index].im_file, self.imgsz, self.resizing)
        return super()._image(index) if encoded is None else encoded
