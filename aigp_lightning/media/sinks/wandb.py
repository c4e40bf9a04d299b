"""Weights & Biases as a destination of pictures."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lightning.pytorch.loggers import WandbLogger

from aigp_lightning.errors import RunError
from aigp_lightning.media.hand_over import HandOver, found_with
from aigp_lightning.media.ledger.lines import BOXES_FILE
from aigp_lightning.media.val_table import decode_boxes
from aigp_lightning.types import ShowsPictures

if TYPE_CHECKING:
    from aigp_lightning.media.types import RenderedImage

WAIT = 10.0
"""Most seconds that W&B gets to write a row."""


@runtime_checkable
class WritesRows(Protocol):
    """A logger whose rows reach the disk beside the training thread."""

    def written(self) -> bool:
        """Return whether every row that was sent is on disk; unlike `flushed`, it sends none that waits."""


class WandbSink:
    """W&B: files go into its media folder as they are, all of one moment in one row that says its epoch.

    Never with `step=`: a step behind the run's own drops the row and uploads the file all the same.

    Example:
        >>> sink = WandbSink(WandbLogger(offline=True))  # the run is opened when the first picture comes
        >>> sink.name, sink.remote
        ('wandb', True)
    """

    destination = "wandb"
    remote = True  # offline runs are there to be synced

    def __init__(self, logger: WandbLogger) -> None:
        self.logger, self.name = logger, "wandb"

    @property
    def waits(self) -> bool:
        """True if the W&B run is offline, or will be; opens no run."""
        if (run := self._open_run()) is not None:
            return bool(run.offline)
        return self.logger._offline or self._mode() in ("offline", "dryrun")

    @property
    def records(self) -> bool:
        """False if W&B is switched off (`WANDB_MODE=disabled`) and drops what it is given. Opens the W&B run."""
        return not self.logger.experiment.disabled

    def is_off(self) -> bool:
        """True if W&B is certain to drop what it is given; unlike `records`, this opens no run."""
        if (run := self._open_run()) is not None:
            return bool(run.disabled)
        return self._mode() == "disabled" and not self.logger._offline

    def _open_run(self) -> Any:
        """Return the W&B run that is open, which is used whatever the mode; None if there is none."""
        return self.logger._experiment or getattr(sys.modules.get("wandb"), "run", None)

    def _mode(self) -> str | None:
        """Return the mode by arguments, settings and environment; None where none of them says it."""
        given = self.logger._wandb_init
        settings = given.get("settings") or {}
        chosen = (
            settings if isinstance(settings, Mapping) else {x: getattr(settings, x) for x in settings.model_fields_set}
        )
        return given.get("mode") or chosen.get("mode") or os.environ.get("WANDB_MODE")

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        """Log one row.

        Raises:
            RunError: it would send other bytes than the ledger has.
            TimeoutError: W&B's own process has not written it; nobody can tell whether it will.
        """
        run, images = self.logger.experiment, hand_over.images
        row: dict[str, Any] = {image.key: _picture(image) for image in images}
        hand_over.begin(images)  # from here on files are copied and listed for upload one by one, the row last
        try:
            run.log({**row, "epoch": epoch, "trainer/global_step": step})
            if isinstance(self.logger, ShowsPictures):
                self._wait()
        except Exception:
            hand_over.took(found_with(self.logger, images, epoch))
            raise
        asked = isinstance(self.logger, ShowsPictures)  # Lightning's own was given the row, and cannot be asked
        hand_over.took(found := found_with(self.logger, images, epoch) if asked else images)
        if len(found) < len(images):
            raise TimeoutError("its row is not on disk")

    def summarize(self, values: Mapping[str, str | int]) -> None:
        """Add values to the run's summary; no row is logged."""
        self.logger.experiment.summary.update(dict(values))

    def _wait(self) -> None:
        """Wait until the row is on disk: what the ledger calls sent must be there, should the run be killed now."""
        limit = time.monotonic() + WAIT
        while isinstance(self.logger, WritesRows) and not self.logger.written() and time.monotonic() < limit:
            time.sleep(0.02)


def _picture(image: RenderedImage) -> Any:
    """Return a picture as W&B logs it, with its boxes.

    W&B encodes boxes itself, each version in another way. What it is to send is the file that the ledger knows.

    Raises:
        RunError: it would send other bytes.
    """
    import wandb

    boxes = {name: decode_boxes(data) for name, data in image.attachments.items()}
    picture = wandb.Image(str(image.path), boxes=boxes or None)
    for (_, path, data), made in zip(image.attached(), (picture._boxes or {}).values(), strict=True):
        made._set_file(str(path), extension=BOXES_FILE)
        if made._sha256 != sha256(data).hexdigest():
            raise RunError(f"W&B would send other boxes of {image.key} than the ledger has")
    return picture
