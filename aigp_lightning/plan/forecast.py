"""Draws every picture of a run to come once, from real data, and counts how many go where and how large they are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.callbacks.close_mosaic import CloseMosaic
from aigp_lightning.media.encode import picture_size
from aigp_lightning.media.module_facts import closing_kinds
from aigp_lightning.media.plots.skeleton import edges_of
from aigp_lightning.media.render_jobs import (
    confusion_jobs,
    corner_error_job,
    curve_jobs,
    label_jobs,
    results_job,
    train_job,
    val_jobs,
)
from aigp_lightning.media.renderer import Renderer
from aigp_lightning.media.routing import Routing, validation_epochs
from aigp_lightning.media.snapshot import snapshot_batch
from aigp_lightning.media.val_errors import found_as_labelled
from aigp_lightning.plan.earlier import EarlierStarts
from aigp_lightning.plan.held_back import hold_back
from aigp_lightning.plan.planned import Forecast, PlannedFile
from aigp_lightning.plan.stand_ins import example_corner_errors, example_curves, example_matrix, example_rows

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from aigp_lightning.callbacks.media import Media
    from aigp_lightning.media.types import RenderedImage, RenderJob
    from aigp_lightning.modules.base import BaseModule


class Forecaster:
    """Draws each picture of a run once, as the run would.

    Training batches, labels and validation images are the run's own. What only training can tell (predictions, curves,
    results) is drawn from stand-ins: the labels as if they had been found, and curves of the usual shape.

    Args:
        trainer: as the run would have it; it does not run.
        module: it is not built.
        data: the datamodule.
        media: the run's callback.
        routing: the destinations of each kind.
        earlier: what there is of the run already.
    """

    def __init__(
        self, trainer: Trainer, module: BaseModule, data: Any, media: Media, routing: Routing,
        earlier: EarlierStarts | None = None,
    ) -> None:  # fmt: skip
        self.trainer, self.module, self.data, self.media, self.routing = trainer, module, data, media, routing
        self.earlier = earlier or EarlierStarts()
        self.names = dict(data.names)
        module.setup_from_data(data)
        self.edges = edges_of(module)
        self.renderer = Renderer(Path(), routing, media.private, media.private_action == "withhold")

    def forecast(self) -> Forecast:
        """Draw every picture that is still to come once, weigh it and count how often it comes."""
        limits = self.trainer.max_epochs or 0, self.trainer.check_val_every_n_epoch, self.media.val_every_n_epochs
        batches = _limited(self.trainer.limit_val_batches, len(self.data.val_dataloader()))
        begun = self.earlier.epoch
        epochs = validation_epochs(begun, *limits) if batches else []
        files = [] if begun else [*self._weigh(self._at_start(), [0])]
        if epochs and self.media.val_batches + self.media.val_errors + self.media.val_table:
            files += self._weigh(self._validation(batches), epochs)
        last = max(limits[0], begun, 1) - 1
        files += self._weigh(self._closing(bool(batches)), [last])
        forecast = Forecast(files, epochs, self.routing, earlier=self.earlier, last_epoch=last)
        reserve = {kind: self.routing.remote_recipients(kind) for kind in closing_kinds(self.module)}
        forecast.held_back, forecast.withheld = hold_back(forecast, self.media.max_mb, reserve)
        return forecast

    # ---- the run's pictures -----------------------------------------------------------------------------------------

    def _at_start(self) -> Iterator[RenderJob]:
        cls, bboxes = self.data.label_table("train")
        yield from label_jobs(cls, bboxes, self.names)
        if not self.routing.wanted("train_batch") or not self.media.train_batches:
            return
        for callback in cast("list[Any]", self.trainer.callbacks):  # type: ignore[attr-defined]
            if isinstance(callback, CloseMosaic) and callback.closes(self.trainer, 0):
                self.data.close_mosaic()
        loader = self.data.train_dataloader()
        count = min(self.media.train_batches, _limited(self.trainer.limit_train_batches, len(loader)))
        for number, batch in zip(range(count), loader, strict=False):
            moved = self.data.transfer_batch_to_device(batch, self.module.device, 0)
            snapshot = snapshot_batch(self.module.on_after_batch_transfer(moved, 0), self.media.max_images)
            yield train_job(number, [snapshot], batch["sources"], self.names, self.media.max_images, self.edges)

    def _validation(self, batches: int) -> Iterator[RenderJob]:
        val = self.media.val
        val.open(self.data.pictures("val", batches))
        for mosaic, files in enumerate(val.chunks()):
            cells = val.loader(files)()
            found = [found_as_labelled(cell) for cell in cells]
            truth, fixed = (lambda cells=cells: cells), not val.select.startswith("worst")
            yield from val_jobs(mosaic, files, truth, found, self.names, self.edges, fixed)
        if val.errors is not None:
            yield from val.errors.examples(val.files, val.loader, self.names, self.edges)
        yield from val.table_jobs(self.names, {x: found_as_labelled(val.loader([x])()[0]) for x in val.listed()})

    def _closing(self, validated: bool) -> Iterator[RenderJob]:
        cls, _ = self.data.label_table("val")
        corners = "corner_error" in self.module.closing_kinds
        if validated:
            if len(cls):
                yield from curve_jobs(example_curves(prefix, self.names, cls) for prefix in self.module.curve_prefixes)
            yield from confusion_jobs(example_matrix(self.names, cls), self.names)
            if corners:
                yield corner_error_job(example_corner_errors(len(cls)))
        alarms = any(not len(record.cls) for record in self.data.scan("val").records)
        kinds, epochs = (self.module.loss_names, self.module.curve_prefixes), self.trainer.max_epochs or 1
        rows = example_rows(*kinds, epochs, corners, alarms)
        yield results_job(lambda: rows)

    # ---- weighing ---------------------------------------------------------------------------------------------------

    def _weigh(self, jobs: Iterable[RenderJob], epochs: Sequence[int]) -> Iterator[PlannedFile]:
        for job in jobs:
            if not self.routing.wanted(job.kind):
                continue
            image = self.renderer.render(job)
            masked = image.variant(remote=True)
            remote = 0 if masked.reason else masked.size
            recipients = tuple(sink.name for sink in self.routing.recipients(job.kind))
            private = sum(source in self.media.private for source in job.sources())
            size = *picture_size(image.data), image.size, remote
            had = {name: sum(self.earlier.counts.has(name, job.key, epoch) for epoch in epochs) for name in recipients}
            had = {name: number for name, number in had.items() if number}
            once = job.fixed and self.media.skip_unchanged
            known = tuple(
                sink.name for sink in self.routing.recipients(job.kind)
                if job.fixed and self._has((masked if sink.remote else image), sink.name)
            )  # fmt: skip
            marks = job.mosaic, job.fixed, once, known
            yield PlannedFile(job.name, job.kind, len(epochs), *size, private, recipients, had, *marks)

    def _has(self, image: RenderedImage, name: str) -> bool:
        """True if what a logger got last of a picture are these bytes, as the ledger of earlier starts says."""
        return self.earlier.counts.unchanged_since(name, image.key, sha256(image.data).hexdigest()) is not None


def _limited(limit: float | None, batches: int) -> int:
    """Count the batches that Lightning's `limit_*_batches` leaves; it is a number, or a share of them."""
    if limit is None:
        return batches
    return min(limit, batches) if isinstance(limit, int) else int(limit * batches)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for what planning writes; it goes when its context ends."""
    return tempfile.TemporaryDirectory(prefix="aigp-plan-", ignore_cleanup_errors=True)
