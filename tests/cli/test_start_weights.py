"""Weights to start from: where they are looked for, and what is said, before anything heavy, where they are not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPO, small

from aigp_lightning.checkpoints.weight_places import find_weights, located, user_folder
from aigp_lightning.cli.start_weights import check_start_weights
from aigp_lightning.errors import WeightsError
from aigp_lightning.evaluation.named_model import find_model

CONFIGS = {
    "detector": "yolo11n.pt",
    "pose": "yolo11n-pose.pt",
    "segment": "yolo11n-seg.pt",
    "obstacle": "yolo11n.pt",
    "rfdetr": "rf-detr-nano.pth",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to type commands in, and an empty one of the user's data."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "project"


def test_a_bare_name_is_looked_for_in_three_places(here: Path) -> None:
    assert located("a.pt") is None
    places = [user_folder() / "a.pt", Path("weights/a.pt"), Path("a.pt")]
    for place in places:  # each comes before those that are there already
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        assert located("a.pt") == find_weights("a.pt") == find_model("a.pt") == place
    Path("a.pt").rename("b.pt")
    assert located("a.pt") == Path("weights/a.pt") and located("./a.pt") is located(here / "a.pt") is None


@pytest.mark.parametrize(
    "platform, variables, folder",
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data"),
        ("linux", {"XDG_DATA_HOME": "data"}, "~/.local/share"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
        ("win32", {}, "~/AppData/Local"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "~/Library/Application Support"),
    ],
)
def test_the_users_folder_is_the_systems_own(platform: str, variables: dict[str, str], folder: str) -> None:
    assert user_folder(platform, variables) == Path(os.path.expanduser(folder)) / "aigp_lightning" / "weights"


@pytest.mark.parametrize("name", CONFIGS)
def test_the_production_recipes_start_from_trained_weights(name: str, here: Path) -> None:
    words = ["--config", str(REPO / f"configs/{name}.yaml")]
    with pytest.raises(WeightsError, match=rf"`python -m aigp_lightning fetch {CONFIGS[name]}`, or start from random"):
        check_start_weights(words)
    check_start_weights([*words, "--config", str(REPO / "configs/quick.yaml")])
    check_start_weights([*words, "--model.weights", "null"])
    check_start_weights([*words, "--ckpt_path", "last"])  # resumed: it has its weights
    check_start_weights([*words, "--run.resume=always"])
    check_start_weights([*words, "--print_config"])
    Path("weights").mkdir()
    Path("weights", CONFIGS[name]).touch()
    check_start_weights(words)


def test_published_weights_of_another_network_are_refused(here: Path) -> None:
    for name in ("yolo11n.pt", "yolo11s.pt", "best.pt"):
        Path(name).touch()
    words = ["--config", str(REPO / "configs/detector.yaml"), "--model.variant", "yolo11s"]
    with pytest.raises(WeightsError, match=r"yolo11s cannot start from yolo11n\.pt, which is another network"):
        check_start_weights(words)
    check_start_weights([*words, "--model.weights", "yolo11s.pt"])
    check_start_weights([*words, "--model.weights", "best.pt"])
    for variant in ("mine.yaml", "yolo11n-p2"):  # of this size, with another head
        check_start_weights([*words, "--model.variant", variant])


def test_a_missing_file_is_told_before_torch_is_imported(here: Path) -> None:
    words = ["fit", "--config", str(REPO / "configs/detector.yaml"), "--data.data_yaml", "none.yaml"]
    code = f"import sys; from aigp_lightning.cli.main import main; print(main({words!r}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "2 False\n" and done.stderr.count("\n") == 1
    assert done.stderr.startswith(
        "error: --model.weights: no weights file at yolo11n.pt, nor in weights of this folder"
    )
    assert "fetch yolo11n.pt" in done.stderr and done.stderr.endswith("random weights: --model.weights null.\n")


def test_a_plan_does_without_and_says_so(
    here: Path, shapes: Path, run_cli: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    words = [*small(shapes, here), "--data.imgsz", 32, "--trainer.max_epochs", 1, "--model.weights", "yolo11n.pt"]
    with caplog.at_level("INFO"):
        assert run_cli("plan", *words, "--media.val_batches", 0, "--json", "plan.json") == 0
    assert "yolo11n.pt is not there yet" in caplog.text and Path("plan.json").is_file()


def test_a_run_starts_from_what_is_in_the_projects_folder(
    here: Path, shapes: Path, finished: Path, run_cli: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    Path("weights").mkdir()
    Path("weights/start.pt").write_bytes((finished / "weights" / "best.pt").read_bytes())
    words = [*small(shapes, here), "--data.imgsz", 32, "--trainer.fast_dev_run", 1, "--trainer.logger", "false"]
    with caplog.at_level("INFO"):
        assert run_cli("fit", *words, "--model.weights", "start.pt") == 0
    assert "tensors from start.pt" in caplog.text
    assert run_cli("validate", *words, "--model.weights", "gone.pt") == 2
