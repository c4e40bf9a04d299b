"""An audit finds every difference, names the file, and finds none where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aigp_lightning.audit.check import audit
from aigp_lightning.audit.findings import Audit, Finding


def findings(run: Path) -> dict[tuple[str, str], list[Finding]]:
    """By sort and destination."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in audit(run).findings:
        found.setdefault((finding.what, finding.destination), []).append(finding)
    return found


def only(run: Path, what: str, destination: str) -> Finding:
    """The one finding that there must be."""
    found = findings(run)
    assert list(found) == [(what, destination)], found
    (finding,) = found[what, destination]
    return finding


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(bytes(data))


def mirrored(run: Path, pattern: str) -> Path:
    (path,) = run.glob(f"wandb/*run-*/files/media/images/{pattern}")
    return path


def holding(run: Path, pattern: str, content: bytes) -> Path:
    """The one of the run's files that has these bytes: names of files begun in one second are in no order."""
    (path,) = (path for path in run.glob(pattern) if content in path.read_bytes())
    return path


def rows(run: Path) -> list[bytes]:
    return (run / "media.jsonl").read_bytes().splitlines(keepends=True)


def test_a_clean_run_matches(clean_run: Path) -> None:
    """Two starts, two event files, two W&B folders: each picture once, `latest-run` not twice."""
    result = audit(clean_run)
    assert result.findings == []
    numbers = {name: (t.handed, t.withheld, t.failed, t.found) for name, t in result.tallies.items()}
    assert numbers == {"file": (7, 0, 0, 12), "tensorboard": (6, 0, 0, 6), "wandb": (5, 2, 0, 5)}
    assert result.tallies["tensorboard"].scalars == "2 values of 1 scalars"
    assert result.tallies["wandb"].scalars == "5 rows"
    assert result.tallies["file"].scalars == "2 rows in results.csv"
    on_disk = {path.name: path.stat().st_size for path in clean_run.glob("*.jpg")}
    curve = (clean_run / "PR_curve.png").stat().st_size
    tensorboard = sum(path.stat().st_size for path in clean_run.glob("history/*/*.jpg"))
    assert result.tallies["tensorboard"].bytes == tensorboard
    masked = sum(path.stat().st_size for path in clean_run.glob("wandb/*run-*/files/media/images/*pred*"))
    assert result.tallies["wandb"].bytes == 2 * on_disk["val_batch0_labels.jpg"] + masked + curve
    assert result.notes == ["tensorboard: event files also have 1 text hparams/text_summary."]


@pytest.mark.parametrize(
    ("file", "epoch"),
    [
        ("val_batch0_pred.jpg", 1),
        ("masked/val_batch0_pred.jpg", 1),
        ("history/epoch0000/val_batch1_pred.jpg", 0),
        ("PR_curve.png", 1),
    ],
)
def test_a_picture_changed_or_deleted(file: str, epoch: int, run: Path) -> None:
    flip(run / file, 300)
    changed = only(run, "changed", "file")
    assert (changed.file, changed.epoch) == (file, epoch)
    (run / file).unlink()
    missing = only(run, "missing", "file")
    assert (missing.file, missing.epoch) == (file, epoch)


def test_a_picture_that_the_ledger_does_not_know(run: Path) -> None:
    names = ["extra.PNG", "history/epoch0001/extra.jpg", "masked/extra.jpg", "history/epoch0009/val_batch0_pred.jpg"]
    for name in names:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(b"x")
    found = findings(run)
    assert list(found) == [("unlisted", "file")]
    assert sorted(finding.file for finding in found["unlisted", "file"]) == sorted(names)


def test_a_ledger_line_edited(run: Path) -> None:
    """The chain names the line; the picture it was about has other bytes than it says now."""
    lines = rows(run)
    at = next(number for number, line in enumerate(lines) if b'"tensorboard"' in line)
    content = json.loads(lines[at])
    lines[at] = lines[at].replace(content["sha256"].encode(), content["sha256"][::-1].encode())
    (run / "media.jsonl").write_bytes(b"".join(lines))
    found = findings(run)
    assert set(found) == {("chain", "ledger"), ("changed", "tensorboard"), ("unlisted", "tensorboard")}
    assert f"line {at + 1} was changed" in found["chain", "ledger"][0].message
    assert found["changed", "tensorboard"][0].line == at + 1
    assert content["file"] in found["changed", "tensorboard"][0].message


@pytest.mark.parametrize(
    ("destination", "named"), [("tensorboard", "tensorboard/events.out"), ("wandb", "val_batch0_labels_0_")]
)
def test_a_ledger_line_removed(destination: str, named: str, run: Path) -> None:
    lines = rows(run)
    at = next(number for number, line in enumerate(lines) if f'"destination": "{destination}"'.encode() in line)
    (run / "media.jsonl").write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
    found = findings(run)
    assert set(found) == {("chain", "ledger"), ("unlisted", destination)}
    (unlisted,) = found["unlisted", destination]
    assert (unlisted.epoch, named in unlisted.file) == (0, True)
    assert "val_batch0_labels of epoch 0" in unlisted.message


def test_the_last_lines_removed(run: Path) -> None:
    """The chain cannot show it; what they were about does."""
    (run / "media.jsonl").write_bytes(b"".join(rows(run)[:-2]))
    found = findings(run)
    assert set(found) == {("unlisted", "file"), ("unlisted", "wandb")}
    assert {finding.file for finding in found["unlisted", "file"]} == {
        "PR_curve.png",
        "history/epoch0001/PR_curve.png",
    }
    assert "PR_curve_2_" in found["unlisted", "wandb"][0].file


def test_a_byte_of_an_event_file_flipped(run: Path) -> None:
    """In a picture's bytes: the record is named, and the picture that is not what was sent."""
    picture = (run / "history/epoch0000/val_batch0_pred.jpg").read_bytes()
    event = holding(run, "tensorboard/events*", picture)
    flip(event, event.read_bytes().index(picture) + 400)
    found = findings(run)
    assert set(found) == {("damaged", "tensorboard"), ("changed", "tensorboard")}
    (damaged,), (changed,) = found.values()
    name = event.relative_to(run).as_posix()
    assert (damaged.file, changed.file, changed.epoch) == (name, name, 0)
    assert "val_batch0_pred.jpg" in changed.message


def test_an_event_file_cut_or_deleted(run: Path) -> None:
    picture = (run / "val_batch1_pred.jpg").read_bytes()
    event = holding(run, "tensorboard/events*", picture)
    data = event.read_bytes()
    event.write_bytes(data[: data.index(picture) + 50])
    found = findings(run)
    assert found["damaged", "tensorboard"][0].file == event.relative_to(run).as_posix()
    (missing,) = found["missing", "tensorboard"]
    assert (missing.file, missing.epoch) == ("val_batch1_pred.jpg", 1)
    for path in run.glob("tensorboard/events*"):
        path.unlink()
    found = findings(run)
    assert len(found["missing", "tensorboard"]) == 6
    assert "no event files" in found["missing", "tensorboard"][0].message


def test_a_picture_in_tensorboard_that_the_ledger_does_not_know(run: Path) -> None:
    """An array, which TensorBoard encodes by itself; and a picture a second time."""
    import numpy as np
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run / "elsewhere")) as writer:
        writer.add_image("leak", np.zeros((3, 8, 8), np.uint8), 5)
    finding = only(run, "unlisted", "tensorboard")
    assert (finding.epoch, "leak of epoch 5" in finding.message) == (5, True)
    event = next(run.glob("elsewhere/events*"))
    event.write_bytes(min(run.glob("tensorboard/events*")).read_bytes())
    found = findings(run)
    assert set(found) == {("unlisted", "tensorboard")}
    assert len(found["unlisted", "tensorboard"]) == 3
    assert "more often than in the ledger" in found["unlisted", "tensorboard"][0].message


@pytest.mark.usefixtures("wandb_stops")
def test_pictures_in_wandb_that_the_ledger_does_not_know(run: Path) -> None:
    """One by a row, one by `log_image`'s list, one whose row was dropped: its file is uploaded all the same."""
    import wandb
    from audit_run import PRIVATE_SETTINGS, draw, start_wandb, stop_wandb

    leak = draw(run.parent / "leak.jpg", 9)
    started = start_wandb(run, **PRIVATE_SETTINGS)
    known = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**known, "wandb_run_id:3": started.id}), encoding="utf-8")
    wandb.log({"leak": wandb.Image(str(leak)), "epoch": 4})
    wandb.log({"leaks": [wandb.Image(str(leak))], "epoch": 5})
    wandb.log({"dropped": wandb.Image(str(leak))}, step=0)
    stop_wandb()
    found = findings(run)
    assert set(found) == {("unlisted", "wandb")}
    told = {Path(finding.file).name.rsplit("_", 2)[0]: finding for finding in found["unlisted", "wandb"]}
    assert {key: finding.epoch for key, finding in told.items()} == {"leak": 4, "leaks": 5, "dropped": None}
    assert "no row and no line of the ledger names it; it is listed for upload" in told["dropped"].message


def test_wandbs_mirror_changed_or_incomplete(run: Path) -> None:
    path = mirrored(run, "PR_curve_*")
    flip(path, 100)
    changed = only(run, "changed", "wandb")
    assert changed.file == path.relative_to(run).as_posix()
    path.unlink()
    missing = only(run, "missing", "wandb")
    assert missing.file == path.relative_to(run).as_posix()
    path.with_name("note.png").write_bytes(b"x")
    assert {f.file for f in audit(run).findings if f.what == "unlisted"} == {
        path.with_name("note.png").relative_to(run).as_posix()
    }


def test_wandbs_run_file_cut(run: Path) -> None:
    """Rows after the cut are gone, their pictures still lie in the mirror."""
    file = holding(run, "wandb/*run-*/run-*.wandb", b"PR_curve")
    data = file.read_bytes()
    file.write_bytes(data[: data.index(b"PR_curve") + 20])
    found = findings(run)
    assert set(found) == {("damaged", "wandb"), ("misfiled", "wandb")}
    assert found["damaged", "wandb"][0].file == file.relative_to(run).as_posix()
    (misfiled,) = found["misfiled", "wandb"]
    assert "PR_curve.png of epoch 1" in misfiled.message
    assert misfiled.file == mirrored(run, "PR_curve_*").relative_to(run).as_posix()
    file.write_bytes(b"")
    assert "does not begin" in findings(run)["damaged", "wandb"][0].message


def test_a_byte_of_wandbs_run_file_flipped(run: Path) -> None:
    file = min(run.glob("wandb/*run-*/run-*.wandb"))
    flip(file, file.read_bytes().index(b"metrics/mAP50(B)"))
    damaged = only(run, "damaged", "wandb")
    assert damaged.file == file.relative_to(run).as_posix()
    assert "checksum" in damaged.message


def test_wandbs_folder_deleted(run: Path) -> None:
    import shutil

    shutil.rmtree(run / "wandb")
    found = findings(run)
    assert set(found) == {("missing", "wandb")}
    assert len(found["missing", "wandb"]) == 5
    assert "no W&B run" in found["missing", "wandb"][0].message


def rewrite(run: Path, change: Callable[[dict[str, object]], None]) -> None:
    """A ledger that was different from the start: its chain is whole."""
    from dataclasses import fields

    from aigp_lightning.media.ledger.ledger import Entry, Ledger

    contents = [json.loads(line) for line in rows(run)]
    (run / "media.jsonl").unlink()
    ledger = Ledger(run / "media.jsonl")
    for content in contents:
        change(content)
        ledger.add(Entry(**{field.name: content[field.name] for field in fields(Entry)}))
    ledger.close()


def test_a_picture_that_was_handed_over_though_the_ledger_says_withheld(run: Path) -> None:
    def withhold(content: dict[str, object]) -> None:
        if content["destination"] in ("wandb", "tensorboard") and content["key"] == "val_batch0_pred":
            content.update(outcome="withheld", reason="private image")

    rewrite(run, withhold)
    found = findings(run)
    assert {key: len(value) for key, value in found.items()} == {
        ("contrary", "tensorboard"): 2,
        ("contrary", "wandb"): 2,
    }
    assert "says withheld (private image)" in found["contrary", "wandb"][0].message


def test_a_picture_filed_under_another_epoch(run: Path) -> None:
    def later(content: dict[str, object]) -> None:
        if content["key"] == "PR_curve" and content["destination"] == "wandb":
            content["epoch"] = 7

    rewrite(run, later)
    finding = only(run, "misfiled", "wandb")
    assert "PR_curve.png of epoch 7 is filed under epoch 1" in finding.message


def test_what_was_sent_must_be_the_file(run: Path) -> None:
    """Ledger and event file agree, but the picture was never in the run folder."""

    def other(content: dict[str, object]) -> None:
        if content["file"] == "PR_curve.png" and content["destination"] == "wandb":
            content["file"] = "val_batch0_labels.jpg"

    rewrite(run, other)
    finding = only(run, "unlisted", "wandb")
    assert "other bytes than the file's" in finding.message


def test_a_logger_that_cannot_be_read_back_is_named(run: Path) -> None:
    def comet(content: dict[str, object]) -> None:
        if content["destination"] == "wandb" and content["outcome"] == "withheld":
            content.update(destination="other:CometLogger", outcome="sent")

    rewrite(run, comet)
    result = audit(run)
    assert result.clean
    assert result.tallies["other:CometLogger"].handed == 2
    assert result.tallies["other:CometLogger"].found is None
    assert any("CometLogger" in note for note in result.notes)


def test_a_run_without_a_ledger(run: Path) -> None:
    """Every picture is then one that no ledger knows; none, and it is clean."""
    (run / "media.jsonl").unlink()
    result: Audit = audit(run)
    assert result.ledger is None
    assert {(f.what, f.destination) for f in result.findings} == {
        ("unlisted", "file"),
        ("unlisted", "tensorboard"),
        ("unlisted", "wandb"),
    }
    assert len(result.findings) == 12 + 6 + 5
    assert "has no media.jsonl" in result.notes[0]
    plain = run.parent / "plain"
    plain.mkdir()
    (plain / "results.csv").write_text("epoch\n1\n", encoding="utf-8")
    assert audit(plain).clean
