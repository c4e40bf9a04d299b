"""Results image by image, collected from the batches of a validation; on several processes in one process's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.corners import corner_rows, row_width
from aigp_lightning.modules.metrics.detection import LEAST, true_boxes
from aigp_lightning.modules.metrics.image_results import SHAPES, THRESHOLDS, ImageResults
from aigp_lightning.modules.metrics.pairing import choose, match_pairs, of_one_class, overlapping
from aigp_lightning.modules.metrics.pose import alike_keypoints, true_keypoints
from aigp_lightning.modules.metrics.rigid_pose import target_of
from aigp_lightning.modules.metrics.segment import overlaps_of_batch, pairs_of_masks
from aigp_lightning.modules.metrics.split import Found, Labelled, Waiting, image_places, join_found, join_true, joined
from aigp_lightning.types import DetectionBatch, Keypoints, PoseBatch, Prediction

if TYPE_CHECKING:
    from torch import Tensor

    from aigp_lightning.data.masks import SegmentBatch
    from aigp_lightning.modules.metrics.gate_camera import GateCamera

Arrays = dict[str, NDArray[Any]]
PLACES, FILES = "places", "files"
"""Keys of a part beside those of `SHAPES`: (n,) places of the images among those of all processes, and their files."""


class ResultsCollector:
    """Collects what was found in the images of a validation, and how it goes with their labels.

    Which detections are right is decided as the metrics decide it: in network-input pixels, by the same functions.

    Args:
        keypoints: the data set's; None for a detector.
        camera: solves objects for their place, where it is known how their keypoints lie; None: no metres.
        masks: predictions and batches have masks, by which detections are judged too.

    Example:
        >>> import torch
        >>> batch = {"img": torch.zeros(1, 3, 10, 10), "cls": torch.tensor([0]), "batch_idx": torch.tensor([0])}
        >>> batch |= {"bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.4]]), "im_file": ["a.jpg"], "ori_shape": [(20, 20)]}
        >>> batch["ratio_pad"] = [((0.5, 0.5), (0.0, 0.0))]
        >>> found = Prediction(torch.tensor([[3.0, 3.0, 7.0, 7.0]]), torch.tensor([0.9]), torch.tensor([0]))
        >>> collector = ResultsCollector()
        >>> collector.add([found], batch)
        >>> results = join_shares([collector.share()], {"task": "detect"})
        >>> results.found_box.tolist(), results.match.tolist(), int(results.correct.sum())
        ([[6.0, 6.0, 14.0, 14.0]], [0], 10)
    """

    def __init__(
        self, keypoints: Keypoints | None = None, camera: GateCamera | None = None, masks: bool = False
    ) -> None:
        self.count, self.camera, self.masks = (0 if keypoints is None else keypoints.count), camera, masks
        self._target = target_of(keypoints, camera)
        self._sigmas: Tensor | None = None
        if keypoints is not None:
            from aigp_lightning.modules.yolo.metrics import oks_sigmas

            self._sigmas = oks_sigmas(keypoints)
        self._parts: list[Arrays] = []
        self._steps = 0

    def add(self, predictions: Sequence[Prediction], batch: DetectionBatch) -> None:
        """Add a batch.

        Args:
            predictions: one an image, boxes in network-input pixels, best first.
            batch: its labels. An empty one counts too: other processes have images in it.
        """
        places = image_places(self._steps, len(predictions))
        self._steps += 1
        if not predictions:
            return
        waiting = Waiting(predictions, true_boxes(batch), batch["cls"], batch["batch_idx"], places)
        found, true = join_found(predictions), join_true([waiting])
        part = {**self._images(batch, places), **self._found(found, batch), **self._true(true, batch)}
        part |= self._pairs(found, true, predictions, batch)
        self._parts.append(_by_image(part))

    def share(self) -> Arrays:
        """Return all that was added, as one part."""
        return _concatenated(self._parts or [_nothing(self.count, self.masks)])

    def _images(self, batch: DetectionBatch, places: Sequence[int]) -> Arrays:
        files = np.array(batch["im_file"], dtype=object)
        return {FILES: files, PLACES: np.array(places, np.int64), "shapes": np.array(batch["ori_shape"], np.int32)}

    def _found(self, found: Found, batch: DetectionBatch) -> Arrays:
        points = np.full((len(found.scores), self.count, 3), np.nan, np.float32)
        if self.count and len(found.scores):
            given = found.points.reshape(len(found.scores), self.count, -1)
            points[..., : given.shape[2]] = given
        boxes = _in_originals(found.boxes.reshape(-1, 2, 2), found.image, batch)
        limits = np.array(batch["ori_shape"], np.float32)[found.image, ::-1]  # width and height
        return {
            "found_image": found.image,
            "found_label": found.labels,
            "found_score": found.scores,
            "found_box": np.clip(boxes, 0, limits[:, None]).reshape(-1, 4),
            "found_points": _in_originals(points, found.image, batch),
        }

    def _true(self, true: Labelled, batch: DetectionBatch) -> Arrays:
        points = np.zeros((len(true.labels), 0, 3), np.float32)
        if self.count:
            points = joined([true_keypoints(cast("PoseBatch", batch), slice(None))])
        return {
            "true_image": true.image,
            "true_label": true.labels,
            "true_box": _in_originals(true.boxes.reshape(-1, 2, 2), true.image, batch).reshape(-1, 4),
            "true_points": _in_originals(points, true.image, batch),
        }

    def _pairs(self, found: Found, true: Labelled, predictions: Sequence[Prediction], batch: DetectionBatch) -> Arrays:
        """Return which detections are right, and which object each goes with."""
        from aigp_lightning.modules.yolo.metrics import IOU_THRESHOLDS

        thresholds, count = IOU_THRESHOLDS.numpy(), len(found.scores)
        near = overlapping(found.boxes, true.boxes, found.image, true.image, LEAST)
        pairs = of_one_class(near, found.labels, true.labels)
        half = pairs[2] >= thresholds[0]
        one, other, overlap = (values[half] for values in pairs)
        chosen, match = choose(one, other, overlap), np.full(count, -1)
        match[one[chosen]] = other[chosen]
        right = covered = np.zeros((count, 0), np.bool_)
        rows = np.zeros((len(true.labels), 0), np.float32)
        if self._sigmas is not None:
            posed = cast("PoseBatch", batch)
            right = match_pairs(*alike_keypoints([posed], found, true, self._sigmas), count, thresholds)
            rows = corner_rows(predictions, posed, self.camera, self.count, self._target)
        if self.masks:
            overlaps = overlaps_of_batch(list(predictions), cast("SegmentBatch", batch))
            covered = match_pairs(*pairs_of_masks(overlaps, found, true), count, thresholds)
        kinds = {"correct": match_pairs(*pairs, count, thresholds), "correct_pose": right, "correct_mask": covered}
        return {"match": match, **kinds, "corner_rows": rows}


def join_shares(shares: Sequence[Arrays], about: dict[str, Any]) -> ImageResults:
    """Put the shares of all processes together, their images in the order that one process would have them in.

    Args:
        shares: see `ResultsCollector.share`.
        about: see `ImageResults`.

    Example:
        >>> join_shares([ResultsCollector().share()] * 2, {"task": "detect"}).files
        ()
    """
    whole = _concatenated(list(shares))
    order = np.argsort(whole[PLACES], kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    for axis in ("found", "true"):
        whole[f"{axis}_image"] = rank[whole[f"{axis}_image"]]
    for name in (FILES, "shapes"):
        whole[name] = whole[name][order]
    whole = _by_image(whole)
    files = tuple(str(file) for file in whole[FILES])
    return ImageResults(files, about=about, **{name: whole[name].astype(SHAPES[name][0]) for name in SHAPES})


def _concatenated(parts: list[Arrays]) -> Arrays:
    """Join parts; what numbers images or objects goes on counting."""
    images, objects = (np.cumsum([0, *(len(part[name]) for part in parts[:-1])]) for name in (FILES, "true_label"))
    whole: dict[str, list[NDArray[Any]]] = {name: [] for name in (FILES, PLACES, *SHAPES)}
    for part, image, true in zip(parts, images, objects, strict=True):
        for name, values in part.items():
            shift = image if name in ("found_image", "true_image") else 0
            shifted = (
                np.where(values < 0, values, values + true) if name == "match" else values + shift if shift else values
            )
            whole[name].append(shifted)
    return {name: np.concatenate(values) for name, values in whole.items()}


def _by_image(part: Arrays) -> Arrays:
    """Sort detections and objects by their image; within one they keep their order."""
    sorted_part = dict(part)
    for axis in ("found", "true"):
        order = np.argsort(part[f"{axis}_image"], kind="stable")
        length = "d" if axis == "found" else "t"
        for name, (_, own, _) in SHAPES.items():
            if own == length:
                sorted_part[name] = part[name][order]
        if axis == "true":
            rank = np.empty(len(order) + 1, np.int64)
            rank[order], rank[-1] = np.arange(len(order)), -1  # the last is the place of -1
            sorted_part["match"] = rank[sorted_part["match"]]
    return sorted_part


def _nothing(count: int, masks: bool) -> Arrays:
    """Return a part without images, of objects with so many keypoints, and with masks or without."""
    free = {"found_points": count, "true_points": count, "corner_rows": row_width(count) if count else 0}
    free |= {"correct_pose": THRESHOLDS if count else 0, "correct_mask": THRESHOLDS if masks else 0}
    arrays: Arrays = {FILES: np.zeros(0, object), PLACES: np.zeros(0, np.int64)}
    for name, (kind, _, rest) in SHAPES.items():
        arrays[name] = np.zeros((0, *(free[name] if size is None else size for size in rest)), kind)
    return arrays


def _in_originals(points: NDArray[Any], image: NDArray[np.int64], batch: DetectionBatch) -> NDArray[np.float32]:
    """Turn network-input pixels (m, K, 2 or more) into pixels of the original pictures."""
    gain = np.array([pair[0][::-1] for pair in batch["ratio_pad"]], np.float64)[image, None]
    offset = np.array([pair[1] for pair in batch["ratio_pad"]], np.float64)[image, None]
    moved = np.array(points, np.float64)
    moved[..., :2] = (moved[..., :2] - offset) / gain
    return moved.astype(np.float32)
