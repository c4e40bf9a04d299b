"""What a kill leaves is put in order, and what a logger has is not handed over again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from audit_run import EPOCHS, Builder, draw, stop_wandb

from aigp_lightning.audit.check import audit
from aigp_lightning.logfiles.logged import logged_rows, logged_scalars
from aigp_lightning.logfiles.wandb_run import last_row, read_wandb_run, wandb_folders
from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger
from aigp_lightning.loggers.wandb import ResilientWandbLogger
from aigp_lightning.media.ledger.ledger import Ledger, Line, read_ledger, settled
from aigp_lightning.run.folder import read_run_file, write_run_file
from aigp_lightning.run.recovery import FOUND, repair_run_folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run with TensorBoard and W&B, finished."""
    run = tmp_path_factory.mktemp("left") / "run"
    builder = Builder(run)
    for epoch in range(EPOCHS):
        builder.epoch(epoch)
    builder.wandb.log({"train/box_loss": 0.5, "epoch": 1, "trainer/global_step": 5})
    builder.close()
    write_run_file(run, wandb_run_id=wandb_folders(run)[0].name.rpartition("-")[2])
    yield run


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "run", symlinks=True)


def test_a_whole_run_is_left_alone(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    repair_run_folder(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("lost", [1, 9, 100, 900])
def test_cut_off_files_end_with_a_whole_record(lost: int, run: Path) -> None:
    """However much of the last record was written."""
    events, (place,) = next((run / "tensorboard").iterdir()), wandb_folders(run)
    for path in (events, read_wandb_run(place).file):
        path.write_bytes(path.read_bytes()[:-lost])
    rows = read_wandb_run(place).history
    damaged = [finding.destination for finding in audit(run).findings if finding.what == "damaged"]
    assert "tensorboard" in damaged
    repair_run_folder(run)
    assert [finding for finding in audit(run).findings if finding.what == "damaged"] == []
    assert read_wandb_run(place).history == rows
    size = read_wandb_run(place).file.stat().st_size
    repair_run_folder(run)
    assert read_wandb_run(place).file.stat().st_size == size


def test_half_written_files_are_removed(run: Path) -> None:
    kept = {path for path in run.rglob("*") if path.is_file()}
    half = (
        *(".val_batch0_pred.jpg.77.part", "masked/.labels.jpg.77.part", "history/epoch0000/.BoxPR_curve.png.7.part"),
        *(
            ".run.json.7.part",
            ".config.yaml.7.part",
            "nonfinite/.epoch0001.pt.7.part",
            "weights/..last.ckpt.next.7.part",
        ),
        *(".results.csv.77.part", "weights/.last.ckpt.77", "weights/.best.pt.7.part", "weights/.last.ckpt.next.7.part"),
    )
    for name in half:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(b"half")
    repair_run_folder(run)
    assert {path for path in run.rglob("*") if path.is_file()} == kept


def test_what_the_run_did_not_make_stays(run: Path) -> None:
    """Names close to ours, another W&B run with nothing in it, pictures that somebody put into our mirror."""
    (place,) = wandb_folders(run)
    other = "wandb/offline-run-20990101_000000-theirs00"
    media = f"wandb/{place.name}/files/media"
    theirs = (
        *("notes.tmp", ".film.mp4.part", ".val_batch0_pred.jpg.part", ".backup.tar.7.part", "masked/mine.tmp"),
        *(
            ".notes.json.12.part",
            ".best.pt.77.part",
            ".my.csv.7.part",
            "masked/.x.jpg.7.part",
            "weights/.mine.pt.7.part",
        ),
        *("history/mine/.labels.jpg.7.part", "nonfinite/.labels.pt.7.part", "weights/.mine.ckpt.77"),
        *("weights/.best.ckpt.bak", "weights/.notes.ckpt.txt", f"{other}/run-theirs00.wandb", f"{other}/notes.txt"),
        *(f"{media}/images/mine.jpg", f"{media}/images/mine_1_0123456789abcdef0123.jpg", f"{media}/table/t.json"),
    )
    for name in theirs:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(b"theirs")
    whole = read_wandb_run(place).file.read_bytes()
    (run / other / "run-theirs00.wandb").write_bytes(whole[:7])
    write_run_file(run, wandb_run_id=read_run_file(run)["wandb_run_id"])
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    repair_run_folder(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    for known in ("../../x", 7, None):
        (run / "run.json").write_text(json.dumps({"wandb_run_id": known}), encoding="utf-8")
        read_wandb_run(place).file.write_bytes(whole[:-5])
        repair_run_folder(run)
        assert read_wandb_run(place).file.read_bytes() == whole[:-5], "no W&B run is known to be this run's"


def test_a_picture_that_was_handed_over_before_its_line_gets_one(run: Path) -> None:
    """The ledger ends before the last epoch's lines of both loggers."""
    path = run / "media.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    whole = read_ledger(path)
    lost = [line for line in whole if line.epoch == EPOCHS - 1 and line.outcome == "sent"]
    first = min(line.number for line in lost)
    kept = rows[: first - 1]
    path.write_bytes(b"".join(kept))
    assert not audit(run).clean
    repair_run_folder(run)
    after = read_ledger(path)
    assert after.problems == []
    found = [line for line in after if line.reason == FOUND]
    noted = {(line.key, line.destination, line.sha256) for line in found}
    written = {line.key for line in after if line.epoch == EPOCHS - 1 and line.outcome == "written"}
    assert noted == {(x.key, x.destination, x.sha256) for x in lost if x.key in written}
    assert {line.file for line in found if line.destination == "wandb"} <= {
        "val_batch0_labels.jpg",
        "masked/val_batch0_pred.jpg",
    }
    repair_run_folder(run)
    assert len(read_ledger(path)) == len(after)


# ---- pictures that were being handed over ----------------------------------------------------------------------------


def end_in_flight(run: Path, destination: str) -> list[Line]:
    """Let the ledger end as a kill leaves it that comes while the last epoch's pictures go to a logger."""
    path = run / "media.jsonl"
    lines = read_ledger(path)
    mine = [x for x in lines if (x.destination, x.outcome, x.epoch) == (destination, "sent", EPOCHS - 1)]
    path.unlink()
    ledger = Ledger(path)
    for line in lines:
        if line not in mine:
            ledger.add(line.entry)
    with ledger.hand_over([line.entry for line in mine]) as outcomes:
        left = path.read_bytes()
        outcomes.extend(line.entry for line in mine)
    ledger.close()
    path.write_bytes(left)
    assert [x.outcome for x in read_ledger(path)[-len(mine) :]] == ["unknown"] * len(mine)
    return mine


@pytest.mark.parametrize("destination", ["tensorboard", "wandb"])
def test_what_the_logger_got_in_flight_is_sent(destination: str, run: Path) -> None:
    """Each has one line, as if nothing had been."""
    mine = end_in_flight(run, destination)
    whole = len(read_ledger(run / "media.jsonl"))
    repair_run_folder(run)
    after = read_ledger(run / "media.jsonl")
    assert after.problems == []
    assert len(after) == whole
    found = [line for line in after if line.reason == FOUND]
    assert [(x.key, x.file, x.outcome, x.sha256, x.sources) for x in found] == [
        (x.key, x.file, "sent", x.sha256, x.sources) for x in mine
    ]
    again = (run / "media.jsonl").read_bytes()
    repair_run_folder(run)
    assert (run / "media.jsonl").read_bytes() == again


@pytest.mark.parametrize("destination", ["tensorboard", "wandb"])
def test_what_the_logger_never_got_is_as_if_it_had_not_begun(destination: str, run: Path) -> None:
    mine = end_in_flight(run, destination)
    (place,) = wandb_folders(run)
    whole = next((run / "tensorboard").iterdir()) if destination == "tensorboard" else read_wandb_run(place).file
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])  # of the last epoch nothing is left
    repair_run_folder(run)
    ledger = Ledger(run / "media.jsonl")
    assert ledger.problems == []
    for line in mine:
        assert not ledger.has(destination, line.key, line.epoch)
    assert ledger.total("unknown") == 0
    ledger.close()


@pytest.mark.parametrize(("place", "known"), [("tensorboard", True), ("/nowhere/at/all", False), ("gs://x/y", False)])
def test_a_logger_whose_files_are_not_there(place: str, known: bool, run: Path) -> None:
    """In the run folder, and it wrote nothing yet; elsewhere, and nobody can look."""
    mine = end_in_flight(run, "tensorboard")
    shutil.rmtree(run / "tensorboard")
    note = {"loggers": [{"destination": "tensorboard", "folder": place}]}
    (run / "run.json").write_text(json.dumps(note), encoding="utf-8")
    repair_run_folder(run)
    ledger = Ledger(run / "media.jsonl")
    assert [ledger.has("tensorboard", x.key, x.epoch) for x in mine] == [not known] * len(mine)
    ledger.close()


@pytest.mark.parametrize("copied", [True, False])
def test_what_may_have_been_uploaded_stays_unknown(copied: bool, run: Path) -> None:
    """W&B online: a picture that was copied for upload may be at the server, though no row names it."""
    mine = end_in_flight(run, "wandb")
    (place,) = wandb_folders(run)
    online = place.rename(place.with_name(place.name.removeprefix("offline-")))
    file = read_wandb_run(online).file
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for path in [] if copied else list((online / "files" / "media").rglob("*.jpg")):
        path.unlink()
    repair_run_folder(run)
    ledger = Ledger(run / "media.jsonl")
    assert ledger.problems == []
    assert [ledger.has("wandb", x.key, x.epoch) for x in mine] == [copied] * len(mine)
    assert ledger.total("unknown") == copied * sum(line.bytes for line in mine)
    assert ledger.left == sum(line.bytes for line in read_ledger(run / "media.jsonl") if line.left)
    ledger.close()


def test_an_unknown_picture_that_the_logger_has_after_all_is_sent(run: Path) -> None:
    """By a further line: what was said of it before was true then. It counts once."""
    path = run / "media.jsonl"
    lines = read_ledger(path)
    total = sum(line.bytes for line in lines if line.left)
    path.unlink()
    ledger = Ledger(path)
    for line in lines:
        doubtful = line.destination == "wandb" and line.epoch == 0 and line.outcome == "sent"
        ledger.add(replace(line.entry, outcome="unknown", reason="no answer") if doubtful else line.entry)
    assert ledger.left == total
    ledger.close()
    repair_run_folder(run)
    after = read_ledger(path)
    assert after.problems == []
    assert [(x.destination, x.outcome, x.reason) for x in after[len(lines) :]] == [("wandb", "sent", FOUND)] * 2
    assert {x.outcome for x in settled(after) if x.destination == "wandb"} == {"sent", "withheld"}
    ledger = Ledger(path)
    assert (ledger.left, ledger.total("unknown"), ledger.total("sent", ["wandb"])) == (total, 0, total)
    ledger.close()
    repair_run_folder(run)
    assert len(read_ledger(path)) == len(after)


def test_a_second_logger_of_a_kind_gets_its_own_lines(run: Path) -> None:
    """Its event file has the last epoch, its lines are lost."""
    path = run / "media.jsonl"
    shutil.copytree(run / "tensorboard", run / "second")
    ledger = Ledger(path)
    for line in read_ledger(path):
        if line.destination == "tensorboard" and line.epoch < EPOCHS - 1:
            ledger.add(replace(line.entry, destination="tensorboard:2"))
    ledger.close()
    repair_run_folder(run)
    lines = read_ledger(path)
    assert lines.problems == []
    sent = [
        sorted((x.key, x.epoch, x.sha256) for x in lines if x.destination == name and x.outcome == "sent")
        for name in ("tensorboard", "tensorboard:2")
    ]
    assert sent[0] == sent[1]
    assert len(sent[0]) == 3 * EPOCHS


def test_a_file_that_no_row_names_leaves_an_offline_folder(run: Path) -> None:
    (place,) = wandb_folders(run)
    lonely = draw(place / "files" / "media" / "images" / "val_batch0_pred_9_0123456789abcdef0123.jpg", 5)
    assert not audit(run).clean
    repair_run_folder(run)
    assert not lonely.exists()
    assert audit(run).clean


def test_a_wandb_folder_in_which_nothing_is_goes(run: Path) -> None:
    (place,) = wandb_folders(run)
    run_id = read_run_file(run)["wandb_run_id"]
    empty = place.with_name(f"offline-run-20990101_000000-{run_id}")
    empty.mkdir()
    (empty / f"run-{run_id}.wandb").write_bytes(next(place.glob("*.wandb")).read_bytes()[:7])
    repair_run_folder(run)
    assert wandb_folders(run) == [place]


def test_what_the_loggers_have(run: Path) -> None:
    scalars = logged_scalars(run / "tensorboard").points
    assert scalars == {("metrics/mAP50(B)", epoch): 1 for epoch in range(EPOCHS)}
    assert logged_rows(run)[frozenset({"train/box_loss", "epoch"}), 5] == 1
    (place,) = wandb_folders(run)
    run_id = place.name.rpartition("-")[2]
    assert logged_rows(run, run_id) == logged_rows(run)
    assert logged_rows(run, "another") == {}
    assert last_row(place) == len(read_wandb_run(place).history) - 1
    assert last_row(place.with_name("none")) == -1


def test_a_scalar_is_written_once(tmp_path: Path) -> None:
    first = ResilientTensorBoardLogger(tmp_path, name="", version="")
    for _ in range(2):  # Lightning logs `epoch` with every row, several times a step
        first.log_metrics({"epoch": 0.0}, 3)
    first.log_metrics({"epoch": 0.0, "loss": 1.0}, 3)
    first.finalize("success")
    again = ResilientTensorBoardLogger(tmp_path, name="", version="", skip_logged=True)
    for epoch, step in ((0.0, 3), (1.0, 7)):
        again.log_metrics({"epoch": epoch, "loss": 1.0}, step)
    again.finalize("success")
    assert logged_scalars(tmp_path).points == {("epoch", 0): 3, ("epoch", 1): 1, ("loss", 0): 1, ("loss", 1): 1}


def test_a_row_is_sent_once(tmp_path: Path) -> None:
    """Rows that this W&B run has are passed over when they come again."""
    for start, skip in enumerate((False, True)):
        logger = ResilientWandbLogger(save_dir=str(tmp_path), id="abcdefgh", mode="offline", skip_logged=skip)
        for step in range(start + 1):
            logger.log_metrics({"loss": 1.0, "epoch": 0.0}, step)
        logger.log_metrics({"val": 1.0}, start)
        stop_wandb()
    rows, val = frozenset({"loss", "epoch"}), frozenset({"val"})
    assert logged_rows(tmp_path) == {(rows, 0): 1, (val, 0): 1, (rows, 1): 1, (val, 1): 1}
