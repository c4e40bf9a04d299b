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


def test_what_is_written_is_read(tmp_path: Path) -> None:
    thresholds = Thresholds(0.3, 0.4, 0.5, 6.0, 10, about={"rule": "the most usable"})
    write_thresholds(tmp_path / "thresholds.json", thresholds)
    found = read_thresholds(tmp_path / "thresholds.json")
    assert found == thresholds and found.about == thresholds.about
    assert json.loads((tmp_path / "thresholds.json").read_text())["reprojection_px"] == 6.0
