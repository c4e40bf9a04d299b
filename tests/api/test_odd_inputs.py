"""`load` and `predict` with what no one should give them: a line by a `UserError`, and nothing silently wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aigp_lightning import load
from aigp_lightning.api.model import OPTIONS, Model
from aigp_lightning.errors import ConfigError, DataError, UserError, WeightsError
from aigp_lightning.modules.detector import DetectorModule

ARRAY = np.zeros((9, 9, 3), np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    module = DetectorModule("yolo11n")
    module.set_network(module.build_network({0: "gate"}))
    path = tmp_path_factory.mktemp("odd") / "a.pt"
    module.deployment.write_portable(path)
    return path


@pytest.fixture(scope="module")
def model(weights: Path) -> Model:
    return load(weights, "cpu")


def told(call: Callable[[], object], kind: type[UserError] = UserError) -> str:
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and "\x1b" not in text and len(text) < 500
    return text


@pytest.mark.parametrize(
    "name, bytes_kept, said",
    [
        ("cut.ckpt", 5000, "it is cut off, or no checkpoint"),
        ("empty.ckpt", 0, "it is cut off, or no checkpoint"),
        ("cut.pt", 5000, "it is empty or cut off"),
        ("empty.pt", 0, "it is empty or cut off"),
        ("cut.pth", 5000, "it is cut off"),
        ("\x1b[31m.ckpt", 9, r"\x1b[31m.ckpt"),
        ("\x1b[31m.pt", 9, r"\x1b[31m.pt"),
        ("\x1b[31m.onnx", 9, r"\x1b[31m.onnx"),
    ],
)
def test_a_damaged_file_is_told(name: str, bytes_kept: int, said: str, weights: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(weights.read_bytes()[:bytes_kept])
    assert said in told(lambda: load(tmp_path / name), WeightsError)


@pytest.mark.parametrize(
    "name, said", [("n" * 300 + ".pt", "File name too long"), ("", "name a model"), ("a\0", "such")]
)
def test_a_name_that_is_none_is_told(name: str, said: str) -> None:
    assert said in told(lambda: load(name))


@pytest.mark.parametrize("device", ["gpu", "", "\x1b[31m", 3.5, "meta", "cuda:99"])
def test_a_device_that_is_none_is_told(device: Any, weights: Path) -> None:
    assert told(lambda: load(weights, device), ConfigError).startswith("device ")


@pytest.mark.parametrize(
    "options, said",
    [
        ({"conf": "0.5"}, "conf 0.5: a number"),
        ({"imgsz": "320"}, "imgsz 320: a number"),
        ({"imgsz": (320, 320)}, "imgsz (320, 320): a number"),
        ({"imgsz": 320.5}, "imgsz 320.5: a whole number"),
        ({"batch": 1.5}, "batch 1.5: a whole number"),
        ({"batch": None}, "batch: a whole number"),
        ({"max_det": 1.5}, "max_det 1.5: a whole number"),
        ({"channels": "RGB"}, "channels 'RGB': 'rgb' or 'bgr'"),
        ({"channels": ["rgb"]}, "channels ['rgb']: 'rgb' or 'bgr'"),
    ],
)
def test_an_odd_option_is_told(options: dict[str, Any], said: str, model: Model) -> None:
    assert said in told(lambda: model.predict("a.jpg", **options), ConfigError)


def test_odd_sources_are_told(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    for source, said in (
        ("empty", "nothing to predict"),
        ("no\x1b.jpg", r"no\x1b.jpg: there is no such"),
        ("", "empty"),
    ):
        assert said in told(lambda: model.predict(source), DataError)  # noqa: B023
    for array in (ARRAY.astype(float), ARRAY.astype(bool), np.array(3, np.uint8), ARRAY[:0], ARRAY[None]):
        assert "picture 0 is (" in told(lambda: model.predict(array, channels="rgb"), ConfigError)  # noqa: B023
    assert model.predict([]) == [] and model.predict(()) == []


def test_pictures_of_pillows_are_read_like_files(model: Model, tmp_path: Path) -> None:
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    path = tmp_path / "deep.png"
    Image.fromarray(deep).save(path)
    with Image.open(path) as picture:
        by_pillow = model.predict(picture)[0].image
    np.testing.assert_array_equal(by_pillow, model.predict(path)[0].image)
    assert by_pillow.max() == 255 and by_pillow[32, 0].tolist() == [128] * 3
    assert "floating-point pixels" in told(lambda: model.predict(Image.new("F", (9, 9))), DataError)
    assert "a picture has pixels" in told(lambda: model.predict(Image.new("RGB", (0, 9))), ConfigError)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with Image.open(path) as cut:
        assert "cannot be decoded" in told(lambda: model.predict(cut), DataError)
    assert "cannot be decoded" in told(lambda: model.predict(cut), DataError)  # closed


@pytest.mark.parametrize(
    "options, said",
    [
        ({"imgsz": 70}, "imgsz is 70; it must be a multiple of 32, such as 64."),
        ({"vid_stride": 5}, "predict has no option vid_stride. It takes conf, iou, max_det, imgsz, batch, channels, "),
        ({"max_dets": 5}, "predict has no option max_dets. Did you mean max_det?"),
    ],
)
def test_options_are_named_as_the_call_has_them(options: dict[str, Any], said: str, model: Model) -> None:
    assert told(lambda: model.predict(ARRAY, channels="rgb", **options), ConfigError).startswith(said)


def test_the_keywords_that_are_named_are_those_of_the_call() -> None:
    parameters = inspect.signature(Model.predict).parameters.values()
    assert tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY) == OPTIONS


def test_of_many_classes_some_are_printed(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(model).endswith("a.pt', detect: gate)")
    monkeypatch.setattr(model, "names", {number: f"c{number}" for number in range(80)})
    assert repr(model).endswith(": c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 70 more)")
