"""Pictures and scalars of a run handed over to W&B later: recorded on this disk, and sent to a stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kept_run import EPOCHS, HOME, STEPS, contents, differences, edit_config, identities, in_wandb, lines_of
from wandb_standin import WandbStandin, forget, serve

from aigp_lightning.logfiles.wandb_run import read_wandb_run, wandb_folders
from aigp_lightning.media.ledger.ledger import read_ledger

TO = ("--to", "wandb")
Cli = Callable[..., int]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let W&B record on this disk, and leave no run of it behind."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    forget()
    yield
    forget()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbStandin]:
    """A W&B server."""
    monkeypatch.setenv("HOME", str(tmp_path))
    yield from serve(monkeypatch)


def rows(run: Path) -> list[list[dict[str, Any]]]:
    """The rows of each W&B folder."""
    return [read_wandb_run(folder).history for folder in wandb_folders(run)]


def test_masked_within_the_limit_and_each_once(
    masked: Path, offline: None, run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the mosaic with the private image only the last epoch has a masked version; the limit leaves out one of it."""
    assert differences(masked) == []
    lines = read_ledger(masked / "media.jsonl")
    private = {(line.key, line.epoch) for line in lines_of(masked, "file", "written") if HOME in line.sources}
    hidden = [line for line in lines if line.file.startswith("masked/") and line.epoch == EPOCHS - 1]
    plain = [line for line in lines_of(masked, "file", "written") if (line.key, line.epoch) not in private]
    left = sum(line.bytes for line in lines if line.left)
    room = sum(line.bytes for line in (*plain, *hidden)) - 1
    edit_config(masked, max_mb=(left + room) / 1e6)
    assert run_cli("ship", masked, *TO) == 0
    sent = sorted(identities([*plain, *(line for line in hidden if line.key == "val_batch1_labels")]), key=str)
    assert in_wandb(masked) == sent == sorted(identities(lines_of(masked, "wandb")), key=str)
    assert all(HOME not in line.sources for line in lines_of(masked, "wandb"))
    reasons = sorted((line.key, line.epoch, line.reason) for line in lines_of(masked, "wandb", "withheld"))
    keys = ("val_batch1_labels", "val_batch1_pred")
    withheld = [(key, epoch, "private image") for key in keys for epoch in range(EPOCHS - 1)]
    assert reasons == sorted([*withheld, ("val_batch1_pred", EPOCHS - 1, "budget")])
    (first,) = rows(masked)
    epochs = [row["epoch"] for row in first]
    assert epochs == sorted(epochs)
    scalars = [(x["epoch"], x["trainer/global_step"], x["train/box_loss"]) for x in first if "train/box_loss" in x]
    steps = [STEPS * (epoch + 1) - 1 for epoch in range(EPOCHS)]
    assert scalars == [(epoch, step, pytest.approx(0.9 - epoch / 10)) for epoch, step in enumerate(steps)]
    assert differences(masked) == []
    before = contents(masked)
    assert run_cli("ship", masked, *TO) == 0
    assert contents(masked) == before, "twice hands over nothing twice, and notes nothing twice"
    told = " ".join(capsys.readouterr().out.split())
    assert "they show private images, and no masked version of them was made" in told
    assert "to allow more, raise it in" in told
    edit_config(masked, max_mb=None)
    assert run_cli("ship", masked, *TO) == 0
    assert in_wandb(masked) == sorted(identities([*plain, *hidden]), key=str)
    assert len(rows(masked)[1]) == 1
    (run_id,) = {read_wandb_run(folder).run_id for folder in wandb_folders(masked)}
    assert json.loads((masked / "run.json").read_text())["wandb_run_id"] == run_id
    assert differences(masked) == []


def test_every_picture_that_arrives_is_the_ledgers(server: WandbStandin, masked: Path, run_cli: Cli) -> None:
    """Online, in two calls: both go into one W&B run, and its summary knows the ledger's head."""
    assert run_cli("ship", masked, *TO, "--select", "val_*", "--every", 3) == 0
    assert run_cli("ship", masked, *TO) == 0
    sent = lines_of(masked, "wandb")
    arrived = [line for row in server.history for line in row.items() if isinstance(line[1], dict)]
    assert sorted(value["sha256"] for _, value in arrived) == sorted(line.sha256 for line in sent)
    from hashlib import sha256

    media = [sha256(data).hexdigest() for name, data in server.versions if name.startswith("media/")]
    assert sorted(media) == sorted(line.sha256 for line in sent)
    for line in sent:
        row = next(row for row in server.history if row["epoch"] == line.epoch and line.key in row)
        assert (row[line.key]["sha256"], row["trainer/global_step"]) == (line.sha256, line.step)
    assert len({name for name, _ in server.streams}) == 1
    assert sum("train/box_loss" in row for row in server.history) == EPOCHS
    assert HOME.encode() not in server.texts()
    assert server.unknown == []
    assert differences(masked) == []


@pytest.mark.parametrize(
    ("variable", "value", "told"), [("AIGP_WANDB", "0", "AIGP_WANDB is 0"), ("WANDB_MODE", "disabled", "disabled")]
)
def test_switched_off_it_is_refused(
    run: Path, run_cli: Cli, variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv(variable, value)
    before = contents(run)
    assert run_cli("ship", run, *TO) == 2
    assert told in capfd.readouterr().err
    assert contents(run) == before


def test_a_plan_for_wandb_changes_nothing(
    run: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    before = contents(run)
    assert run_cli("ship", run, *TO, "--max-mb", 0.02, "--plan", "--json", "-") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["reach"], plan["to"], plan["goes_on"], plan["scalar_rows"]) == ("leaves", "wandb", False, EPOCHS)
    going = [picture for picture in plan["pictures"] if picture["verdict"] == "send"]
    assert sum(picture["bytes"] for picture in going) <= 20_000
    assert {"PR_curve", "results", "labels", "train_batch0"} <= {picture["key"] for picture in going}
    assert plan["verdicts"]["limit"] == len(plan["pictures"]) - len(going)
    assert contents(run) == before
    assert not list(Path.cwd().glob("*wandb*"))
