"""W&B's run files, as W&B writes them."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from audit_run import PRIVATE_SETTINGS, draw, start_wandb, stop_wandb

from aigp_lightning.audit.side_channels import side_channels
from aigp_lightning.logfiles.wandb_run import WandbRun, read_wandb_run, wandb_folders

ROWS, WIDTH = 60, 40


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run file of several blocks, private; returns the W&B folder."""
    folder = tmp_path_factory.mktemp("long run é")
    run = start_wandb(folder, **PRIVATE_SETTINGS)
    for row in range(ROWS):
        run.log({f"metrics/number {column}": row + column / 100 for column in range(WIDTH)})
    import wandb

    run.log({"val/pred": wandb.Image(str(draw(folder / "a.jpg", 1))), "epoch": 3, "trainer/global_step": 30})
    stop_wandb()
    yield wandb_folders(folder)[0]
    stop_wandb()


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def open_run(tmp_path_factory: pytest.TempPathFactory, monkeypatch_module: pytest.MonkeyPatch) -> Iterator[WandbRun]:
    """A run with W&B's defaults, weights and a file of its own."""
    import wandb

    folder = tmp_path_factory.mktemp("open")
    monkeypatch_module.setenv("WANDB_DATA_DIR", str(folder / "staging"))  # else artifacts are staged at home
    run = start_wandb(folder, save_code=True)
    print("something on the terminal")
    artifact = wandb.Artifact("weights", "model")
    artifact.add_file(str(draw(folder / "best.png", 1)))
    run.log_artifact(artifact)
    (folder / "notes.txt").write_text("secret", encoding="utf-8")
    run.save(str(folder / "notes.txt"), base_path=str(folder))
    time.sleep(0.5)  # the machine's first sample
    stop_wandb()
    yield read_wandb_run(wandb_folders(folder)[0])
    stop_wandb()


def test_every_row_comes_back(long_run: Path) -> None:
    """Records lie across the blocks of 32 KiB."""
    run = read_wandb_run(long_run)
    assert run.file.stat().st_size > 3 * 32768
    assert run.damage == []
    assert run.ended
    assert [row["metrics/number 39"] for row in run.history[:ROWS]] == [row + 0.39 for row in range(ROWS)]
    assert run.config == {"data": {"imgsz": 96}, "lr": 0.1}


def test_a_picture_comes_back_with_its_epoch_and_bytes(long_run: Path) -> None:
    run = read_wandb_run(long_run)
    (media,) = run.media
    data = (run.mirror / media.path).read_bytes()
    assert (media.key, media.epoch, media.row) == ("val/pred", 3, ROWS)
    assert (media.sha256, media.size) == (sha256(data).hexdigest(), len(data))
    assert media.path.startswith("media/images/val/pred_60_")
    assert media.path in run.files
    assert list(run.mirrored()) == [media.path]


@pytest.fixture
def copied(long_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(long_run, tmp_path / long_run.name, symlinks=True))


@pytest.mark.parametrize("size", [0, 3, 5000, 32768, 40000, 65536 + 4, 90001])
def test_a_cut_file_is_read_as_far_as_it_goes(size: int, copied: Path, long_run: Path) -> None:
    whole = read_wandb_run(long_run)
    file = whole.file.name
    (copied / file).write_bytes((long_run / file).read_bytes()[:size])
    run = read_wandb_run(copied)
    assert run.history == whole.history[: len(run.history)]
    assert len(run.history) >= (size - 32768) // (whole.file.stat().st_size // ROWS)
    assert not run.ended
    assert len(run.damage) <= 1


@pytest.mark.parametrize("at", [20_000, 32_768 + 2, 60_000, 98_304 + 3])
def test_a_flipped_byte_costs_the_records_it_is_in(at: int, copied: Path, long_run: Path) -> None:
    whole = read_wandb_run(long_run)
    data = bytearray(whole.file.read_bytes())
    data[at] ^= 1
    (copied / whole.file.name).write_bytes(bytes(data))
    run = read_wandb_run(copied)
    assert run.damage
    assert "checksum" in run.damage[0] or "length" in run.damage[0]
    assert len(run.history) >= len(whole.history) - 1
    assert all(row in whole.history for row in run.history)


def test_a_private_run_hands_over_nothing_else(long_run: Path) -> None:
    rows = {channel.name: channel for channel in side_channels([read_wandb_run(long_run)])}
    assert {name for name, channel in rows.items() if channel.handed} == {"config", "telemetry"}
    assert rows["config"].detail == "data.imgsz, lr"


def test_an_open_run_tells_what_it_hands_over(open_run: WandbRun) -> None:
    rows = {channel.name: channel for channel in side_channels([open_run])}
    handed = {name for name, channel in rows.items() if channel.handed}
    assert handed >= {"weights", "command", "requirements", "host", "machine", "system_metrics", "other files"}
    assert "artifact weights (model, " in rows["weights"].detail
    assert "program " in rows["command"].detail
    assert rows["requirements"].bytes == (open_run.mirror / "requirements.txt").stat().st_size
    assert rows["other files"].detail == "notes.txt (a link)"
    assert rows["host"].detail == open_run.host != ""
    assert "cpu_count" in rows["machine"].detail


def test_several_starts_are_told_together(open_run: WandbRun, long_run: Path) -> None:
    rows = {channel.name: channel for channel in side_channels([read_wandb_run(long_run), open_run])}
    assert rows["weights"].handed
    assert rows["config"].detail == "data.imgsz, lr"


def test_git_and_patch_and_code_count(long_run: Path, copied: Path) -> None:
    run = read_wandb_run(copied)
    run.git = {"remote_url": "https://example.org/x.git", "commit": "abc"}
    (run.mirror / "code").mkdir()
    for name in ("code/train.py", "diff.patch", "upstream_diff_abc.patch", "wandb-metadata.json", "output.log"):
        (run.mirror / name).write_bytes(b"12345")
    rows = {channel.name: channel for channel in side_channels([run])}
    assert rows["git"].detail == "remote_url https://example.org/x.git, commit abc"
    assert (rows["code"].detail, rows["code"].bytes) == ("code/train.py", 5)
    assert (rows["patch"].detail, rows["patch"].bytes) == ("diff.patch, upstream_diff_abc.patch", 10)
    assert (rows["metadata"].detail, rows["console"].detail) == ("wandb-metadata.json", "output.log")


def test_a_record_of_endless_chunks_costs_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up at a limit, and the record after it is read."""
    from audit_run import append_record
    from wandb.proto.wandb_internal_pb2 import Record

    from aigp_lightning.logfiles import wandb_records

    monkeypatch.setattr(wandb_records, "LARGEST", 100_000)
    file = tmp_path / "run-abc.wandb"
    file.write_bytes(b":W&B\xe1\xbe\x00")
    record = Record()
    record.output_raw.line = "x" * 300_000
    append_record(file, record)
    record.exit.exit_code = 0
    append_record(file, record)
    run = read_wandb_run(tmp_path)
    assert run.damage == ["the record at byte 7 is larger than 100000 bytes and is not read."]
    assert (run.console, run.ended) == (0, True)


def test_bytes_behind_the_padding_of_a_block_are_told(copied: Path, long_run: Path) -> None:
    """Zeros end a block; what is hidden behind them is not passed over in silence."""
    file = read_wandb_run(copied).file
    data = bytearray(file.read_bytes())
    data[7:32768] = bytes(32768 - 7 - 10) + b"hidden hid"
    file.write_bytes(bytes(data))
    damage = read_wandb_run(copied).damage
    assert any("the bytes from 7 on, to the end of their block, are of no record." in text for text in damage)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_pipe_is_no_run_file(tmp_path: Path) -> None:
    """Opening it would wait for ever."""
    os.mkfifo(tmp_path / "run-abc.wandb")
    assert read_wandb_run(tmp_path).damage == ["the run file is missing."]
