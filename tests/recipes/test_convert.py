"""Settings of Ultralytics' become the options that mean the same; what does not is named, with what to do."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.recipes.configuration import configuration
from aigp_lightning.recipes.convert import Conversion, _shown, convert
from aigp_lightning.recipes.limits import FACTORS, OPTIONS, is_taken
from aigp_lightning.recipes.models import published
from aigp_lightning.recipes.read_arguments import read_recipe
from aigp_lightning.recipes.recipe import Given, Recipe
from aigp_lightning.recipes.words import report

CASES = Path(__file__).parent


def unread(path: Path) -> tuple[str, str | None]:
    raise AssertionError(f"{path} was read")


def converted(*words: str, variant: str | None = None) -> Conversion:
    return convert(read_recipe(words), unread, variant)


def one(name: str, value: Any, **others: Any) -> Conversion:
    """The conversion of one setting, beside a network and a data set that need none."""
    given = {"model": "yolo11n.yaml", "data": "gone.yaml", **others, name: value}
    return convert(Recipe("text", {key: Given(each) for key, each in given.items()}), unread)


def state(conversion: Conversion, name: str) -> str:
    return next(row.outcome.state for row in conversion.rows if row.name == name)


@pytest.mark.parametrize(
    ("name", "value", "option", "wanted"),
    [
        *(("epochs", 3, "trainer.max_epochs", 3), ("patience", 0, "early_stopping.patience", 100)),
        *(("batch", 8, "data.batch_size", 8), ("batch", -1, "data.batch_size", "auto")),
        *(("batch", 0.7, "data.batch_size", 0.7), ("imgsz", [480, 640], "data.imgsz", 640)),
        *(("save_period", -1, "checkpoint_every.epochs", 0), ("save_period", 5, "checkpoint_every.epochs", 5)),
        *(("cache", True, "data.cache", "ram"), ("cache", "disk", "data.cache", "disk")),
        *(("cache", False, "data.cache", None), ("time", 2, "run.hours", 2), ("workers", 0, "data.workers", 0)),
        *(("device", "0", "trainer.devices", 1), ("device", None, "trainer.devices", 1)),
        *(("device", 0, "trainer.devices", 1), ("device", "cuda:1", "trainer.devices", [1])),
        *(("device", [0, 1], "trainer.devices", [0, 1]), ("device", "0,1", "trainer.devices", [0, 1])),
        *(("device", "cpu", "trainer.accelerator", "cpu"), ("device", "mps", "trainer.accelerator", "mps")),
        *(("device", -1, "trainer.devices", 1), ("device", [-1, -1], "trainer.devices", 2)),
        *(("device", 1, "trainer.accelerator", "gpu"), ("device", "cuda", "trainer.accelerator", "auto")),
        *(("amp", True, "trainer.precision", None), ("amp", False, "trainer.precision", "32-true")),
        *(("amp", "bf16", "trainer.precision", "bf16-mixed"), ("amp", "fp16", "trainer.precision", "16-mixed")),
        *(("seed", 7, "data.seed", 7), ("seed", 7, "seed_everything", 7)),
        *(("deterministic", True, "trainer.deterministic", "warn"), ("rect", True, "data.rect_training", True)),
        *(("multi_scale", True, "model.multi_scale", 0.5), ("multi_scale", False, "model.multi_scale", 0.0)),
        *(("multi_scale", 0.3, "model.multi_scale", 0.3), ("freeze", 10, "model.freeze", 10)),
        *(("freeze", [0, "23.cv2"], "model.freeze", [0, "23.cv2"]), ("classes", 2, "data.classes", [2])),
        *(("val", False, "trainer.check_val_every_n_epoch", 100), ("plots", False, "media.routes.everything", [])),
        *(("cls_remap", False, "data.match_classes", "number"), ("quantize", "int8", "model.qat", True)),
        *(("time", 0, "run.hours", None), ("close_mosaic", -1, "close_mosaic.epochs", 0)),
        *(("cls_pw", 0.5, "model.class_weights", 0.5), ("conf", 0.01, "model.conf", 0.01)),
        *(("project", "my runs", "run.root", "my runs"), ("project", None, "run.root", "runs")),
        *(("name", None, "run.name", "train"), ("name", "a/b", "run.name", "b"), ("exist_ok", 1, "run.exist_ok", True)),
        *(("scale", (0.5, 2.0), "data.augment.scale", [0.5, 2.0]), ("fraction", 0.1, "data.fraction", 0.1)),
        *(("fraction", 500, "data.fraction", 500), ("fraction", [0.5, 1, 0], "data.fraction", [0.5, 1, 0])),
        *(
            ("fraction", 1, "data.fraction", 1.0),
            ("imgsz", 600, "data.imgsz", 608),
            ("imgsz", [320], "data.imgsz", 320),
        ),
        *(("degrees", -15, "data.augment.degrees", 15.0), ("degrees", 360, "data.augment.degrees", 180.0)),
        *(("copy_paste", 0.2, "data.augment.copy_paste", 0.2), ("bgr", 0.1, "data.augment.bgr", 0.1)),
        *(("perspective", 0.001, "data.augment.perspective", 0.001), ("compile", True, "model.compile", True)),
        ("compile", "reduce-overhead", "model.compile", "reduce-overhead"),
        *(("optimizer", "RMSProp", "model.optim.name", "RMSProp"), ("lr0", 1, "model.optim.lr0", 1.0)),
        *(("box", 5, "model.gains.box", 5.0), ("single_cls", True, "data.single_cls", True)),
    ],
)
def test_values_mean_the_same(name: str, value: Any, option: str, wanted: Any) -> None:
    conversion = one(name, value)
    assert conversion.options[option] == wanted
    assert type(conversion.options[option]) is type(wanted)
    assert state(conversion, name) == "carried"


@pytest.mark.parametrize(
    ("name", "value", "wanted", "words"),
    [
        ("save_dir", "C:\\runs\\a", "left", "run.root|ROOT"),
        ("resume", "runs\\last.pt", "left", "begins again"),
        ("project", "C:\\Users\\me\\runs", "left", "path of another machine"),
        ("format", "onnx", "left", "of `export`: --format onnx"),
        ("save_txt", True, "left", "of `predict`: --output.save_txt true"),
        ("augment", True, "left", "of `validate`: --model.tta true"),
        ("mask_ratio", 2, "left", "means nothing for detect"),
        ("pose", 30.0, "left", "means nothing for detect"),
        ("label_smoothing", 0.1, "left", "gave it up"),
        ("split", "test", "left", "the verb `test`"),
        ("tracker", "mine.yaml", "left", "not tracked"),
        ("save", False, "left", "best and last are kept"),
        ("perspective", 0.1, "missing", "0.01 is the most"),
        *(("scale", 1.0, "missing", "0.99 is the most"), ("degrees", 270, "missing", "180 is the most")),
        *(("shear", 120, "missing", "89 is the most"), ("momentum", 1.0, "missing", "from 0 to below 1 is taken here")),
        *(("scale", [2, 0.5], "missing", "the smaller one first"), ("lr0", 0, "missing", "above 0 is taken here")),
        *(("nms", False, "left", "one head"), ("end2end", True, "left", "one head")),
        ("optimizer", "Lion", "missing", "no such optimizer"),
        ("cutout", 0.5, "missing", "CoarseDropout"),
        ("epoch", 3, "missing", "did you mean epochs"),
        ("device", "npu:0", "replace", "--trainer.accelerator"),
        ("cfg", "C:\\my.yaml", "missing", "a path of another machine: add its settings"),
        ("cfg", "gone.yaml", "missing", "not in this folder: add its settings"),
    ],
)
def test_what_is_not_carried_is_told(name: str, value: Any, wanted: str, words: str) -> None:
    row = next(row for row in one(name, value).rows if row.name == name)
    assert row.outcome.state == wanted
    assert re.search(words, row.outcome.why)


@pytest.mark.parametrize(
    ("name", "value"),
    [("opset", 17), ("workspace", 4), ("simplify", False), ("verbose", False), ("tracker", "botsort.yaml"),
     ("line_thickness", 3), ("nms", None), ("dropout", 0.0), ("freeze", None), ("keras", False), ("patience", 100)],
)  # fmt: skip
def test_defaults_of_any_version_are_silent(name: str, value: Any) -> None:
    conversion = one(name, value)
    assert state(conversion, name) == "carried"
    assert [row.name for row in conversion.of("left", "missing")] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", "abc"), ("epochs", 2.5), ("lr0", "fast"), ("batch", "big"), ("single_cls", "maybe"), ("seed", 0.5),
     ("mixup", 2), ("lr0", -1), ("epochs", 0), ("workers", -1), ("scale", 1.2), ("scale", [0.5]), ("patience", -1),
     ("time", -1), ("time", "long"), ("mosaic", True), ("distill_model", 3),
     *((name, float(bad)) for name in ("workers", "close_mosaic", "nbs", "max_det", "scale", "batch", "imgsz", "time")
       for bad in ("inf", "nan"))],
)  # fmt: skip
def test_values_that_are_none_are_refused_with_their_line(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^a\.yaml:7: {name}: {re.escape(_shown(value))} is no value of it\.$"):
        convert(Recipe("a.yaml", {"model": Given("yolo11n.yaml"), name: Given(value, 7)}), unread)


def test_nms_of_old_files_was_of_exports() -> None:
    many = {"model": "yolo26n.yaml", **{f"x{number}": None for number in range(80)}}
    assert "model.nms_free" not in one("nms", False, **many).options
    assert one("nms", False, dlog=1.0, **many).options["model.nms_free"] is True


@pytest.mark.parametrize("model", ["yolo26n.pt", "yolo26s-seg.yaml", "yolo26n-pose.pt", "yolov10n.yaml", "mine.yaml"])
def test_networks_of_two_heads_answer_without_suppression(model: str) -> None:
    Path("mine.yaml").write_text("nc: 1\nend2end: True\n", encoding="utf-8")
    for name, value in (("nms", False), ("end2end", True)):
        conversion = one(name, value, model=model)
        assert (conversion.options["model.nms_free"], state(conversion, name)) == (True, "carried")


def test_ranges_are_those_of_the_options() -> None:
    from aigp_lightning.data.augment import config
    from aigp_lightning.modules import detector
    from aigp_lightning.modules.yolo import optim

    tables = {"data.augment.": {**config.RANGES, "scale": config.SCALE}, "model.optim.": optim.RANGES,
              "model.": detector.RANGES}  # fmt: skip
    for group, ranges in tables.items():
        names = {name for name in OPTIONS if name.startswith(group) and name.removeprefix(group) in ranges}
        assert names
        assert {name: OPTIONS[name] for name in names} == {name: ranges[name.removeprefix(group)] for name in names}
    assert config.FACTOR == FACTORS


@pytest.mark.parametrize(("name", "value"), [("mixup", 2), ("lr0", -1), ("epochs", 0), ("scale", 1.2), ("seed", -1)])
def test_ultralytics_refuses_the_same_numbers(name: str, value: float) -> None:
    from ultralytics.cfg import check_cfg

    with pytest.raises(ValueError, match=f"'{name}={value}' is an invalid value"):
        check_cfg({name: value})
    check_cfg({name: 1})
    assert is_taken(name, 1)


def test_what_a_program_computes_has_ultralytics_default_until_it_is_said() -> None:
    conversion = converted("YOLO('yolo11n.pt').train(data='a.yaml', epochs=read(), patience=0, scale=f())")
    assert (conversion.options["trainer.max_epochs"], conversion.options["early_stopping.patience"]) == (100, 100)
    assert {row.name for row in conversion.of("replace")} == {"data", "epochs", "scale"}
    text = configuration(conversion)
    assert "max_epochs: 100  # REPLACE: epochs was read()\n" in text
    assert "scale: 0.5  # REPLACE: scale was f()\n" in text


def test_transforms_of_a_program_take_the_place_of_the_four_defaults() -> None:
    conversion = converted("YOLO('yolo11n.pt').train(data='a.yaml', augmentations=[A.Blur(p=0.1)])")
    assert state(conversion, "augmentations") == "missing"
    assert [conversion.options[f"data.augment.{name}"] for name in ("blur", "median_blur", "to_gray", "clahe")] == [
        0
    ] * 4


# ---- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "task", "variant", "weights"),
    [
        ("model=yolo11n-pose.pt", "pose", "yolo11n-pose", "yolo11n-pose.pt"),
        ("model=yolov8s.yaml", "detect", "yolov8s", None),
        ("model=yolo26m", "detect", "yolo26m", "yolo26m.pt"),
        ("model=yolov5nu.pt", "detect", "yolov5n", "yolov5nu.pt"),
        ("model=yolov9c-seg.pt", "segment", "yolov9c-seg", "yolov9c-seg.pt"),
        ("model=C:\\nets\\yolo11n.pt", "detect", "yolo11n", "yolo11n.pt"),
        ("model=yolo11n.pt pretrained=False", "detect", "yolo11n", None),
        ("model=yolo11n.yaml pretrained=yolo11n.pt", "detect", "yolo11n", "yolo11n.pt"),
        ("task=pose", "pose", "yolo26n-pose", "yolo26n-pose.pt"),
    ],
)
def test_networks(words: str, task: str, variant: str, weights: str | None) -> None:
    network = converted(f"{words} epochs=1").network
    assert (network.task, network.variant, network.weights) == (task, variant, weights)


def test_weights_are_told_once_and_those_of_old_recipes_stay() -> None:
    new = one("pretrained", False, model="yolov8n.pt")
    assert [row.name for row in new.rows if "model.weights" in row.outcome.options] == ["pretrained"]
    assert new.options["model.weights"] is None
    old = one("pretrained", False, model="yolov8n.pt", min_memory=False, v5loader=False)
    assert [row.name for row in old.rows if "model.weights" in row.outcome.options] == ["model"]
    assert (old.network.weights, old.options["model.weights"]) == ("yolov8n.pt", "yolov8n.pt")


@pytest.mark.parametrize(
    ("named", "wanted", "path"),
    [
        ("teacher.pt", "replace", "teacher.pt"),
        ("C:\\nets\\teacher.pt", "replace", "REPLACE_ME/teacher.pt"),
        ("yolo11x.pt", "carried", "yolo11x.pt"),
        ("here.pt", "carried", "here.pt"),
    ],
)
def test_the_network_to_learn_from_is_looked_for(named: str, wanted: str, path: str) -> None:
    Path("here.pt").touch()
    conversion = one("distill_model", named)
    assert (state(conversion, "distill_model"), conversion.options["model.distill_model"]) == (wanted, path)


def test_every_published_network_has_a_name_here() -> None:
    import ultralytics

    stems = [path.stem for path in Path(ultralytics.__file__).parent.glob("cfg/models/*/yolo*.yaml")]
    others = ("yoloe", "world", "rtdetr", "cls-resnet")
    known = [stem for stem in stems if not any(word in stem for word in others)]
    assert len(known) > 30
    assert {stem: published(stem) for stem in known} == {stem: stem for stem in known}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("task=obb model=a.pt", "task obb is not trained here"),
        ("model=yolo11n-cls.pt", "task classify is not trained here"),
        ("model=rtdetr-l.pt", "a transformer is RF-DETR here"),
        ("mode=val model=a.pt", "mode val: only trainings"),
        ("train(data=['a.yaml', 'b.yaml'], model='yolo11n.pt')", "2 data sets are that many trainings"),
    ],
)
def test_what_is_not_trained_here_is_refused(words: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        converted(words)


def test_weights_of_ones_own_say_which_network_they_are_of(tmp_path: Path) -> None:
    Path("mine.pt").touch()
    recipe = read_recipe(["model=mine.pt epochs=1"])
    network = convert(recipe, lambda path: ("pose", "yolov8n-pose")).network
    assert (network.task, network.variant, network.weights) == ("pose", "yolov8n-pose", "mine.pt")
    asked = convert(recipe, lambda path: ("detect", None))
    assert "--variant" in next(row.outcome.why for row in asked.of("replace") if row.name == "model")


# ---- data sets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        ("C:\\sets\\gates\\data.yaml", "REPLACE_ME/data.yaml", "path of another machine"),
        ("/nowhere/at/all/data.yaml", "REPLACE_ME/data.yaml", "path of another machine"),
        ("sets/data.yaml", "sets/data.yaml", "not in this folder"),
        ("coco8.yaml", "coco8.yaml", "downloads"),
    ],
)
def test_data_that_is_not_here_is_to_be_replaced(data: str, place: str, words: str) -> None:
    row = next(row for row in one("data", data).rows if row.name == "data")
    assert (row.outcome.state, row.outcome.options["data.data_yaml"]) == ("replace", place)
    assert words in row.outcome.why


def test_data_is_found_beside_the_recipe_and_by_paths_of_windows(tmp_path: Path) -> None:
    shutil.copytree(CASES / "team-a", tmp_path / "runs" / "a")
    found = converted(str(tmp_path / "runs" / "a" / "args.yaml"))
    assert found.options["data.data_yaml"] == str(tmp_path / "runs" / "a" / "data.yaml")
    assert "'path' is C:\\Users\\pilot\\Documents\\racing\\renders" in found.dataset.faults[0]
    assert one("data", "runs\\a\\data.yaml").options["data.data_yaml"] == "runs/a/data.yaml"


def pose_data(**keys: Any) -> str:
    import yaml

    for split in ("a", "b"):
        Path(split).mkdir(exist_ok=True)
    content = {"train": "a", "val": "b", "names": ["gate"], "kpt_shape": [3, 3], **keys}
    Path("d.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return "d.yaml"


def test_flips_of_keypoints_without_an_order_are_off_as_there() -> None:
    options = one("fliplr", 0.5, data=pose_data(), model="yolo11n-pose.yaml").options
    assert (options["data.augment.fliplr"], options["data.augment.flipud"]) == (0.0, 0.0)
    data = pose_data(flip_idx=[1, 0, 2])
    conversion = one("flipud", 0.5, data=data, model="yolo11n-pose.yaml")
    assert conversion.options["data.augment.fliplr"] == 0.5
    assert state(conversion, "flipud") == "replace"
    data = pose_data(flip_idx=[1, 0, 2], flip_idx_vertical=[0, 1, 2])
    assert state(one("flipud", 0.5, data=data, model="yolo11n-pose.yaml"), "flipud") == "carried"


def test_a_data_set_without_keypoints_is_told_to_a_training_for_pose(tmp_path: Path) -> None:
    """`fit` would refuse it; where nothing is known of a data set, or the task is another, nothing is told."""
    data = tmp_path / "data.yaml"
    (tmp_path / "images").mkdir()
    data.write_text("train: images\nval: images\nnames: [gate]\n", encoding="utf-8")
    words = ("yolo", "pose", "train", "model=yolo11n-pose.yaml", "epochs=3")
    told = converted(*words, f"data={data}")
    assert [fault.startswith(f"{data} has no kpt_shape") for fault in told.dataset.faults] == [True]
    assert not told.is_whole
    said = " ".join(" ".join(report(told, {}, "configs/pose.yaml")).split())
    assert "'kpt_shape: [8, 3]'" in said
    assert converted("yolo", "detect", "train", "model=yolo11n.yaml", f"data={data}").is_whole
    data.write_text(data.read_text(encoding="utf-8") + "kpt_shape: [8, 3]\n", encoding="utf-8")
    assert converted(*words, f"data={data}").is_whole


def test_the_loader_of_yolov5_is_missing() -> None:
    """It made the samples of a training; false, every version's default, is nothing to tell of."""
    assert state(one("v5loader", True), "v5loader") == "missing"
    assert state(one("v5loader", False), "v5loader") == "carried"


def test_a_data_set_with_keypoints_says_the_task() -> None:
    conversion = one("model", "mine.pt", data=pose_data())
    assert conversion.network.task == "pose"
