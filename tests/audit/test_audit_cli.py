"""The verb: what it prints, its JSON, its exit status; and where an image appears."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_run import SOURCES

from aigp_lightning.audit import check
from aigp_lightning.audit.check import audit
from aigp_lightning.audit.images import find_image
from aigp_lightning.errors import DataError
from aigp_lightning.media.ledger.chain import Lines
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Entry, Ledger, read_ledger
from aigp_lightning.run.lock import lock_run_folder

Cli = Callable[..., int]


def test_a_clean_run(clean_run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", clean_run) == 0
    printed = capsys.readouterr().out
    assert "everything matches: 20 lines of the ledger." in printed
    assert "differences" not in printed


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


def test_json_says_the_same(run: Path, tmp_path: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "PR_curve.png").unlink()
    out = tmp_path / "new folder" / "audit.json"
    assert run_cli("audit", run, "--json", out) == 1
    capsys.readouterr()
    assert run_cli("audit", run, "--json", "-") == 1
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads(out.read_text(encoding="utf-8")) == json.loads(json.dumps(audit(run).as_dict()))
    assert content["clean"] is False
    assert content["ledger_lines"] == 20
    (finding,) = content["findings"]
    assert (finding["what"], finding["destination"], finding["file"]) == ("missing", "file", "PR_curve.png")
    numbers = {row["destination"]: (row["handed"], row["withheld"], row["found"]) for row in content["destinations"]}
    assert numbers == {"file": (7, 0, 11), "tensorboard": (6, 0, 6), "wandb": (5, 2, 5)}
    handed = {row["name"] for row in content["side_channels"] if row["handed"]}
    assert handed == {"config", "telemetry"}


@pytest.mark.parametrize(("words", "told"), [(["nowhere"], "no such folder"), (["."], "is not a run's folder")])
def test_no_such_run(words: list[str], told: str, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", *words) == 2
    assert told in capsys.readouterr().err


def test_an_image_that_is_masked_is_not_shown(clean_run: Path) -> None:
    lines = read_ledger(clean_run / "media.jsonl")
    masked = {line.number for line in lines if line.file.startswith("masked/")}
    shown, hidden = (find_image(lines, source) for source in SOURCES)
    assert masked <= {line.number for line in shown.lines}
    assert masked.isdisjoint(line.number for line in hidden.lines)


def test_where_an_image_appears(clean_run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", clean_run, "--image", "ü b.jpg", "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)["image"]
    assert (found["source"], found["matched"], found["left"]) == (SOURCES[1], "by name", True)
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
    printed = capsys.readouterr().out
    assert "Pictures with it were handed to wandb: they have left this machine, or wait to be synced." in printed
    assert "The ledger matches files and loggers." in printed


def test_an_image_that_appears_nowhere(clean_run: Path, run_cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("audit", clean_run, "--image", "garage.jpg") == 0
    assert "garage.jpg: nowhere." in capsys.readouterr().out


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
        assert not found.was_sent
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
