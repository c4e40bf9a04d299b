"""Where the time of a training goes: every stage is found, and no time is counted twice."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from helpers import REPO

FOLDER = REPO / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import where_time_goes

    return where_time_goes


def test_a_stage_within_another_is_counted_once(script: Any) -> None:
    """The outer stage gets what is left, also where the inner one is the call of an object."""

    class Inner:
        def __call__(self) -> None:
            time.sleep(0.05)

    stages = script.Stages()
    with script.calls_timed(stages, {Inner: "inner"}), stages.part("outer"):
        time.sleep(0.02)
        Inner()()
        Inner()()
    Inner()()
    found = stages.per_image(2)
    assert 50 <= found["inner"][0] < 75, "two calls of 50 ms, of two images; the third was not timed"
    assert 10 <= found["outer"][0] < 35
    assert sum(wall for wall, _ in found.values()) == pytest.approx(500 * sum(stages.wall.values()))


def test_stages_of_a_training(script: Any, shapes: Path, tmp_path: Path) -> None:
    """Each part names its stages; those of input and step have taken time."""
    spec = {"model": "yolo11n", "imgsz": 32, "batch": 12, "epochs": 1, "workers": 0, "device": "cpu"}
    spec |= {"data": str(shapes), "folder": str(tmp_path), "precision": "32-true"}
    made = script.work({**spec, "part": "input"})["stages"]
    assert list(made)[:2] == ["read the file", "decode and shrink"]
    assert {"warp (mosaic, affine)", "colour", "flip", "labels and the rest", "collate"} <= made.keys()
    step = script.work({**spec, "part": "step"})
    wanted = {"wait for the loader", "transfer to the device", "bytes to fractions", "forward", "loss", "backward"}
    wanted |= {"clip and optimizer step", "logging", "averaged weights (EMA)", "Lightning's loop"}
    assert step["stages"].keys() == wanted
    assert all(wall > 0 for wall, _ in step["stages"].values())
    assert step["stages"]["backward"][0] > step["stages"]["transfer to the device"][0]
    assert step["plain"] > 0
    validation = script.work({**spec, "part": "validation"})["stages"]
    assert list(validation) == ["forward", "loss", "NMS", "match", "metrics, once a validation"]
    assert list(script.picture_stages(32)) == ["draw a mosaic, by cell", "encode it, by cell"]


def test_the_table_has_every_stage(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Shares are of a part, and add up."""
    parts = {"step": {"stages": {"forward": (3.0, 2.0), "backward": (9.0, 4.0)}, "plain": 10.0}}
    settings = {"machine": "here", "model": "yolo11n", "imgsz": 64, "batch": 8, "precision": "32-true"}
    script.print_table({**settings, "parts": parts})
    printed = capsys.readouterr().out
    assert "| step | forward | 3.000 | 25.0 % | 2.000 |" in printed
    assert "| step | backward | 9.000 | 75.0 % | 4.000 |" in printed
    assert "| step | all | 12.000 | 100 % | 6.000 |" in printed
    assert "step, without borders between its stages: 10.000 ms an image, 100.0 images/s" in printed
