"""Names and numbers in audited files that no system takes are differences or notes; nothing ends in a traceback."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from audit_run import SOURCES, append_record

from aigp_lightning.audit import check
from aigp_lightning.audit.check import audit
from aigp_lightning.audit.images import find_image
from aigp_lightning.logfiles.wandb_run import wandb_folders
from aigp_lightning.media.ledger.ledger import Entry, Ledger, read_ledger

Cli = Callable[..., int]
NAMES = {
    "long": "a" * 5000,
    "just too long": "a" * 300 + ".png",
    "deep": "x/" * 2500 + "x.png",
    "very deep": "x/" * 20_000,
    "zero byte": "a\0b.png",
    "no Unicode": "a\ud800.png",
    "elsewhere": "/proc/kmsg",
    "above": "../../../../../../../../../../proc/kmsg",
    "empty": "",
    "home": "~nobody/x",
}
NESTED = pytest.mark.skipif(sys.platform == "win32", reason="needs folders by their handles")


def add_line(run: Path, **changes: Any) -> None:
    content = {"kind": "results", "key": "k", "file": "k.png", "sha256": "0" * 64, "bytes": 1, "step": 0, "epoch": 0}
    ledger = Ledger(run / "media.jsonl")
    ledger.add(Entry(**{**content, "sources": [], "destination": "file", "outcome": "written", **changes}))
    ledger.close()


def told(run: Path) -> set[tuple[str, str]]:
    return {(finding.what, finding.destination) for finding in audit(run).findings}


def nest(folder: Path, name: str, depth: int, data: bytes) -> None:
    """Make folders in folders, beyond what a path may have, with a file in the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    file = os.open("s.png", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.write(file, data)
    os.close(file)
    os.close(here)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_that_name_is_missing(name: str, run: Path, run_cli: Cli) -> None:
    """As a file, as a source, as a logger's picture; files outside of the run folder are not read."""
    text = NAMES[name]
    add_line(run, file=text, sources=[text])
    assert told(run) == {("missing", "file")}
    assert run_cli("audit", run) == 1
    assert find_image(read_ledger(run / "media.jsonl"), "nowhere.jpg").lines == []
    assert run_cli("audit", run, "--image", SOURCES[0]) == 1
    for destination in ("wandb", "tensorboard"):
        add_line(run, file=text, key=text, destination=destination, outcome="sent")
    assert told(run) >= {("missing", "file"), ("missing", "wandb"), ("missing", "tensorboard")}


@pytest.mark.parametrize("name", NAMES)
def test_a_loggers_folder_of_that_name_is_not_there(name: str, run: Path, run_cli: Cli) -> None:
    text, known = NAMES[name], json.loads((run / "run.json").read_text())
    rows = [
        {"destination": kind, "folder": text, "id": text, "channels": [text]}
        for kind in ("wandb", "tensorboard", "csv", text)
    ]
    (run / "run.json").write_text(json.dumps({**known, "loggers": rows}))
    assert run_cli("audit", run) in (0, 1)
    (run / "run.json").write_text(json.dumps({"wandb_run_id": text}))
    entry = {"save_dir": text, "name": text, "version": text, "sub_dir": text}
    classes = ("lightning.pytorch.loggers.WandbLogger", "lightning.pytorch.loggers.TensorBoardLogger")
    loggers = [{"class_path": each, "init_args": entry} for each in classes]
    (run / "config.yaml").write_text(json.dumps({"trainer": {"logger": loggers}}))
    assert run_cli("audit", run) in (0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_wandb_was_told_to_upload_that(name: str, run: Path, run_cli: Cli) -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    text = NAMES[name].replace("\ud800", "�")
    (file,) = wandb_folders(run)[0].glob("*.wandb")
    record = Record()
    for path in (text, f"media/images/{text}"):
        record.files.files.add().path = path
    append_record(file, record)
    for value in ({"_type": "image-file", "path": text, "size": 10**400}, {"_type": "x", "filenames": [text]}):
        record = Record()
        item = record.history.item.add()
        item.nested_key.append("k")
        item.value_json = json.dumps(value)
        append_record(file, record)
    assert run_cli("audit", run) == 1


def test_numbers_that_no_float_holds(run: Path, run_cli: Cli) -> None:
    for outcome in ("written", "unknown", "sent"):
        add_line(run, bytes=10**400, epoch=10**400, step=-(10**400), outcome=outcome)
    assert run_cli("audit", run) == 1


def test_a_setting_nested_deep(run: Path, run_cli: Cli) -> None:
    """W&B's records name each leaf by the names that lead to it."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = wandb_folders(run)[0].glob("*.wandb")
    for first in ("command", "machine", "x", "_wandb"):
        record = Record()
        item = record.config.update.add()
        item.nested_key.extend([first] * 5000)
        item.value_json = "1"
        append_record(file, record)
    assert run_cli("audit", run) == 1


@NESTED
def test_folders_nested_deep(run: Path, run_cli: Cli) -> None:
    """What is below the longest path is said to be unread, where W&B would send it, and where pictures are."""
    mirror = wandb_folders(run)[0] / "files"
    nest(mirror / "media", "d" * 40, 120, b"x")
    nest(run / "history", "d" * 40, 120, b"x")
    try:
        differences = told(run)
        assert run_cli("audit", run) == 1
    finally:
        for folder in (mirror / "media", run / "history"):
            shutil.rmtree(folder)  # by handles, so that it takes any length
    assert differences == {("damaged", "file"), ("unasked", "wandb")}


def test_files_that_may_not_be_read(run: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is said by its name."""
    true = Path.open
    event = next((run / "tensorboard").glob("events*"))
    denied = {"PR_curve.png", "results.csv", event.name, next(wandb_folders(run)[0].glob("*.wandb")).name}

    def opened(path: Path, *words: Any, **options: Any) -> Any:
        if path.name in denied:
            raise PermissionError(13, "Permission denied", str(path))
        return true(path, *words, **options)

    monkeypatch.setattr(Path, "open", opened)
    result = audit(run)
    damaged = {Path(finding.file).name for finding in result.findings if finding.what == "damaged"}
    assert damaged == denied - {"results.csv"}
    assert "results.csv, which cannot be read (Permission denied)" in result.tallies["file"].scalars
    assert run_cli("audit", run) == 1


def test_what_nobody_foresaw_is_one_line_and_no_difference(
    run: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError("of nobody\nin two lines")

    with monkeypatch.context() as patch:
        patch.setattr(check, "check_tensorboard", fails)
        assert run_cli("audit", run) == 2
    told = f"error: {run}: TensorBoard's event files cannot be audited: ZeroDivisionError: of nobody\n"
    assert capsys.readouterr().err == told
    monkeypatch.setattr("aigp_lightning.audit.report.print_audit", fails)
    assert run_cli("audit", run) == 2
    assert capsys.readouterr().err == f"error: {run} cannot be audited: ZeroDivisionError: of nobody\n"


def test_a_ledger_whose_last_lines_are_being_replaced(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read once more after a moment, and only then."""
    ledger = run / "media.jsonl"
    whole = ledger.read_bytes()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        ledger.write_bytes(whole)

    monkeypatch.setattr(check, "time", SimpleNamespace(sleep=sleep))  # other threads of this process sleep as ever
    assert audit(run).clean
    assert waited == []
    ledger.write_bytes(whole[:-40] + b" " * 40)
    assert audit(run).clean
    assert waited == [check.MOMENT]
    monkeypatch.setattr(check, "time", SimpleNamespace(sleep=waited.append))
    ledger.write_bytes(whole[:-40] + b" " * 40)
    assert {finding.what for finding in audit(run).findings} >= {"chain"}
    assert len(waited) == 2
