"""The verb `from-ultralytics`: the report, the file, and trainings of two teams' recipes in the layouts they name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers import REPO

from aigp_lightning.errors import ConfigError
from aigp_lightning.recipes.write_config import values_of

CASES = REPO / "tests" / "recipes"
CORNERS = 8


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """The recipes of two teams, in the folder that a test runs in."""
    for team in ("team-a", "team-b"):
        shutil.copytree(CASES / team, tmp_path / team)
    return tmp_path


def parsed(
    run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str], file: Path, *more: object
) -> dict[str, Any]:
    """A configuration as the parser of `fit` resolves it."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run_cli("fit", "--config", file, *more, "--print_config")
    printed = capsys.readouterr()
    assert end.value.code in (0, None), printed.err
    found: dict[str, Any] = yaml.safe_load(printed.out)
    return found


def test_team_a_is_converted(cases: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("from-ultralytics", "team-a/args.yaml", "--out", "a.yaml") == 1
    told = capsys.readouterr().out
    assert max(map(len, told.replace(str(cases), "HERE").splitlines())) <= 80  # a path is as long as it is
    assert "team-a/args.yaml: pose, 110 settings" in told
    assert "multi_scale true            --model.multi_scale 0.5" in told
    assert re.search(r"to replace: \S*data\.yaml: 'path' is C:\\Users\\pilot", " ".join(told.split()))
    assert "resume runs\\pose" in told
    assert "sigmas' is not read" in " ".join(told.split())
    text = Path("a.yaml").read_text(encoding="utf-8")
    assert values_of(text, {"model.multi_scale": None}) == {"model.multi_scale": 0.5}
    assert "C:\\Users\\pilot\\Documents\\racing\\renders, which is not on this machine" in text.partition("run:")[0]
    config = parsed(run_cli, capsys, Path("a.yaml"))
    model = config["model"]["init_args"]
    assert config["model"]["class_path"] == "aigp_lightning.modules.pose.PoseModule"
    assert (model["variant"], model["weights"], model["camera"]) == ("yolo11n-pose", "yolo11n-pose.pt", None)
    assert model["gains"] == {"box": 7.5, "cls": 0.5, "dfl": 1.5, "pose": 30.0, "kobj": 1.0, "dis": 6.0, "rle": 1.0}
    assert model["optim"] == {
        "name": "auto", "lr0": 0.01, "lrf": 0.01, "momentum": 0.937, "weight_decay": 0.0005, "warmup_epochs": 3.0,
        "warmup_momentum": 0.8, "warmup_bias_lr": 0.0, "cos_lr": False, "nbs": 64, "clip_norm": 10.0,
    }  # fmt: skip
    data = config["data"]
    assert (data["data_yaml"], data["batch_size"], data["workers"], data["seed"]) == ("team-a/data.yaml", 16, 0, 0)
    assert data["synthetic"] is None
    assert config["trainer"]["max_epochs"] == 100
    assert (config["trainer"]["devices"], config["trainer"]["deterministic"]) == (1, "warn")
    assert config["early_stopping"]["patience"] == 20
    assert (config["run"]["root"], config["run"]["name"]) == ("runs", "gate-pose-5")


def test_team_b_is_converted(cases: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    words = ("from-ultralytics", "team-b/train_kwargs.yaml", "--variant", "yolov8n-pose", "--out", "b.yaml")
    assert run_cli(*words) == 1
    told = capsys.readouterr().out
    assert "model gate_pose_before.pt: not in this folder, nor beside the recipe" in told
    assert "perspective 0.001" in told
    assert "fetch" not in told
    text = Path("b.yaml").read_text(encoding="utf-8")
    assert values_of(text, {"data.augment.perspective": 0}) == {"data.augment.perspective": 0.001}
    config = parsed(run_cli, capsys, Path("b.yaml"))
    augment = config["data"]["augment"]
    assert [augment[name] for name in ("degrees", "translate", "scale", "mosaic", "fliplr")] == [15, 0.3, 0.7, 1, 0.5]
    assert config["model"]["init_args"]["variant"] == "yolov8n-pose"
    assert config["model"]["init_args"]["weights"] == "gate_pose_before.pt"
    assert (config["data"]["batch_size"], config["trainer"]["max_epochs"]) == (64, 150)
    assert run_cli(*words) == 2
    assert "b.yaml is there already" in capsys.readouterr().err
    assert run_cli(*words, "--force") == 1


def test_fit_names_what_was_not_replaced(
    cases: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = ("from-ultralytics", "team-a/args.yaml", "data=D:\\gates\\data.yaml", "model=yolo11n-pose.yaml")
    assert run_cli(*recipe, "--out", "a.yaml") == 1
    assert "data_yaml: REPLACE_ME/data.yaml  # REPLACE: data was D:\\gates\\data.yaml" in Path("a.yaml").read_text()
    capsys.readouterr()
    assert run_cli("fit", "--config", Path("a.yaml")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: --data.data_yaml REPLACE_ME/data.yaml: there is no such file")


@pytest.mark.parametrize("name", ["variant", "weights", "distill_model"])
def test_a_network_that_was_not_replaced_is_told_before_data_are_read(name: str) -> None:
    """By the module itself, which is made before any picture is looked at."""
    from aigp_lightning.modules.detector import DetectorModule

    options: dict[str, Any] = {name: "REPLACE_ME/mine.pt"}
    with pytest.raises(ConfigError, match=rf"^--model\.{name} is REPLACE_ME/mine\.pt, .* replace it there\.$"):
        DetectorModule(**options)


def test_the_configuration_alone_is_printed(run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("from-ultralytics", "model=yolo11n.yaml epochs=3 data=coco8.yaml", "--out", "-") == 1
    printed = capsys.readouterr()
    assert yaml.safe_load(printed.out)["trainer"]["max_epochs"] == 3
    assert "a data set that Ultralytics downloads" in printed.err


def test_odd_names_stay_in_their_lines(run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    call = "YOLO('yolo11n.yaml').train(data='C:/a\\nb', name='x\\n# y: [')"
    assert run_cli("from-ultralytics", call, "--out", "-") == 1
    printed = capsys.readouterr()
    assert yaml.safe_load(printed.out)["run"] == {"name": "x\n# y: [", "root": "runs", "hours": None}
    assert yaml.safe_load(printed.out)["data"]["data_yaml"] == "REPLACE_ME/a\nb"


def test_what_the_configuration_is_made_from_is_not_replaced(
    cases: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in sorted(cases.glob("team-*/*"))}
    for recipe, out in (("team-a/args.yaml",) * 2, ("team-a", "team-a/args.yaml"), ("team-a", "team-a/data.yaml")):
        assert run_cli("from-ultralytics", recipe, "--out", out, "--force") == 2
        assert (
            capsys.readouterr().err
            == f"error: --out {out} is what the configuration is made from; name another file.\n"
        )
    assert {path: path.read_bytes() for path in sorted(cases.glob("team-*/*"))} == before


def test_keys_added_to_a_group_and_to_one_within_it(run_cli: Callable[..., int]) -> None:
    call = "train(model='yolo11n.pt', data='a/data.yaml', iou=0.6, warmup_bias_lr=0.0, max_det=9, kobj=1)"
    assert run_cli("from-ultralytics", call, "--out", "min.yaml") == 1
    model = yaml.safe_load(Path("min.yaml").read_text(encoding="utf-8"))["model"]["init_args"]
    assert (model["iou"], model["max_det"], model["optim"]["warmup_bias_lr"]) == (0.6, 9, 0.0)


def test_a_recipe_that_cannot_be_read(run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("from-ultralytics", "nowhere.yaml") == 2
    assert capsys.readouterr().err == "error: nowhere.yaml: there is no such file.\n"


# ---- trained ---------------------------------------------------------------------------------------------------------


def draw_gates(images: Path, labels: Path, count: int, seed: int) -> None:
    """Pictures of gates with the corners of their opening and of their outer frame: TL TR BL BR, twice."""
    import cv2

    random = np.random.default_rng(seed)
    for folder in {images, labels}:
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = random.integers(0, 60, (96, 128, 3), dtype=np.uint8)
        x, y, side = random.integers(8, 50), random.integers(8, 30), random.integers(30, 50)
        outer = np.array([[x, y], [x + side, y], [x, y + side], [x + side, y + side]], np.float64)
        inner = outer + np.array([[6, 6], [-6, 6], [6, -6], [-6, -6]])
        cv2.rectangle(picture, (int(x), int(y)), (int(x + side), int(y + side)), (60, 60, 240), 5)
        points = np.column_stack((np.concatenate((inner, outer)) / [128, 96], np.full(8, 2)))
        box = [*(outer.mean(0) / [128, 96]), side / 128, side / 96]
        cv2.imwrite(str(images / f"{number:03d}.png"), picture)
        row = " ".join(["0", *(f"{value:.6f}" for value in box), *(f"{value:.6g}" for value in points.ravel())])
        (labels / f"{number:03d}.txt").write_text(row, encoding="utf-8")


QUICK = ("--data.imgsz", 96, "--data.batch_size", 8, "--data.workers", 0, "--trainer.accelerator", "cpu",
         "--trainer.enable_progress_bar", "false", "--media.routes.everything", "[]",
         "--trainer.logger", "false")  # fmt: skip


def test_team_a_trains_where_pictures_and_labels_are_in_the_same_folders(
    cases: Path, run_cli: Callable[..., int]
) -> None:
    for seed, folder in enumerate(("TrainingImages", "ValidationImages")):
        draw_gates(cases / "renders" / folder, cases / "renders" / folder, 10, seed)
    description = Path("team-a/data.yaml")
    text = description.read_text(encoding="utf-8").replace("C:\\Users\\pilot\\Documents\\racing\\", "../")
    description.write_text(text, encoding="utf-8")
    recipe = ("team-a/args.yaml", "model=yolo11n-pose.yaml", "epochs=1", "close_mosaic=0")
    assert run_cli("from-ultralytics", *recipe, "--out", "a.yaml") == 0
    assert run_cli("fit", "--config", Path("a.yaml"), *QUICK) == 0
    rows = Path("runs/pose/gate-pose-5/results.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 2
    assert "train/pose_loss" in rows[0]


def test_team_b_trains_from_its_own_weights_of_eight_corners(
    cases: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    from aigp_lightning.modules.pose import PoseModule
    from aigp_lightning.types import Keypoints

    for seed, split in enumerate(("train", "val")):
        draw_gates(cases / "set" / "images" / split, cases / "set" / "labels" / split, 10, seed)
    keys = (
        "train: images/train\nval: images/val\nnames: [gate]\nkpt_shape: [8, 3]\nflip_idx: [1, 0, 3, 2, 5, 4, 7, 6]\n"
    )
    Path("set/data.yaml").write_text(keys, encoding="utf-8")
    module = PoseModule("yolov8n-pose")
    module.keypoints = Keypoints(CORNERS, 3, tuple(map(str, range(CORNERS))))
    module.set_network(module.build_network({0: "gate"}))
    module.deployment.write_portable(cases / "team-b" / "gate_pose_before.pt")
    recipe = ("team-b/train_kwargs.yaml", "data=set/data.yaml", "epochs=1")
    assert run_cli("from-ultralytics", *recipe, "--out", "b.yaml") == 0
    assert "--model.variant yolov8n-pose" in capsys.readouterr().out
    assert run_cli("fit", "--config", Path("b.yaml"), *QUICK) == 0
    assert Path("runs/pose/train/weights/best.pt").is_file()
