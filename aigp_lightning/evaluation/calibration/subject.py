"""The model whose thresholds are chosen: opened, with its present thresholds and those that it has at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.data.input_size import USUAL_SIZE
from aigp_lightning.data.one_size import OneSize
from aigp_lightning.data.resizing import LETTERBOX, Resizing, find_resizing
from aigp_lightning.errors import warn_user
from aigp_lightning.evaluation.calibration.detections import has_nms
from aigp_lightning.evaluation.calibration.grid import Combination
from aigp_lightning.evaluation.exported import ExportedModule
from aigp_lightning.evaluation.exported_contract import contract_thresholds
from aigp_lightning.evaluation.file_thresholds import graph_of
from aigp_lightning.evaluation.open_with_options import decoder_of, open_with_options, told_by, usual_device
from aigp_lightning.files import sha256_of
from aigp_lightning.media.module_facts import keypoints_of
from aigp_lightning.modules.thresholds import Thresholds

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.types import Keypoints

WITH_CONFIDENCE = 3
"""Numbers of a keypoint that tells how sure it is: x, y and confidence."""


@dataclass(frozen=True)
class Subject:
    """A model that is opened.

    Attributes:
        file: of the model.
        sha256: of its bytes.
        module: in eval mode, on its device.
        data: options of its run's data.
        imgsz: long side of the network's input, pixels.
        resizing: way to bring pictures to it.
        carried: thresholds that an exported file carries; None without.
    """

    file: Path
    sha256: str
    module: BaseModule
    data: dict[str, Any]
    imgsz: int
    resizing: Resizing
    carried: Thresholds | None = None

    @property
    def decoder(self) -> Any:
        """The module whose limits count."""
        return decoder_of(self.module)

    @property
    def keypoints(self) -> Keypoints | None:
        """What it knows of its keypoints; None without any."""
        return keypoints_of(self.module)

    @property
    def has_nms(self) -> bool:
        """True if it suppresses overlapping boxes."""
        return has_nms(self.module)

    @property
    def max_det(self) -> int:
        """Most detections of a picture."""
        inference = getattr(self.decoder, "inference", None)
        return int(self.decoder.max_det if inference is None else inference.max_det)

    @property
    def now(self) -> Combination:
        """The thresholds that it has before: those that an exported file carries, else its own."""
        keypoints, camera = self.keypoints, getattr(self.decoder, "camera", None)
        with_confidence = keypoints is not None and keypoints.numbers == WITH_CONFIDENCE
        if (own := self.carried) is not None:
            return Combination(
                own.conf, own.keypoint_conf if with_confidence else None, own.iou if self.has_nms else None,
                own.reprojection_px,
            )  # fmt: skip
        usual: float | None = getattr(self.decoder, "keypoint_conf", None)
        usual = Thresholds().keypoint_conf if usual is None else usual
        return Combination(
            float(self.decoder.predict_conf),
            usual if with_confidence else None,
            float(self.decoder.inference.iou) if self.has_nms else None,
            getattr(camera, "reprojection_px", None),
        )


def open_subject(file: Path) -> Subject:
    """Open a model as `predict` does.

    Args:
        file: a checkpoint, a family's own weights file or an exported file.

    Raises:
        WeightsError: it cannot be opened.
        ConfigError: a package is missing.
    """
    told, digest = told_by(file), sha256_of(file)
    module = open_with_options(file, told)
    module.to(usual_device(module))
    resizing: Resizing = find_resizing(told.data.get("resize", LETTERBOX.name))
    imgsz = int(told.data.get("imgsz") or USUAL_SIZE)
    if not told.data.get("imgsz"):
        warn_user(f"{file} does not say at which image size it was trained: {USUAL_SIZE} is taken")
    fixed = module.fixed_size if isinstance(module, ExportedModule) else None
    if fixed is not None:
        imgsz, resizing = max(fixed), OneSize(fixed, resizing)
    graph = graph_of(module)
    carried = None if graph is None or graph.contract is None else contract_thresholds(graph.contract)
    return Subject(file, digest, module, told.validated_by, imgsz, resizing, carried)
