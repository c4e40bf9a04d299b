"""The network run once over frames: all that it finds at every overlap that is tried, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from aigp_lightning.data.loaders import make_loader, worker_count
from aigp_lightning.data.predict_batches import PredictBatchSampler
from aigp_lightning.errors import DataError, warn_user
from aigp_lightning.evaluation.exported import ExportedModule
from aigp_lightning.evaluation.open_with_options import decoder_of, prediction_precision
from aigp_lightning.media.detections import in_original
from aigp_lightning.terminal.progress import progress_bar
from aigp_lightning.types import Prediction

if TYPE_CHECKING:
    from aigp_lightning.data.sources import SourceDataset
    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.types import RatioPad

FIRST_POINT, POINT = 6, 3
"""Column of the first keypoint in rows of detections, and numbers of each: x, y and confidence."""


@dataclass(frozen=True)
class Detections:
    """Found objects of all frames, best first within a frame; coordinates are pixels of the original pictures.

    Attributes:
        frame: (d,) which frame each is in, rising.
        score: (d,) float32 confidence.
        label: (d,) class id.
        box: (d, 4) xyxy.
        points: (d, K, 3) x, y and confidence; K = 0 without keypoints.
        member: (d, j) whether it is left at each overlap that was tried.
        inclusive: a detection whose confidence is exactly the limit counts, as the model's family has it.
        read: (n,) frames that could be read.
    """

    frame: NDArray[np.int64]
    score: NDArray[np.float32]
    label: NDArray[np.int64]
    box: NDArray[np.float32]
    points: NDArray[np.float32]
    member: NDArray[np.bool_]
    inclusive: bool
    read: NDArray[np.bool_]

    def above(self, conf: float) -> NDArray[np.bool_]:
        """Return which detections are surer than a limit, (d,).

        Args:
            conf: the limit, 0…1.
        """
        limit = np.float32(conf)
        return np.asarray(self.score >= limit if self.inclusive else self.score > limit)


def has_nms(module: BaseModule) -> bool:
    """True if overlapping boxes of what a model finds are suppressed.

    Args:
        module: opened.
    """
    inference = getattr(decoder_of(module), "inference", None)
    return inference is not None and not inference.nms_free


def run_network(
    module: BaseModule,
    dataset: SourceDataset,
    conf: float,
    ious: Sequence[float | None],
    *,
    classes: Sequence[int] | None = None,
    batch_size: int = 16,
    workers: int = 0,
    progress: bool = True,
) -> Detections:
    """Run a network once over frames; all that it is at least a little sure of is suppressed at each overlap.

    Whether a box is kept depends on surer ones alone: what is left above a higher confidence is what suppression above
    that confidence would have left.

    Args:
        module: opened, on its device.
        dataset: the frames.
        conf: lowest confidence of all that are tried.
        ious: overlaps that are tried; (None,) for a model without suppression.
        classes: ids of the classes that count; None: all.
        batch_size: most frames at once.
        workers: processes that load frames.
        progress: show progress.

    Raises:
        DataError: not one frame could be read.
        WeightsError: the model fails, or answers with what is no number.
    """
    batches = PredictBatchSampler(dataset, batch_size)
    device = module.device
    loader = make_loader(
        dataset, batches, workers=worker_count(workers, 1), seed=0, pin_memory=device.type == "cuda"
    )  # fmt: skip
    number = {dataset.name(index): index for index in range(len(dataset))}
    tables: list[Table] = []
    read = np.zeros(len(dataset), np.bool_)
    with progress_bar("looking at frames", len(dataset), progress) as advance:
        for batch in loader:
            if not len(batch["img"]):
                continue
            with torch.inference_mode(), prediction_precision(device):
                ready = module.preprocess_batch({**batch, "img": batch["img"].to(device, non_blocking=True)})
                found = _by_iou(module, ready, conf, ious, classes)
            places = [number[name] for name in batch["im_file"]]
            read[places] = True
            tables += [
                _table(each, place, shape, ratio_pad)
                for each, place, shape, ratio_pad in zip(
                    zip(*found, strict=True), places, batch["ori_shape"], batch["ratio_pad"], strict=True
                )
            ]
            advance(len(places))
    if not read.any():
        raise DataError("not one of the frames can be read.")
    if not read.all():
        warn_user(f"{int((~read).sum())} of {len(read)} frames cannot be read, and are left out")
    return _joined(tables, not hasattr(decoder_of(module), "inference"), read)


@dataclass(frozen=True)
class Table:
    """What was found in one frame: its number, rows (d, 6 + 3K) of score, label, box and keypoints, and `member`."""

    frame: int
    rows: NDArray[np.float32]
    member: NDArray[np.bool_]


def _by_iou(
    module: BaseModule, batch: Any, conf: float, ious: Sequence[float | None], classes: Sequence[int] | None
) -> list[list[Prediction]]:
    """Return the predictions of a batch at each overlap, by one forward pass."""
    decoder: Any = decoder_of(module)
    if not hasattr(decoder, "inference"):  # no boxes are suppressed
        found = module.predict_batch(batch, conf)
        return [[_of_classes(one, classes) for one in found]] * len(ious)
    exported = isinstance(module, ExportedModule)
    raw = cast("Any", module.network)(batch["img"]) if exported else decoder.outputs(batch)
    found = decoder.inference.rows_by_iou(raw, conf, len(decoder.names), ious, classes)
    return [[_prediction(row, decoder) for row in rows] for rows in found]


def _prediction(row: torch.Tensor, decoder: Any) -> Prediction:
    """Return the rows of a frame that suppression left, masks left out; keypoints without confidence count as seen."""
    points = None
    if decoder.wants_keypoints:
        points = row[:, FIRST_POINT:].float().reshape(len(row), decoder.keypoints.count, decoder.keypoints.numbers)
        if decoder.keypoints.numbers == 2:  # noqa: PLR2004
            points = torch.cat((points, torch.ones_like(points[..., :1])), -1)
    return Prediction(row[:, :4].float(), row[:, 4].float(), row[:, 5].long(), points)


def _of_classes(found: Prediction, classes: Sequence[int] | None) -> Prediction:
    if classes is None:
        return found
    kept = torch.isin(found.labels, torch.tensor(list(classes), device=found.labels.device))
    return Prediction(found.boxes[kept], found.scores[kept], found.labels[kept])


def _table(found: Sequence[Prediction], frame: int, shape: tuple[int, int], ratio_pad: RatioPad) -> Table:
    """Return what was found in a frame at each overlap, the same detection once."""
    parts = []
    for one in found:
        host = in_original(one, shape, ratio_pad)
        columns = [host.scores, host.labels, host.boxes]
        if host.keypoints is not None:
            columns.append(host.keypoints.reshape(len(host.scores), host.keypoints.shape[1] * POINT))
        parts.append(np.column_stack(columns).astype(np.float32))
    if len(parts) == 1:
        return Table(frame, parts[0], np.ones((len(parts[0]), 1), np.bool_))
    rows = np.ascontiguousarray(np.concatenate(parts))
    keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    member = np.zeros((len(first), len(parts)), np.bool_)
    member[which.ravel(), np.repeat(np.arange(len(parts)), [len(part) for part in parts])] = True
    order = np.lexsort((first, -rows[first, 0]))
    return Table(frame, rows[first[order]], member[order])


def _joined(tables: Sequence[Table], inclusive: bool, read: NDArray[np.bool_]) -> Detections:
    tables = sorted(tables, key=lambda table: table.frame)
    rows = np.concatenate([table.rows for table in tables])
    frame = np.repeat(np.array([table.frame for table in tables], np.int64), [len(table.rows) for table in tables])
    points = rows[:, FIRST_POINT:].reshape(len(rows), (rows.shape[1] - FIRST_POINT) // POINT, POINT)
    label, member = rows[:, 1].astype(np.int64), np.concatenate([table.member for table in tables])
    return Detections(frame, rows[:, 0], label, rows[:, 2:6], points, member, inclusive, read)
