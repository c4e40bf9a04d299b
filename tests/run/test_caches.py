"""Libraries write beside a run, not into the home folder; whoever has settings of their own there keeps them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import REPO, small, tiny_network
from policy_envs import RACE

from aigp_lightning.run.caches import private_folder

VARIABLES = ("YOLO_CONFIG_DIR", "MPLCONFIGDIR", "WANDB_CACHE_DIR")
ELSEWHERE = ("XDG_", "WANDB_", "YOLO_", "MPL", "AIGP_")
"""Variables, by their beginnings, with which a user tells libraries where to write."""
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has a folder for temporary files for each user")


def a_new_users(home: Path, temporary: Path, **more: str) -> dict[str, str]:
    """The environment of somebody who has set nothing and whose home is this folder."""
    home.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ELSEWHERE)}
    return (
        kept | {"HOME": str(home), "USERPROFILE": str(home), "TMPDIR": str(temporary), "PYTHONPATH": str(REPO)} | more
    )


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ---- where they are sent ---------------------------------------------------------------------------------------------


def redirected(tmp_path: Path, **more: str) -> dict[str, str | None]:
    """The variables after the import of the package, the folder for temporary files cut off."""
    show = f"import json, os, aigp_lightning; print(json.dumps({{n: os.environ.get(n) for n in {VARIABLES}}}))"
    environment = a_new_users(tmp_path / "home", tmp_path / "tmp", **more)
    shown = subprocess.run([sys.executable, "-c", show], env=environment, capture_output=True, text=True, check=True)
    values: dict[str, str | None] = json.loads(shown.stdout)
    return {name: value and value.removeprefix(f"{tmp_path / 'tmp'}{os.sep}") for name, value in values.items()}


@posix
def test_all_go_into_one_private_folder(tmp_path: Path) -> None:
    folder = f"aigp_lightning-{os.getuid()}"
    assert redirected(tmp_path) == dict(
        zip(VARIABLES, (folder, f"{folder}/matplotlib", f"{folder}/wandb"), strict=True)
    )
    assert stat.S_IMODE((tmp_path / "tmp" / folder).stat().st_mode) == 0o700
    assert listing(tmp_path / "home") == []


def test_the_users_own_values_win(tmp_path: Path) -> None:
    given = {name: f"/somewhere/{name}" for name in VARIABLES}
    assert redirected(tmp_path, **given) == given
    assert listing(tmp_path / "tmp") == [], "nothing is made that nobody needs"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_settings_in_the_home_folder_stay_in_use(tmp_path: Path) -> None:
    for file in ("Ultralytics/settings.json", "matplotlib/matplotlibrc"):
        (tmp_path / "home" / ".config" / file).parent.mkdir(parents=True)
        (tmp_path / "home" / ".config" / file).touch()
    found = redirected(tmp_path)
    assert (found["YOLO_CONFIG_DIR"], found["MPLCONFIGDIR"]) == (None, None)
    assert found["WANDB_CACHE_DIR"] is not None


# ---- the folder ------------------------------------------------------------------------------------------------------


@posix
def test_the_folder_is_found_again(tmp_path: Path) -> None:
    first = private_folder(tmp_path)
    assert first is not None and first.name == f"aigp_lightning-{os.getuid()}"
    (first / "kept").touch()
    assert private_folder(tmp_path) == first
    assert listing(tmp_path) == [first.name, f"{first.name}/kept"]


@posix
def test_a_folder_below_one_with_setgid_is_found_again(tmp_path: Path) -> None:
    """As on clusters, where folders of a group hand their group down."""
    tmp_path.chmod(0o2700)
    first = private_folder(tmp_path)
    assert first is not None and first.stat().st_mode & stat.S_ISGID
    assert private_folder(tmp_path) == first


@posix
@pytest.mark.parametrize("trap", ["open", "link", "file"])
def test_a_folder_that_others_prepared_is_not_used(trap: str, tmp_path: Path) -> None:
    place = tmp_path / f"aigp_lightning-{os.getuid()}"
    if trap == "open":
        place.mkdir()
        place.chmod(0o777)
    elif trap == "link":
        (tmp_path / "other").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "other")
    else:
        place.touch(mode=0o700)
    folder = private_folder(tmp_path)
    assert folder is not None and folder != place and folder.name.startswith("aigp_lightning-")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and listing(folder) == []


def test_no_folder_is_no_error(tmp_path: Path) -> None:
    assert private_folder(tmp_path / "missing") is None


# ---- whole runs ------------------------------------------------------------------------------------------------------

RUNS = """
import json, sys
from aigp_lightning.cli.main import main
for words in json.loads(sys.argv[1]):
    print("status", main(words), flush=True)
"""


class Ran(NamedTuple):
    """What `fit`, `plan`, `export` and `ppo fit` of a new user said, and the folder in which they ran."""

    output: str
    folder: Path


@pytest.fixture(scope="module")
def ran(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One after the other, pictures to TensorBoard and to W&B on this disk, in a process of their own."""
    folder = tmp_path_factory.mktemp("new user")
    configs = ["--config", REPO / "configs" / "detector.yaml", "--config", REPO / "configs" / "logger" / "both.yaml"]
    options = [*configs, *small(shapes, folder / "runs"), "--data.imgsz", 32, "--trainer.max_epochs", 1]
    options += tiny_network(tmp_path_factory.mktemp("network"))
    weights = folder / "runs" / "detect" / "gates" / "weights" / "best.ckpt"
    policy = ["--config", REPO / "configs" / "policy.yaml", *RACE, "--output", folder / "policy"]
    verbs = [
        ["fit", *options],
        ["plan", *options],
        ["export", "--ckpt_path", weights, "--imgsz", 32],
        ["ppo", "fit", *policy],
    ]
    words = json.dumps([[str(word) for word in verb] for verb in verbs])
    environment = a_new_users(folder / "home", folder / "tmp", WANDB_MODE="offline", OMP_NUM_THREADS="1")
    done = subprocess.run(
        [sys.executable, "-c", RUNS, words], cwd=folder, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=600,
    )  # fmt: skip
    return Ran(done.stdout, folder)


def test_the_runs_were_whole_ones(ran: Ran) -> None:
    assert ran.output.count("status 0") == 4, ran.output
    run = ran.folder / "runs" / "detect" / "gates"
    assert (run / "weights" / "best.onnx").is_file() and list(run.glob("wandb/offline-run-*"))
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))
    assert (ran.folder / "policy" / "last" / "model.zip").is_file()


def test_the_home_folder_is_as_it_was(ran: Ran) -> None:
    assert listing(ran.folder / "home") == []


def test_nothing_is_written_beside_the_runs(ran: Ran) -> None:
    assert {path.name for path in ran.folder.iterdir()} == {"home", "tmp", "runs", "policy"}


@posix
def test_what_libraries_keep_is_in_the_private_folder(ran: Ran) -> None:
    kept = set(listing(ran.folder / "tmp" / f"aigp_lightning-{os.getuid()}"))
    assert "Ultralytics/settings.json" in kept
    assert {name.split("/")[0] for name in kept} == {"Ultralytics", "matplotlib", "wandb"}


def test_no_library_talks_of_its_settings_and_caches(ran: Ran) -> None:
    assert "Ultralytics" not in ran.output
    assert "font cache" not in ran.output
