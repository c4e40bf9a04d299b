"""Event files written with checksums in C are TensorBoard's, to the byte."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import largest_file
from torch.utils.tensorboard import SummaryWriter

from aigp_lightning.logfiles.event_file import read_event_file
from aigp_lightning.loggers.event_writer import EventWriter
from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger, quiet_writer


def write(kind: Any, folder: Path, **options: Any) -> bytes:
    """Write values of several kinds; returns the file's bytes, from the first record that has no time of its own."""
    with kind(str(folder), **options) as writer:
        for step in range(3):
            writer.add_scalar("loss", step / 2, step, walltime=1.0)
        writer.add_image("picture", np.full((3, 8, 8), 7, np.uint8), 1, walltime=2.0)
        writer.add_text("note", "hello ü", walltime=3.0)
    files = list(folder.iterdir())
    assert len(files) == 1
    content = files[0].read_bytes()
    length = int.from_bytes(content[:8], "little")
    return content[12 + length + 4 :]


@pytest.mark.parametrize("options", [{}, {"filename_suffix": ".x", "max_queue": 1}])
def test_bytes_are_tensorboards(tmp_path: Path, options: dict[str, Any]) -> None:
    before = threading.active_count()
    ours, theirs = (write(kind, tmp_path / kind.__name__, **options) for kind in (EventWriter, SummaryWriter))
    assert ours == theirs
    assert threading.active_count() == before
    names = [next((tmp_path / kind.__name__).iterdir()).name.split(".") for kind in (EventWriter, SummaryWriter)]
    assert names[0][:3] == names[1][:3] == ["events", "out", "tfevents"]
    assert names[0][4:-2] == names[1][4:-2]
    found = read_event_file(next((tmp_path / "EventWriter").iterdir()))
    assert (found.scalars, len(found.images), found.damage) == ({"loss": 3}, 1, [])


def test_steps_are_hidden_as_by_pytorchs(tmp_path: Path) -> None:
    sizes = {kind: len(write(kind, tmp_path / kind.__name__, purge_step=2)) for kind in (EventWriter, SummaryWriter)}
    assert sizes[EventWriter] == sizes[SummaryWriter]


def test_the_logger_writes_by_it_and_learns_what_failed(tmp_path: Path) -> None:
    logger = ResilientTensorBoardLogger(str(tmp_path), name="", version="")
    with quiet_writer(), largest_file(2000):
        assert isinstance(logger.experiment, EventWriter)
        for step in range(200):
            logger.log_metrics({"loss": 1.0}, step)
        logger.save()
    assert logger.failed
    logger.log_metrics({"loss": 1.0}, 200)
    logger.save()
    points = sum((read_event_file(path).points for path in tmp_path.glob("events*")), Counter())
    assert points["loss", 200] == 1
