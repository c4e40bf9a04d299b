"""Finished runs, made once, and copies of them to ship."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kept_run import HOME, copied, make_run


@pytest.fixture(scope="session")
def local_run(made_once: Callable[..., Path]) -> Path:
    """A run that had no logger."""
    return made_once("kept run", lambda folder: make_run(folder / "run")) / "run"


@pytest.fixture(scope="session")
def private_run(made_once: Callable[..., Path]) -> Path:
    """A run with a private image that had a remote logger."""
    return made_once("private run", lambda folder: make_run(folder / "run", {"private": [HOME]}, board=True)) / "run"


@pytest.fixture
def run(local_run: Path, tmp_path: Path) -> Path:
    """A copy of the run that had no logger."""
    return copied(local_run, tmp_path)


@pytest.fixture
def masked(private_run: Path, tmp_path: Path) -> Path:
    """A copy of the run with a private image."""
    return copied(private_run, tmp_path)
