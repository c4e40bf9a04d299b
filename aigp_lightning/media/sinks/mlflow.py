"""MLflow as a destination of pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from lightning.pytorch.loggers import MLFlowLogger

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.hand_over import HandOver, found_with
from aigp_lightning.media.local_paths import file_of_database, folder_of_address

PICTURES = "pictures"
"""Folder of a run's artifacts in which each picture has a folder of its own, with a file for each epoch."""


@runtime_checkable
class KnowsArtifacts(Protocol):
    """An MLflow logger that knows where the artifacts of its run go before the run is opened.

    Example:
        >>> isinstance(MLFlowLogger, KnowsArtifacts)
        False
    """

    artifact_address: str


class MLFlowSink:
    """MLflow: each picture is an artifact, `pictures/<key>/epoch0001.jpg`, with the file's own bytes.

    MLflow's own `log_image` encodes anew, twice, and only what is named as its files are has a slider there. Epochs
    count from 0, as in the ledger.

    Example:
        >>> sink = MLFlowSink(MLFlowLogger(tracking_uri="http://127.0.0.1:5000"))  # nothing is asked until `send`
        >>> sink.name, sink.remote
        ('mlflow', True)
    """

    destination, waits = "mlflow", False

    def __init__(self, logger: MLFlowLogger) -> None:
        self.logger, self.name = logger, "mlflow"
        self.remote = not all(map(_is_on_disk, _addresses(logger)))
        self._checked = self.remote

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        """Store artifacts, one after the other.

        Raises:
            ConfigError: they would go to another place than the one that was announced.
        """
        client, run_id = self.logger.experiment, str(self.logger.run_id)
        if not self._checked:
            if folder_of_address(client.get_run(run_id).info.artifact_uri) is None:
                raise ConfigError("MLflow keeps artifacts in another place than was announced, perhaps a bucket")
            self._checked = True
        for image in hand_over.images:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / f"epoch{epoch:04d}{image.path.suffix}"  # an artifact is called as its file is
                file.write_bytes(image.data)
                hand_over.begin([image])
                try:
                    client.log_artifact(run_id, str(file), f"{PICTURES}/{image.key}")
                except Exception:
                    hand_over.took(found_with(self.logger, [image], epoch))
                    raise
            hand_over.took([image])

    def summarize(self, values: Mapping[str, str | int]) -> None:
        """Add values to the run, as tags."""
        for name, value in values.items():
            self.logger.experiment.set_tag(str(self.logger.run_id), name, str(value))


def _addresses(logger: MLFlowLogger) -> Iterator[str]:
    """Yield where a logger keeps runs, and where their artifacts, as far as that is known without opening a run."""
    yield str(logger._tracking_uri)
    if artifacts := logger.artifact_address if isinstance(logger, KnowsArtifacts) else logger._artifact_location:
        yield artifacts


def _is_on_disk(address: str) -> bool:
    """True if an address names a folder, or a database's file, on a disk of this machine."""
    return folder_of_address(address) is not None or file_of_database(address) is not None
