"""A folder for stores, where waiting for the disk takes no time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from scored_runs import Dot

from aigp_lightning.modules.families import CLASSES
from aigp_lightning.store.places import StorePlaces


@pytest.fixture(autouse=True)
def dot_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """The family of `scored_runs`, for one test."""
    monkeypatch.setitem(CLASSES, ("dot", "detect"), lambda: Dot)


@pytest.fixture
def places(tmp_path: Path) -> Iterator[StorePlaces]:
    """A store that isn't there yet, in memory where the system has that."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield StorePlaces(Path(folder) / "models")
