"""Where a run goes, and which run a further start goes on with."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPO, UNDRAWN, small, tiny_network

from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.errors import ConfigError
from aigp_lightning.run.context import RunContext
from aigp_lightning.run.folder import (
    RunConfig,
    find_run,
    is_run_folder,
    mark_run_folder,
    read_run_file,
    remove_unused_run_folder,
    write_run_file,
)
from aigp_lightning.run.lock import choice_of_folder
from aigp_lightning.run.start import find_folder, start_run


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
    assert (mine.resuming, read_run_file(mine.folder)) == (False, {"program": "aigp_lightning", "job": told})
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


# ---- whose folder it is ----------------------------------------------------------------------------------------------

CONFIG = "seed_everything: 0\ntrainer: {}\nmodel: {}\ndata: {}\nrun: {}\nmedia: {}\nckpt_path: null\n"
LINE = json.dumps(dict.fromkeys(("kind", "key", "file", "sha256", "destination", "outcome", "prev", "n"), "")) + "\n"
OURS: list[dict[str, str]] = [
    {"run.json": '{"program": "aigp_lightning"}'},
    {"run.json": '{"program": "aigp_lightning", "loggers": []}', "config.yaml": "lr: 1", "media.jsonl": "{}\n"},
    {"run.json": "{}"},
    {"run.json": '{"job": "slurm-7", "wandb_run_id": "abc", "wandb_run_id:2": "d", "loggers": [{}]}'},
    {"run.json": '{"wandb_run_id": "ab', "config.yaml": CONFIG},
    {"config.yaml": CONFIG},
    {"media.jsonl": LINE},
    {"run.json": "{}", "config.yaml": CONFIG, "media.jsonl": LINE + "{"},
    {"config.yaml": CONFIG, "media.jsonl": ""},
    {"config.yaml": CONFIG, "media.jsonl": LINE[:9]},
]
FOREIGN: list[dict[str, str]] = [
    {},
    {"run.json": '[{"my": "experiments"}]'},
    {"run.json": '{"my": "experiment"}', "results.csv": "a"},
    {"run.json": '{"job": "nightly"}'},
    {"run.json": '{"program": "other"}', "config.yaml": CONFIG},
    {"run.json": "[]", "config.yaml": CONFIG},
    {"run.json": "null"},
    {"run.json": "half"},
    {"run.json": ""},
    {"run.json": "{}", "config.yaml": "lr: 1"},
    {"run.json": "{}", "media.jsonl": '{"kind": "photo"}\n'},
    {"config.yaml": "lr: 1"},
    {"config.yaml": CONFIG.replace("ckpt_path: null\n", "")},
    {"config.yaml": "- a"},
    {"config.yaml": CONFIG, "media.jsonl": "mine\n"},
    {"weights/last.ckpt": ""},
    {"media.jsonl": ""},
    {"run.json": "{}", "media.jsonl": "mine"},
]


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("files", OURS, ids=str)
def test_a_run_of_this_or_an_earlier_version_is_known(files: dict[str, str], tmp_path: Path) -> None:
    folder = written(tmp_path / "detect" / "r", files)
    assert is_run_folder(folder)
    assert start(tmp_path, resume="always").folder == folder


@pytest.mark.parametrize("files", FOREIGN, ids=str)
def test_a_folder_of_somebody_else_is_not_written_over(files: dict[str, str], tmp_path: Path) -> None:
    folder = written(tmp_path / "detect" / "r", files)
    folder.mkdir(parents=True, exist_ok=True)
    before = contents(folder)
    assert not is_run_folder(folder)
    with pytest.raises(ConfigError, match="and no run's"):
        find_folder(RunConfig(), tmp_path / "detect", str(folder))
    for resume in ("always", "never"):
        if files:
            with pytest.raises(ConfigError, match=f"no run has made {folder}, and .* would be written over"):
                start(tmp_path, exist_ok=True, resume=resume)
    assert start(tmp_path, resume="always").folder == folder.with_name("r-2")
    assert contents(folder) == before


def test_run_json_of_somebody_else_is_not_added_to(tmp_path: Path) -> None:
    for text in ('[{"my": "experiments"}]', '{"my": 1}', '{"program": "other"}', "{"):
        (tmp_path / "run.json").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"run\.json .* move it away"):
            write_run_file(tmp_path, wandb_run_id="abc")
        assert (tmp_path / "run.json").read_text(encoding="utf-8") == text
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    write_run_file(tmp_path, wandb_run_id="abc")
    inode = (tmp_path / "run.json").stat().st_ino, (tmp_path / "run.json").stat().st_mtime_ns
    write_run_file(tmp_path, wandb_run_id="abc")
    mark_run_folder(tmp_path)
    assert inode == ((tmp_path / "run.json").stat().st_ino, (tmp_path / "run.json").stat().st_mtime_ns)
    assert read_run_file(tmp_path) == {"program": "aigp_lightning", "wandb_run_id": "abc"}


@pytest.mark.parametrize(
    "wrong",
    [("--data.data_yaml", "none.yaml"), ("--data.imgsz", 97), ("--media.sign", "nope"), ("--ckpt_path", "garbage.ckpt"),
     ("--model.weights", "none.pt")],
    ids=str,
)  # fmt: skip
def test_a_refused_start_leaves_a_folder_of_the_users_as_it_was(
    wrong: tuple[object, ...], shapes: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """TensorBoard's logger may be open by then."""
    (tmp_path / "garbage.ckpt").write_bytes(b"garbage")
    folder = written(tmp_path / "detect" / "gates", {"thesis.txt": "years"})
    overlay = ("--config", REPO / "configs/logger/tensorboard.yaml")
    assert run_cli("fit", *overlay, *small(shapes, tmp_path), "--run.exist_ok", "true", *wrong) == 2
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    assert start(tmp_path, resume="always").folder.name == "r"


def test_a_training_marks_a_folder_of_the_users(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it begins, with the job that a restart looks for."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")  # as in an interactive job: Lightning starts no processes by it
    folder = written(tmp_path / "detect" / "gates", {"thesis.txt": "years"})
    quick = ("--trainer.max_steps", 1, "--trainer.limit_val_batches", 0, "--trainer.logger", "false")
    words = [*small(shapes, tmp_path), *tiny_network(tmp_path), *UNDRAWN]
    assert run_cli("fit", *words, "--run.exist_ok", "true", *quick) == 0
    known = read_run_file(folder)
    assert (known["program"], known["job"], is_run_folder(folder)) == ("aigp_lightning", "slurm-7", True)
    assert (folder / "thesis.txt").read_text() == "years" and (folder / "config.yaml").is_file()


def test_a_file_of_the_users_in_the_place_of_the_choice_stays(tmp_path: Path) -> None:
    (tmp_path / ".r.choice").write_bytes(b"mine")
    with choice_of_folder(tmp_path, "r"):
        pass
    assert (tmp_path / ".r.choice").read_bytes() == b"mine"
    with choice_of_folder(tmp_path, "s"):
        assert (tmp_path / ".s.choice").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [".r.choice"]
