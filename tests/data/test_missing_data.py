"""A data.yaml that is not there: what is made unasked, what is named as the nearest, and the command that makes it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lightning.pytorch  # noqa: F401  sets the rank, by which one process alone prints
import pytest
from helpers import small

from aigp_lightning.cli.parser import parse_options
from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.listing import list_images
from aigp_lightning.data.missing_data import SHIPPED_SETS, make_command, nearest_path, not_there
from aigp_lightning.data.preparation import provide_data
from aigp_lightning.data.synthetic import MakeDataOptions, make_data
from aigp_lightning.errors import ConfigError, DataError

TINY = MakeDataOptions(train=1, val=1, test=0, imgsz=(64, 64), workers=1)
COMMAND = "python -m aigp_lightning make-data"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Folders with YAML files in them, as people have them; the working directory is above."""
    for name in (
        *("datasets/gates/data.yaml", "datasets/gate-corners/data.yaml", "datasets/gates/images/train/0.txt"),
        *("Größe 2024/v1 [final]/gates.yml", "deep/a/b/c/d/e/data.yaml", "flat.yaml", ".hidden/data.yaml"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("names: [gate]\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("datasets/gates/dta.yaml", "datasets/gates/data.yaml"),
        ("datasets/gates/data.yml", "datasets/gates/data.yaml"),
        ("datasets/gatse/data.yaml", "datasets/gates/data.yaml"),
        ("dataset/gates/data.yaml", "datasets/gates/data.yaml"),
        ("Datasets/gate_corners/Data.yaml", "datasets/gate-corners/data.yaml"),
        ("datasets/data.yaml", "datasets/gates/data.yaml"),
        ("gates/data.yaml", "datasets/gates/data.yaml"),
        ("datasets/gates/v2/data.yaml", "datasets/gates/data.yaml"),
        ("datasets/gatse", "datasets/gates/data.yaml"),
        ("Gro\u0308sse 2024/v1 (final)/gates.yaml", "Größe 2024/v1 [final]/gates.yml"),
        ("depe/a/b/c/d/e/dat.yaml", "deep/a/b/c/d/e/data.yaml"),
        ("flt.yaml", "flat.yaml"),
        ("datasets/gates/imges/data.yaml", "datasets/gates/data.yaml"),
        ("empty/corners.yaml", "empty"),
        ("nothing-like-it/x.yaml", None),
    ],
)
def test_the_nearest_path_is_found(disk: Path, typed: str, near: str | None) -> None:
    """Wrong letters in any part of it, a folder too few or too many; relative as typed, and absolute."""
    assert nearest_path(typed) == (None if near is None else Path(near))
    if near is not None:
        assert nearest_path(str(disk / typed)) == disk / near


def test_links_in_a_circle_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "data.yaml").write_text("names: [gate]")
    assert nearest_path(str(tmp_path / "dta.yaml")) == tmp_path / "data.yaml"
    assert nearest_path(str(tmp_path / "c" / "data.yaml")) == tmp_path / "data.yaml"


def test_no_more_than_one_line_says_what_to_do(disk: Path) -> None:
    pose = replace(TINY, task="pose", backgrounds=0.5)
    words = "--task pose --train 1 --val 1 --test 0 --imgsz '[64, 64]' --backgrounds 0.5"
    near = "the nearest that is there is datasets/gates/data.yaml"
    lines = {
        "datasets/gatse/data.yaml": f"{near}. To make a synthetic one there: {COMMAND} --out datasets/gatse {words}",
        "datasets/gates/dta.yaml": near,  # make-data writes over no folder
        "empty/gates.yaml": "the nearest that is there is the folder empty, without a YAML of that name in it. To make "
        f"a synthetic one there (as empty/data.yaml): {COMMAND} --out empty {words}",
    }
    for typed, line in lines.items():
        assert not_there(typed, pose) == f"{typed}: there is no such file; {line}"
    assert not_there("sets/v1.2", pose).endswith(f"(as sets/v1.2/data.yaml): {COMMAND} --out sets/v1.2 {words}")
    assert not_there("flat.ymal", pose) == "flat.ymal: there is no such file; the nearest that is there is flat.yaml"
    assert not_there("zzz.yaml") == (
        f"zzz.yaml: there is no such file, nor anything like it in {disk}; give the path of your data set's data.yaml"
    )


@pytest.mark.parametrize("options", [*SHIPPED_SETS, replace(TINY, seed=7)], ids=str)
def test_the_command_makes_the_same_set(options: MakeDataOptions) -> None:
    words = shlex.split(make_command(options, "my gates #1", force=True))
    parsed = parse_options(MakeDataOptions, "make-data", words[4:], "", "")
    assert replace(parsed, imgsz=tuple(parsed.imgsz)) == replace(options, out="my gates #1", force=True, workers=0)


@pytest.mark.parametrize(
    ("path", "options", "make"),
    [
        ("datasets/mine/data.yaml", TINY, True),
        ("datasets/gates/mine.yaml", TINY, True),
        ("datasets/gates/data.yaml", replace(TINY, task="pose"), True),
        ("datasets/gates/data.yaml", TINY, False),
        ("datasets/gates/data.yaml", None, True),
    ],
)
def test_only_a_training_makes_a_set_and_only_at_its_configurations_path(
    tmp_path: Path, path: str, options: MakeDataOptions | None, make: bool
) -> None:
    """What is refused instead names the option and the command, and leaves nothing."""
    with pytest.raises(
        ConfigError, match=rf"^--data\.data_yaml {path}: there is no such file.*{COMMAND} --out [^\n]+$"
    ):
        provide_data(path, options, make=make, progress=False)
    assert list(tmp_path.iterdir()) == []


def usual_flights() -> MakeDataOptions:
    return MakeDataOptions(task="pose", imgsz=(64, 64), sequences=1, frames=1, workers=1)


def test_options_that_differ_from_the_set_on_the_disk_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In one line with both values; nothing where they are the same, or none are given, or the set is a user's own."""
    out = tmp_path / "my gates"
    made = make_data(replace(TINY, out=str(out)), progress=False)
    with caplog.at_level("INFO"):
        provide_data(str(made), replace(TINY, workers=3, imgsz=[64, 64]), make=True, progress=False)  # type: ignore[arg-type]
        provide_data(str(made), None, make=True, progress=False)
        assert caplog.messages == []
        provide_data(str(made), replace(TINY, train=9, imgsz=(128, 96), backgrounds=0.5), make=False, progress=False)
        provide_data(str(out), replace(TINY, task="pose"), make=True, progress=False)
        (out / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [gate]\n", encoding="utf-8")
        provide_data(str(made), replace(TINY, train=9), make=True, progress=False)
        flights = make_data(replace(usual_flights(), out=str(tmp_path / "flights")), progress=False)
        provide_data(str(flights), replace(TINY, task="pose", seed=9), make=True, progress=False)
    anew = f"To make it anew: {COMMAND} --out '{out}'"
    assert caplog.messages == [
        f"{made} is used as it is, made with train 1, imgsz 64x64, backgrounds 0.25; data.synthetic says train 9, "
        f"imgsz 128x96, backgrounds 0.5. {anew} --train 9 --val 1 --test 0 --imgsz '[128, 96]' --backgrounds 0.5 "
        "--force true",
        f"{out} is used as it is, made with task detect; data.synthetic says task pose. "
        f"{anew} --task pose --train 1 --val 1 --test 0 --imgsz '[64, 64]' --force true",
    ]


def test_verbs_refuse_a_mistyped_path_and_make_nothing(
    finished: Path, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """`fit` at another path than its configuration's; the others at that one too."""
    runs, default = tmp_path / "runs", Path("datasets/gates/data.yaml")
    checkpoint = ("--ckpt_path", finished / "weights" / "best.ckpt")
    calls = {
        "fit": (*small(Path("my/dta.yaml"), runs), "--data.synthetic.train", 8),
        "validate": (*small(default, runs), *checkpoint, "--data.synthetic.train", 8),
        "test": (*small(default, runs), *checkpoint),
        "lint": (default,),
    }
    for verb, words in calls.items():
        assert run_cli(verb, *words) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        option = "" if verb == "lint" else "--data.data_yaml "
        path, train = ("my/dta.yaml", 8) if verb == "fit" else (default, 8 if verb == "validate" else 2048)
        assert lines[-1].startswith(f"error: {option}{path}: there is no such file")
        assert f"{COMMAND} --out " in lines[-1] and f"--train {train}" in lines[-1]
        assert not list(tmp_path.rglob("*.*")), verb


@pytest.mark.skipif(os.sep != "/", reason="there it may be a path of this machine")
@pytest.mark.parametrize(
    ("text", "key", "place"),
    [
        ("path: 'C:\\Users\\me\\gates'\ntrain: images\n", "path", "C:\\Users\\me\\gates/images"),
        ("train: 'D:/gates/images'\n", "train", "D:/gates/images"),
    ],
)
def test_a_path_of_windows_is_another_machines(tmp_path: Path, text: str, key: str, place: str) -> None:
    """It is no folder below the data set's."""
    (tmp_path / "data.yaml").write_text(f"{text}val: images\nnames: [gate]\n", encoding="utf-8")
    with pytest.raises(DataError) as refused:
        list_images(read_data_yaml(tmp_path / "data.yaml"), "train")
    told = f"'{key}' leads to {place}, a path of another machine: replace '{key}' by a folder of this one"
    assert str(refused.value) == f"{tmp_path / 'data.yaml'}: {told}"
