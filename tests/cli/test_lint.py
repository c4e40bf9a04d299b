"""The `lint` verb: what it prints, its exit status, and that its help costs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPO

from aigp_lightning.data.synthetic import MakeDataOptions, make_data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic pose set, to be copied; returns its folder."""
    folder = tmp_path_factory.mktemp("data") / "Tore ünï"
    options = MakeDataOptions(out=str(folder), task="pose", train=12, val=4, test=0, imgsz=(160, 90), workers=1)
    return make_data(options, progress=False).parent


@pytest.fixture
def pose_set(made: Path, tmp_path: Path) -> Path:
    """A set that a test may spoil; returns its data.yaml."""
    return Path(shutil.copytree(made, tmp_path / made.name)) / "data.yaml"


def spoil(data_yaml: Path) -> tuple[Path, int]:
    """Reverse the corners of one gate that has them all; returns its label file and line."""
    for file in sorted((data_yaml.parent / "labels" / "train").glob("*.txt")):
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            words = line.split()
            if "0" not in words[7::3]:
                corners = [words[start : start + 3] for start in (5, 14, 11, 8)]
                lines[number] = " ".join([*words[:5], *sum(corners, [])])  # noqa: RUF017  four short lists
                file.write_text("\n".join(lines), encoding="utf-8")
                return file, number + 1
    raise AssertionError("no whole gate")


def test_a_clean_set(pose_set: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """Every split that there is, its scan and its keypoints."""
    assert run_cli("lint", pose_set.parent) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == "train: 12 images, 3 backgrounds, 0 set aside, " + lines[0].rsplit(", ", 1)[1]
    assert lines[1].startswith("train keypoints: ") and lines[1].endswith(" objects, no problems")
    assert lines[2].startswith("val: 4 images")
    assert lines[4:] == ["0 of 4 val pictures (0.0 %) have a near neighbour in train", f"{pose_set}: no problems"]


def test_a_key_that_nearly_is_a_known_one(
    pose_set: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be read as nothing: a problem, also where all labels are right."""
    text = pose_set.read_text(encoding="utf-8")
    pose_set.write_text(f"{text}sigmas: [1e-2, 1e-2, 1e-2, 1e-2]\n", encoding="utf-8")
    assert run_cli("lint", pose_set, "--split", "val") == 1
    out = capsys.readouterr().out
    line = len(text.splitlines()) + 1
    assert out.startswith(f"warning: {pose_set}:{line}: 'sigmas' is not read; did you mean 'kpt_oks_sigmas'? ")
    assert out.splitlines()[1].startswith("val: ")
    assert "data.yaml: no problems" not in out


def test_problems_of_labels_and_of_keypoints(
    pose_set: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are printed with file and line, and the exit status is 1; other splits are clean still."""
    file, line = spoil(pose_set)
    other = next(path for path in sorted(file.parent.glob("*.txt")) if path != file)
    other.write_text("0 0.5\n", encoding="utf-8")
    assert run_cli("lint", pose_set) == 1
    printed = capsys.readouterr().out
    assert f"    {other}:1 wrong column count: 2 columns, expected 17" in printed
    assert f"    {file}:{line} corner order: corners run counter-clockwise" in printed
    assert ": no problems" not in printed
    assert run_cli("lint", pose_set, "--split", "val") == 0
    assert "train" not in capsys.readouterr().out.replace(str(pose_set.parent), "")


def test_strict_names_objects_without_keypoints(
    pose_set: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = pose_set.parent / "labels" / "val" / "000000.txt"
    file.write_text("0 0.5 0.5 0.2 0.2" + " 0 0 0" * 4, encoding="utf-8")
    assert run_cli("lint", pose_set) == 0
    assert run_cli("lint", pose_set, "--strict") == 1
    assert f"    {file}:1 no keypoint: not one keypoint of this object is labelled" in capsys.readouterr().out


def test_a_detection_set_is_scanned(
    gates: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("lint", gates) == 0
    printed = capsys.readouterr().out
    assert "keypoints" not in printed
    assert f"{gates}: no problems" in printed


@pytest.mark.parametrize(
    ("words", "told"),
    [(["nowhere.yaml"], "nowhere.yaml: there is no such file"), (["{set}", "--split", "test"], "no 'test' split")],
)
def test_mistakes_are_told(
    words: list[str], told: str, pose_set: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("lint", *(word.format(set=pose_set) for word in words)) == 2
    assert told in capsys.readouterr().err


def test_as_a_process(pose_set: Path) -> None:
    """From another folder, with a relative path; the exit status is the process's own."""
    spoil(pose_set)
    environment = {**os.environ, "PYTHONPATH": str(REPO), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "aigp_lightning", "lint", f"{pose_set.parent.name}/data.yaml", "--split", "train"],
        cwd=pose_set.parent.parent, env=environment, check=False, capture_output=True, encoding="utf-8", timeout=600,
    )  # fmt: skip
    assert done.returncode == 1
    assert "corner order: 1 in 1 file, kept" in done.stdout
    assert done.stderr == ""


def test_help_shows_an_example_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom aigp_lightning.cli.main import main\n"
        "try:\n    main(['lint', '--help'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print(sorted({'torch', 'cv2', 'lightning', 'ultralytics', 'albumentations', 'PIL'} & set(sys.modules)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "example: lint datasets/gates/data.yaml --split train val" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_list_of_verbs_has_it(run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("--help") == 0
    assert "check a data set without training:  lint DATA_YAML" in capsys.readouterr().out
