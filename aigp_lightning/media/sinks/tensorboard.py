"""TensorBoard as a destination of pictures."""

from __future__ import annotations

import os

from lightning.pytorch.loggers import TensorBoardLogger

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.encode import picture_size
from aigp_lightning.media.hand_over import HandOver, found_with
from aigp_lightning.media.local_paths import is_on_disk


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


def _writes_to_disk(logger: TensorBoardLogger) -> bool:
    """True if it is certain that an event file is written to a disk of this machine, rather than to a bucket."""
    try:
        # Lightning expands `~` and variables in the whole of it. A bucket is not asked for the next version's number.
        start = os.path.expanduser(os.path.expandvars(os.path.join(logger.save_dir, logger.name or "")))
        return is_on_disk(start) and is_on_disk(str(logger.log_dir))
    except Exception:  # such as a file system whose package is missing
        return False
