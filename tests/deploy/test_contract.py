"""The contract of exported files: what it says, that every change is refused by name, and what else is held to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import FIELDS, NAMES, awake_module, exported, write_graph
from helpers import REPO

from aigp_lightning import load
from aigp_lightning.data.targets.built_in import TARGETS
from aigp_lightning.deploy.contract_file import NAME
from aigp_lightning.deploy.export import export
from aigp_lightning.deploy.options import ExportOptions
from aigp_lightning.deploy.runtime import (
    CONTRACT,
    CONTRACT_HASH,
    ContractError,
    Model,
    check_contract,
    seal,
    sha256_of,
)
from aigp_lightning.deploy.runtime import (
    FIELDS as FIELD_NAMES,
)
from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.yolo.weights import save_pt

pytestmark = pytest.mark.usefixtures("one_thread")

ANSWER = np.zeros((1, 18, 5), np.float32)
ONE_TO_ONE = {**FIELDS["output"], "layout": "one_to_one", "boxes": "xyxy", "nms": False}
DYNAMIC, NEAREST = {**FIELDS["input"], "dynamic": True}, {**FIELDS["resize"], "rounding": "nearest"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported("pose8", tmp_path_factory.mktemp("exported"))


def told_by(path: Path) -> dict[str, str]:
    import onnxruntime

    return dict(onnxruntime.InferenceSession(path.read_bytes()).get_modelmeta().custom_metadata_map)


def with_metadata(file: Path, target: Path, **changed: str | None) -> Path:
    """A copy of a file in which some of its metadata are others."""
    import onnx

    model = onnx.load(str(file))
    kept = {each.key: each.value for each in model.metadata_props} | changed
    del model.metadata_props[:]
    for key, value in kept.items():
        if value is not None:
            model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(target))
    return target


def test_what_an_exported_file_says(file: Path) -> None:
    fields = check_contract(told_by(file))
    assert tuple(fields) == tuple(sorted(FIELD_NAMES)) and fields["classes"] == list(NAMES.values())
    assert fields["keypoints"]["names"] == [f"corner {n}" for n in range(8)] and fields["keypoints"]["numbers"] == 3
    assert fields["input"] == {"width": 96, "height": 96, "dynamic": False, "batch": 1, "axes": "NCHW"}
    assert fields["resize"]["rule"] == "letterbox" and fields["resize"]["grey"] == 114
    own = {"conf": 0.5, "keypoint_conf": 0.5, "iou": 0.7, "reprojection_px": None, "max_det": 300, "chosen": False}
    assert fields["thresholds"] == own
    assert fields["camera"] == {
        "width": 640, "height": 360, "fx": 320.0, "fy": 320.0, "cx": 320.0, "cy": 180.0, "distortion": [],
    }  # fmt: skip
    assert fields["object_points"] == [list(point) for point in TARGETS["gate-8"]]


def test_formats_carry_one_contract_and_it_lies_beside_them(file: Path, tmp_path: Path) -> None:
    """TorchScript has the same metadata, and `contract.json` the same content and hash."""
    import torch

    written = export(ExportOptions(str(file.with_suffix(".ckpt")), format="torchscript", imgsz=96, out=str(tmp_path)))
    files = {"config.txt": ""}
    torch.jit.load(str(written[0]), _extra_files=files)
    told, beside = json.loads(files["config.txt"]), json.loads((tmp_path / NAME).read_text(encoding="utf-8"))
    assert check_contract(told) == check_contract(told_by(file)) == check_contract(beside)
    assert told[CONTRACT_HASH] == told_by(file)[CONTRACT_HASH] == beside[CONTRACT_HASH]
    assert {path.name for path in tmp_path.iterdir()} == {"best.torchscript", NAME}


def test_a_weights_file_says_no_camera(tmp_path: Path) -> None:
    """A default camera is nobody's: the contract has none, and so no poses."""
    module = awake_module("pose4")
    save_pt(tmp_path / "mine.pt", module.network)
    (file,) = export(ExportOptions(weights=str(tmp_path / "mine.pt"), format="onnx", imgsz=96))
    model = Model.load(file)
    assert model.camera is None and model.contract["object_points"] is None
    found = model(np.zeros((64, 64, 3), np.uint8))
    assert found.poses is None and not found.usable.any()


def test_pt_files_alone_write_no_contract(file: Path, tmp_path: Path) -> None:
    export(ExportOptions(str(file.with_suffix(".ckpt")), format="pt", imgsz=96, out=str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_an_altered_field_is_named(name: str, tmp_path: Path) -> None:
    document = json.loads(seal(FIELDS)[CONTRACT])
    document["fields"][name] = "another"
    altered = {CONTRACT: json.dumps(document), CONTRACT_HASH: seal(FIELDS)[CONTRACT_HASH]}
    path = write_graph(tmp_path / "hand.onnx", ANSWER, altered)
    with pytest.raises(ContractError, match=rf"hand\.onnx: its contract was altered: {name} does not match its hash"):
        Model.load(path)
    document["sha256"][name] = sha256_of("another")  # with its hash, too
    path = write_graph(tmp_path / "hand.onnx", ANSWER, {**altered, CONTRACT: json.dumps(document)})
    with pytest.raises(ContractError, match="does not match aigp_contract_sha256"):
        Model.load(path)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({CONTRACT: None}, "carries no contract .*export it again"),
        ({CONTRACT: "{"}, "no JSON"),
        ({CONTRACT: "[1]"}, "not of the format aigp-contract-1, but None"),
        ({CONTRACT: '{"format": "aigp-contract-1"}'}, "no fields"),
        ({CONTRACT_HASH: None}, "does not match aigp_contract_sha256"),
        ({"names": "{0: 'tree', 1: 'gate'}"}, "names: its metadata say .*tree.*, its contract .*gate"),
        ({"imgsz": "[64, 64]"}, r"imgsz: its metadata say \[64, 64\], its contract \[96, 96\]"),
        ({"kpt_shape": "[4, 3]"}, r"kpt_shape: its metadata say \[4, 3\], its contract \[8, 3\]"),
    ],
)
def test_altered_metadata_are_refused(changed: dict[str, Any], words: str, file: Path, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=words):
        Model.load(with_metadata(file, tmp_path / "other.onnx", **changed))


def test_validate_and_predict_refuse_altered_files_and_open_older_ones(file: Path, tmp_path: Path) -> None:
    document = json.loads(told_by(file)[CONTRACT])
    document["fields"]["colour"] = "BGR"
    with pytest.raises(WeightsError, match="contract was altered: colour does not match its hash"):
        load(with_metadata(file, tmp_path / "other.onnx", **{CONTRACT: json.dumps(document)}))
    old = with_metadata(file, tmp_path / "old.onnx", **{CONTRACT: None, CONTRACT_HASH: None})
    assert load(old).names == NAMES


def test_expectations(file: Path, tmp_path: Path) -> None:
    """The whole contract as a file or a mapping, or some fields; all that differs in one line."""
    beside = file.parent / NAME
    whole = json.loads(beside.read_text(encoding="utf-8"))
    for fits in (beside, whole, {"classes": list(NAMES.values())}, {"input": {"width": 96.0}, "camera": {"fx": 320}}):
        assert Model.load(file, expects=fits).contract_sha256 == whole[CONTRACT_HASH]
    wrong = {
        "keypoints": {"names": ["tl", "tr"]}, "thresholds": {"conf": 0.6}, "object_points": None, "colour": "RGB",
        "camera": {"zoom": 2}, "classes": ["tree ü", "gate"],
    }  # fmt: skip
    with pytest.raises(ContractError) as refused:
        Model.load(file, expects=wrong)
    text = str(refused.value)
    assert text.startswith(f"{file} is refused: ") and "\n" not in text and "colour" not in text
    for words in (
        'keypoints.names: file has ["corner 0", "corner 1",',
        'expected ["tl", "tr"]; ',
        "thresholds.conf: file has 0.5, expected 0.6; ",
        "object_points: file has [[-1.35, -1.35, 0.0], ",
        "camera.zoom: the file has no such field, expected 2; ",
        'classes: file has ["gate", "tree ü"], expected ["tree ü", "gate"]',
    ):
        assert words in text
    with pytest.raises(ContractError, match="is refused: keypoint: a contract has no such field"):
        Model.load(file, expects={"keypoint": {}})
    whole[CONTRACT]["fields"]["thresholds"]["conf"] = 0.9  # by hand, in the file that is kept
    (tmp_path / NAME).write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(ContractError, match=r"contract\.json: its contract was altered: thresholds does not match"):
        Model.load(file, expects=tmp_path / NAME)
    (tmp_path / "x.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ContractError, match=r"x\.json: it is no contract"):
        Model.load(file, expects=tmp_path / "x.json")
    with pytest.raises(ContractError, match=r"gone\.json cannot be read"):
        Model.load(file, expects="gone.json")


@pytest.mark.parametrize(
    ("answer", "changed", "words"),
    [
        ((1, 14, 5), {}, r"output: the graph gives \[1, 14, 5\], expected 18 numbers a box \(candidates\)"),
        ((1, 18, 5), {"classes": ["gate"]}, "expected 17 numbers"),
        ((1, 5, 18), {"output": ONE_TO_ONE}, None),
        ((1, 18, 5), {"output": ONE_TO_ONE}, "expected 18 numbers a box .one_to_one"),
        ((1, 18, 5), {"input": {**FIELDS["input"], "width": 96}}, r"takes \[1, 3, 64, 64\], expected \[1, 3, 64, 96\]"),
        ((1, 18, 5), {"input": DYNAMIC, "resize": NEAREST}, "input.dynamic: the graph takes"),
    ],
)
def test_a_graph_that_is_not_its_contracts(
    answer: tuple[int, ...], changed: dict[str, Any], words: str | None, tmp_path: Path
) -> None:
    path = write_graph(tmp_path / "hand.onnx", np.zeros(answer, np.float32), seal({**FIELDS, **changed}))
    if words is None:
        Model.load(path)
        return
    with pytest.raises(ContractError, match=words):
        Model.load(path)


def test_export_tells_its_thresholds_and_copies_the_runtime(
    file: Path, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = file.with_suffix(".ckpt")
    words = ("--format", "torchscript", "--imgsz", 64, "--out", tmp_path, "--with_runtime", "true")
    assert run_cli("export", checkpoint, *words) == 0
    said = capsys.readouterr().out
    assert "thresholds in the files: conf 0.5, keypoint_conf 0.5, iou 0.7, max_det 300; the model's own" in said
    assert f"{tmp_path / NAME}  (what must be the same on the drone; sha256 " in said
    copied = (tmp_path / "runtime.py").read_bytes()
    assert copied == (REPO / "aigp_lightning" / "deploy" / "runtime.py").read_bytes()


def test_the_documented_table_has_every_field() -> None:
    text = (REPO / "docs" / "runtime.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert [name for name in rows if name in FIELD_NAMES] == list(FIELD_NAMES)
