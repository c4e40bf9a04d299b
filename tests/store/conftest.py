"""A folder for stores, where waiting for the disk takes no time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigp_lightning.store.places import StorePlaces


@pytest.fixture
def places(tmp_path: Path) -> Iterator[StorePlaces]:
    """A store that isn't there yet, in memory where the system has that."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield StorePlaces(Path(folder) / "models")
