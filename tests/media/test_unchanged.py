"""A picture that stays the same is sent to each logger once where that is asked for, and the ledger says since when."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aigp_lightning.audit.conclusion import shares_of
from aigp_lightning.audit.findings import Audit
from aigp_lightning.media.budget import Budget
from aigp_lightning.media.hand_over import HandOver
from aigp_lightning.media.ledger.ledger import Line, read_ledger
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.pipeline import start_pipeline
from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.types import MediaStatus, RenderGroup, RenderJob
from aigp_lightning.plan.held_back import hold_back
from aigp_lightning.plan.planned import Forecast, PlannedFile
from aigp_lightning.ship.decide import Parcel, _without_repeats
from aigp_lightning.ship.kept_pictures import written_lines

LABELS, PRED = "val_batch0_labels", "val_batch0_pred"


class Board:
    """A logger that notes what it gets; the first so many times it takes nothing."""

    def __init__(self, name: str = "wandb", remote: bool = True, fails: int = 0) -> None:
        self.name = self.destination = name
        self.remote, self.waits, self.fails = remote, False, fails
        self.got: list[tuple[str, int]] = []

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("nobody there")
        for image in hand_over.images:
            hand_over.begin([image])
            self.got.append((image.key, epoch))
            hand_over.took([image])


def job(kind: str, name: str, grey: int) -> RenderJob:
    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        return np.full((16, 16, 3), grey, np.uint8)

    return RenderJob(kind, name, draw, (("a.jpg",),), fixed=kind == "val_labels")


def run(
    folder: Path, sinks: list[Any], epochs: range, skip: bool = True, resuming: bool = False, labels: int = 9
) -> MediaStatus:
    """Draw labels that stay the same and predictions that do not, after each of these epochs."""
    worker = start_pipeline(
        folder, Routing(Routes(), sinks), ImagePatterns(None, "--media.private"), resuming=resuming,
        skip_unchanged=skip,
    )  # fmt: skip
    for epoch in epochs:
        jobs = [job("val_labels", f"{LABELS}.jpg", labels), job("val_pred", f"{PRED}.jpg", 40 * epoch)]
        worker.put(RenderGroup(jobs, epoch, 10 * epoch))
    worker.close()
    return worker.status


def said(folder: Path, destination: str, key: str) -> list[tuple[int, str, str]]:
    lines: list[Line] = read_ledger(folder / "media.jsonl")
    return [(x.epoch, x.outcome, x.reason) for x in lines if (x.destination, x.key) == (destination, key)]


def test_each_logger_gets_it_once_and_the_ledger_says_why_not_again(tmp_path: Path) -> None:
    sinks = [Board("tensorboard", remote=False), Board("wandb")]
    status = run(tmp_path, sinks, range(3))
    for sink in sinks:
        assert sink.got == [(LABELS, 0), (PRED, 0), (PRED, 1), (PRED, 2)]
        assert said(tmp_path, sink.name, LABELS) == [
            (0, "sent", ""),
            (1, "withheld", "unchanged since epoch 0"),
            (2, "withheld", "unchanged since epoch 0"),
        ]
    assert [outcome for _, outcome, _ in said(tmp_path, "file", LABELS)] == ["written"] * 3
    assert (tmp_path / f"{LABELS}.jpg").is_file()
    assert (status.unchanged, status.withheld, status.sent, status.kept) == (4, 0, 4, 4)
    assert "4 unchanged, so not sent again" in str(status)


def test_without_it_everything_is_sent_every_time(tmp_path: Path) -> None:
    sink = Board()
    run(tmp_path, [sink], range(2), skip=False)
    assert sink.got == [(LABELS, 0), (PRED, 0), (LABELS, 1), (PRED, 1)]


def test_a_resumed_run_knows_what_was_sent_and_sends_what_changed(tmp_path: Path) -> None:
    run(tmp_path, [Board()], range(2))
    sink = Board()
    run(tmp_path, [sink], range(2, 4), resuming=True)
    assert sink.got == [(PRED, 2), (PRED, 3)]
    assert said(tmp_path, "wandb", LABELS)[-1] == (3, "withheld", "unchanged since epoch 0")
    other = Board()
    run(tmp_path, [other], range(4, 6), resuming=True, labels=200)
    assert other.got == [(LABELS, 4), (PRED, 4), (PRED, 5)]
    assert said(tmp_path, "wandb", LABELS)[-1] == (5, "withheld", "unchanged since epoch 4")
    anew = Board()
    run(tmp_path, [anew], range(1), labels=200)  # another run in the same folder
    assert anew.got == [(LABELS, 0), (PRED, 0)]


def test_what_a_logger_did_not_take_is_sent_the_next_time(tmp_path: Path) -> None:
    sink = Board(fails=1)
    run(tmp_path, [sink], range(3))
    assert sink.got == [(LABELS, 1), (PRED, 1), (PRED, 2)]
    assert [outcome for _, outcome, _ in said(tmp_path, "wandb", LABELS)] == ["failed", "sent", "withheld"]


def test_a_budget_counts_once_what_goes_once() -> None:
    """Ten epochs of labels alone would be ten megabytes; once they are one."""
    budget = Budget(3.5, sent=0, say=lambda text: None)
    budget.allocate({0: 0, 1: 0, 2: 0}, 10, {0: 1_000_000, 1: 1_000_000, 2: 1_000_000})
    assert [budget.admits("val_labels", 1_000_000, number) for number in range(3)] == [True] * 3
    tight = Budget(2.5, sent=0, say=lambda text: None)
    tight.allocate({0: 0, 1: 0, 2: 0}, 10, {0: 1_000_000, 1: 1_000_000, 2: 1_000_000})
    assert [tight.admits("val_labels", 1_000_000, number) for number in range(3)] == [True, True, False]


@pytest.mark.parametrize(("known", "count"), [((), 1), (("wandb",), 0)])
def test_a_plan_counts_once_what_goes_once(known: tuple[str, ...], count: int) -> None:
    size = 16, 16, 1000, 900, 0, ("wandb",)
    file = PlannedFile(f"{LABELS}.jpg", "val_labels", 5, *size, fixed=True, once=True, known=known)
    forecast = Forecast([file], list(range(5)), Routing(Routes(), [Board()]))
    totals = {total.name: (total.pictures, total.bytes) for total in forecast.totals()}
    assert totals == {"file": (5, 5000), "wandb": (count, 900 * count)}
    assert forecast.repeats() == (5 - count, 900 * (5 - count), True)
    assert hold_back(forecast, 0.001, {}) == ([], [])  # five times would be over a thousandth of a megabyte


def test_the_bytes_are_those_that_were_sent(tmp_path: Path) -> None:
    run(tmp_path, [Board()], range(2))
    hashes = {x.sha256 for x in read_ledger(tmp_path / "media.jsonl") if x.key == LABELS}
    assert hashes == {sha256((tmp_path / f"{LABELS}.jpg").read_bytes()).hexdigest()}


def test_an_audit_says_what_was_not_sent_again(tmp_path: Path) -> None:
    run(tmp_path, [Board()], range(3))
    lines = read_ledger(tmp_path / "media.jsonl")
    shares = {share.state: share for share in shares_of(Audit(tmp_path, lines), lines) if share.destination == "wandb"}
    assert set(shares) == {"left", "unchanged"}
    assert (shares["unchanged"].pictures, shares["unchanged"].epochs) == (2, [1, 2])
    assert str(shares["unchanged"]).endswith("to wandb, epochs 1-2 (unchanged since epoch 0)")


def test_ship_goes_by_it(tmp_path: Path) -> None:
    """To a logger that has the labels of the second epoch: those of the first go, later ones do not."""
    run(tmp_path, [], range(4))
    written = written_lines(read_ledger(tmp_path / "media.jsonl"))
    had = [replace(line, destination="wandb", outcome="sent") for line in written if line.epoch == 1]
    asked = [line for line in written if line.epoch != 1]
    parcels = _without_repeats([Parcel(line, bytes, "send") for line in asked], had, "wandb")
    verdicts = {(parcel.line.key, parcel.line.epoch): parcel.verdict for parcel in parcels}
    assert verdicts == {
        (LABELS, 0): "send", (LABELS, 2): "unchanged", (LABELS, 3): "unchanged",
        (PRED, 0): "send", (PRED, 2): "send", (PRED, 3): "send",
    }  # fmt: skip
