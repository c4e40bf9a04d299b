"""Lightning's MLflow logger: private by default, and no server that fails ends a training run."""

from __future__ import annotations

import os
import re
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only

from aigp_lightning.errors import first_line
from aigp_lightning.logfiles.logged import SkipsLogged
from aigp_lightning.logfiles.mlflow_store import artifact_location, read_stored_run
from aigp_lightning.loggers.mlflow_config import ENV_TRACKING, folder_address, prepare_environment, print_mlflow
from aigp_lightning.loggers.private_names import masked
from aigp_lightning.media.local_paths import file_of_database, folder_of_address

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import ModelCheckpoint
    from mlflow.tracking import MlflowClient

UNOPENED = "http://unopened.invalid"
"""Lightning's constructor makes folders at a store's address; at a server's it asks nothing."""
UNREADABLE = "unreadable:"
"""Address of artifacts that nobody here knows: it counts as elsewhere."""
NOT_ALLOWED = re.compile(r"[^\w/. -]", re.ASCII)
"""Signs that MLflow takes in no scalar's name: `mAP50(B)` becomes `mAP50B`."""
BATCH = 1000
"""Values of scalars that MLflow takes at once."""
MOST_WAITING = 100_000
"""Values that are kept for a server that does not answer; then the oldest go."""
PAUSE, LONGEST_PAUSE = 60.0, 900.0
"""Seconds for which a server that failed is not asked again; each time in a row twice as long."""
REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
"""Errors after which the same values would be refused again."""


class ResilientMLFlowLogger(SkipsLogged, MLFlowLogger):
    """Lightning's logger with a fence: failures are reported once, and what a server did not take is sent later.

    MLflow gets scalars, pictures, and what `loggers/mlflow_options.py` names. Lightning would send this user's name,
    the script's path and the state of git as tags, and all of a module's options.

    Args:
        tracking_uri: address of the runs; without one that of `MLFLOW_TRACKING_URI`, else the folder.
        save_dir: folder for the runs, where no address is given.
        skip_logged: do not log the scalars that the run has already.
        **kwargs: Lightning's.
    """

    failed = False

    def __init__(
        self, *, tracking_uri: str | None = None, save_dir: str | None = "./mlruns", skip_logged: bool = False,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        prepare_environment()
        super().__init__(tracking_uri=UNOPENED, save_dir=save_dir, **kwargs)
        self._log_batch_kwargs = self._log_batch_kwargs or {"synchronous": True}
        self._tracking_uri = tracking_uri or os.environ.get(ENV_TRACKING) or folder_address(save_dir or "./mlruns")
        self._skip_logged, self._artifact_uri = skip_logged, ""
        self._logged: Counter[tuple[str, int]] = Counter()
        self._waiting: list[tuple[str, float, int, int]] = []  # name, value, milliseconds, step
        self._resume_at, self._pause = 0.0, PAUSE

    # ---- the run -----------------------------------------------------------------------------------------------------

    @property
    @rank_zero_experiment
    def experiment(self) -> MlflowClient:
        """MLflow's client; the run is opened when it is first asked for."""
        if not self._initialized:
            self._open()
        return self._mlflow_client

    def _open(self) -> None:
        """Begin an MLflow run, or go on with the one of the given id, without MLflow's own tags of who and where."""
        from mlflow.tracking import MlflowClient

        client = MlflowClient(self._tracking_uri)
        run = self._known_run(client)
        if run is None:
            experiment = client.get_experiment_by_name(self._experiment_name)
            place = self._artifact_location
            found = experiment is not None and experiment.lifecycle_stage != "deleted"
            self._experiment_id = (
                experiment.experiment_id if found else client.create_experiment(self._experiment_name, place)
            )
            run = client.create_run(self._experiment_id, tags=self.tags, run_name=self._run_name)
        elif self._skip_logged:
            names = list(run.data.metrics)
            history = [(name, value) for name in names for value in client.get_metric_history(run.info.run_id, name)]
            self._logged = Counter((name, int(value.step)) for name, value in history)
        self._run_id, self._experiment_id = run.info.run_id, run.info.experiment_id
        self._artifact_uri, self._mlflow_client, self._initialized = str(run.info.artifact_uri), client, True

    def _known_run(self, client: MlflowClient) -> Any:
        """Return the run of the given id, which goes on; None where there is none any more."""
        from mlflow.exceptions import MlflowException

        if self._run_id is None:
            return None
        try:
            run = client.get_run(self._run_id)
            client.update_run(self._run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            print_mlflow(f"{self.server} has no run {self._run_id} any more; another one is begun.")
            self._run_id = None
            return None
        return run

    @property
    def server(self) -> str:
        """Address of the runs for a message, without a password."""
        return masked(self._tracking_uri)

    @property
    def save_dir(self) -> str | None:
        """Folder of the runs; None where they are elsewhere."""
        folder = folder_of_address(self._tracking_uri)
        return None if folder is None else str(folder)

    @property
    def artifact_address(self) -> str:
        """Address of the artifacts as far as it is known, before the run is opened too; empty where runs are."""
        if self._artifact_uri:
            return self._artifact_uri
        store = folder_of_address(self._tracking_uri) or file_of_database(self._tracking_uri)
        try:
            found = None if store is None else artifact_location(store, self._experiment_name, self._run_id)
        except OSError:
            return UNREADABLE
        return found or self._artifact_location or ""

    def logged_pictures(self, epoch: int) -> set[tuple[str, str]]:
        """Return key and SHA-256 of an epoch's pictures among the artifacts, where these are on this disk."""
        folder = folder_of_address(self._artifact_uri) if self._artifact_uri else None
        pictures = read_stored_run(folder).pictures if folder is not None else []
        return {(picture.key, picture.sha256) for picture in pictures if picture.epoch == epoch}

    # ---- scalars -----------------------------------------------------------------------------------------------------

    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:  # type: ignore[override]
        """Send nothing: Lightning would send all of a module's options. `open_mlflow` sends the public ones."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log scalars, except those that an earlier start of the run has logged."""
        now, step = int(time.time() * 1000), step or 0
        for key, value in metrics.items():
            name = NOT_ALLOWED.sub("", f"{self._prefix}{self.LOGGER_JOIN_CHAR}{key}" if self._prefix else key)
            if self._logged[name, step] > 0:
                self._logged[name, step] -= 1
            else:
                self._waiting.append((name, float(value), now, step))
        if time.monotonic() >= self._resume_at:
            self._send()

    def _send(self) -> bool:
        """Send the scalars that wait; returns whether none is left."""
        if not self._waiting:
            return True
        from mlflow.entities import Metric

        done = False
        with self._fence("scalars wait here, and are sent when it answers again"):
            while self._waiting:
                batch = [Metric(*row) for row in self._waiting[:BATCH]]
                try:
                    self.experiment.log_batch(self.run_id, metrics=batch, **self._log_batch_kwargs)
                except Exception as error:
                    if getattr(error, "error_code", "") in REFUSED:
                        del self._waiting[:BATCH]
                    raise
                del self._waiting[:BATCH]
            done, self._pause = True, PAUSE
        if not done:
            del self._waiting[:-MOST_WAITING]
            self._resume_at, self._pause = time.monotonic() + self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return done

    # ---- the end -----------------------------------------------------------------------------------------------------

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Upload weights, if that was asked for."""
        with self._fence("weights could not be uploaded"):
            super().after_save_checkpoint(checkpoint_callback)

    @rank_zero_only
    def finalize(self, status: str = "success") -> None:
        """Send what waits, upload weights if that was asked for, and say that the run has ended."""
        if not self._initialized:
            return
        if not self._send():
            return print_mlflow(f"{self.server} lacks {len(self._waiting)} values of scalars; results.csv has them.")
        with self._fence("the run may be shown there as one that goes on"):
            super().finalize(status)

    @contextmanager
    def _fence(self, consequence: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self.failed:
                why = explained(error, self.server)
                print_mlflow(f"{why}; {consequence}. Training goes on, and the run folder is complete.")
            self.failed = True


def explained(error: Exception, server: str) -> str:
    """Say in a few words why MLflow failed.

    Args:
        error: of MLflow's.
        server: its address, for the line.

    Example:
        >>> explained(OSError("API request to http://x failed with exception HTTPConnectionPool: …"), "http://x")
        'http://x does not answer'
    """
    text = first_line(error)
    if any(word in text for word in ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED")):
        return f"{server} refuses the login ({masked(text)})"
    if "API request to" in text and ("exception" in text or "timeout" in text):
        return f"{server} does not answer"
    return f"{server}: {masked(text).rstrip('.')}"


def artifact_place(logger: MLFlowLogger) -> Path | str:
    """Return where the artifacts of a run that is open lie: a folder, or an address without a password.

    Args:
        logger: of the run.
    """
    address = str(logger.experiment.get_run(str(logger.run_id)).info.artifact_uri)
    folder = folder_of_address(address)
    if folder is not None:
        return folder
    place = address if "://" in address and not address.startswith("mlflow-artifacts:") else str(logger._tracking_uri)
    return masked(place if "://" in place else f"{place}://")
