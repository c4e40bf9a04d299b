"""A run that is resumed: plan, budget, ledger, audit and the closing line count the same bytes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from helpers import REPO, small, tiny_network
from lightning.pytorch.loggers import TensorBoardLogger

from aigp_lightning.media import pipeline
from aigp_lightning.media.budget import Budget
from aigp_lightning.media.ledger.ledger import Entry, Ledger, read_ledger
from aigp_lightning.media.ledger.lines import RemoteEntry
from aigp_lightning.media.routing import PER_EPOCH, Routes, Routing
from aigp_lightning.media.sinks import sinks_of
from aigp_lightning.media.types import MediaStatus
from aigp_lightning.plan.earlier import EarlierStarts, earlier_starts
from aigp_lightning.plan.planned import Forecast, PlannedFile
from aigp_lightning.plan.report import over
from aigp_lightning.run.folder import RunConfig

OVERLAYS = ("--config", REPO / "configs" / "detector.yaml", "--config", REPO / "configs" / "logger" / "both.yaml")
SHORT = ("--media.max_images", 4, "--model.optim.nbs", 8, "--close_mosaic.epochs", 0, "--media.val_batches", 2,
         "--media.private", "[images/val/004.png]")  # fmt: skip


@pytest.fixture(autouse=True)
def no_wandb_left() -> Iterator[None]:
    yield
    import wandb

    wandb.finish()
    wandb.teardown()


def test_all_count_the_same(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One epoch, then one more with another limit; what is masked counts as it left."""
    closings, began = list[str](), list[int]()
    text = MediaStatus.__str__

    def closing(status: MediaStatus) -> str:
        closings.append(text(status))
        return closings[-1]

    class Watched(Budget):
        def __init__(self, megabytes: float | None, sent: int, say: Callable[[str], None]) -> None:
            super().__init__(megabytes, sent, say)
            began.append(sent)

    monkeypatch.setattr(MediaStatus, "__str__", closing)
    monkeypatch.setattr(pipeline, "Budget", Watched)
    words = [*OVERLAYS, *small(shapes, tmp_path), *tiny_network(tmp_path), *SHORT]

    def called(verb: str, *options: object, status: int = 0) -> str:
        capfd.readouterr()
        assert run_cli(verb, *options) == status
        return capfd.readouterr().out

    def closed() -> tuple[float, ...]:
        match = re.search(
            r"wait on this disk to be synced \(([\d.]+) MB\).*?(?:; ([\d.]+) MB left or wait with earlier starts)?$",
            closings[-1],
        )
        assert match is not None, closings
        return tuple(float(number) for number in match.groups() if number)

    def audited() -> dict[str, Any]:
        content = json.loads(called("audit", run, "--json", "-"))
        assert content["findings"] == []
        return {tally["destination"]: tally for tally in content["destinations"]}

    run = tmp_path / "detect" / "gates"
    called("fit", *words, "--trainer.max_epochs", 1)
    before = read_ledger(run / "media.jsonl")
    left = sum(line.bytes for line in before if line.left)
    assert left == sum(line.bytes for line in before if (line.destination, line.outcome) == ("wandb", "sent")) > 0
    assert closed() == (pytest.approx(left / 1e6, abs=0.051),)

    limit = round(left / 1e6 + 0.15, 2)
    longer = (*words, "--trainer.max_epochs", 2, "--media.max_mb", limit, "--ckpt_path", "last", "--extend")
    planned = json.loads(called("plan", *longer, "--json", status=1))
    assert planned["left_megabytes"] == planned["left_waiting_megabytes"] == left / 1e6
    assert planned["resumes"] == str(run)
    assert planned["over_budget"] is True
    totals = {total["name"]: total for total in planned["destinations"]}
    assert totals["wandb"]["earlier_bytes"] == left
    assert {name: total["reach"] for name, total in totals.items()} == {
        "file": "stays", "tensorboard": "stays", "wandb": "waits",
    }  # fmt: skip
    assert (planned["leaves_megabytes"], planned["waits_megabytes"]) == (0, planned["remote_megabytes"])
    assert {file["kind"] for file in planned["files"]}.isdisjoint({"train_batch", "labels", "labels_correlogram"})
    assert planned["validations"] == [1]

    called("fit", *longer)
    assert began[-1] == left
    lines = read_ledger(run / "media.jsonl")
    assert lines[: len(before)] == before
    new = lines[len(before) :]
    offered = Counter(line.destination for line in new if line.outcome in ("sent", "withheld"))
    assert offered == {name: totals[name]["pictures"] for name in ("tensorboard", "wandb")}
    after = sum(line.bytes for line in lines if line.left)
    assert left < after <= limit * 1e6
    withheld = [line for line in new if line.outcome == "withheld"]
    assert {line.reason for line in withheld} == {"budget"}
    held_back = {row["kind"]: (row["pictures"], row["epochs"]) for row in planned["held_back"]}
    for kind in set(PER_EPOCH) - {"val_errors", "val_table"}:  # off; the closing kinds are weighed by stand-ins
        assert held_back[kind] == (sum(line.kind == kind for line in withheld), [1])
    approximately = pytest.approx
    assert closed() == (approximately((after - left) / 1e6, abs=0.051), approximately(after / 1e6, abs=0.051))
    assert audited()["wandb"]["bytes"] == after


# ---- where a plan finds the run --------------------------------------------------------------------------------------


def run_folder(root: Path, name: str = "gates") -> Path:
    """A run's folder with a ledger: two pictures at W&B, one of them unknown, one in a bucket, one on this disk."""
    folder = root / "detect" / name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}", encoding="utf-8")
    ledger = Ledger(folder / "media.jsonl")
    for size, destination, outcome, remote in (
        (1, "wandb", "sent", None), (10, "wandb", "unknown", None), (100, "tensorboard", "sent", True),
        (1000, "tensorboard", "sent", None), (10_000, "wandb", "failed", None), (100_000, "other:Board", "sent", None),
    ):  # fmt: skip
        key = f"val_batch{size}_pred"
        entry = Entry("val_pred", key, f"{key}.jpg", "0" * 64, size, 0, 0, [], destination, outcome)  # type: ignore[arg-type]
        ledger.add(entry if remote is None else RemoteEntry(**asdict(entry), remote=remote))
    assert ledger.left == 100_111
    ledger.close()
    return folder


def test_a_run_that_begins_has_nothing_behind_it(tmp_path: Path) -> None:
    run_folder(tmp_path)
    found = earlier_starts(RunConfig(root=str(tmp_path)), "detect", None)
    assert (found.folder, found.epoch, found.counts.left) == (None, 0, 0)


def test_whatever_way_it_is_resumed(tmp_path: Path, finished: Path) -> None:
    folder = run_folder(tmp_path)
    config = RunConfig(root=str(tmp_path), resume="always")
    found = earlier_starts(config, "detect", None)
    assert (found.folder, found.epoch, found.counts.left) == (folder, 0, 100_111)
    assert found.counts.has("wandb", "val_batch10_pred", 0)
    (folder / "weights").mkdir()
    (folder / "weights" / "last.ckpt").write_bytes((finished / "weights" / "last.ckpt").read_bytes())
    plain = RunConfig(root=str(tmp_path))
    for how, checkpoint in ((config, None), (plain, "last"), (plain, str(folder / "weights" / "last.ckpt"))):
        found = earlier_starts(how, "detect", checkpoint)
        assert (found.folder, found.epoch, found.counts.left) == (folder, 2, 100_111)


def test_a_folder_that_is_used_again_counts_too(tmp_path: Path) -> None:
    """Its pictures are another run's, and are sent anew; what has left has left."""
    folder = run_folder(tmp_path)
    found = earlier_starts(RunConfig(root=str(tmp_path), exist_ok=True), "detect", None)
    assert (found.folder, found.counts.left) == (folder, 100_111)
    assert not found.counts.has("wandb", "val_batch1_pred", 0)


def test_two_loggers_of_a_kind_have_a_column_each(tmp_path: Path) -> None:
    sinks = sinks_of([TensorBoardLogger(tmp_path), TensorBoardLogger("memory://bucket/x"), TensorBoardLogger(tmp_path)])
    names = ("tensorboard", "tensorboard:2", "tensorboard:3")
    earlier = EarlierStarts()
    entry = Entry("val_pred", "val_batch0_pred", "x.jpg", "0" * 64, 70, 0, 0, [], names[1], "sent")
    earlier.counts.count(RemoteEntry(**asdict(entry), remote=True))
    file = PlannedFile("val_batch0_pred.jpg", "val_pred", 3, 8, 8, 100, 70, 1, names, {names[1]: 1})
    forecast = Forecast([file], [0, 1, 2], Routing(Routes(), sinks), earlier=earlier)
    assert [(x.name, x.remote, x.pictures, x.bytes, x.earlier_bytes) for x in forecast.totals()] == [
        ("file", False, 3, 300, 0), (names[0], False, 3, 300, 0),
        (names[1], True, 2, 140, 70), (names[2], False, 3, 300, 0),
    ]  # fmt: skip
    assert (forecast.left_bytes, forecast.remote_bytes) == (70, 140)
    assert not over(forecast, 210 / 1e6)
    assert over(forecast, 209 / 1e6)
