"""The kinds of picture, and the destinations that each is routed to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aigp_lightning.media.hand_over import Sink

Destination = Literal["file", "tensorboard", "wandb", "mlflow", "other"]
DESTINATIONS: tuple[Destination, ...] = ("file", "tensorboard", "wandb", "mlflow", "other")
KINDS = (
    "train_batch",
    "labels",
    "labels_correlogram",
    "val_labels",
    "val_pred",
    "val_errors",
    "val_table",
    "curves",
    "confusion_matrix",
    "corner_error",
    "results",
)
PER_EPOCH = ("val_labels", "val_pred", "val_errors", "val_table")
"""Kinds that are drawn after every validation."""
CLOSING = ("curves", "confusion_matrix", "corner_error", "results")
"""Kinds that are drawn once, when training ends."""
OF_SOME = ("corner_error",)
"""Kinds of only those modules that name them in their `closing_kinds`."""
ATTACHED = ("val_table_boxes",)
"""Kinds, in the ledger, of files that go with a picture."""
SHOWS_BOXES: tuple[Destination, ...] = ("file", "wandb")
"""Destinations of `val_table`, whose boxes are data: no other logger shows such."""
FIRST_GIVEN_UP = 1000
"""Number of the first mosaic of errors, to the budget: it gives up high numbers first, so these before any other but
those of `val_table`, which begin at twice this."""


def _all_destinations() -> list[Destination]:
    return list(DESTINATIONS)


@dataclass
class Routes:
    """The destinations of each kind of picture.

    A list of destinations: `file` (the run folder), `tensorboard`, `wandb`, `mlflow`, `other` (any other logger of
    Lightning's that takes pictures; CSVLogger takes none). A logger gets a picture only if it is configured, too; what
    it gets is the file in the run folder, so a picture for a logger is always a file as well. An empty list: the kind
    is not drawn at all.

    Args:
        everything: for all kinds that have no list of their own
        train_batch: mosaics of the first training batches, train_batch0.jpg and so on
        labels: statistics of the labels, labels.jpg
        labels_correlogram: how the boxes' places and sizes go together, labels_correlogram.jpg
        val_labels: validation images with their labels, val_batch0_labels.jpg and so on
        val_pred: the same images with the model's predictions, val_batch0_pred.jpg and so on
        val_errors: the worst validation images with hits, misses and false alarms, val_errors0.jpg and so on
        val_table: validation images one by one with boxes to switch on and off, val_table0.jpg and so on, for W&B
        curves: PR_curve.png, F1_curve.png, P_curve.png, R_curve.png
        confusion_matrix: confusion_matrix.png and confusion_matrix_normalized.png
        corner_error: how far off the corners of gates are, by distance, corner_error.png; gate keypoints only
        results: losses and metrics over all epochs, results.png
    """

    everything: list[Destination] = field(default_factory=_all_destinations)
    train_batch: list[Destination] | None = None
    labels: list[Destination] | None = None
    labels_correlogram: list[Destination] | None = None
    val_labels: list[Destination] | None = None
    val_pred: list[Destination] | None = None
    val_errors: list[Destination] | None = None
    val_table: list[Destination] | None = None
    curves: list[Destination] | None = None
    confusion_matrix: list[Destination] | None = None
    corner_error: list[Destination] | None = None
    results: list[Destination] | None = None

    def destinations(self, kind: str) -> frozenset[str]:
        """Return the destinations of a kind.

        Example:
            >>> sorted(Routes(everything=["file", "wandb"], curves=["file"]).destinations("curves"))
            ['file']
        """
        own: list[Destination] | None = getattr(self, kind)
        found = frozenset(self.everything if own is None else own)
        return found & frozenset(SHOWS_BOXES) if kind == "val_table" else found


@dataclass
class Routing:
    """The routes, applied to the loggers that a run has.

    Args:
        routes: the destinations of each kind.
        sinks: the loggers that take pictures.

    Example:
        >>> Routing(Routes(val_pred=["wandb"]), sinks=[]).wanted("val_pred")  # for W&B alone, which is not there
        False
    """

    routes: Routes
    sinks: list[Sink]

    def recipients(self, kind: str) -> list[Sink]:
        """Return the loggers that get pictures of this kind."""
        return [sink for sink in self.sinks if sink.destination in self.routes.destinations(kind)]

    def wanted(self, kind: str) -> bool:
        """True if the run folder or a logger that is there gets pictures of this kind."""
        return "file" in self.routes.destinations(kind) or bool(self.recipients(kind))

    def remote_recipients(self, kind: str) -> int:
        """Count the remote destinations that get pictures of this kind."""
        return sum(sink.remote for sink in self.recipients(kind))


def validation_epochs(start: int, stop: int, check_every: int | None, every: int) -> list[int]:
    """List the epochs, from 0, after which validation pictures are due.

    Args:
        start: first epoch to come.
        stop: length of the run in epochs.
        check_every: the trainer validates after every so many epochs; None counts as 1.
        every: pictures are drawn after every so many epochs, where there is a validation; 0 never.

    Example:
        >>> validation_epochs(0, 7, check_every=2, every=3)
        [5]
    """
    if every < 1:
        return []
    return [epoch for epoch in range(start, stop) if not (epoch + 1) % (check_every or 1) and not (epoch + 1) % every]
