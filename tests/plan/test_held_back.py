"""The pictures that a limit would hold back, and the words for where pictures go."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.sinks import sinks_of
from aigp_lightning.plan.held_back import hold_back
from aigp_lightning.plan.planned import Forecast, HeldBack, PlannedFile
from aigp_lightning.plan.report import show

MB = 1_000_000
NAMES = ("tensorboard", "wandb")


def forecast(folder: Path) -> Forecast:
    """Ten epochs with two mosaics of 1 MB each, a picture at the start and one at the end; W&B is offline."""
    sinks = sinks_of([TensorBoardLogger(folder), WandbLogger(mode="offline")])
    mosaics = [
        PlannedFile(f"val_batch{n}_{what}.jpg", f"val_{what}", 10, 8, 8, MB, MB, 0, NAMES, mosaic=n)
        for n in (0, 1)
        for what in ("labels", "pred")
    ]
    start = PlannedFile("labels.jpg", "labels", 1, 8, 8, MB, MB, 0, NAMES)
    end = PlannedFile("results.png", "results", 1, 8, 8, MB // 10, MB // 10, 0, NAMES)
    return Forecast([start, *mosaics, end], list(range(10)), Routing(Routes(), sinks), last_epoch=9)


@pytest.mark.parametrize(
    ("megabytes", "rows"),
    [
        (None, []),
        (42, []),
        (22, [("val_labels", 10, range(10)), ("val_pred", 10, range(10))]),
        (6.3, [("val_labels", 18, range(10)), ("val_pred", 18, range(10))]),
        (0.3, [("labels", 1, [0]), ("val_labels", 20, range(10)), ("val_pred", 20, range(10))]),
    ],
)
def test_what_is_held_back(megabytes: float | None, rows: list[tuple[str, int, range]], tmp_path: Path) -> None:
    """One mosaic an epoch; then the last one as long as there is room; then all, and what the start has."""
    found, said = hold_back(forecast(tmp_path), megabytes, {"results": 1})
    assert found == [HeldBack("wandb", kind, count, count * MB, tuple(epochs)) for kind, count, epochs in rows]
    assert bool(said) == bool(rows)


def test_the_plan_says_it_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = forecast(tmp_path)
    planned.left_out = ["Board (for a test)"]
    planned.held_back, planned.withheld = hold_back(planned, 22, {"results": 1})
    show(planned, [], 22)
    lines = capsys.readouterr().out.splitlines()
    assert "left out, so they get nothing: Board (for a test)" in lines
    assert "Nothing leaves this machine: no destination is online." in lines
    assert "waits on this disk until it is synced: 41.1 MB of pictures, with wandb." in lines
    assert "stays on this machine: what the run folder and tensorboard get." in lines
    assert "over budget: 41.1 MB would leave or wait to be synced, media.max_mb is 22." in lines
    assert "held back from remote destinations: 20 pictures (20.00 MB); 21.1 MB would go. Files stay complete." in lines
    assert "  val_pred to wandb: 10 pictures (10.00 MB), epochs 1-10" in lines
