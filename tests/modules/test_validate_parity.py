"""The same weights on the same images score the same here and in Ultralytics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import small
from yolo_scored import NAMES, build_case

KEYS = ("metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)")


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize("rect", [True, False])
def test_metrics_equal_ultralytics(rect: bool, tmp_path: Path, run_cli: Callable[..., int]) -> None:
    from ultralytics import YOLO

    weights, data = build_case(tmp_path, rect)
    options = [*small(data, tmp_path), "--data.rect", str(rect).lower(), "--run.json", tmp_path / "m.json"]
    assert run_cli("validate", *options, "--model.weights", weights) == 0
    ours = json.loads((tmp_path / "m.json").read_text())
    theirs = YOLO(str(weights)).val(
        data=str(data), imgsz=96, batch=16, rect=rect, plots=False, device="cpu", workers=0, verbose=False
    )
    assert ours["images"] == 13
    assert ours["imgsz"] == 96
    assert 0.02 < ours["metrics"]["metrics/mAP50-95(B)"] < 0.95
    for key in KEYS:
        assert ours["metrics"][key] == pytest.approx(theirs.results_dict[key], abs=2e-4), key

    renumber(data, [2, 0, 1])  # the same figures to the last digit when the data set has its classes in another order
    assert run_cli("validate", *options, "--model.weights", weights) == 0
    again = json.loads((tmp_path / "m.json").read_text())
    assert {**again, "speed": None} == {**ours, "speed": None}  # times differ


@pytest.mark.usefixtures("offline_reference")
def test_test_time_augmentation_scores_as_in_ultralytics(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    from ultralytics import YOLO

    weights, data = build_case(tmp_path, rect=True)
    options = [*small(data, tmp_path), "--run.json", tmp_path / "m.json", "--model.weights", weights]
    found = {}
    for tta in (True, False):
        assert run_cli("validate", *options, "--model.tta", str(tta).lower(), "--model.agnostic_nms", "true") == 0
        found[tta] = json.loads((tmp_path / "m.json").read_text())["metrics"]
    theirs = YOLO(str(weights)).val(
        data=str(data), imgsz=96, batch=16, augment=True, agnostic_nms=True, plots=False, device="cpu", workers=0,
        verbose=False,
    )  # fmt: skip
    for key in KEYS:
        assert found[True][key] == pytest.approx(theirs.results_dict[key], abs=2e-4), key
    assert found[True][KEYS[-1]] != pytest.approx(found[False][KEYS[-1]], abs=1e-3)


def renumber(data: Path, ids: list[int]) -> None:
    """Give the classes of a data set other ids, in its labels and in its YAML."""
    for path in data.parent.glob("labels/*/*.txt"):
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        text = "\n".join(" ".join([str(ids[int(row[0])]), *row[1:]]) for row in rows)
        path.write_text(text, encoding="utf-8")
    names = {ids[number]: name for number, name in NAMES.items()}
    data.write_text(f"train: images/train\nval: images/val\nnames: {json.dumps([names[id_] for id_ in range(3)])}\n")
