"""`load(file).predict(…)`: the same objects as the verb `predict` writes, from whatever a picture comes as."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import REPO
from PIL import Image
from yolo_scored import build_case, write_checkpoint

from aigp_lightning import load
from aigp_lightning.api.model import Model
from aigp_lightning.data.images import read_image
from aigp_lightning.errors import ConfigError, DataError

CONF = 0.3
"""Between the confidences of what the untrained model finds."""


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a model that finds something in the pictures beside it, without having been trained."""
    weights, yaml = build_case(tmp_path_factory.mktemp("scored"), rect=True)
    return write_checkpoint(weights, yaml)


@pytest.fixture(scope="module")
def model(best: Path) -> Model:
    return load(best)


@pytest.fixture(scope="module")
def pictures(best: Path) -> Path:
    return next(folder for folder in (best.parent, *best.parents) if (folder / "images").is_dir()) / "images" / "val"


@pytest.fixture(scope="module")
def written(best: Path, pictures: Path, run_cli: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the verb wrote its predictions of the pictures."""
    root = tmp_path_factory.mktemp("predicted")
    words = ("--ckpt_path", best, "--data.source", pictures, "--run.root", root)
    more = ("--model.predict_conf", CONF, "--trainer.accelerator", "cpu", "--data.workers", 0)
    assert run_cli("predict", *words, *more, "--trainer.logger", "false") == 0
    return next(root.rglob("predictions.json")).parent


def test_it_finds_what_the_verb_finds(model: Model, pictures: Path, written: Path) -> None:
    verb = json.loads((written / "predictions.json").read_text(encoding="utf-8"))
    results = model.predict(pictures, conf=CONF)
    assert len(results) == len(verb) == 13 and sum(map(len, results)) > 20
    for result, entry in zip(results, verb, strict=True):
        ours = result.to_dict()
        detections, theirs = ours.pop("detections"), entry.pop("detections")
        assert ours == entry and result.shape == (entry["height"], entry["width"])
        assert [each["class"] for each in detections] == [each["class"] for each in theirs] == result.labels.tolist()
        for key, tolerance in (("box", 0.05), ("confidence", 1e-3)):  # the verb folds batch norms into convolutions
            np.testing.assert_allclose([d[key] for d in detections], [d[key] for d in theirs], atol=tolerance)
        assert json.loads(result.to_json())["detections"] == detections


def test_a_drawn_picture_is_the_verbs(model: Model, pictures: Path, written: Path, tmp_path: Path) -> None:
    result = model.predict(sorted(pictures.iterdir())[0], conf=CONF)[0]
    drawn = result.save(tmp_path)
    assert drawn == tmp_path / f"{Path(result.file).stem}.jpg"
    theirs = read_image(str(next((written / "images").glob(f"{Path(result.file).stem}.*"))))
    difference = np.abs(read_image(str(drawn)).astype(int) - theirs)
    assert difference.mean() < 2.0 and np.abs(result.image.astype(int) - theirs).mean() > 2.0
    plotted = result.plot()
    assert isinstance(plotted, Image.Image) and np.asarray(plotted).shape == theirs.shape
    with pytest.raises(ConfigError, match=r"a drawn picture ends in \.jpg"):
        result.save(tmp_path / "a.gif")


def test_pixels_are_looked_at_like_files(model: Model, pictures: Path) -> None:
    files = sorted(map(str, pictures.iterdir()))[:4]
    expected = model.predict(files, conf=CONF)
    colours = [read_image(file) for file in files]
    for given, channels in ((colours, "rgb"), ([each[..., ::-1] for each in colours], "bgr")):
        found = model.predict(given, conf=CONF, channels=channels)
        assert [each.file for each in found] == ["picture 0", "picture 1", "picture 2", "picture 3"]
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-3)
            assert np.array_equal(ours.labels, theirs.labels) and np.array_equal(ours.image, theirs.image)
    mixed = model.predict([Image.open(files[0]), files[1], Path(files[2])], conf=CONF)
    assert [each.file for each in mixed] == files[:3]
    for ours, theirs in zip(mixed, expected, strict=False):
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-3)
    one = model.predict(colours[0], conf=CONF, channels="rgb")
    assert len(one) == 1 and one[0].boxes.shape == expected[0].boxes.shape
    assert len(model(colours[0][..., 0])) == 1, "grey needs no order of channels"


@pytest.mark.parametrize(
    "given, said",
    [
        (np.zeros((9, 9, 3), np.uint8), "whether red or blue comes first"),
        (np.zeros((9, 9, 3)), r"picture 0 is \(9, 9, 3\) float64"),
        (np.zeros((9, 9, 4), np.uint8), r"a picture is \(H, W, 3\) or \(H, W\) of uint8"),
        ([3], "picture 0 is a int"),
    ],
)
def test_what_is_no_picture_is_refused(given: object, said: str, model: Model) -> None:
    with pytest.raises(ConfigError, match=said):
        model.predict(given)


def test_options_take_the_place_of_the_runs(model: Model, pictures: Path) -> None:
    before = model.module.predict_conf, model.module.inference.iou
    few, all_of_them = model.predict(pictures, conf=2 * CONF), model.predict(pictures, conf=CONF)
    assert 0 < sum(map(len, few)) < sum(map(len, all_of_them))
    assert all((each.scores >= 2 * CONF).all() for each in few)
    assert all(len(each) <= 1 for each in model.predict(pictures, conf=CONF, max_det=1))
    assert sum(map(len, model.predict(pictures, conf=CONF, iou=0.1))) < sum(map(len, all_of_them))
    assert (model.module.predict_conf, model.module.inference.iou) == before and model.imgsz == 96
    for options, said in (({"conf": 2}, "conf"), ({"imgsz": 100}, "multiple of 32"), ({"batch": 0}, "batch")):
        with pytest.raises(ConfigError, match=said):
            model.predict(pictures, **options)
    with pytest.raises(DataError, match="there is no such file"):
        model.predict("gone.jpg")


def test_a_stream_reads_as_it_is_asked(model: Model, tmp_path: Path, pictures: Path) -> None:
    import cv2

    video = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64))
    for shade in (0, 90, 180):
        video.write(np.full((64, 96, 3), shade, np.uint8))
    video.release()
    stream = model.predict(tmp_path / "a.avi", stream=True, batch=1)
    first = next(stream)
    assert (first.frame, first.shape, Path(first.file).name) == (0, (64, 96), "a.avi")
    rest = list(stream)
    assert [each.frame for each in rest] == [1, 2] and abs(int(rest[1].image.mean()) - 180) < 8
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "c.png")
    assert [Path(each.file).name for each in model.predict([tmp_path / "b.jpg", tmp_path / "c.png"])] == ["c.png"]


def test_weights_and_exports_open_like_checkpoints(
    best: Path, pictures: Path, run_cli: Callable[..., int], tmp_path: Path
) -> None:
    """The `.pt` has half precision's digits, so it is held against Ultralytics' own predictions with it."""
    words = ("--ckpt_path", best, "--out", tmp_path, "--format", "[torchscript]")
    assert run_cli("export", *words) == 0
    file = sorted(pictures.iterdir())[0]  # square, as the export's input
    expected, found = (load(path).predict(file, conf=CONF)[0] for path in (best, tmp_path / "model.torchscript"))
    assert abs(len(found) - len(expected)) <= 1 and len(found) > 20 and found.names == expected.names
    np.testing.assert_allclose(found.boxes[:20], expected.boxes[:20], atol=0.1)

    from ultralytics import YOLO

    found = load(best.with_suffix(".pt")).predict(file, conf=CONF)[0]
    theirs = YOLO(best.with_suffix(".pt")).predict(str(file), conf=CONF, iou=0.7, imgsz=96, verbose=False)[0].boxes
    assert abs(len(found) - len(theirs)) <= 1 and len(found) > 20
    np.testing.assert_allclose(found.boxes[:20], theirs.xyxy[:20].numpy(), atol=0.1)
    assert found.labels[:20].tolist() == theirs.cls[:20].int().tolist()
    with pytest.raises(ConfigError, match="takes pictures of 96 × 96 alone"):
        load(tmp_path / "model.torchscript").predict(file, imgsz=64)


def test_keypoints_come_along(finished_pose: Path, corners: Path) -> None:
    model = load(finished_pose)
    found = model.predict(corners.parent / "images" / "val", conf=0.001)
    some = next(each for each in found if len(each))
    assert model.task == "pose" and some.keypoints is not None and some.keypoints.shape == (len(some), 4, 3)
    assert len(some.to_dict()["keypoint_names"]) == len(some.to_dict()["detections"][0]["keypoints"]) == 4


def test_supervision_gets_arrays_or_is_asked_for(model: Model, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = next(each for each in model.predict(pictures, conf=CONF) if len(each))
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ConfigError, match="pip install supervision"):
        result.to_supervision()
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=lambda **given: given))
    given = result.to_supervision()
    assert np.array_equal(given["xyxy"], result.boxes) and np.array_equal(given["class_id"], result.labels)
    assert given["data"]["class_name"].tolist() == [result.names[label] for label in result.labels.tolist()]
    assert given["mask"] is None and np.array_equal(given["confidence"], result.scores)


def test_the_import_is_light() -> None:
    code = "import sys; from aigp_lightning import load; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
