"""The shapes that travel between the rooms: batches, predictions, step outputs.

Longer than 250 lines: what a room asks of another is looked up in one place.

Nothing here imports torch or NumPy at run time, so that every room can import it for free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

RatioPad = tuple[tuple[float, float], tuple[float, float]]
"""How an image was letterboxed: ((gain_h, gain_w), (pad_left, pad_top)), pads in network-input pixels."""


class DetectionBatch(TypedDict):
    """One batch of images and boxes.

    Attributes:
        img: uint8 (B, 3, H, W) RGB; becomes float in 0…1 on the device.
        cls: int64 (N,), class of every box in the batch.
        bboxes: float32 (N, 4), cxcywh as fractions of the network input.
        batch_idx: int64 (N,), which image a box belongs to.
        im_file: (B,) path of every image, as it was found.
        ori_shape: (B,) height and width on disk, pixels.
        ratio_pad: (B,) letterbox of every image; see `RatioPad`.
        sources: (B,) every image file whose pixels are in the sample: one, or more where images are mixed.
        counts: (B,) boxes of every image, known without asking a device.
    """

    img: Tensor
    cls: Tensor
    bboxes: Tensor
    batch_idx: Tensor
    im_file: list[str]
    ori_shape: list[tuple[int, int]]
    ratio_pad: list[RatioPad]
    sources: list[tuple[str, ...]]
    counts: list[int]


class PoseBatch(DetectionBatch):
    """A detection batch with keypoints.

    Attributes:
        keypoints: float32 (N, K, 3), x and y as fractions of the network input, then visibility 0, 1 or 2.
    """

    keypoints: Tensor


@dataclass(frozen=True)
class Keypoints:
    """What a data set says about the keypoints of its objects.

    Attributes:
        count: keypoints an object, K.
        numbers: how many a label has for each: x and y, or x, y and visibility.
        names: (K,) a name for each.
        flip_idx: (K,) the keypoint that takes each place in a left-right mirror; None where nobody said.
        flip_idx_vertical: (K,) the same upside down.
        sigmas: (K,) how far off, by object size, each may be (COCO's OKS); None: Ultralytics' own.
        edges: pairs of keypoints that are joined by a line in pictures.
        points: (K, 3) where each is on the object, metres; None where nobody said.
    """

    count: int
    numbers: int
    names: tuple[str, ...]
    flip_idx: tuple[int, ...] | None = None
    flip_idx_vertical: tuple[int, ...] | None = None
    sigmas: tuple[float, ...] | None = None
    edges: tuple[tuple[int, int], ...] = ()
    points: tuple[tuple[float, float, float], ...] | None = None


@dataclass(frozen=True)
class Prediction:
    """What a model found in one image.

    Attributes:
        boxes: float32 (n, 4) xyxy in network-input pixels.
        scores: float32 (n,) confidence, falling.
        labels: int64 (n,) class ids.
        keypoints: float32 (n, K, 3) x, y in network-input pixels and confidence, or None.
        masks: uint8 (n, h, w) 0 or 1, of the network input's size or smaller by a factor; or None.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    keypoints: Tensor | None = None
    masks: Tensor | None = None


class StepOutput(TypedDict, total=False):
    """What a training or validation step hands to callbacks.

    Attributes:
        loss: scalar, summed over the batch as Ultralytics does.
        loss_items: detached components by name (`box_loss`, `cls_loss`, `dfl_loss`).
        loss_divisors: on validation, what each was divided by, before that was made at least 1; see `BatchLosses`.
        predictions: per image, on validation only; computed once and shared with metrics and pictures.
    """

    loss: Tensor
    loss_items: dict[str, Tensor]
    loss_divisors: dict[str, Tensor]
    predictions: list[Prediction]


@dataclass(frozen=True)
class Curves:
    """What a validation's curves show, of the classes that have labels.

    Attributes:
        prefix: of the files' names: empty for a detector; `Box`, and `Pose` for keypoints or `Mask` for masks.
        names: (c,) class names, one a row.
        x: (1000,) 0…1: confidence, or recall for `pr`.
        precision: (c, 1000) against confidence.
        recall: (c, 1000) against confidence.
        f1: (c, 1000) against confidence.
        pr: (c, 1000) precision against recall, at IoU 0.5.
        ap50: (c,) average precision at IoU 0.5.
    """

    prefix: str
    names: tuple[str, ...]
    x: NDArray[np.float32]
    precision: NDArray[np.float32]
    recall: NDArray[np.float32]
    f1: NDArray[np.float32]
    pr: NDArray[np.float32]
    ap50: NDArray[np.float32]


@dataclass(frozen=True)
class CornerErrors:
    """How far off the corners of gates were, by how far the gates were.

    Attributes:
        distance: (n,) metres from the camera to the gate, by its labelled corners.
        error: (n,) mean distance between found and labelled corners of that gate, pixels of the original picture.
        bands: limits between bands of distance, metres, rising.
    """

    distance: NDArray[np.float32]
    error: NDArray[np.float32]
    bands: tuple[float, ...]


@runtime_checkable
class Detector(Protocol):
    """A module that finds objects, of whatever family.

    Attributes:
        names: class names by id.
    """

    names: dict[int, str]

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """Find the objects in each image, above a confidence."""

    def match(self, prediction: Prediction, boxes: Tensor, labels: Tensor) -> Tensor:
        """Assign predictions to labelled boxes; returns bool (n, 10), True if right at IoU 0.5, 0.55, … 0.95."""


@runtime_checkable
class WantsKeypoints(Protocol):
    """A module that says whether it learns keypoints.

    Attributes:
        wants_keypoints: True if batches must have `keypoints`.
    """

    @property
    def wants_keypoints(self) -> bool:
        """True if batches must have `keypoints`."""


@runtime_checkable
class NeedsImages(Protocol):
    """A module that says how many images it can be trained on at once."""

    def least_images(self, imgsz: int) -> int:
        """Return the fewest images of a training batch, in one process, for a side of the network's input in pixels."""


@runtime_checkable
class HasClassNames(Protocol):
    """A module that names its classes by id."""

    names: dict[int, str]


@runtime_checkable
class HasClosingKinds(Protocol):
    """A module with kinds of picture of its own, drawn when training ends."""

    closing_kinds: tuple[str, ...]


@runtime_checkable
class CurveMetrics(Protocol):
    """Metrics of a validation that have curves.

    Attributes:
        fitness: of the validation just done, higher is better.
        confusion: (c + 1, c + 1) counts, predicted by true class; None without any.
    """

    fitness: float
    confusion: Any

    def curves(self) -> list[Curves]:
        """Return the curves of the validation just done, one entry for each set."""


@runtime_checkable
class CornerMetrics(Protocol):
    """Metrics of a validation that judge corners."""

    def corner_errors(self) -> CornerErrors | None:
        """Return the corner errors of the validation just done; None without a camera."""


@runtime_checkable
class HasKeypoints(Protocol):
    """A module that may find keypoints.

    Attributes:
        keypoints: what the data set says about them; None where it has none.
    """

    keypoints: Keypoints | None


@runtime_checkable
class HasLabelTable(Protocol):
    """A datamodule that knows all labels of a split."""

    def label_table(self, split: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return class ids (N,) and boxes (N, 4), cxcywh as fractions of the image."""


@runtime_checkable
class HasPictures(Protocol):
    """A datamodule that gives the images of a split one by one, as the network sees them."""

    def pictures(self, split: str, batches: int | None = None) -> Any:
        """Return the images of the first batches: `files`, and items with `image`, `bboxes`, `cls`, `keypoints`."""


@runtime_checkable
class HasImageFiles(Protocol):
    """A datamodule that knows the image files of a split."""

    def image_files(self, split: str) -> list[str]:
        """Return the paths of a split's images."""


@runtime_checkable
class ClosesMosaic(Protocol):
    """A datamodule whose mosaics, and what else mixes images, can be switched off for the last epochs."""

    def close_mosaic(self) -> tuple[str, ...]:
        """Train on single images from the next epoch on; returns the names of what mixed them until now."""


@runtime_checkable
class Flushes(Protocol):
    """A logger or callback that hands something over beside the training thread."""

    def flushed(self) -> bool:
        """Return whether everything that it was given has arrived."""


@runtime_checkable
class ShowsPictures(Protocol):
    """A logger that can read back the pictures that it has on this machine."""

    def logged_pictures(self, epoch: int) -> set[tuple[str, str]]:
        """Return key and SHA-256 of the latest pictures of an epoch."""


@runtime_checkable
class ReportsPictures(Protocol):
    """A callback that draws pictures and counts them."""

    def status(self) -> Any:
        """Return counts `drawn`, `sent`, `withheld`, `failed`, `pending` and `megabytes`; None before the run."""
