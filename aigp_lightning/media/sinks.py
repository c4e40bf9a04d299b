"""How each kind of logger takes pictures; the only file here that knows W&B and TensorBoard.

A logger gets the very bytes of a file that is in the run folder. Nothing here draws, encodes or decides.

Longer than 250 lines: nothing else in `media/` may know loggers.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import singledispatch
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.encode import picture_size
from aigp_lightning.media.hand_over import HandOver, Sink, found_with
from aigp_lightning.media.local_paths import is_on_disk
from aigp_lightning.types import Flushes, ShowsPictures

if TYPE_CHECKING:
    pass

WAIT = 10.0
"""Most seconds that W&B gets to write a row."""


@runtime_checkable
class LogsImages(Protocol):
    """A logger with Lightning's customary method for images.

    Example:
        >>> isinstance(TensorBoardLogger("logs"), LogsImages)
        False
    """

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Log images under a key."""


@runtime_checkable
class KeepsSummary(Protocol):
    """A destination that shows a few values beside a run.

    Example:
        >>> isinstance(WandbSink(WandbLogger(offline=True)), KeepsSummary)
        True
    """

    def summarize(self, values: Mapping[str, str | int]) -> None:
        """Add values to what is shown; what is raised is the caller's to report."""


@singledispatch
def sink_of(logger: Logger) -> Sink | None:
    """Find the sink for a logger; None if it takes no pictures.

    Args:
        logger: any of Lightning's; classes derived from W&B's or TensorBoard's count as these.

    Example:
        >>> sink_of(TensorBoardLogger("logs")).remote, sink_of(CSVLogger("logs"))
        (False, None)
    """
    return OtherSink(logger) if isinstance(logger, LogsImages) and callable(logger.log_image) else None


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
    """Find the sinks of those loggers that take pictures, and say which unknown ones take none.

    The second of a name is called `tensorboard:2` and so on: it is a destination of its own.

    Args:
        loggers: a run's, in the order of its configuration.
        say: called once for each logger that gets scalars only, though it is none of those known for that.

    Example:
        >>> from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
        >>> [sink.name for sink in sinks_of([CSVLogger("logs"), TensorBoardLogger("logs")])]
        ['tensorboard']
    """
    sinks: list[Sink] = []
    names = Counter[str]()
    for logger in loggers:
        if (sink := sink_of(logger)) is not None:
            names[sink.name] += 1
            sink.name += f":{names[sink.name]}" if names[sink.name] > 1 else ""
            sinks.append(sink)
        elif not isinstance(logger, (CSVLogger, DummyLogger)):
            say(f"{type(logger).__name__} gets scalars only: it has no log_image to take pictures with")
    return sinks


def expected_sinks(loggers: Iterable[Logger], say: Callable[[str], None] = lambda text: None) -> list[Sink]:
    """Find the sinks as `recording_sinks` will when the run has started; opens nothing.

    Args:
        loggers: a run's.
        say: see `sinks_of`.

    Example:
        >>> [sink.name for sink in expected_sinks([WandbLogger(mode="disabled"), WandbLogger(mode="offline")])]
        ['wandb:2']
    """
    return [sink for sink in sinks_of(loggers, say) if not isinstance(sink, WandbSink) or not sink.is_off()]


def recording_sinks(loggers: Iterable[Logger], say: Callable[[str], None]) -> list[Sink]:
    """Find the sinks as `sinks_of` does, without those that drop what they are given; opens W&B's run.

    Args:
        loggers: a run's.
        say: see `sinks_of`.

    Example:
        >>> [sink.name for sink in recording_sinks([CSVLogger("logs"), TensorBoardLogger("logs")], say=print)]
        ['tensorboard']
    """
    return [sink for sink in sinks_of(loggers, say) if not isinstance(sink, WandbSink) or sink.records]


class TensorBoardSink:
    """TensorBoard: encoded images go into the event file as they are; the slider's step is the epoch.

    Example:
        >>> sink = TensorBoardSink(TensorBoardLogger("logs"))
        >>> sink.name, sink.remote
        ('tensorboard', False)
    """

    destination, waits = "tensorboard", False

    def __init__(self, logger: TensorBoardLogger) -> None:
        self.logger, self.name = logger, "tensorboard"
        self.remote = not _writes_to_disk(logger)

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        """Write image summaries, each into the file before it counts as sent: the run may be killed at any time."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        experiment = self.logger.experiment  # this one to the end: the logger begins another after a failure
        if not self.remote and not is_on_disk(str(experiment.log_dir)):
            raise ConfigError("TensorBoard writes to another place than was announced, perhaps a bucket")
        writer = experiment._get_file_writer()
        for image in hand_over.images:
            width, height = picture_size(image.data)
            encoded = Summary.Image(encoded_image_string=image.data, width=width, height=height, colorspace=3)
            summary = Summary(value=[Summary.Value(tag=image.key, image=encoded)])
            hand_over.begin([image])
            try:
                writer.add_summary(summary, epoch)
                experiment.flush()
            except Exception:
                hand_over.took(found_with(self.logger, [image], epoch))
                raise
            hand_over.took([image])


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
            TimeoutError: W&B's own process has not written it; nobody can tell whether it will.
        """
        import wandb

        run, images = self.logger.experiment, hand_over.images
        row: dict[str, Any] = {image.key: wandb.Image(str(image.path)) for image in images}
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
        while isinstance(self.logger, Flushes) and not self.logger.flushed() and time.monotonic() < limit:
            time.sleep(0.02)


class OtherSink:
    """Any other logger with Lightning's customary `log_image(key, images, step)`.

    Example:
        >>> class Board:
        ...     def log_image(self, key, images, step=None):
        ...         print(key, images, step)
        >>> OtherSink(Board()).name
        'other:Board'
    """

    destination = "other"
    remote, waits = True, False  # nobody here knows where it keeps them

    def __init__(self, logger: LogsImages) -> None:
        self.logger = logger
        self.name = f"other:{type(logger).__name__}"

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        """Pass on the files' paths. Whether a call that fails has sent anything, nobody here knows."""
        for image in hand_over.images:
            hand_over.begin([image])
            self.logger.log_image(key=image.key, images=[str(image.path)], step=epoch)
            hand_over.took([image])


def _writes_to_disk(logger: TensorBoardLogger) -> bool:
    """True if it is certain that an event file is written to a disk of this machine, rather than to a bucket."""
    try:
        # Lightning expands `~` and variables in the whole of it. A bucket is not asked for the next version's number.
        start = os.path.expanduser(os.path.expandvars(os.path.join(logger.save_dir, logger.name or "")))
        return is_on_disk(start) and is_on_disk(str(logger.log_dir))
    except Exception:  # such as a file system whose package is missing
        return False
