"""With what a run was started: commits, versions, hardware, seeds; in its folder alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from aigp_lightning.run import provenance as module
from aigp_lightning.run.marker import is_run_folder, write_run_file
from aigp_lightning.run.provenance import (
    git_state,
    package_versions,
    provenance,
    record_start,
    recorded_starts,
)

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


def git(folder: Path, *words: str) -> str:
    user = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "init.defaultBranch=secret-plan")
    done = subprocess.run(["git", *user, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that does much else, git gets its time, so that a test sees its answer."""
    monkeypatch.setattr(module, "GIT_SECONDS", 60.0)


@pytest.fixture
def repository(tmp_path: Path, patient: None) -> Path:
    """The working folder, as a repository with one commit and a remote."""
    git(tmp_path, "init")
    (tmp_path / "my.yaml").write_text("a: 1\n", encoding="utf-8")
    git(tmp_path, "add", "my.yaml")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "remote", "add", "origin", "https://token@example.org/team/secret.git")
    return tmp_path


@needs_git
def test_commit_and_changes(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "runs").mkdir()  # what git does not follow is no change of the code
    (repository / "runs" / "log.txt").write_text("x", encoding="utf-8")
    assert git_state()["working_folder"] == {"commit": commit, "changes": False}
    (repository / "my.yaml").write_text("a: 2\n", encoding="utf-8")
    assert git_state()["working_folder"] == {"commit": commit, "changes": True}
    (repository / "below").mkdir()
    os.chdir(repository / "below")
    assert git_state()["working_folder"] == {"commit": commit, "changes": True}


@needs_git
def test_no_name_of_anybody_and_no_place(repository: Path) -> None:
    text = json.dumps(provenance({"seed_everything": 3}, ["NVIDIA H100"], 2))
    words = ("secret", "example.org", "Somebody", str(repository), str(Path.home()) + "/", socket.gethostname())
    assert [word for word in words if word in text] == []


def test_no_repository_and_no_git(tmp_path: Path, patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = git_state()
    assert found["working_folder"] is None and "why" not in found
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state() == {"working_folder": None, "code": None}


@pytest.mark.skipif(os.name != "posix", reason="a shell script in place of git")
def test_a_slow_git_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "git"
    script.write_text("#!/bin/sh\nexec sleep 30\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(module, "GIT_SECONDS", 0.2)
    began = time.monotonic()
    assert git_state() == {
        "working_folder": None, "code": None,
        "why": "git did not answer within 0.2 s for the working folder and the code",
    }  # fmt: skip
    assert time.monotonic() - began < 25, "it sleeps for 30 s"


@needs_git
def test_variables_of_a_git_hook_do_not_count(tmp_path: Path, patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init")
    git(other, "commit", "--allow-empty", "-m", "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    found = git_state()
    assert found["working_folder"] is None and "why" not in found


def test_versions_are_those_that_are_installed() -> None:
    import numpy
    import torch

    found = package_versions()
    assert found["numpy"] == numpy.__version__ and found["torch"] == torch.__version__.partition("+")[0]


def test_starts_are_kept_the_first_and_the_last_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "MOST_STARTS", 4)
    write_run_file(tmp_path, job="slurm-1")
    for number in range(7):
        record_start(tmp_path, {"seed_everything": number})
    seeds = [start["seeds"]["seed_everything"] for start in recorded_starts(tmp_path)]
    assert seeds == [0, 4, 5, 6]
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["job"] == "slurm-1"
    assert is_run_folder(tmp_path)


def test_a_failure_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import lightning.pytorch  # noqa: F401  sets the rank, by which one process alone warns

    (tmp_path / "run.json").write_text('{"program": "another"}', encoding="utf-8")
    record_start(tmp_path, {})
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8")) == {"program": "another"}
    (tmp_path / "file").write_text("", encoding="utf-8")
    record_start(tmp_path / "file", {})
    assert caplog.text.count("versions, commit and hardware of this start are not recorded") == 2


def test_it_is_there_at_once() -> None:
    """Some hundredths of a second of this process's own: the limit here only finds a search through all packages."""
    provenance({})
    taken = []
    for _ in range(3):
        began = time.process_time()  # others on the machine do not count
        provenance({})
        taken.append(time.process_time() - began)
    assert min(taken) < 0.5


def test_a_processor_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(
        "processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\nmodel name\t: Fast CPU @ 3 GHz\n", encoding="utf-8"
    )
    monkeypatch.setattr(module, "CPU_FILE", file)
    assert module.hardware()["cpu"] == "Fast CPU @ 3 GHz"


@pytest.mark.parametrize("run", ["finished", pytest.param("finished_rfdetr", marks=pytest.mark.slow)])
def test_a_run_records_its_start_and_tells_no_logger(run: str, request: pytest.FixtureRequest) -> None:
    """One run has TensorBoard, the other W&B too: the note stands in `run.json` and in no other file of the folder."""
    folder: Path = request.getfixturevalue(run)
    starts = recorded_starts(folder)
    assert len(starts) == 1 and starts[0]["seeds"] == {"seed_everything": 0, "data.seed": 0}
    assert starts[0]["hardware"]["gpus"] == [] and starts[0]["hardware"]["processes"] == 1
    marks = [starts[0]["hardware"]["cpu"], str(starts[0]["hardware"]["memory_bytes"]), "memory_bytes"]
    marks += [place["commit"] for place in starts[0]["git"].values() if isinstance(place, dict)]
    marks = [mark for mark in marks if mark]
    told = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and path.parent.name != "weights"
        and any(mark.encode() in path.read_bytes() for mark in marks)
    }
    assert told == {"run.json"} and len(marks) >= 2
