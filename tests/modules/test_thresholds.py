"""Which thresholds count for a model: those of its weights, a file that is named, or none."""

import json
import os
from pathlib import Path

import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.thresholds import (
    Thresholds,
    choose_thresholds,
    read_thresholds,
    thresholds_for,
    write_thresholds,
)


def a_model(folder: Path, name: str = "best.ckpt", content: bytes = b"weights") -> Path:
    path = folder / "gates" / "weights" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def calibrated(model: Path, **values: float) -> Path:
    file = model.parent.parent / "thresholds.json"
    write_thresholds(file, Thresholds(**values, about={"model": {"file": model.name, "sha256": sha256_of(model)}}))  # type: ignore[arg-type]
    return file


def test_thresholds_of_these_weights_count(tmp_path: Path) -> None:
    model = a_model(tmp_path)
    file = calibrated(model, conf=0.4)
    assert thresholds_for(model) == Thresholds(conf=0.4)
    chosen = choose_thresholds(model)
    assert (chosen.thresholds, chosen.file, chosen.warning) == (Thresholds(conf=0.4), file, "")
    assert choose_thresholds(model, None).thresholds is None


def test_those_of_other_weights_do_not(tmp_path: Path) -> None:
    model = a_model(tmp_path)
    file = calibrated(model, conf=0.4)
    model.write_bytes(b"trained on")
    assert thresholds_for(model) is None
    chosen = choose_thresholds(model)
    assert chosen.thresholds is None
    assert chosen.warning == (
        f"{file} was calibrated for other weights than those of {model}: its thresholds are not used. Run `calibrate` "
        "again"
    )
    named = choose_thresholds(model, str(file))
    assert named.thresholds == Thresholds(conf=0.4) and named.warning.endswith("it counts, since it is named")


def test_an_export_has_the_thresholds_of_its_checkpoint(tmp_path: Path) -> None:
    model, export = a_model(tmp_path), a_model(tmp_path, "best.onnx", b"graph")
    calibrated(model, conf=0.4)
    assert thresholds_for(export) == Thresholds(conf=0.4)
    os.utime(export, (0, 0))  # written long before the checkpoint: of other weights
    assert thresholds_for(export) is None
    calibrated(export, conf=0.3)
    assert thresholds_for(export) == Thresholds(conf=0.3) and thresholds_for(model) is None


def test_a_file_that_does_not_say_its_weights_counts(tmp_path: Path) -> None:
    model = a_model(tmp_path)
    (model.parent / "thresholds.json").write_text('{"format": "aigp-thresholds-1", "conf": 0.2}')
    assert thresholds_for(model) == Thresholds(conf=0.2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ('{"conf": 0.2}', "its 'format' is not"),
        ('{"format": "aigp-thresholds-1", "about": []}', "about is a mapping"),
        ('{"format": "aigp-thresholds-1", "conf": 2}', "conf 2: a number from 0 to 1"),
    ],
)
def test_a_file_that_is_none_is_refused(content: str, message: str, tmp_path: Path) -> None:
    model = a_model(tmp_path)
    (model.parent.parent / "thresholds.json").write_text(content)
    with pytest.raises(ConfigError) as caught:
        choose_thresholds(model)
    assert message in str(caught.value) and "\n" not in str(caught.value)


SHOWN = {"[]": "a list", "{}": "a mapping"}
SHARES, WHOLE = "a number from 0 to 1.", "a whole number from 1 to"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        *(
            (key, value, SHARES)
            for key in ("conf", "keypoint_conf", "iou")
            for value in ("true", '"0.5"', "null", "[]")
        ),
        *((key, value, SHARES) for key in ("conf", "keypoint_conf", "iou") for value in ("-0.1", "1.1", "1" * 400)),
        *(("max_det", value, WHOLE) for value in ("2.5", "300.0", "true", "0", "-1", "null", '"3"', "1" * 20)),
        *(
            ("reprojection_px", value, "a number above 0, or null for no limit.")
            for value in ("0", "-1", "false", "{}")
        ),
    ],
)
def test_values_are_held_to_kind_and_range(key: str, value: str, message: str, tmp_path: Path) -> None:
    """The message names file and key, and shows the value as the file has it."""
    file = tmp_path / "thresholds.json"
    file.write_text(f'{{"format": "aigp-thresholds-1", "{key}": {value}}}')
    with pytest.raises(ConfigError) as caught:
        read_thresholds(file)
    assert str(caught.value).startswith(f"{file}: {key} {SHOWN.get(value, value[:60])}: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('"conf": NaN', "is no JSON: NaN is no finite number."),
        ('"about": {"usable": -Infinity}', "is no JSON: -Infinity is no finite number."),
        ('"conf": 1e999', "is no JSON: 1e999 is no finite number."),
        ('"about": ' + "[" * 100_000, "is no JSON: nested too deeply."),
        ('"a\\nb": 1', ': "a\\nb" is no threshold; known are about, conf, iou,'),
        ('"about": null', ": about is a mapping"),
        ('"about": {"model": "best.ckpt"}', ": about.model is a mapping"),
        ('"about": {"model": {"sha256": 7}}', ": about.model.sha256 7: 64 hexadecimal digits."),
        ('"about": {"model": {"sha256": null}}', ": about.model.sha256 null: 64 hexadecimal digits."),
        ('"about": {"model": {"sha256": "ab"}}', ': about.model.sha256 "ab": 64 hexadecimal digits.'),
    ],
)
def test_what_json_has_not_and_weights_that_are_not_said(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "thresholds.json"
    file.write_text(f'{{"format": "aigp-thresholds-1", {content}}}')
    with pytest.raises(ConfigError) as caught:
        read_thresholds(file)
    told = str(caught.value)
    assert told.startswith(str(file)) and told.removeprefix(str(file)).lstrip().startswith(message) and "\n" not in told


def test_what_is_written_is_read(tmp_path: Path) -> None:
    thresholds = Thresholds(0.3, 0.4, 0.5, 6.0, 10, about={"rule": "the most usable"})
    write_thresholds(tmp_path / "thresholds.json", thresholds)
    found = read_thresholds(tmp_path / "thresholds.json")
    assert found == thresholds and found.about == thresholds.about
    assert json.loads((tmp_path / "thresholds.json").read_text())["reprojection_px"] == 6.0
