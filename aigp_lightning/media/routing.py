"""Which kinds of picture there are, and who may get them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from aigp_lightning.media.sinks import Sink

Destination = Literal["file", "tensorboard", "wandb", "other"]
DESTINATIONS: tuple[Destination, ...] = ("file", "tensorboard", "wandb", "other")
KINDS = (
    "train_batch",
    "labels",
    "labels_correlogram",
    "val_labels",
    "val_pred",
    "curves",
    "confusion_matrix",
    "corner_error",
    "results",
)
PER_EPOCH = ("val_labels", "val_pred")
"""What is drawn after every validation."""
CLOSING = ("curves", "confusion_matrix", "corner_error", "results")
"""What is drawn once, when training ends."""
OF_SOME = ("corner_error",)
"""What only those modules have that name it in their `closing_kinds`."""


def _everybody() -> list[Destination]:
    return list(DESTINATIONS)


@dataclass
class Routes:
    """Who gets which kind of picture.

    A list of destinations: `file` (the run folder), `tensorboard`, `wandb`, `other` (any other Lightning logger that
    takes pictures). A logger gets a picture only if it is configured, too; what it gets is the file in the run folder,
    so a picture for a logger is always a file as well. An empty list: the kind is not drawn at all.

    Args:
        everything: for all kinds that have no list of their own
        train_batch: mosaics of the first training batches, train_batch0.jpg and so on
        labels: statistics of the labels, labels.jpg
        labels_correlogram: how the boxes' places and sizes go together, labels_correlogram.jpg
        val_labels: validation images with their labels, val_batch0_labels.jpg and so on
        val_pred: the same images with the model's predictions, val_batch0_pred.jpg and so on
        curves: PR_curve.png, F1_curve.png, P_curve.png, R_curve.png
        confusion_matrix: confusion_matrix.png and confusion_matrix_normalized.png
        corner_error: how far off the corners of gates are, by distance, corner_error.png; gate keypoints only
        results: losses and metrics over all epochs, results.png
    """

    everything: list[Destination] = field(default_factory=_everybody)
    train_batch: list[Destination] | None = None
    labels: list[Destination] | None = None
    labels_correlogram: list[Destination] | None = None
    val_labels: list[Destination] | None = None
    val_pred: list[Destination] | None = None
    curves: list[Destination] | None = None
    confusion_matrix: list[Destination] | None = None
    corner_error: list[Destination] | None = None
    results: list[Destination] | None = None

    def to(self, kind: str) -> frozenset[str]:
        """Destinations of a kind."""
        own: list[Destination] | None = getattr(self, kind)
        return frozenset(self.everything if own is None else own)


@dataclass
class Routing:
    """The routes, and the loggers that are there.

    Args:
        routes: who may get which.
        sinks: the loggers that take pictures.
    """

    routes: Routes
    sinks: list[Sink]

    def takers(self, kind: str) -> list[Sink]:
        """The loggers that get pictures of this kind."""
        return [sink for sink in self.sinks if sink.destination in self.routes.to(kind)]

    def wanted(self, kind: str) -> bool:
        """Whether anybody gets pictures of this kind: the run folder, or a logger that is there."""
        return "file" in self.routes.to(kind) or bool(self.takers(kind))

    def remote_takers(self, kind: str) -> int:
        """How many remote destinations get pictures of this kind."""
        return sum(sink.remote for sink in self.takers(kind))


def closing_kinds(module: Any) -> tuple[str, ...]:
    """What is drawn when training ends, of this module."""
    own = getattr(module, "closing_kinds", ())
    return tuple(kind for kind in CLOSING if kind not in OF_SOME or kind in own)


def validation_epochs(start: int, stop: int, check_every: int | None, every: int) -> list[int]:
    """Epochs, from 0, after which validation pictures are due.

    Args:
        start: first epoch to come.
        stop: length of the run in epochs.
        check_every: the trainer validates after every so many epochs; None counts as 1.
        every: pictures are drawn after every so many epochs, where there is a validation; 0 never.
    """
    if every < 1:
        return []
    return [epoch for epoch in range(start, stop) if not (epoch + 1) % (check_every or 1) and not (epoch + 1) % every]
