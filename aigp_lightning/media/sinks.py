"""Where pictures go: the only file that knows W&B and TensorBoard.

A logger gets the very bytes of a file that is in the run folder. Nothing here draws, encodes or decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger

from aigp_lightning.media.encode import picture_size

WAIT = 10.0
"""Most seconds that W&B gets to write a row."""


@dataclass(frozen=True)
class Picture:
    """A picture that lies in the run folder.

    Attributes:
        key: what a logger calls it: the stem of the contract's file name.
        path: the file.
        data: its bytes.
    """

    key: str
    path: Path
    data: bytes


class Sink(Protocol):
    """Somebody who takes pictures.

    Attributes:
        name: how the ledger calls it.
        destination: how the routes call it.
        remote: whether what it takes leaves this machine, now or when it is synced.
    """

    name: str
    destination: str
    remote: bool

    def send(self, pictures: Sequence[Picture], epoch: int, step: int) -> None:
        """Hand pictures over; whatever is raised is the caller's to report."""


@singledispatch
def sink_of(logger: Logger) -> Sink | None:
    """How a logger takes pictures; None if it doesn't.

    Args:
        logger: any of Lightning's; classes derived from W&B's or TensorBoard's count as these.
    """
    return OtherSink(logger) if callable(getattr(logger, "log_image", None)) else None


@sink_of.register(CSVLogger)
@sink_of.register(DummyLogger)
def _(logger: Logger) -> Sink | None:
    return None


@sink_of.register
def _(logger: TensorBoardLogger) -> Sink | None:
    return TensorBoardSink(logger)


@sink_of.register
def _(logger: WandbLogger) -> Sink | None:
    return WandbSink(logger)


def sinks_of(loggers: Iterable[Logger], say: Callable[[str], None] = lambda text: None) -> list[Sink]:
    """The loggers that take pictures; a logger unknown here that takes none is told of, once."""
    sinks: list[Sink] = []
    for logger in loggers:
        if (sink := sink_of(logger)) is not None:
            sinks.append(sink)
        elif not isinstance(logger, (CSVLogger, DummyLogger)):
            say(f"{type(logger).__name__} gets scalars only: it has no log_image to take pictures with")
    return sinks


class TensorBoardSink:
    """Encoded images go into the event file as they are; the slider's step is the epoch."""

    name = destination = "tensorboard"

    def __init__(self, logger: TensorBoardLogger) -> None:
        self.logger = logger
        self.remote = "://" in str(logger.save_dir)  # a bucket

    def send(self, pictures: Sequence[Picture], epoch: int, step: int) -> None:
        """Write image summaries."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        writer = self.logger.experiment._get_file_writer()
        for picture in pictures:
            width, height = picture_size(picture.data)
            image = Summary.Image(
                encoded_image_string=picture.data, width=width, height=height, colorspace=3
            )  # fmt: skip
            writer.add_summary(Summary(value=[Summary.Value(tag=picture.key, image=image)]), epoch)
        self.logger.experiment.flush()  # what the ledger calls sent is in the file, should the run be killed now


class WandbSink:
    """Files go into W&B's media folder as they are, all of one moment in one row that says its epoch.

    Never with `step=`: a step behind the run's own drops the row and uploads the file all the same.
    """

    name = destination = "wandb"
    remote = True  # offline runs are there to be synced

    def __init__(self, logger: WandbLogger) -> None:
        self.logger = logger

    @property
    def discards(self) -> bool:
        """Whether W&B is switched off (`WANDB_MODE=disabled`) and throws away what it is given."""
        return bool(getattr(self.logger.experiment, "disabled", False))

    def send(self, pictures: Sequence[Picture], epoch: int, step: int) -> None:
        """Log one row."""
        import wandb

        row: dict[str, Any] = {picture.key: wandb.Image(str(picture.path)) for picture in pictures}
        self.logger.experiment.log({**row, "epoch": epoch, "trainer/global_step": step})
        self._wait()

    def _wait(self) -> None:
        """Wait until the row is on disk: what the ledger calls sent must be there, should the run be killed now."""
        flushed = getattr(self.logger, "flushed", None)
        limit = time.monotonic() + WAIT
        while flushed is not None and not flushed() and time.monotonic() < limit:
            time.sleep(0.02)


class OtherSink:
    """Any other logger with Lightning's customary `log_image(key, images, step)`."""

    destination = "other"
    remote = True  # nobody here knows where it keeps them

    def __init__(self, logger: Logger) -> None:
        self.logger: Any = logger
        self.name = f"other:{type(logger).__name__}"

    def send(self, pictures: Sequence[Picture], epoch: int, step: int) -> None:
        """Hand over the files' paths."""
        for picture in pictures:
            self.logger.log_image(key=picture.key, images=[str(picture.path)], step=epoch)
