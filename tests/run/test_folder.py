"""Where a run goes, and which run a further start goes on with."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.errors import ConfigError
from aigp_lightning.run.context import RunContext
from aigp_lightning.run.folder import (
    RunConfig,
    find_run,
    mark_run_folder,
    read_run_file,
    remove_unused_run_folder,
)
from aigp_lightning.run.start import start_run


def made(root: Path, name: str, checkpoint_at: float | None = None) -> Path:
    """A run folder; with a checkpoint written at a time, or stopped before it had one."""
    folder = root / "detect" / name
    (folder / LAST).parent.mkdir(parents=True)
    (folder / "run.json").write_text("{}", encoding="utf-8")
    if checkpoint_at is not None:
        (folder / LAST).write_bytes(b"")
        os.utime(folder / LAST, (checkpoint_at, checkpoint_at))
    return folder


def start(root: Path, ckpt: str | None = None, first: bool = True, **options: object) -> RunContext:
    context = start_run(RunConfig(name="r", root=str(root), **options), "detect", ckpt, first)  # type: ignore[arg-type]
    context.close()
    return context


def test_the_newest_checkpoint_of_the_name_is_the_last(tmp_path: Path) -> None:
    """Later runs of a name end in a number; `r-night` is another name, and a run without a checkpoint comes last."""
    made(tmp_path, "r", 100)
    newest = made(tmp_path, "r-2", 200)
    made(tmp_path, "r-night", 300)
    made(tmp_path, "r-3")
    assert start(tmp_path, "last") == RunContext(newest, str(newest / LAST), True)
    assert find_run(tmp_path / "detect", "r-night") == tmp_path / "detect" / "r-night"
    assert find_run(tmp_path / "detect", "[r]") is None


def test_a_run_stopped_before_its_first_checkpoint_begins_again_in_its_folder(tmp_path: Path) -> None:
    folder = made(tmp_path, "r")
    assert start(tmp_path, "last") == RunContext(folder, None, True)
    assert start(tmp_path, resume="always") == RunContext(folder, None, True)
    assert start(tmp_path) == RunContext(folder.with_name("r-2"), None, False)


def test_no_run_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand that is a mistake; a job's first start may say `last` too, for its later ones."""
    with pytest.raises(ConfigError, match="no run named r in"):
        start(tmp_path, "last")
    assert not (tmp_path / "detect").exists()
    assert start(tmp_path, "last", resume="always") == RunContext(tmp_path / "detect" / "r", None, False)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert start(tmp_path / "other", "last").resuming is False


@pytest.mark.parametrize(
    ("count", "job", "told"),
    [
        ("SLURM_RESTART_COUNT", "SLURM_JOB_ID", "slurm-7"),
        ("TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID", "torchrun-7"),
    ],
)
def test_a_restarted_job_finds_its_own_run(
    count: str, job: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs of the same run name: the second's checkpoint is newer."""
    monkeypatch.setenv(count, "0")
    monkeypatch.setenv(job, "7")
    mine = start(tmp_path)
    mark_run_folder(mine.folder)
    assert (mine.resuming, read_run_file(mine.folder)) == (False, {"job": told})
    monkeypatch.setenv(job, "8")
    theirs = start(tmp_path)
    mark_run_folder(theirs.folder)
    assert theirs.folder == mine.folder.with_name("r-2")
    for folder, when in ((mine.folder, 100), (theirs.folder, 200)):
        (folder / LAST).parent.mkdir()
        (folder / LAST).write_bytes(b"")
        os.utime(folder / LAST, (when, when))
    monkeypatch.setenv(job, "7")
    monkeypatch.setenv(count, "2")
    assert start(tmp_path) == RunContext(mine.folder, str(mine.folder / LAST), True)
    assert start(tmp_path, resume="never") == RunContext(mine.folder.with_name("r-3"), None, False)
    monkeypatch.setenv(job, "9")
    assert start(tmp_path).resuming is False, "killed before it had a folder"


def test_other_processes_are_told(tmp_path: Path) -> None:
    """By the environment, if the first has started them; a new run is not mistaken for one that goes on."""
    old = made(tmp_path, "r", 100)
    fresh = start(tmp_path)
    assert start(tmp_path, first=False) == RunContext(fresh.folder, None, False)
    begun = start(tmp_path, "last")
    assert begun.folder == old
    assert start(tmp_path, "last", first=False) == begun


def test_a_damaged_run_file_says_nothing(tmp_path: Path) -> None:
    folder = made(tmp_path, "r")
    (folder / "run.json").write_text('{"wandb_run_id": "abc', encoding="utf-8")
    assert read_run_file(folder) == {}
    (folder / "run.json").write_text(json.dumps(["x"]), encoding="utf-8")
    assert read_run_file(folder) == {}


def test_loggers_pass_over_what_follows_the_last_checkpoint_alone(tmp_path: Path) -> None:
    """From an older one somebody has gone back on purpose: what follows is logged anew."""
    folder = made(tmp_path, "r", 100)
    older = folder / "weights" / "best.ckpt"
    older.touch()
    assert start(tmp_path, "last").resumes_last
    assert start(tmp_path, str(folder / LAST)).resumes_last
    assert not start(tmp_path, str(older)).resumes_last
    assert RunContext(folder, None, resuming=True).resumes_last, "stopped before its first checkpoint"
    assert not start(tmp_path).resumes_last


def test_a_folder_goes_that_holds_no_result(tmp_path: Path) -> None:
    begun, trained = made(tmp_path, "r"), made(tmp_path, "r-2", 100)
    for folder in (begun, trained):
        shutil.rmtree(folder / "weights")
    (trained / "results.csv").touch()
    for folder in (begun, trained, tmp_path / "none"):
        remove_unused_run_folder(folder)
    assert (begun.exists(), trained.exists()) == (False, True)
