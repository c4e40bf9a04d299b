"""The verb: what it prints, its JSON, its exit status; and where an image appears."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_run import SOURCES

from aigp_lightning.audit import check
from aigp_lightning.audit.check import audit
from aigp_lightning.audit.findings import Audit, Tally
from aigp_lightning.audit.images import find_image
from aigp_lightning.audit.report import _print_tallies
from aigp_lightning.errors import DataError
from aigp_lightning.logfiles.wandb_run import read_wandb_run, wandb_folders
from aigp_lightning.media.ledger.chain import Lines
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Entry, Ledger, read_ledger
from aigp_lightning.run.lock import lock_run_folder

Cli = Callable[..., int]


def test_a_clean_run(clean_run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", clean_run) == 0
    printed = capsys.readouterr().out
    assert "everything matches: 20 lines of the ledger." in printed
    assert "differences" not in printed
    assert re.sub(r"\(\d+ kB\)", "(n kB)", printed).splitlines()[-6:-1] == [
        "Nothing left this machine.",
        "Waiting on this disk to be synced: 5 pictures (n kB) with wandb, epochs 0-1, 2 of them masked.",
        "Stayed here: 7 pictures (n kB) in files, epochs 0-1; 6 pictures (n kB) with tensorboard, epochs 0-1.",
        "Held back: 2 pictures (n kB) from wandb, epochs 0-1 (budget).",
        "Beside pictures, what waits to be synced: 5 rows with wandb, and what the table above says that it got.",
    ]


def test_what_was_synced_has_left(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """`wandb sync` leaves a mark in each folder that it has sent: here in that of the first start."""
    first = next(one for one in wandb_folders(run) if {x.epoch for x in read_wandb_run(one).media} == {0})
    (first / f"run-{first.name.rpartition('-')[2]}.wandb.synced").touch()
    assert run_cli("audit", run, "--json") == 0
    conclusion = json.loads(capsys.readouterr().out)["conclusion"]
    shares = {(one["state"], one["destination"]): (one["pictures"], one["epochs"]) for one in conclusion["pictures"]}
    assert (shares["left", "wandb"], shares["waits", "wandb"]) == ((2, [0]), (3, [1]))
    assert "Left this machine: 2 pictures" in conclusion["text"]
    assert "Beside pictures, what left: 2 rows with wandb" in conclusion["text"]


def test_a_conclusion_that_differences_put_in_doubt(
    run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "PR_curve.png").unlink()
    assert run_cli("audit", run) == 1
    assert "This is what the ledger says, and what is there differs from it (1 difference)." in capsys.readouterr().out
    (run / "media.jsonl").unlink()
    assert run_cli("audit", run) == 1
    assert "There is no ledger: which pictures were drawn, and which of them left, is not known." in (
        capsys.readouterr().out
    )


def test_differences_are_printed_by_name(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 1; a long name stays in one line; brackets are no markup."""
    name = "a [bold]long[bold] name " + "x" * 100 + ".png"
    (run / name).write_bytes(b"x")
    (run / "PR_curve.png").unlink()
    assert run_cli("audit", run) == 1
    printed = capsys.readouterr().out
    assert f"{name}: the ledger does not know this picture." in printed
    assert "PR_curve.png: it was written in epoch 1 (line 19) and is not there any more." in printed
    assert "2 differences:" in printed


def test_names_of_files_stay_whole_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = Audit(Path("run"), None)
    for name, scalars in (("file", "1234 rows in results.csv"), ("tensorboard", "1234 values of 30 scalars")):
        found.tallies[name] = Tally(name, handed=1234, withheld=12, bytes=12_345_678, found=1234, scalars=scalars)
    _print_tallies(found)
    told = capsys.readouterr().out
    assert "results.csv" in told and "tensorboard" in told
    assert max(map(len, told.splitlines())) <= 80


def test_json_says_the_same(run: Path, tmp_path: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "PR_curve.png").unlink()
    out = tmp_path / "new folder" / "audit.json"
    assert run_cli("audit", run, "--json", out) == 1
    capsys.readouterr()
    assert run_cli("audit", run, "--json", "-") == 1
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads(out.read_text(encoding="utf-8"))
    assert content.items() >= json.loads(json.dumps(audit(run).as_dict())).items()
    assert content["clean"] is False
    assert content["ledger_lines"] == 20
    (finding,) = content["findings"]
    assert (finding["what"], finding["destination"], finding["file"]) == ("missing", "file", "PR_curve.png")
    numbers = {row["destination"]: (row["handed"], row["withheld"], row["found"]) for row in content["destinations"]}
    assert numbers == {"file": (7, 0, 11), "tensorboard": (6, 0, 6), "wandb": (5, 2, 5)}
    handed = {row["name"] for row in content["side_channels"] if row["handed"]}
    assert handed == {"config", "telemetry"}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("elsewhere", "elsewhere: there is no such folder; a run's is such as runs/detect/gates."),
        ("runs/gate 1", "there is no such folder. Did you mean python -m aigp_lightning audit 'runs/gates 1'"),
        ("runs/gates 1/media.jsonl", "is a file, and no run's folder. Did you mean"),
        ("runs/gates 1/history/epoch0001", "is a part of a run. Did you mean python -m aigp_lightning audit 'runs/g"),
        ("empty", "empty is empty, so there is nothing to audit"),
        ("other", "is not a run's folder: it has no media.jsonl, no config.yaml and no logger's files"),
    ],
)
def test_no_such_run(path: str, told: str, run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str],
                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """One line, with the run that may have been meant."""
    monkeypatch.chdir(run.parent.parent)
    for name in ("empty", "other/images"):
        Path(name).mkdir(parents=True)
    assert run_cli("audit", path) == 2
    printed = capsys.readouterr().err
    assert told in printed
    assert printed.count("\n") == 1


def test_a_folder_of_runs_names_them(
    run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest first, with how many pictures each has drawn; nothing is compared."""
    monkeypatch.chdir(run.parent.parent)
    second = Path("runs/pose/new")
    second.mkdir(parents=True)
    (second / "run.json").write_text("{}", encoding="utf-8")
    os.utime(run / "media.jsonl", (1_000_000_000, 1_000_000_000))
    os.utime(run / "run.json", (1_000_000_000, 1_000_000_000))
    assert run_cli("audit", "runs", "--json") == 2
    out, printed = capsys.readouterr()
    assert out == ""
    head, newer, older = printed.splitlines()
    assert head == "error: runs is no run's folder; it holds 2 runs. Audit one of them:"
    assert newer.startswith("  python -m aigp_lightning audit runs/pose/new   (no ledger, last written 2")
    assert older.startswith("  python -m aigp_lightning audit 'runs/gates 1'   (7 pictures, last written 2001-09-")


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that breaks")
def test_a_reader_that_has_enough_ends_it_quietly(clean_run: Path) -> None:
    command = [sys.executable, "-m", "aigp_lightning", "audit", str(clean_run), "--json"]
    audited = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert audited.stdout is not None
    audited.stdout.close()
    _, err = audited.communicate(timeout=60)
    assert (audited.returncode, err) == (0, b"")


def test_an_image_that_is_masked_is_not_shown(clean_run: Path) -> None:
    lines = read_ledger(clean_run / "media.jsonl")
    masked = {line.number for line in lines if line.file.startswith("masked/")}
    shown, hidden = (find_image(lines, source) for source in SOURCES)
    assert masked <= {line.number for line in shown.lines}
    assert masked.isdisjoint(line.number for line in hidden.lines)


def test_where_an_image_appears(clean_run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", clean_run, "--image", "ü b.jpg", "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)["image"]
    assert (found["source"], found["matched"]) == (SOURCES[1], "by name")
    concluded = found["conclusion"]
    assert (concluded["left"], concluded["waits"]) == (False, True)
    assert [(one["destination"], one["pictures"], one["epochs"]) for one in concluded["masked"]] == [
        ("wandb", 2, [0, 1])
    ]
    rows = {(row["epoch"], row["file"], row["destination"], row["outcome"]) for row in found["rows"]}
    both = {
        (epoch, file, destination, outcome)
        for epoch in (0, 1)
        for file, destination, outcome in (
            ("val_batch0_labels.jpg", "file", "written"),
            ("val_batch0_labels.jpg", "tensorboard", "sent"),
            ("val_batch0_labels.jpg", "wandb", "sent"),
            ("val_batch0_pred.jpg", "file", "written"),
            ("val_batch0_pred.jpg", "tensorboard", "sent"),
        )
    }
    assert rows == both | {(1, "PR_curve.png", "file", "written"), (1, "PR_curve.png", "wandb", "sent")}
    assert run_cli("audit", clean_run, "--image", "ü b.jpg") == 0
    printed = re.sub(r"\(\d+ kB\)", "(n kB)", capsys.readouterr().out)
    assert "It has not left this machine." in printed
    assert "It waits on this disk to be synced in 3 pictures (n kB) with wandb, epochs 0-1." in printed
    assert "It is masked in 2 pictures (n kB) with wandb, epochs 0-1." in printed
    assert "The ledger matches files and loggers." in printed


def test_an_image_that_appears_nowhere(
    run: Path, tmp_path: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never drawn, mistyped, and not to be told from each other without the data set: three answers."""
    assert run_cli("audit", run, "--image", "images/val/aa.jpg") == 2
    printed = capsys.readouterr().err
    assert f"Did you mean {SOURCES[0]}" in printed
    assert "is not known: " in printed
    folder = tmp_path / "gates set"
    for name in ("train/b.jpg", "val/a.jpg"):
        (folder / "images" / name).parent.mkdir(parents=True)
        (folder / "images" / name).touch()
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [gate]\n", encoding="utf-8")
    config = {"data": {"data_yaml": str(folder / "data.yaml")}, "wandb": {"config": True}}
    (run / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    assert run_cli("audit", run, "--image", "images/train/b.jpg") == 0
    printed = capsys.readouterr().out
    assert f"images/train/b.jpg: {folder}/images/train/b.jpg, found by name in the run's data set" in printed
    assert "No picture of this run shows it: it was never drawn." in printed
    (tmp_path / "b.jpg").touch()  # a file that is there, and no image of the run
    for mistyped in ("images/train/bb.jpg", "images/tarin/b.jpg", str(tmp_path / "b.jpg")):
        assert run_cli("audit", run, "--image", mistyped) == 2
        printed = capsys.readouterr().err
        assert f"{mistyped} is no image of this run: neither its ledger nor its data set has it. Did you" in printed
        assert f"{folder}/images/train/b.jpg" in printed
        assert printed.count("\n") == 1


def ledger_of(folder: Path, *sources: str) -> Path:
    """One picture for each source, in a file only."""
    path = folder / "media.jsonl"
    ledger = Ledger(path)
    for number, source in enumerate(sources):
        ledger.add(Entry("val_pred", f"p{number}", f"p{number}.jpg", "0" * 64, 1, 0, 0, [source], "file", "written"))
    ledger.close()
    return path


def test_an_image_by_any_path_that_leads_to_it(tmp_path: Path) -> None:
    """Absolute, with detours, by a link; an ambiguous name is refused, the end of a path tells it apart."""
    for name in ("one/a.jpg", "two/a.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"x")
    lines = read_ledger(ledger_of(tmp_path, "one/a.jpg", str(tmp_path / "two" / "a.jpg")))
    for asked in ("one/a.jpg", str(tmp_path / "one" / "a.jpg"), "two/../one/a.jpg"):
        found = find_image(lines, asked)
        assert (found.source, [line.key for line in found.lines]) == ("one/a.jpg", ["p0"])
    with pytest.raises(DataError, match="2 images are named so"):
        find_image(lines, "a.jpg")
    if sys.platform != "win32":
        os.symlink(tmp_path / "two", tmp_path / "link")
        found = find_image(lines, "link/a.jpg")
        assert [line.key for line in found.lines] == ["p1"]
        assert found.matched == "by the file that the path leads to"
    (tmp_path / "one" / "a.jpg").unlink()
    assert find_image(lines, "one/a.jpg").matched == "by the path in the ledger"


def test_an_image_in_a_run_without_a_ledger(run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "media.jsonl").unlink()
    assert run_cli("audit", run, "--image", "a.jpg") == 2
    assert "has no ledger" in capsys.readouterr().err


def test_a_run_that_goes_on_is_read_twice(
    run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is added between the reading of the ledger and that of a logger is no difference; what stays so is one."""
    ledger, read = (run / LEDGER_FILE).read_bytes(), check.read_ledger
    lines = ledger.splitlines(keepends=True)
    shorter = [len(lines) - 2, len(lines)]  # the run has added two lines since

    def read_early(path: Path) -> Lines:
        (run / LEDGER_FILE).write_bytes(b"".join(lines[: shorter.pop(0)]))
        try:
            return read(path)
        finally:
            (run / LEDGER_FILE).write_bytes(ledger)

    monkeypatch.setattr(check, "read_ledger", read_early)
    (run / "val_batch0_pred.jpg").write_bytes(b"other")
    with lock_run_folder(run, "fit"):
        assert run_cli("audit", run) == 1
    printed = capsys.readouterr().out
    assert "1 difference:" in printed
    assert "val_batch0_pred.jpg: it was changed" in printed
    assert f"note: process {os.getpid()} (fit, since " in printed
