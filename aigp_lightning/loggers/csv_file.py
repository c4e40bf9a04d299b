"""Lightning's CSV logger: a resumed run keeps its rows, and a disk that takes none ends no run."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from aigp_lightning.errors import warn_user
from aigp_lightning.logfiles.logged import SkipsLogged

FILE = ExperimentWriter.NAME_METRICS_FILE


class ResilientCSVLogger(SkipsLogged, CSVLogger):
    """Lightning's logger with a fence; in a resumed run it adds to the rows that are there, which Lightning deletes.

    Args:
        *args: Lightning's.
        keep_logged: keep the rows of an earlier start.
        skip_logged: do not write values that these rows hold already.
        **kwargs: Lightning's.
    """

    failed = False

    def __init__(self, *args: Any, keep_logged: bool = False, skip_logged: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._keep_logged = keep_logged or skip_logged
        self._logged = _values(Path(self.log_dir) / FILE) if skip_logged else Counter[tuple[str, int]]()

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer of the file, made when it is first asked for."""
        if self._experiment is None and self._keep_logged and os.path.isfile(os.path.join(self.log_dir, FILE)):
            self._experiment = _AddingWriter(self.log_dir)
        return super().experiment  # type: ignore[no-any-return]

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:  # type: ignore[override]
        """Add a row, without what an earlier start of the run has written."""
        new = {name: value for name, value in metrics.items() if step is None or not self._is_logged(name, step)}
        if new:
            with self._fence():
                super().log_metrics(new, step)

    def _is_logged(self, name: str, step: int) -> bool:
        if self._logged[name, step] < 1:
            return False
        self._logged[name, step] -= 1
        return True

    @rank_zero_only
    def save(self) -> None:
        """Write what waits, inside the fence."""
        with self._fence():
            super().save()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what waits, inside the fence."""
        with self._fence():
            super().finalize(status)

    @contextmanager
    def _fence(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self.failed:
                warn_user(f"the rows of CSVLogger could not be written ({error}). Training goes on.")
            self.failed = True


class _AddingWriter(ExperimentWriter):
    """Lightning's writer, which takes up the file that is there; half a row, left by a kill, is cut off."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)
        self.metrics_keys = list(next(csv.reader(data.decode("utf-8", errors="replace").splitlines()), []))


def _values(path: Path) -> Counter[tuple[str, int]]:
    """Count the values of a file's whole rows, by name and step."""
    if not path.is_file():
        return Counter()
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    steps = ((row, row.get("step") or "") for row in rows)
    return Counter(
        (name, int(step)) for row, step in steps if step.isdigit() for name, value in row.items() if value and name
    )
