"""The pose task from end to end, by the command line: a run, its files, the same scores in Ultralytics, refusals."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import CORNERS_YAML, REPO, UNDRAWN, draw_corners, small, tiny_network
from ultralytics import YOLO

from aigp_lightning.modules.metrics.false_alarms import FALSE_ALARMS
from aigp_lightning.modules.pose import PoseModule
from aigp_lightning.modules.registry import load_module
from aigp_lightning.modules.yolo.build import build_model, keypoint_shape
from aigp_lightning.modules.yolo.nms import nms
from aigp_lightning.modules.yolo.weights import load_weights, save_pt
from aigp_lightning.types import Keypoints

KEYPOINTS = Keypoints(4, 3, ("tl", "tr", "br", "bl"))
NAMES = {0: "gate", 1: "flag"}
FIGURES = [f"metrics/{name}({of})" for of in "BP" for name in ("precision", "recall", "mAP50", "mAP50-95")]
LOSSES = ["box_loss", "pose_loss", "kobj_loss", "cls_loss", "dfl_loss"]
OURS = {"model": "aigp_lightning.modules.pose.PoseModule"}

pytestmark = pytest.mark.usefixtures("one_thread")


def pose_options(data: Path, root: Path) -> list[object]:
    """Options of a pose run that takes seconds, without a logger."""
    config = REPO / "configs" / "pose.yaml"
    return [
        *("--config", config, *small(data, root), "--data.synthetic", "null"),
        *("--trainer.logger", "false", "--model.optim.nbs", 8),
    ]


def refused(capfd: pytest.CaptureFixture[str], status: int) -> str:
    """What a refused command said: an error, and no traceback."""
    said = capfd.readouterr()
    assert status != 0
    assert "Traceback" not in said.err + said.out
    return " ".join((said.err + said.out).split())


# ---- a run and its files --------------------------------------------------------------------------------------------


def test_results_have_ultralytics_columns(finished_pose: Path) -> None:
    with (finished_pose / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rates = ["lr/pg0", "lr/pg1", "lr/pg2"]
    expected = ["epoch", "time", *(f"train/{name}" for name in LOSSES), *FIGURES, *(f"val/{name}" for name in LOSSES)]
    ours = ("corners/", "gate/", FALSE_ALARMS)  # what Ultralytics has not
    assert [key for key in rows[0] if not key.startswith(ours)] == [*expected, *rates]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row[f"{part}/{name}"]) > 0 for row in rows for part in ("train", "val") for name in LOSSES)


def test_pictures_of_a_run(finished_pose: Path) -> None:
    curves = {f"{of}{kind}_curve.png" for of in ("Box", "Pose") for kind in ("PR", "F1", "P", "R")}
    found = {file.name for file in finished_pose.iterdir()}
    assert {*curves, "val_batch0_labels.jpg", "val_batch0_pred.jpg", "train_batch0.jpg", "results.png"} <= found
    assert "PR_curve.png" not in found
    assert '"failed"' not in (finished_pose / "media.jsonl").read_text(encoding="utf-8")


def test_best_pt_opens_in_yolo(finished_pose: Path) -> None:
    model = YOLO(finished_pose / "weights" / "best.pt")
    assert (model.task, model.names, list(model.model.kpt_shape)) == ("pose", {0: "gate"}, [4, 3])
    assert model.model.kpt_names == {0: ["tl", "tr", "br", "bl"]}
    assert model.ckpt["train_args"]["task"] == "pose"
    found = model.predict(np.zeros((96, 96, 3), np.uint8), imgsz=96, conf=0.001, device="cpu", verbose=False)[0]
    assert found.keypoints.data.shape[1:] == (4, 3)


def test_load_module_knows_the_keypoints(finished_pose: Path) -> None:
    module = load_module(finished_pose / "weights" / "best.ckpt")
    assert isinstance(module, PoseModule)
    assert module.keypoints == Keypoints(4, 3, ("tl", "tr", "br", "bl"), (1, 0, 3, 2), (3, 2, 1, 0), None, RING)
    assert module.closing_kinds == ("corner_error",)
    with torch.no_grad():
        (found,) = module.predict_batch({"img": torch.rand(1, 3, 96, 96)}, 0.0)  # type: ignore[arg-type, typeddict-item]
    assert found.keypoints is not None
    assert found.keypoints.shape == (len(found.boxes), 4, 3)


RING = ((0, 1), (1, 2), (2, 3), (3, 0))


def test_resume(corners: Path, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """StoppedBySignal after one epoch of two and resumed, the second epoch's losses are those of a run in one go."""
    options = [*pose_options(corners, tmp_path), *tiny_network(tmp_path, pose=True), *UNDRAWN]
    options += ["--trainer.max_epochs", 2]
    rows = {}
    for name in ("whole", "parts"):
        words = ["fit", *options, "--run.name", name]
        if name == "parts":
            assert run_cli(*words, "--trainer.max_steps", 3) == 0
            assert len((tmp_path / "pose" / name / "results.csv").read_text().splitlines()) == 2
            words += ["--ckpt_path", "last"]
        assert run_cli(*words) == 0
        with (tmp_path / "pose" / name / "results.csv").open(newline="") as file:
            rows[name] = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows["parts"]] == ["1", "2"]
    for one, other in zip(rows["whole"], rows["parts"], strict=True):
        for key in ("train/pose_loss", "train/kobj_loss", "val/pose_loss", "lr/pg0"):
            assert float(one[key]) == pytest.approx(float(other[key]), rel=2e-3), key


def test_plan_lists_the_curves_of_both(corners: Path, tmp_path: Path, run_cli: Callable[..., int], capsys) -> None:
    assert run_cli("plan", *pose_options(corners, tmp_path)) == 0
    counts = re.search(r"curves .*? (\d+) /", capsys.readouterr().out)
    assert counts
    assert counts[1] == "8"
    assert not (tmp_path / "pose").exists()


# ---- the same scores in Ultralytics ---------------------------------------------------------------------------------


def wake_up(model: Any, folder: Path) -> None:
    """Give an untrained model boxes, scores and keypoints that differ from place to place in these pictures."""
    import cv2

    pictures = torch.full((13, 3, 96, 96), 114.0)
    for number, file in enumerate(sorted(folder.glob("*.png"))):
        image = torch.from_numpy(cv2.imread(str(file))).flip(2).permute(2, 0, 1)
        pictures[number, :, : image.shape[1], : image.shape[2]] = image
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()(pictures / 255)
    head = model.model[-1]
    for box, score, points in zip(head.cv2, head.cv3, head.cv4, strict=True):
        for layer, spread in ((box, 0.1), (score, 0.3), (points, 0.3)):
            torch.nn.init.normal_(layer[-1].weight, std=spread)
        score[-1].bias.data.fill_(-4)
        box[-1].bias.data.copy_(-1.5 * torch.arange(16.0).sub(1.5).abs().repeat(4))


def label_by_model(weights: Path, data: Path, rect: bool) -> None:
    """Replace the labels by most of a model's own best finds, shaken: mAPs are then well inside 0…1."""
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.dataset import EvalDataset
    from aigp_lightning.data.images import label_path
    from aigp_lightning.data.samplers import EvalBatchSampler
    from aigp_lightning.data.scan import scan_split

    model, random = load_weights(weights).eval(), np.random.default_rng(3)
    records = scan_split(read_data_yaml(data), "val", progress=False).records
    dataset = EvalDataset(records, 96)
    for batch in EvalBatchSampler([record.shape for record in records], 16, 96, rect=rect):
        for item in (dataset[request] for request in batch):
            pixels = torch.from_numpy(item["image"]).permute(2, 0, 1)[None].float() / 255
            with torch.no_grad():
                found = nms(model(pixels), 0.001, 0.5, 300, 2, multi_label=False)[0].numpy()
            found = found[:24][random.random(min(len(found), 24)) < 0.85]
            (gain, _), pad = item["ratio_pad"]
            size = np.array(item["ori_shape"])[::-1]
            boxes = ((found[:, :4].reshape(-1, 2, 2) - pad) / gain + random.normal(0, 0.4, (len(found), 2, 2))) / size
            boxes = boxes.clip(0, 1)
            points = (found[:, 6:].reshape(-1, 4, 3)[..., :2] - pad) / gain
            points = (points + random.normal(0, 4, points.shape) * random.random((len(points), 1, 1))) / size
            seen = ((points >= 0) & (points <= 1)).all(2) * random.integers(1, 3, points.shape[:2])
            corners = np.concatenate((points * (seen > 0)[..., None], seen[..., None]), 2).reshape(-1, 12)
            rows = np.column_stack((boxes.mean(1), boxes[:, 1] - boxes[:, 0], corners))
            kept = (rows[:, 2:4] > 0.05).all(1)
            lines = zip(found[kept, 5], rows[kept], strict=True)
            text = "\n".join(f"{int(label)} " + " ".join(f"{value:.6f}" for value in row) for label, row in lines)
            Path(label_path(item["im_file"])).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., int]) -> tuple[Path, Path]:
    """A data set, and the run folder of a `fit` that began with weights that find something, and hardly moved them."""
    folder = tmp_path_factory.mktemp("scored")
    torch.manual_seed(0)
    model: Any = build_model("yolo11n-pose", NAMES, {}, "pose", KEYPOINTS)
    draw_corners(folder, "train", 8, seed=5)
    draw_corners(folder, "val", 13, seed=6)
    wake_up(model, folder / "images" / "val")
    save_pt(folder / "model.pt", model)
    yaml = folder / "data.yaml"
    yaml.write_text(CORNERS_YAML.replace("{0: gate}", "{0: gate, 1: flag}"))
    still = ["--model.optim.name", "SGD", "--model.optim.lr0", "1e-7", "--model.optim.warmup_bias_lr", 0]
    status = run_cli(
        *("fit", *pose_options(yaml, folder), "--run.name", "scored", "--model.weights", folder / "model.pt", *still),
        *("--trainer.max_epochs", 1, "--model.freeze", 23, "--media.routes.everything", "[]"),
        *("--trainer.precision", "32-true"),  # the same statistics of the head's norms on every machine
    )
    assert status == 0
    return yaml, folder / "pose" / "scored"


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize("rect", [True, False])
def test_best_pt_scores_the_same_in_yolo(scored, rect: bool, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """Boxes and keypoints: our checkpoint, our `.pt` in our own validation, and `YOLO(best.pt).val()`."""
    data, run = scored
    label_by_model(run / "weights" / "best.pt", data, rect)
    for cache in data.parent.rglob("*.cache"):
        cache.unlink()  # Ultralytics', which would not notice labels of the same size
    found = {}
    for name, source in (("ckpt", ("--ckpt_path", "best.ckpt")), ("pt", ("--model.weights", "best.pt"))):
        options = [*pose_options(data, tmp_path), "--data.rect", str(rect).lower(), "--run.json", tmp_path / "m.json"]
        assert run_cli("validate", *options, source[0], run / "weights" / source[1]) == 0
        found[name] = json.loads((tmp_path / "m.json").read_text())
        assert (found[name]["images"], found[name]["imgsz"]) == (13, 96)
    theirs = YOLO(run / "weights" / "best.pt").val(
        data=str(data), imgsz=96, batch=16, rect=rect, plots=False, device="cpu", workers=0, verbose=False
    )
    assert list(theirs.results_dict)[:8] == FIGURES
    for key in FIGURES:
        expected = theirs.results_dict[key]
        assert found["pt"]["metrics"][key] == pytest.approx(expected, abs=5e-4), key
        if "mAP" in key:
            assert (0.05 if "95" in key else 0.1) < expected < 0.95, key
            assert found["ckpt"]["metrics"][key] == pytest.approx(expected, abs=1e-3), key
    assert found["pt"]["metrics"]["fitness"] == pytest.approx(theirs.fitness, abs=1e-3)


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_a_detector_checkpoint_is_refused(finished: Path, corners: Path, tmp_path: Path, run_cli, capfd) -> None:
    for verb in ("fit", "validate"):
        status = run_cli(
            verb, *pose_options(corners, tmp_path), "--ckpt_path", finished / "weights" / "best.ckpt",
            *(("--run.name", "new") if verb == "fit" else ()),
        )  # fmt: skip
        said = refused(capfd, status)
        assert "best.ckpt" in said
        assert "is of a detect model; the configuration asks for pose" in said


def test_a_pose_checkpoint_is_refused_by_the_detector(finished_pose: Path, shapes: Path, tmp_path, run_cli, capfd):
    words = ["--model", "DetectorModule", *small(shapes, tmp_path)]
    status = run_cli("validate", *words, "--ckpt_path", finished_pose / "weights" / "best.ckpt")
    assert "is of a pose model; the configuration asks for detect" in refused(capfd, status)


def test_weights_of_another_task_are_refused(finished: Path, corners: Path, tmp_path, run_cli, capfd) -> None:
    for verb in ("fit", "validate"):
        status = run_cli(verb, *pose_options(corners, tmp_path), "--model.weights", finished / "weights" / "best.pt")
        assert "best.pt is of a detect model; the configuration asks for pose" in refused(capfd, status)


@pytest.mark.parametrize("shape", [(5, 3), (4, 2)])
def test_other_keypoints(shape, corners: Path, finished_pose: Path, tmp_path: Path, run_cli, capfd) -> None:
    """`fit` adapts weights of other keypoints; `validate` refuses them, as it does a checkpoint."""
    weights = tmp_path / "other.pt"
    other = Keypoints(*shape, tuple("abcde"[: shape[0]]))
    save_pt(weights, build_model("yolo11n-pose", {0: "gate"}, {}, "pose", other))
    options = pose_options(corners, tmp_path)
    said = refused(capfd, run_cli("validate", *options, "--model.weights", weights))
    assert f"other.pt finds keypoints of shape {list(shape)}, the data set's kpt_shape is [4, 3]" in said
    assert run_cli(
        *("fit", *options, "--run.name", "adapted", "--model.weights", weights, "--trainer.max_epochs", 1),
        *("--media.routes.everything", "[]"),
    ) == 0  # fmt: skip
    adapted = load_weights(tmp_path / "pose" / "adapted" / "weights" / "best.pt")
    assert keypoint_shape(adapted) == (4, 3)


def test_a_checkpoint_of_other_keypoints_is_refused(corners: Path, finished_pose: Path, tmp_path, run_cli, capfd):
    two = two_numbers(corners, tmp_path)
    status = run_cli("validate", *pose_options(two, tmp_path), "--ckpt_path", finished_pose / "weights" / "best.ckpt")
    said = refused(capfd, status)
    assert "best.ckpt finds keypoints of shape [4, 3], the data set's kpt_shape is [4, 2]" in said


def two_numbers(corners: Path, folder: Path) -> Path:
    """The same pictures, their labels without visibility."""
    copy = folder / "two"
    shutil.copytree(corners.parent, copy, ignore=shutil.ignore_patterns("*.cache", "runs"))
    for file in (copy / "labels").rglob("*.txt"):
        rows = [line.split() for line in file.read_text().splitlines()]
        rows = [row for row in rows if "0" not in row[7::3]]  # no way to say that a corner is not labelled
        kept = [[word for place, word in enumerate(row) if place < 5 or (place - 5) % 3 < 2] for row in rows]
        file.write_text("\n".join(" ".join(row) for row in kept))
    (copy / "data.yaml").write_text(CORNERS_YAML.replace("[4, 3]", "[4, 2]"))
    return copy / "data.yaml"


def test_a_set_without_visibility(corners: Path, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """Trains, draws, validates and opens in YOLO with two numbers a keypoint; without a camera there are no metres."""
    data = two_numbers(corners, tmp_path)
    options = [*pose_options(data, tmp_path), "--model.camera", "null", "--run.json", tmp_path / "m.json"]
    assert run_cli("fit", *options, "--run.name", "two", "--trainer.max_epochs", 1) == 0
    run = tmp_path / "pose" / "two"
    with (run / "results.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["train/kobj_loss"]) == 0 < float(row["train/pose_loss"])
    assert not any(key.startswith(("gate/", "corners/visible")) for key in row)
    found = {file.name for file in run.iterdir()}
    assert {"train_batch0.jpg", "val_batch0_labels.jpg", "val_batch0_pred.jpg", "PosePR_curve.png"} <= found
    assert "corner_error.png" not in found
    assert '"failed"' not in (run / "media.jsonl").read_text(encoding="utf-8")
    assert list(YOLO(run / "weights" / "best.pt").model.kpt_shape) == [4, 2]


@pytest.mark.parametrize("variant", ["yolo11n", "yolo11n-poze"])
def test_a_variant_that_is_no_pose_model(variant: str, corners: Path, tmp_path: Path, run_cli, capfd) -> None:
    said = refused(capfd, run_cli("fit", *pose_options(corners, tmp_path), "--model.variant", variant))
    assert f"cannot build the model '{variant}'" in said
    assert "such as yolo11n-pose" in said


def test_a_data_set_without_keypoints(shapes: Path, finished_pose: Path, tmp_path: Path, run_cli, capfd) -> None:
    trained = ("--model.weights", finished_pose / "weights" / "best.pt")
    for verb, words in (("fit", ()), ("validate", trained), ("plan", ())):
        said = refused(capfd, run_cli(verb, *pose_options(shapes, tmp_path), *words))
        assert f"{shapes}: keypoints are wanted, but 'kpt_shape' is missing; add it, as [4, 3]" in said


# ---- options --------------------------------------------------------------------------------------------------------


def printed(run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str], *words: object) -> Any:
    import yaml

    with pytest.raises(SystemExit, match="0"):
        run_cli("fit", "--config", REPO / "configs" / "pose.yaml", *words, "--print_config")
    return yaml.safe_load(capfd.readouterr().out)


def test_options_reach_the_module(run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]) -> None:
    plain = printed(run_cli, capfd)["model"]["init_args"]
    assert plain["gains"] == {"box": 7.5, "cls": 0.5, "dfl": 1.5, "dis": 6.0, "pose": 12.0, "kobj": 1.0, "rle": 1.0}
    camera = plain["camera"]
    assert (camera["size"], camera["profile"], camera["bands"]) == (1.5, "ts-002", [5, 10, 20])
    assert {camera[name] for name in ("width", "height", "fx", "fy", "cx", "cy", "object_points")} == {None}
    words = ["--model.camera.fx", 400, "--model.gains.pose", 10, "--model.freeze", 2, "--model.iou", 0.6]
    changed = printed(run_cli, capfd, *words)["model"]["init_args"]
    assert changed["camera"] == {**plain["camera"], "fx": 400.0}
    assert changed["gains"] == {**plain["gains"], "pose": 10.0}
    assert (changed["freeze"], changed["iou"]) == (2, 0.6)
    assert printed(run_cli, capfd, "--model.camera", "null")["model"]["init_args"]["camera"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model.camera.focal", "400"], "focal"),
        (["--model.gains.poze", "1"], "poze"),
        (["--model.nonsense", "1"], "nonsense"),
        (["--model.camera.fx", "-1"], "--model.camera.fx -1: a number above 0"),
        (
            ["--model.camera.profile", "ts-004"],
            "--model.camera.profile 'ts-004' is no camera; known are ts-002, ts-005",
        ),
        (["--model.camera.object_points", "gate-5"], "--model.camera.object_points 'gate-5' is no built-in target"),
        (
            ["--model.camera.object_points", "gate-8"],
            "--model.camera.object_points has 8 points, but the data set's kpt_shape is [4, 3]",
        ),
    ],
)
def test_wrong_options(words: list[str], message: str, corners: Path, tmp_path: Path, run_cli, capfd) -> None:
    try:
        status = run_cli("fit", *pose_options(corners, tmp_path), *words)
    except SystemExit as error:
        status = int(str(error.code))
    assert message in refused(capfd, status)


def test_help_tells_of_our_options_and_the_detector_s(run_cli: Callable[..., int], capfd) -> None:
    assert run_cli("fit", "--model.help", OURS["model"]) == 0
    said = " ".join(capfd.readouterr().out.split())
    for words in (
        "freeze this many layers, counted from the input",
        "likeness of the keypoints (OKS)",
        "name of an Ultralytics pose model YAML",
        "Camera and gate, for errors in metres and degrees",
        "overlap above which suppression drops the weaker of two boxes",
        "--model.class_weights",
    ):
        assert words in said, words


# ---- predictions and exports ----------------------------------------------------------------------------------------


def values_of(file: Path) -> list[list[float]]:
    return [[float(word) for word in line.split()] for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("source", ["ckpt", "pt"])
def test_predictions_are_written_as_ultralytics_writes_them(scored, source: str, tmp_path: Path, run_cli) -> None:
    """Text line by line as `save_txt` does, but that a keypoint out of the picture stays there; names in the JSON."""
    data, run = scored
    weights = run / "weights" / f"best.{source}"
    names = ("tl", "tr", "br", "bl")
    picture = data.parent / "images" / "val" / "001.png"  # 64 high, 96 wide
    flag = "--ckpt_path" if source == "ckpt" else "--model.weights"
    options = pose_options(data, tmp_path)
    assert run_cli("predict", *options, "--run.name", "found", "--data.source", picture, flag, weights) == 0
    (out,) = (tmp_path / "pose").glob("found*")
    lines = values_of(out / "labels" / "001.txt")
    theirs = YOLO(run / "weights" / "best.pt").predict(
        str(picture), imgsz=96, conf=0.25, device="cpu", verbose=False, save=False
    )[0]
    theirs.save_txt(tmp_path / "theirs.txt", save_conf=True)
    expected = values_of(tmp_path / "theirs.txt")
    assert len(lines) == len(expected) > 2
    assert {len(line) for line in lines} == {1 + 4 + 4 * 3 + 1}
    clipped, reference = np.array(lines), np.array(expected)
    for column in range(5, 17, 3):
        clipped[:, column : column + 2] = clipped[:, column : column + 2].clip(0, 1)
    orders = [np.lexsort(rows[:, :4].round(2).T) for rows in (clipped, reference)]  # close scores may change places
    np.testing.assert_allclose(clipped[orders[0]], reference[orders[1]], atol=0.01)
    (entry,) = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    assert (entry["height"], entry["width"], tuple(entry["keypoint_names"])) == (64, 96, names)
    found = np.array([one["keypoints"] for one in entry["detections"]]) / [96, 64, 1]
    np.testing.assert_allclose(found.reshape(len(lines), -1), np.array(lines)[:, 5:-1], atol=6e-4)
    assert (out / "images" / "001.jpg").stat().st_size > 1000


def test_without_visibility_no_confidence_is_written() -> None:
    from aigp_lightning.media.detections import ImageDetections
    from aigp_lightning.predictions.formats import json_entry, yolo_lines

    points = np.array([[[10, 20, 1], [30, 60, 1.0]]])
    found = ImageDetections(np.array([[0, 0, 50, 80.0]]), np.array([0.5]), np.array([1]), points, (80, 100))
    two = Keypoints(2, 2, ("nose", "tail"))
    assert yolo_lines(found, two) == "1 0.25 0.5 0.5 1 0.1 0.25 0.3 0.75 0.5\n"
    entry = json_entry(found, "a.png", None, NAMES, two)
    assert entry["keypoint_names"] == ["nose", "tail"]
    assert entry["detections"][0]["keypoints"] == [[10, 20], [30, 60]]


@pytest.mark.parametrize("form", ["pt", "onnx", "torchscript"])
def test_exports_find_the_module_s_keypoints(scored, form: str, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    """Read by `YOLO` alone, with shape and names of the keypoints in the file."""
    import cv2
    from ultralytics.nn.autobackend import AutoBackend

    data, run = scored
    checkpoint = run / "weights" / "best.ckpt"
    assert run_cli("export", "--ckpt_path", checkpoint, "--format", f"[{form}]", "--out", tmp_path, "--imgsz", 96) == 0
    image = cv2.imread(str(data.parent / "images" / "val" / "000.png"))  # 96 by 96
    batch: Any = {"img": torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255}
    with torch.no_grad():
        (mine,) = load_module(checkpoint).predict_batch(batch, 0.05)
    model = YOLO(tmp_path / f"best.{form}", task=None if form == "pt" else "pose")
    theirs = model.predict(image, imgsz=96, conf=0.05, iou=0.7, device="cpu", verbose=False)[0]
    assert mine.keypoints is not None
    assert len(mine.boxes) > 3
    found = torch.cat((mine.boxes.clamp(0, 96), mine.keypoints[..., :2].clamp(0, 96).flatten(1)), 1)
    expected = torch.cat((theirs.boxes.xyxy, theirs.keypoints.xy.flatten(1)), 1)
    gaps = torch.cdist(found, expected, p=float("inf"))
    assert gaps.shape[0] == gaps.shape[1]
    assert gaps.min(0).values.max() < (0.3 if form == "pt" else 0.01)
    torch.testing.assert_close(theirs.boxes.conf, mine.scores, atol=2e-3, rtol=0)
    backend: Any = AutoBackend(str(tmp_path / f"best.{form}"), device=torch.device("cpu"))
    assert list(backend.kpt_shape) == [4, 3]
    if form != "pt":
        corners = ["tl", "tr", "br", "bl"]
        assert {int(key): value for key, value in backend.kpt_names.items()} == {0: corners, 1: corners}
        assert backend.task == "pose"


@pytest.mark.parametrize(("numbers", "expected"), [(3, [4, 5, 8, 11, 14, 17]), (2, [4, 5])])
def test_export_compares_visibility_as_a_confidence(numbers: int, expected: list[int]) -> None:
    """Channels of boxes, two classes, and four keypoints: pixels may be off by more than what is between 0 and 1."""
    from aigp_lightning.modules.yolo.export import confidence_channels

    network = build_model("yolo11n-pose", NAMES, {}, "pose", Keypoints(4, numbers, KEYPOINTS.names))
    assert confidence_channels(network) == expected


# ---- objects of other keypoints -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_keypoints_of_no_known_object_have_no_metres(
    corners: Path, tmp_path: Path, run_cli: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    """The run says so, once, and how to get them; with points there is a distance, and without a camera no word."""
    copy = tmp_path / "five"
    shutil.copytree(corners.parent, copy, ignore=shutil.ignore_patterns("*.cache", "runs"))
    for file in (copy / "labels").rglob("*.txt"):
        lines = file.read_text().splitlines()
        file.write_text("\n".join(f"{line} 0 0 0" for line in lines))
    text = CORNERS_YAML.replace("[4, 3]", "[5, 3]").replace("[1, 0, 3, 2]", "[1, 0, 3, 2, 4]")
    (copy / "data.yaml").write_text(re.sub("(?m)^kpt_names:.*(\n .*)*\n", "", text))
    options = [*pose_options(copy / "data.yaml", tmp_path), "--trainer.max_epochs", 1, *UNDRAWN]
    assert run_cli("fit", *options, "--run.name", "five") == 0
    line = "no errors in metres: nothing says where the 5 keypoints are on the object. Write object_points to "
    assert sum(line in text for text in caplog.messages) == 1
    best, wanted = tmp_path / "pose" / "five" / "weights" / "best.ckpt", tmp_path / "m.json"
    points = "[[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [0, 0, 0]]"
    told = ["validate", "--ckpt_path", best, "--run.json", wanted, "--model.camera.object_points", points]
    caplog.clear()
    assert run_cli(*told, "--model.camera.profile", "ts-005") == 0
    assert not any(line in text for text in caplog.messages)
    assert any("pictures have another aspect than --model.camera (640 × 360)" in text for text in caplog.messages)
    bands = json.loads(wanted.read_text(encoding="utf-8"))["keypoints"]["bands"]
    assert [row["band"] for row in bands][:4] == ["0–5 m", "5–10 m", "10–20 m", "over 20 m"]
    caplog.clear()
    assert run_cli("validate", "--ckpt_path", best, "--model.camera", "null") == 0
    assert not any("metres" in text for text in caplog.messages)
