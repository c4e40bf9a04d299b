"""CSVLogger: a resumed run keeps its rows and adds to them, and a full disk ends no run."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from helpers import largest_file

from aigp_lightning.loggers.config import resolve_loggers
from aigp_lightning.loggers.csv_file import ResilientCSVLogger


def made(**options: bool) -> ResilientCSVLogger:
    return ResilientCSVLogger("run", name="csv", version="", **options)


def rows() -> list[dict[str, str]]:
    with Path("run/csv/metrics.csv").open(newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]


def log(logger: ResilientCSVLogger, *points: tuple[int, dict[str, float]]) -> None:
    for step, values in points:
        logger.log_metrics(values, step)
    logger.finalize("success")


FIRST = ({"loss": "1.5", "step": "1"}, {"loss": "1.25", "map": "0.5", "step": "2"})


def test_a_resumed_run_adds_to_its_rows_and_repeats_none() -> None:
    log(made(), (1, {"loss": 1.5}), (2, {"loss": 1.25, "map": 0.5}))
    log(made(keep_logged=True, skip_logged=True), (2, {"loss": 9.0, "lr": 0.1}), (3, {"loss": 1.0}))
    assert rows() == [*FIRST, {"lr": "0.1", "step": "2"}, {"loss": "1.0", "step": "3"}]


def test_a_run_resumed_from_an_earlier_epoch_keeps_its_rows() -> None:
    log(made(), (1, {"loss": 1.5}), (2, {"loss": 1.25, "map": 0.5}))
    log(made(keep_logged=True), (2, {"loss": 9.0}))
    assert rows() == [*FIRST, {"loss": "9.0", "step": "2"}]


def test_another_run_in_the_same_folder_begins_anew() -> None:
    log(made(), (1, {"loss": 1.5}))
    log(made(), (1, {"loss": 2.5}))
    assert rows() == [{"loss": "2.5", "step": "1"}]


def test_half_a_row_of_a_killed_run_is_cut_off() -> None:
    log(made(), (1, {"loss": 1.5}), (2, {"loss": 1.25, "map": 0.5}))
    path = Path("run/csv/metrics.csv")
    path.write_bytes(path.read_bytes() + b"1.7,0.")
    log(made(keep_logged=True, skip_logged=True), (3, {"loss": 1.0}))
    assert rows() == [*FIRST, {"loss": "1.0", "step": "3"}]


def test_a_full_disk_is_said_once_and_ends_no_run(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = made()
    with largest_file(64):
        for step in range(4):
            logger.log_metrics({"a long name of a scalar": step + 0.123456}, step)
            logger.save()
    said = capsys.readouterr().err + caplog.text
    assert logger.failed and said.count("could not be written") <= 2 and "Training goes on" in said


def test_the_overlay_keeps_rows_only_where_a_run_is_resumed() -> None:
    def arguments(resumed: bool, last: bool) -> dict[str, object]:
        entry = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "{run_folder}"}}
        return dict(resolve_loggers(entry, Path("run"), resumed=resumed, skip_logged=last)["init_args"])

    assert arguments(False, False) == {"save_dir": "run"}
    assert arguments(True, False) == {"save_dir": "run", "keep_logged": True}
    assert arguments(True, True) == {"save_dir": "run", "keep_logged": True, "skip_logged": True}
