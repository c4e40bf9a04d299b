"""The keypoint model: what YOLO-pose adds to the detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aigp_lightning.checkpoints.schema import METADATA
from aigp_lightning.errors import DataError, WeightsError, tell_user, warn_user
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.gains import LossGains
from aigp_lightning.modules.metrics.gate_camera import GateCamera, of_camera
from aigp_lightning.modules.metrics.rigid_pose import target_of
from aigp_lightning.modules.metrics.same_keypoints import check_order
from aigp_lightning.ranges import SHARE, check_range
from aigp_lightning.run.lightning_internals import datamodule_of, trainer_of
from aigp_lightning.types import Keypoints, Prediction

NO_METRES = (
    "no errors in metres: nothing says where the {count} keypoints are on the object. Write object_points to {file}, "
    "or give --model.camera.object_points: gate-8, gate-8-rows, or [x, y, z] in metres for each."
)


@dataclass(frozen=True)
class PoseGains(LossGains):
    """Weights of the loss components.

    Args:
        box: box overlap (CIoU).
        cls: classification.
        dfl: distribution of the box sides; of heads that give each side as one number (YOLO26), its L1 distance.
        dis: likeness to a teacher's feature maps, with `--model.distill_model`.
        pose: likeness of the keypoints (OKS).
        kobj: whether a keypoint is to be seen.
        rle: likelihood of the keypoints' errors (RLE), which the head of YOLO26-pose has beside.

    Example:
        >>> PoseGains(kobj=2.0).pose
        12.0
    """

    pose: float = 12.0
    kobj: float = 1.0
    rle: float = 1.0


class PoseModule(DetectorModule):
    """A YOLO that finds objects and their keypoints, judged in pixels, and, where it is known how they lie, in metres.

    Args:
        variant: name of an Ultralytics pose model YAML (`yolo11n-pose`, `yolo11s-pose`, …) or a path to one.
        gains: weights of the loss components.
        camera: the camera and the object, for errors in metres and degrees; null for keypoints of nothing rigid.
        keypoint_conf: lowest confidence of a keypoint that `predict` counts as seen, 0…1: it draws no others, and says
            in predictions.json which they are. Where not given, it draws those above 0.25, and says nothing.
        **options: as the detector's.

    Example:
        >>> module = PoseModule("yolo11n-pose", gains=PoseGains(pose=6.0))
        >>> module.keypoints = Keypoints(4, 3, ("top-left", "top-right", "bottom-right", "bottom-left"))
        >>> module.closing_kinds
        ('corner_error',)
    """

    task = "pose"
    loss_names = ("box_loss", "pose_loss", "kobj_loss", "cls_loss", "dfl_loss")
    curve_prefixes = ("Box", "Pose")

    def __init__(
        self,
        variant: str = "yolo11n-pose",
        gains: PoseGains = PoseGains(),
        camera: GateCamera | None = GateCamera(),
        keypoint_conf: float | None = None,
        **options: Any,
    ) -> None:
        check_range("--model.keypoint_conf", keypoint_conf, SHARE)
        super().__init__(variant=variant, gains=gains, **options)
        self.camera, self.keypoint_conf = camera, keypoint_conf

    @property
    def wants_keypoints(self) -> bool:
        """True if batches must have `keypoints`."""
        return True

    def setup_from_data(self, data: Any) -> None:
        """Learn the data set's keypoints.

        Raises:
            DataError: it has none.
        """
        super().setup_from_data(data)
        self.keypoints = data.spec.keypoints
        if self.keypoints is None:
            raise DataError(
                f"{data.spec.file}: a pose model needs keypoints, but 'kpt_shape' is missing; add it, as [4, 3]"
            )
        if self.camera is not None and trainer_of(self) is not None:
            if self._target is None:
                tell_user(NO_METRES.format(count=self.keypoints.count, file=data.spec.file))
                return
            split = "test" if self.trainer.state.fn == "test" else "val"
            _warn_of_other_cameras(self.camera, [record.shape for record in data.scan(split).records])

    def build_network(self, names: Any, description: Any = None) -> Any:
        """Build the YOLO, see `DetectorModule`; the keypoints come from the data set, else from the weights.

        Raises:
            WeightsError: the weights find other keypoints than the data set has, or where nothing is trained, in
                another order.
        """
        from aigp_lightning.modules.yolo.build import keypoint_shape
        from aigp_lightning.modules.yolo.own_keypoints import keypoints_of

        network = super().build_network(names, description)
        shape = keypoint_shape(network)
        if self.keypoints is None:
            self.keypoints = keypoints_of(network, shape)
        self._check_shape(shape, self.weights or "the checkpoint")
        return network

    def _check_order(self, found: Keypoints, source: str) -> None:
        """Refuse labels in another order than a trained model finds keypoints in."""
        data = datamodule_of(self.trainer)
        check_order(found, self.keypoints, source, str(getattr(data, "data_yaml", "the data set")))

    def _check_shape(self, shape: tuple[int, int], source: str) -> None:
        assert self.keypoints is not None
        wanted = self.keypoints.count, self.keypoints.numbers
        if shape != wanted:
            raise WeightsError(
                f"{source} finds keypoints of shape {list(shape)}, the data set's kpt_shape is {list(wanted)}. `fit` "
                "with --model.weights adapts a .pt; everything else needs the same."
            )

    def build_metrics(self) -> Any:
        """Return the metrics of boxes, keypoints and gates, empty."""
        from aigp_lightning.modules.metrics.pose import PoseMetrics

        assert self.keypoints is not None
        return PoseMetrics(self.names, self.keypoints, self.camera if self._target is not None else None)

    @property
    def _target(self) -> Any:
        """Where each keypoint is on the object; None without a camera, and where nobody says."""
        return target_of(self.keypoints, self.camera)

    @property
    def closing_kinds(self) -> tuple[str, ...]:
        """A plot of corner errors, where objects have a distance."""
        return ("corner_error",) if self._target is not None else ()

    def _predictions(self, rows: list[Any]) -> list[Prediction]:
        """Convert what NMS left, with keypoints; without visibility every keypoint counts as seen."""
        import torch

        assert self.keypoints is not None
        shape = self.keypoints.count, self.keypoints.numbers
        points = [row[:, 6:].float().reshape(-1, *shape) for row in rows]
        if self.keypoints.numbers == 2:  # noqa: PLR2004
            points = [torch.cat((xy, torch.ones_like(xy[..., :1])), -1) for xy in points]
        return [
            Prediction(found.boxes, found.scores, found.labels, xyv)
            for found, xyv in zip(super()._predictions(rows), points, strict=True)
        ]

    def checkpoint_options(self) -> dict[str, Any]:
        """Return the arguments that a checkpoint keeps, see `BaseModule`."""
        camera = None if self.camera is None else asdict(self.camera)
        return {**super().checkpoint_options(), "camera": camera, "keypoint_conf": self.keypoint_conf}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the data set says about keypoints."""
        super().on_save_checkpoint(checkpoint)
        if self.keypoints is not None:
            checkpoint[METADATA]["keypoints"] = asdict(self.keypoints)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check the checkpoint, see `BaseModule`; without a data set its keypoints come from there.

        Raises:
            WeightsError: it finds other keypoints than the data set has, or in another order.
        """
        ours = checkpoint.get(METADATA)
        if isinstance(ours, dict) and ours.get("keypoints"):
            theirs = Keypoints(**ours["keypoints"])
            self.keypoints = self.keypoints or theirs
            if ours.get("task") == self.task:
                path = self.trainer.ckpt_path if trainer_of(self) is not None else None
                self._check_shape((theirs.count, theirs.numbers), str(path or "the checkpoint"))
                if path is not None:
                    self._check_order(theirs, str(path))
        super().on_load_checkpoint(checkpoint)


def _warn_of_other_cameras(camera: GateCamera, shapes: Sequence[tuple[int, int]]) -> None:
    """Warn of pictures that cannot be the camera's, by their heights and widths in pixels."""
    own = camera.runtime
    others = int((~of_camera(np.array(shapes, np.float64).reshape(-1, 2), camera)).sum())
    if others:
        warn_user(
            f"{others} of {len(shapes)} pictures have another aspect than --model.camera ({own.width} × "
            f"{own.height}): no errors in metres for their gates. Give your camera's width, height, fx, fy, cx and "
            "cy, or --model.camera null."
        )
