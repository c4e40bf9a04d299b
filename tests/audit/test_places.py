"""Loggers' folders outside of the run folder are followed; several loggers of one kind are told apart."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from audit_run import ONE_EPOCH, Builder
from helpers import small, tiny_network

from aigp_lightning.audit.check import audit
from aigp_lightning.logfiles.folders import find_event_files, find_wandb_folders, logger_folders
from aigp_lightning.logfiles.wandb_run import wandb_folders
from aigp_lightning.media.ledger.ledger import Entry, Ledger, read_ledger
from aigp_lightning.run.recovery import repair_run_folder


@pytest.fixture(scope="module")
def outside(shapes: Path, made_once: Callable[..., Path], run_cli: Callable[..., int]) -> Path:
    """A run whose loggers keep their files elsewhere, where others have theirs: `runs/…/out`, `tb/x`, `wb/wandb`."""

    def make(root: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(root / "tb" / "x")) as writer:
            writer.add_image("another run's", np.zeros((3, 8, 8), np.uint8), 0)
        (root / "wb" / "wandb" / "offline-run-20250101_000000-stranger" / "files").mkdir(parents=True)
        (root / "logger.yaml").write_text(
            "trainer:\n  logger:\n"
            "  - class_path: lightning.pytorch.loggers.TensorBoardLogger\n"
            f"    init_args: {{save_dir: {os.path.relpath(root / 'tb')}, name: x, version: ''}}\n"
            "  - class_path: lightning.pytorch.loggers.WandbLogger\n"
            f"    init_args: {{save_dir: {root / 'wb'}, project: p, name: n}}\n"
            "  - class_path: lightning.pytorch.loggers.CSVLogger\n"
            f"    init_args: {{save_dir: {root / 'csv'}, name: figures, version: 0}}\n"
        )
        options = ("--config", root / "logger.yaml", "--run.name", "out", "--wandb.requirements", "true")
        words = [*small(shapes, root / "runs"), *tiny_network(root), *options]
        assert run_cli("fit", *words, *ONE_EPOCH) == 0

    return made_once("fitted with loggers elsewhere", make)


@pytest.fixture
def copied(outside: Path, tmp_path: Path) -> Path:
    """A copy of all of it, with the notes changed to where it is; returns the run folder."""
    root = Path(shutil.copytree(outside, tmp_path / "copy", symlinks=True, ignore=shutil.ignore_patterns("weights")))
    run = root / "runs" / "detect" / "out"
    text = (run / "run.json").read_text().replace(json.dumps(str(outside))[1:-1], json.dumps(str(root))[1:-1])
    (run / "run.json").write_text(text)
    return run


def test_folders_elsewhere_are_noted_and_compared(outside: Path) -> None:
    """What other runs have there is not this run's."""
    run = outside / "runs" / "detect" / "out"
    (folder,) = (path for path in wandb_folders(outside / "wb") if not path.name.endswith("stranger"))
    places = {each.destination: Path(each.place) for each in logger_folders(run)}
    assert places == {"tensorboard": outside / "tb/x", "wandb": folder, "csv": outside / "csv/figures/version_0"}
    result = audit(run)
    assert (result.findings, result.notes) == ([], [])
    assert result.tallies["wandb"].found == result.tallies["tensorboard"].found == result.tallies["wandb"].handed > 2
    assert (outside / "csv/figures/version_0/metrics.csv").as_posix() in result.tallies["file"].scalars
    assert {row.name for row in result.side_channels if row.on} == {"config", "requirements"}


def test_a_leak_elsewhere_is_found(copied: Path) -> None:
    (_, folder) = find_wandb_folders(copied)[-1]
    (folder / "files" / "notes.txt").write_text("x")
    (_, event) = find_event_files(copied)[-1]
    shutil.copy(event, event.with_name("events.out.tfevents.2.later"))
    told = {(finding.what, finding.destination, finding.file) for finding in audit(copied).findings}
    assert ("unasked", "wandb", (folder / "files" / "notes.txt").as_posix()) in told
    assert ("unlisted", "tensorboard", event.as_posix()) in told or any(
        x[:2] == ("unlisted", "tensorboard") for x in told
    )


def test_folders_that_are_gone(copied: Path) -> None:
    """What was sent is missing then, and it is said which folder is not there."""
    root = copied.parents[2]
    shutil.rmtree(root / "tb")
    shutil.rmtree(root / "wb")
    result = audit(copied)
    assert {(finding.what, finding.destination) for finding in result.findings} == {
        ("missing", "tensorboard"),
        ("missing", "wandb"),
    }
    assert (
        f"tensorboard had its files in {root / 'tb' / 'x'}, which is not there; they were not compared." in result.notes
    )
    assert any(note.startswith(f"wandb had its files in {root / 'wb'}") for note in result.notes)


def test_a_run_that_noted_nothing_is_found_by_its_configuration(copied: Path) -> None:
    known = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps({"wandb_run_id": known["wandb_run_id"]}))
    text = (copied / "config.yaml").read_text(encoding="utf-8")
    (save_dir,) = (line.strip() for line in text.splitlines() if line.strip().startswith("save_dir:") and "wb" in line)
    tb = next(line.strip() for line in text.splitlines() if line.strip().startswith("save_dir:"))
    root = copied.parents[2]
    text = text.replace(save_dir, f"save_dir: {root / 'wb'}").replace(tb, f"save_dir: {root / 'tb'}", 1)
    (copied / "config.yaml").write_text(text, encoding="utf-8")
    result = audit(copied)
    assert {finding.what for finding in result.findings} == {
        "unlisted"
    }  # whose event file the other one is, is unknown
    assert result.tallies["wandb"].found == result.tallies["wandb"].handed
    assert result.tallies["tensorboard"].found == result.tallies["tensorboard"].handed + 1


def test_a_bucket_cannot_be_read_back(copied: Path) -> None:
    content = json.loads((copied / "run.json").read_text())
    content["loggers"][0]["folder"] = "s3://bucket/x"
    (copied / "run.json").write_text(json.dumps(content))
    result = audit(copied)
    assert result.clean
    assert result.tallies["tensorboard"].found is None
    assert "tensorboard keeps its files in s3://bucket/x, which can't be read back here." in result.notes


def test_a_kill_is_mended_elsewhere_too(copied: Path) -> None:
    """Cut-off ends of this run's files, not of those that a living process may be writing."""
    (event,) = (path for _, path in find_event_files(copied))
    folders = [path for _, path in find_wandb_folders(copied)]
    (file,) = folders[-1].glob("run-*.wandb")
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    parts = event.name.split(".")
    killed = event.with_name(".".join([*parts[:-2], dead.stdout.decode().strip(), parts[-1]]))
    event.rename(killed)
    other = killed.with_name(".".join([*parts[:-2], str(os.getppid()), parts[-1]]))
    shutil.copy(killed, other)
    for path in (killed, other, file):
        path.write_bytes(path.read_bytes()[:-5])
    repair_run_folder(copied)
    assert killed.stat().st_size < other.stat().st_size
    other.unlink()
    assert [finding for finding in audit(copied).findings if finding.what == "damaged"] == []


# ---- several of a kind -----------------------------------------------------------------------------------------------


def note(run: Path, *rows: dict[str, object]) -> None:
    (run / "run.json").write_text(json.dumps({"loggers": rows}))


def rewritten(run: Path, change: Callable[[dict[str, object], int], None]) -> None:
    """The ledger with changed lines, its chain whole."""
    from dataclasses import fields

    lines = read_ledger(run / "media.jsonl")
    (run / "media.jsonl").unlink()
    ledger = Ledger(run / "media.jsonl")
    for line in lines:
        content = {field.name: getattr(line, field.name) for field in fields(Entry)}
        change(content, line.number)
        ledger.add(Entry(**content))
    ledger.close()


def test_two_tensorboards_are_compared_each_with_its_own_files(run: Path) -> None:
    """The second start's event file lies elsewhere and is the second logger's."""

    def second(content: dict[str, object], _: int) -> None:
        if content["destination"] == "tensorboard" and content["epoch"] == 1:
            content["destination"] = "tensorboard:2"

    rewritten(run, second)
    (folder,) = {path.parent for _, path in find_event_files(run)}
    picture = (run / "history/epoch0001/val_batch0_pred.jpg").read_bytes()
    (event,) = (path for path in folder.iterdir() if picture in path.read_bytes())
    (run.parent / "elsewhere").mkdir()
    event.rename(run.parent / "elsewhere" / event.name)
    elsewhere = str(run.parent / "elsewhere")
    note(
        run,
        {"destination": "tensorboard", "folder": "tensorboard"},
        {"destination": "tensorboard:2", "folder": elsewhere},
    )
    result = audit(run)
    assert result.findings == []
    assert (result.tallies["tensorboard"].found, result.tallies["tensorboard:2"].found) == (3, 3)
    note(
        run,
        {"destination": "tensorboard", "folder": elsewhere},
        {"destination": "tensorboard:2", "folder": "tensorboard"},
    )
    assert {(x.what, x.destination) for x in audit(run).findings} >= {
        *(("missing", "tensorboard"), ("unlisted", "tensorboard"), ("missing", "tensorboard:2")),
    }


def test_loggers_that_share_a_folder_are_compared_together(run: Path) -> None:
    def second(content: dict[str, object], number: int) -> None:
        if content["destination"] in ("tensorboard", "wandb") and number % 2:
            content["destination"] = f"{content['destination']}:2"

    rewritten(run, second)
    assert audit(run).findings == []  # nobody noted which is whose
    note(run, *({"destination": name, "folder": "tensorboard"} for name in ("tensorboard", "tensorboard:2")))
    assert audit(run).findings == []


# ---- a stranger's record ---------------------------------------------------------------------------------------------


def test_a_strangers_record_in_the_run_folder(run: Path, tmp_path: Path) -> None:
    """Wherever it lies, whatever its folder is called; a second run file likewise."""
    from wandb.proto.wandb_internal_pb2 import Record

    ids = [path.name.rpartition("-")[2] for path in wandb_folders(run)]
    (run / "run.json").write_text(json.dumps({"wandb_run_id": ids[0], "wandb_run_id:2": ids[1]}))
    assert audit(run).clean
    (run / "deep" / "er").mkdir(parents=True)
    mine = wandb_folders(run)[0]
    record = Record()
    record.run.run_id = "abcdefgh"
    from audit_run import append_record

    file = run / "deep" / "er" / "run-abcdefgh.wandb"
    file.write_bytes(b":W&B\xe1\xbe\x00")
    append_record(file, record)
    shutil.copy(file, mine / "run-zz.wandb")
    told = {(finding.what, finding.file) for finding in audit(run).findings}
    assert told == {("stranger", "deep/er"), ("stranger", (mine / "run-zz.wandb").relative_to(run).as_posix())}


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_a_wandb_folder_that_is_a_link_is_followed(run: Path) -> None:
    """`latest-run` leads to one that is known; a link to another is no way out of the audit."""
    first = wandb_folders(run)[0]
    moved = first.rename(run.parent / first.name)
    first.symlink_to(moved)
    assert audit(run).clean
    (moved / "files" / "notes.txt").write_text("x")
    assert [finding.what for finding in audit(run).findings] == ["unasked"]


# ---- pictures of which nobody can tell -------------------------------------------------------------------------------


def test_unknown_is_no_difference_whether_it_is_there_or_not(run: Path) -> None:
    """It counts as left, in a column of its own."""
    from aigp_lightning.media.ledger.lines import parse_line

    picked: list[str] = []

    def doubt(content: dict[str, object], number: int) -> None:
        if (
            content["destination"] in ("wandb", "tensorboard")
            and content["outcome"] == "sent"
            and content["epoch"] == 0
        ):
            content.update(outcome="unknown", reason="timed out")
            picked.append(str(content["destination"]))

    before = audit(run).tallies
    rewritten(run, doubt)
    assert parse_line((run / "media.jsonl").read_bytes().splitlines()[0]) is not None
    result = audit(run)
    assert result.findings == []
    for name in ("wandb", "tensorboard"):
        tally = result.tallies[name]
        assert tally.unknown == picked.count(name) > 0
        assert (tally.handed + tally.unknown, tally.failed) == (before[name].handed, 0)
        assert (tally.bytes, tally.found) == (before[name].bytes, before[name].found)
    for path in run.glob("tensorboard/events*"):
        if (run / "history/epoch0000/val_batch0_pred.jpg").read_bytes() in path.read_bytes():
            path.unlink()
    assert audit(run).findings == []
    rewritten(run, lambda content, _: content.update(key="other") if content["outcome"] == "unknown" else None)
    assert {(x.what, x.destination) for x in audit(run).findings} == {("unlisted", "wandb")}


def test_unknown_lines_that_were_settled_count_once(tmp_path: Path) -> None:
    from dataclasses import replace

    run = tmp_path / "run"
    builder = Builder(run)
    builder.epoch(0)
    builder.close()
    lines = read_ledger(run / "media.jsonl")
    (run / "media.jsonl").unlink()
    ledger = Ledger(run / "media.jsonl")
    from dataclasses import fields

    for line in lines:
        entry = Entry(**{field.name: getattr(line, field.name) for field in fields(Entry)})
        if entry.destination == "wandb" and entry.outcome == "sent":
            ledger.add(replace(entry, outcome="unknown"))  # type: ignore[arg-type]
        ledger.add(entry)
    ledger.close()
    result = audit(run)
    assert result.findings == []
    assert (result.tallies["wandb"].handed, result.tallies["wandb"].unknown) == (2, 0)
