"""Pictures whose bytes are no more in the run folder, and that a logger's files still have."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kept_run import (
    EPOCHS,
    HOME,
    copied,
    differences,
    identities,
    in_event_files,
    in_wandb,
    lines_of,
    make_run,
)
from wandb_standin import forget

from aigp_lightning.logfiles.event_pictures import find_event_pictures
from aigp_lightning.logfiles.folders import logger_folders
from aigp_lightning.logfiles.mlflow_store import read_stored_run
from aigp_lightning.logfiles.wandb_run import read_wandb_run, wandb_folders
from aigp_lightning.media.ledger.ledger import read_ledger
from aigp_lightning.media.routing import Routes

Cli = Callable[..., int]
FORGETFUL = {"keep_history": False}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let W&B record on this disk, and leave no run of it behind."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    forget()
    yield
    forget()


@pytest.fixture
def with_tensorboard(made_once: Callable[..., Path], tmp_path: Path) -> Path:
    """A run as it is by default: TensorBoard's files, and the last epoch's pictures in its folder."""
    made = made_once("tensorboard run", lambda at: make_run(at / "run", FORGETFUL, to=("tensorboard",)))
    return copied(made / "run", tmp_path)


def test_event_files_have_the_bytes_of_every_epoch(with_tensorboard: Path, run_cli: Cli) -> None:
    run = with_tensorboard
    written = identities(lines_of(run, "file", "written"))
    assert in_event_files(run) == written
    assert run_cli("ship", run, "--to", "mlflow") == 0
    (noted,) = logger_folders(run, "mlflow")
    assert noted.folder is not None
    stored = read_stored_run(noted.folder)
    assert sorted((each.key, each.epoch, each.sha256) for each in stored.pictures) == written
    assert identities(lines_of(run, "mlflow")) == written
    assert {line.file for line in lines_of(run, "mlflow")} == {line.file for line in lines_of(run, "file", "written")}
    assert differences(run) == []
    for path in (*run.glob("tensorboard/*"), *run.glob("val_*")):
        path.unlink()
    run_cli("ship", run, "--to", "tensorboard", "--kind", "val_pred", "--no-scalars")
    assert identities(lines_of(run, "tensorboard")) == written, "sent before; and MLflow's files have them still"


def test_what_changed_in_an_event_file_is_not_sent(
    with_tensorboard: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_tensorboard
    (events,) = (path for path in run.glob("tensorboard/events*") if b"val_batch0_pred" in path.read_bytes())
    (first,) = (x for x in find_event_pictures(events, []) if (x.tag, x.step) == ("val_batch0_pred", 0))
    picture = first.read()
    other = picture[:200] + bytes([picture[200] ^ 1]) + picture[201:]
    events.write_bytes(events.read_bytes().replace(picture, other))  # the labels' one has the same bytes
    assert run_cli("ship", run, "--to", "mlflow", "--select", "val_batch0_pred*", "--no-scalars") == 0
    sent = {line.epoch for line in lines_of(run, "mlflow")}
    assert sent == set(range(1, EPOCHS))
    assert "neither in this folder nor in its loggers' files" in " ".join(capsys.readouterr().out.split())


def test_a_masked_version_is_found_by_its_own_hash(
    tmp_path: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """W&B's mirror has the masked version of every epoch, TensorBoard's files what was masked."""
    run = make_run(tmp_path / "runs" / "gates", {**FORGETFUL, "private": [HOME]}, to=("tensorboard", "wandb"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    capsys.readouterr()
    assert run_cli("ship", run, "--to", "mlflow", "--plan", "--json", "-") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["reach"], plan["verdicts"]) == ("leaves", {"send": 4 + 4 * EPOCHS})
    hidden = {(x.key, x.epoch, x.sha256) for x in read_ledger(run / "media.jsonl") if x.file.startswith("masked/")}
    assert len(hidden) == 2 * EPOCHS
    going = {(each["key"], each["epoch"], each["sha256"]) for each in plan["pictures"]}
    shows_home = {(x.key, x.epoch, x.sha256) for x in lines_of(run, "file", "written") if HOME in x.sources}
    assert going >= hidden
    assert not going & shows_home


def test_the_runs_own_wandb_run_goes_on_after_a_kill(tmp_path: Path, run_cli: Cli) -> None:
    """Trained with W&B offline; the predictions, which W&B did not get, follow in two shipments, of which one dies."""
    routes = Routes(val_pred=["file", "tensorboard"])
    run = make_run(tmp_path / "runs" / "gates", FORGETFUL, to=("tensorboard", "wandb"), routes=routes)
    trained = in_wandb(run)
    assert {key for key, *_ in trained} == {line.key for line in lines_of(run, "wandb")}
    forget()
    ship_and_die(run, 5)
    assert run_cli("ship", run, "--to", "wandb") == 0
    records = [read_wandb_run(folder) for folder in wandb_folders(run)]
    assert len(records) == 3
    assert len({record.run_id for record in records}) == 1
    unknown = {(x.key, x.epoch) for x in lines_of(run, "wandb", "unknown")} - {
        (x.key, x.epoch) for x in lines_of(run, "wandb")
    }
    assert len(unknown) <= 2, "of one moment"
    found = in_wandb(run)
    assert len(found) == len(set(found)), "none twice"
    wanted = [each for each in identities(lines_of(run, "file", "written")) if each[:2] not in unknown]
    assert set(found) >= set(wanted)
    assert differences(run) == []


def ship_and_die(run: Path, moments: int) -> None:
    """Ship in a process of its own, which is killed when W&B has got the pictures of so many moments."""
    from aigp_lightning.ship.selection import Selection
    from aigp_lightning.ship.sending import send_shipment
    from aigp_lightning.ship.shipment import plan_shipment

    child = os.fork()
    if not child:
        try:
            shipment = plan_shipment(run, "wandb", Selection(), scalars=False, write=True)

            def die(count: int) -> None:
                nonlocal moments
                moments -= count > 0
                if not moments:
                    os.kill(os.getpid(), signal.SIGKILL)

            send_shipment(shipment, None, print, die)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
