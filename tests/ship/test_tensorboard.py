"""Pictures and scalars of a run without loggers, handed over to TensorBoard later."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from kept_run import (
    EPOCHS,
    contents,
    copied,
    differences,
    edit_config,
    identities,
    in_event_files,
    lines_of,
    make_run,
)

from aigp_lightning.logfiles.event_file import event_files, read_event_file
from aigp_lightning.media.ledger.ledger import read_ledger
from aigp_lightning.media.ledger.signatures import SIGNATURE_FILE
from aigp_lightning.report.folder import read_facts
from aigp_lightning.report.scalars import read_scalars
from aigp_lightning.run.lock import lock_run_folder
from aigp_lightning.store.run_facts import run_of

TO = ("--to", "tensorboard")
Cli = Callable[..., int]


def test_the_event_file_has_the_ledgers_bytes_and_the_scalars(run: Path, run_cli: Cli) -> None:
    assert differences(run) == []
    assert run_cli("ship", run, *TO) == 0
    assert len(lines_of(run, "file", "written")) == 2 + 4 * EPOCHS + 2
    assert in_event_files(run) == identities(lines_of(run, "file", "written"))
    assert identities(lines_of(run, "tensorboard")) == in_event_files(run)
    points = read_event_file(event_files(run)[0]).points
    names = ("epoch", "metrics/mAP50(B)", "train/box_loss")
    assert sorted(points) == sorted((name, epoch) for name in names for epoch in range(EPOCHS))
    assert differences(run) == []
    files = {line.file for line in lines_of(run, "tensorboard")}
    assert not any("/" in file for file in files), "named as in the run folder, wherever the bytes came from"
    assert json.loads((run / "run.json").read_text())["loggers"] == [
        {"destination": "tensorboard", "folder": "tensorboard"}
    ]


def test_twice_hands_over_nothing_twice(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("ship", run, *TO, "--select", "val_*", "--no-scalars") == 0
    first = contents(run)
    assert run_cli("ship", run, *TO, "--select", "val_*", "--no-scalars") == 0
    assert "there is nothing to hand over" in capsys.readouterr().out
    assert contents(run) == first
    assert run_cli("ship", run, *TO) == 0
    assert in_event_files(run) == identities(lines_of(run, "file", "written"))
    points = [point for path in event_files(run) for point in read_event_file(path).points.elements()]
    assert len(points) == len(set(points)) == 3 * EPOCHS
    assert differences(run) == []


def test_a_plan_changes_nothing(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    with (run / "media.jsonl").open("ab") as ledger:
        ledger.write(b'{"n": 29, "time')  # as a kill leaves it
    before = contents(run)
    assert run_cli("ship", run, *TO, "--plan", "--json", "-") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["verdicts"] == {"send": 28}
    assert (plan["reach"], plan["scalar_rows"], plan["outcome"]) == ("stays", EPOCHS, None)
    assert plan["megabytes"] == sum(line.bytes for line in lines_of(run, "file", "written")) / 1e6
    assert contents(run) == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--select", "val_batch0_l*", "--every", 4), {("val_batch0_labels", 3), ("val_batch0_labels", 5)}),
        (("--kind", "labels", "results"), {("labels", 0), ("results", 5)}),
        (("--select", "*.png", "--epochs", "1-5"), set()),
        (("--kind", "val_pred", "--epochs", "2,6"), {(f"val_batch{m}_pred", e) for m in (0, 1) for e in (1, 5)}),
    ],
)  # fmt: skip
def test_what_is_asked_for_goes(
    run: Path,
    run_cli: Cli,
    words: tuple[object, ...],
    expected: set[tuple[str, int]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    status = run_cli("ship", run, *TO, *words, "--no-scalars")
    assert {(line.key, line.epoch) for line in lines_of(run, "tensorboard")} == expected
    assert status == (0 if expected else 2)
    if not expected:
        told = capfd.readouterr().err
        assert "There are labels, train_batch0, val_batch0_labels" in told
        assert "epochs 1-6" in told


def test_what_is_gone_or_changed_stays(tmp_path: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", {"keep_history": False})
    (run / "results.png").write_bytes(b"another picture")
    assert run_cli("ship", run, *TO, "--no-scalars") == 1
    told = " ".join(capsys.readouterr().out.split())
    kept = [line for line in lines_of(run, "file", "written") if line.kind != "results"]
    kept = [line for line in kept if line.epoch == EPOCHS - 1 or not line.kind.startswith("val_")]
    assert in_event_files(run) == identities(kept)
    assert "stays: 20 pictures" in told
    assert "(results.png): their files have other bytes than the ledger says" in told
    assert lines_of(run, "tensorboard", "withheld") == []


def test_routes_are_obeyed(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    edit_config(
        run, routes={"everything": ["file", "tensorboard"], "val_pred": ["file"], "train_batch": ["file", "wandb"]}
    )
    assert run_cli("ship", run, *TO) == 0
    assert {line.kind for line in lines_of(run, "tensorboard")} == {"labels", "val_labels", "curves", "results"}
    told = " ".join(capsys.readouterr().out.split())
    assert "media.routes of this run does not let tensorboard have them; to allow it, name tensorboard there in" in told


@pytest.mark.parametrize("pictures", [1, 5, 12])
def test_killed_and_repeated_it_completes(run: Path, run_cli: Cli, pictures: int) -> None:
    """Killed while a picture is on its way: the event file may have it already, or not."""
    ship_and_die(run, pictures)
    before = in_event_files(run)
    assert pictures - 1 <= len(before) <= pictures < len(lines_of(run, "file", "written"))
    assert run_cli("ship", run, *TO) == 0
    assert in_event_files(run) == identities(lines_of(run, "file", "written"))
    assert identities(lines_of(run, "tensorboard")) == in_event_files(run)
    assert differences(run) == []


def ship_and_die(run: Path, pictures: int, sign: str | None = None) -> None:
    """Ship in a process of its own, which is killed when the event file has so many pictures; half flushed."""
    from aigp_lightning.ship.selection import Selection
    from aigp_lightning.ship.sending import send_shipment
    from aigp_lightning.ship.shipment import plan_shipment

    child = os.fork()
    if not child:
        try:
            shipment = plan_shipment(run, "tensorboard", Selection(), write=True)
            writer = shipment.destination.logger.experiment
            flush, left = writer.flush, [pictures]

            def flush_or_die() -> None:
                left[0] -= 1
                if not left[0]:
                    if pictures % 2:
                        flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                flush()

            writer.flush = flush_or_die
            send_shipment(shipment, sign, print, lambda count: None)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def test_a_signed_run_stays_signed(run: Path, tmp_path: Path, run_cli: Cli, capfd: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    assert run_cli("keys", key) == 0
    assert run_cli("ship", run, *TO, "--kind", "labels", "--sign", key, "--no-scalars") == 0
    assert run_cli("ship", run, *TO) == 2
    assert "--sign KEY" in capfd.readouterr().err
    assert run_cli("ship", run, *TO, "--sign", tmp_path / "gone") == 2
    assert "--sign KEY names it" in capfd.readouterr().err
    assert run_cli("keys", tmp_path / "another") == 0
    assert run_cli("ship", run, *TO, "--sign", tmp_path / "another") == 2
    assert "is signed by" in capfd.readouterr().err
    ship_and_die(run, 9, str(key))
    edit_config(run, sign=str(key))
    assert run_cli("ship", run, *TO) == 0
    assert differences(run) == []
    moments = [json.loads(line) for line in (run / SIGNATURE_FILE).read_text().splitlines()]
    assert moments[-1]["moment"] == "end"
    assert moments[-1]["lines"] == len(read_ledger(run / "media.jsonl"))
    assert in_event_files(run) == identities(lines_of(run, "file", "written"))


def test_what_cannot_be_shipped_is_refused_in_a_line(
    run: Path, tmp_path: Path, run_cli: Cli, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: object) -> str:
        before = contents(run)
        assert run_cli("ship", *words) == 2
        assert contents(run) == before
        told = capfd.readouterr().err.strip()
        assert told.count("\n") == 0
        return told

    with lock_run_folder(run, "fit"):
        assert "(fit, since" in refused(run, *TO)
        assert "(fit, since" in refused(run, *TO, "--plan")
    assert "no such folder" in refused(tmp_path / "nowhere", *TO)
    assert "give epochs counted from 1" in refused(run, *TO, "--epochs", "0-3")
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "config.yaml").write_text("ppo: {}\nenv: {}\n", encoding="utf-8")
    assert "is a policy's run" in refused(policy, *TO)
    ledger = (run / "media.jsonl").read_bytes()
    (run / "media.jsonl").write_bytes(b"".join(ledger.splitlines(keepends=True)[:-2]))
    assert "is not the ledger that weights/last.ckpt knows" in refused(run, *TO)
    (run / "media.jsonl").write_bytes(ledger.replace(b'"labels.jpg"', b'"other.jpg"', 1))
    assert "was changed after it was written" in refused(run, *TO)
    (run / "media.jsonl").write_bytes(ledger)
    (run / "config.yaml").unlink()
    assert "what is private, is not known" in refused(run, *TO)


def test_it_goes_on_in_the_runs_own_folder(local_run: Path, tmp_path: Path, run_cli: Cli) -> None:
    """Where `run.json` says that TensorBoard's files are."""
    run = copied(local_run, tmp_path)
    elsewhere = tmp_path / "boards" / "gates"
    elsewhere.mkdir(parents=True)
    known = json.loads((run / "run.json").read_text())
    rows = [{"destination": "tensorboard", "folder": str(elsewhere)}]
    (run / "run.json").write_text(json.dumps({**known, "loggers": rows}), encoding="utf-8")
    assert run_cli("ship", run, *TO, "--kind", "results") == 0
    assert not (run / "tensorboard").exists()
    assert [tag for tag, *_ in in_event_files(elsewhere)] == ["results"]
    assert differences(run) == []


def test_rows_of_impossible_epochs_are_set_aside(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    with (run / "results.csv").open("a", encoding="utf-8") as file:
        file.write("".join(f"{epoch},1.5,0.5,0.5\n" for epoch in ("inf", "1e400", "1e18", "nan", "-1", "2.5")))
    assert run_cli("ship", run, *TO, "--kind", "results") == 0
    points = read_event_file(event_files(run)[0]).points
    assert sorted(step for name, step in points if name == "train/box_loss") == list(range(EPOCHS))
    assert "results.csv: 6 rows without a possible epoch set aside" in " ".join(capsys.readouterr().out.split())
    assert run_of(run, None, False)["epochs"] == EPOCHS
    facts = read_facts(run)
    assert read_scalars(facts)["epochs"] == list(range(1, EPOCHS + 1))
    assert "results.csv: 6 lines without a possible epoch left out." in facts.warnings
