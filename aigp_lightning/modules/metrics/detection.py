"""Detection metrics by Ultralytics' definitions, exact on any number of processes.

Longer than 250 lines: what is gathered, exchanged and computed of a validation is read as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from aigp_lightning.boxes import xywh_to_xyxy
from aigp_lightning.modules.metrics.confusion import count_pairs, pair
from aigp_lightning.modules.metrics.false_alarms import FALSE_ALARMS, FalseAlarms, false_alarms_by_image, is_measured
from aigp_lightning.modules.metrics.pairing import match_pairs, of_one_class, overlapping
from aigp_lightning.modules.metrics.split import Found, Labelled, Waiting, image_places, join_found, join_true
from aigp_lightning.types import Curves, DetectionBatch, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aigp_lightning.modules.yolo.metrics import DetMetrics


CURVES = ("px", "p_curve", "r_curve", "f1_curve", "prec_values", "ap50")
"""Ultralytics' names of what `Curves` holds."""
LEAST = 0.45
"""Pairs that overlap by less can be right at none of the thresholds, which begin at 0.5."""
MOST_WAITING = 1 << 18
"""Detections that may wait, on the device, to be held against their labels: those of some 900 full images."""


class DetectionMetrics(Metric):
    """Precision, recall, mAP50 and mAP50-95 over a split, each image counted once.

    What it gathers is small (one row a prediction and one a label), so processes exchange the rows themselves and
    every one of them computes the same figures from all. Rows are put in the order that one process would have them
    in: of equally confident predictions the first counts first.

    What `compute` found stays until the next one, whatever is reset in between: `curves()`, `table()`, `confusion`,
    `false_alarms` and `fitness`.

    Args:
        names: class names by id.

    Attributes:
        confusion: int64 (nc + 1, nc + 1) [predicted, true] counts, background last; None before the first `compute`.
        alarm_conf: see `with_alarms_at`; None where they are not counted.
        false_alarms: in pictures without labels; None before the first `compute`, and where there are no such pictures.
        fitness: what the best weights are chosen by, as Ultralytics'.

    Example:
        >>> batch = {"img": torch.zeros(1, 3, 10, 10), "cls": torch.tensor([0]), "batch_idx": torch.tensor([0])}
        >>> batch["bboxes"] = torch.tensor([[0.5, 0.5, 0.4, 0.4]])
        >>> box = torch.tensor([[3.0, 3.0, 7.0, 7.0]])
        >>> metrics = DetectionMetrics({0: "gate"})
        >>> metrics.update([Prediction(box, scores=torch.tensor([0.9]), labels=torch.tensor([0]))], batch)
        >>> round(metrics.compute()["metrics/mAP50(B)"], 3)
        0.995
    """

    full_state_update = False
    second: str = ""
    """Name of what is judged beside the boxes; see `detection_metrics`."""
    columns: tuple[str, ...] = ("precision", "recall", "mAP50", "mAP50-95")
    """Of `table`, as Ultralytics' metrics give them."""
    correct: list[Tensor]
    conf: list[Tensor]
    pred_cls: list[Tensor]
    target_cls: list[Tensor]
    target_img: list[Tensor]
    place: list[Tensor]
    images: Tensor
    empty: Tensor
    alarms: Tensor
    matrix: Tensor

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self.names = dict(names)
        for state in ("correct", "conf", "pred_cls", "target_cls", "target_img", "place"):
            self.add_state(state, default=[], dist_reduce_fx="cat")
        for count in ("images", "empty", "alarms"):
            self.add_state(count, default=torch.tensor(0), dist_reduce_fx="sum")
        shape = (len(self.names) + 1,) * 2
        self.add_state("matrix", default=torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")
        self._waiting: list[Waiting] = []
        self._rows_waiting = 0
        self.details: DetMetrics | None = None
        self.counted = 0
        self.confusion: NDArray[np.int64] | None = None
        self.alarm_conf: float | None = None
        self.false_alarms: FalseAlarms | None = None
        self.fitness = 0.0

    def with_alarms_at(self, conf: float, lowest: float) -> DetectionMetrics:
        """Count false alarms in pictures without labels; returns the metrics themselves.

        Args:
            conf: lowest confidence that counts, 0…1: that of `predict`.
            lowest: that the validation keeps; where that is more, they are not counted.
        """
        self.alarm_conf = conf if is_measured(conf, lowest) else None
        return self

    def update(self, predictions: list[Prediction], batch: DetectionBatch) -> None:
        """Add a batch; nothing is computed yet, and nothing waits for the device.

        Args:
            predictions: one an image, boxes in network-input pixels, best first.
            batch: the labels they are held against. An empty batch is welcome: a process that got no image still
                takes part in the exchange.
        """
        places = image_places(self._update_count, len(predictions))
        self._waiting.append(Waiting(predictions, true_boxes(batch), batch["cls"], batch["batch_idx"], places))
        self._rows_waiting += sum(len(one.scores) for one in predictions)
        if self._rows_waiting > MOST_WAITING:
            self._settle()

    def _settle(self) -> None:
        """Hold all that waits against its labels."""
        waiting, self._waiting, self._rows_waiting = self._waiting, [], 0
        if waiting or not len(self.conf):  # every process takes part in the exchange, with no image too
            self._add(waiting, join_found([one for batch in waiting for one in batch.predictions]), join_true(waiting))

    def _add(self, waiting: list[Waiting], found: Found, true: Labelled) -> None:
        """Add what some batches hold.

        Args:
            waiting: the batches.
            found: in all their images.
            true: labelled in all their images.
        """
        from aigp_lightning.modules.yolo.metrics import IOU_THRESHOLDS

        near = overlapping(found.boxes, true.boxes, found.image, true.image, LEAST)
        pairs = of_one_class(near, found.labels, true.labels)
        correct = match_pairs(*pairs, len(found.scores), IOU_THRESHOLDS.numpy())
        places = np.array([place for batch in waiting for place in batch.places], np.int64)
        present = np.unique(np.stack((true.image, true.labels)), axis=1)[1]
        self._append(
            correct=correct, conf=found.scores, pred_cls=found.labels, target_cls=true.labels, target_img=present,
            place=places[found.image],
        )  # fmt: skip
        self.images += len(places)
        if self.alarm_conf is not None:
            alarms, empty = false_alarms_by_image(found.image, found.scores, true.image, len(places), self.alarm_conf)
            self.alarms += int(alarms.sum())
            self.empty += int(empty.sum())
        seen = pair(found.boxes, found.scores, found.image, true.boxes, true.image)
        counts = count_pairs(seen, found.labels, found.scores, true.labels, len(self.names))
        self.matrix += torch.from_numpy(counts).to(self.device)

    def _append(self, **rows: NDArray[Any]) -> None:
        for state, values in rows.items():
            getattr(self, state).append(torch.from_numpy(np.ascontiguousarray(values)).to(self.device))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Exchange the states with the other processes, all that waits among them; see torchmetrics."""
        self._settle()
        super().sync(*args, **kwargs)

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self._waiting, self._rows_waiting = [], 0

    def compute(self) -> dict[str, float]:
        """Return the metrics by Ultralytics' names, and `fitness`; per-class figures stay in `details`.

        Where the split has pictures without labels, `metrics/false_alarms_per_empty` is among them.
        """
        from aigp_lightning.modules.yolo.metrics import detection_metrics

        order = np.argsort(_array(self.place), kind="stable")
        correct, conf, pred_cls, target_cls, target_img, other = (*map(_array, self._states()), None)[:6]
        self.details = detection_metrics(
            self.names, correct[order], conf[order], pred_cls[order], target_cls, target_img,
            None if other is None else (self.second, other[order]),
        )  # fmt: skip
        self.counted = int(self.images)  # of all processes: outside `compute` the state is this one's alone again
        self.confusion = self.matrix.cpu().numpy().copy()
        self.fitness = float(self.details.fitness)
        self.false_alarms = self._count_false_alarms()
        more = {} if self.false_alarms is None else {FALSE_ALARMS: self.false_alarms.per_picture}
        return {key: float(value) for key, value in self.details.results_dict.items()} | more

    def _count_false_alarms(self) -> FalseAlarms | None:
        empty = int(self.empty)
        return FalseAlarms(int(self.alarms), empty, self.alarm_conf) if empty and self.alarm_conf is not None else None

    def _states(self) -> tuple[list[Tensor], ...]:
        """Return the states that the metrics are computed from, in the order of `detection_metrics`."""
        return self.correct, self.conf, self.pred_cls, self.target_cls, self.target_img

    def _by_prefix(self) -> dict[str, Any]:
        """Return the metrics that have curves of their own, by the prefix of their files."""
        return {"": self.details.box} if self.details is not None else {}

    def curves(self) -> list[Curves]:
        """Return the curves of the last `compute`; empty where there were no labels."""
        details = self.details
        if details is None or not len(details.ap_class_index):
            return []
        names = tuple(self.names[int(index)] for index in details.ap_class_index)
        return [
            Curves(prefix, names, *(np.asarray(getattr(of, values), np.float32) for values in CURVES))
            for prefix, of in self._by_prefix().items()
        ]

    def table(self) -> list[dict[str, Any]]:
        """Return a row for all classes and one for each, of the last `compute`.

        Keys: `class`, `images`, `instances`, then `columns`.
        """
        details = self.details
        if details is None or details.nt_per_class is None or details.nt_per_image is None:
            return []
        keys = self.columns
        total = {"class": "all", "images": self.counted, "instances": int(details.nt_per_class.sum())}
        rows: list[dict[str, Any]] = [{**total, **dict(zip(keys, map(float, details.mean_results()), strict=True))}]
        for row, index in enumerate(details.ap_class_index):
            figures = map(float, details.class_result(row))
            counts = {"images": int(details.nt_per_image[index]), "instances": int(details.nt_per_class[index])}
            rows.append({"class": self.names[int(index)], **counts, **dict(zip(keys, figures, strict=True))})
        return rows


def match_boxes(prediction: Prediction, boxes: Tensor, labels: Tensor) -> Tensor:
    """Match what was found in an image with its labels, each label once, by Ultralytics' greedy rule.

    Args:
        prediction: best first.
        boxes: (m, 4) xyxy, labelled boxes, in the prediction's pixels.
        labels: (m,) their classes.

    Returns:
        bool (n, 10), on the CPU: True where a prediction is right at IoU 0.5, 0.55, … 0.95.

    Example:
        >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
        >>> found = Prediction(box, scores=torch.tensor([0.9]), labels=torch.tensor([0]))
        >>> shifted = torch.tensor([[0.0, 2.0, 10.0, 10.0]])  # IoU 0.8
        >>> match_boxes(found, shifted, labels=torch.tensor([0])).sum().item()
        7
    """
    from aigp_lightning.modules.yolo.metrics import match_predictions

    return match_predictions(prediction.boxes, prediction.labels, boxes, labels)


def true_boxes(batch: DetectionBatch) -> Tensor:
    """Return the labelled boxes of a batch as (N, 4) xyxy, network-input pixels.

    Args:
        batch: of any size.

    Example:
        >>> true_boxes({"img": torch.zeros(1, 3, 10, 20), "bboxes": torch.tensor([[0.5, 0.5, 0.5, 0.2]])}).tolist()
        [[5.0, 4.0, 15.0, 6.0]]
    """
    height, width = batch["img"].shape[2:]
    columns = zip(batch["bboxes"].unbind(-1), (width, height, width, height), strict=True)
    return xywh_to_xyxy(torch.stack([column * size for column, size in columns], -1))  # numbers need no copy to a GPU


def _array(state: list[Tensor] | Tensor) -> Any:
    joined = torch.cat(state) if isinstance(state, list) else state  # torchmetrics hands a tensor after an exchange
    return joined.cpu().numpy()
