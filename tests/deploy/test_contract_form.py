"""Each field of a contract is held to its form, and what no JSON could be is refused in a line that names it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import FIELDS, write_graph

from aigp_lightning.deploy import runtime
from aigp_lightning.deploy.runtime import (
    CONTRACT,
    CONTRACT_FILES,
    CONTRACT_HASH,
    ContractError,
    Model,
    check_contract,
    faults,
    seal,
)

pytestmark = pytest.mark.usefixtures("one_thread")

STRETCH = {"rule": "stretch", "interpolation": "bilinear, antialiased", "passes": "width first"}
JUNK: tuple[Any, ...] = (
    None, True, False, -1, 0, 2.5, 10**400, 2**40, "", "x", "1", [], [1], [[]], [[1, 2, 3]], ["a"], [None], {},
    {"a": 1},
)  # fmt: skip
"""Of most fields none of these is a value; those of which one is, are in `ALLOWED`."""
ALLOWED: dict[str, tuple[Any, ...]] = {
    "classes": (["a"],),
    "keypoints": (None,),
    "keypoints.flip_idx": (None,),
    "input.dynamic": (False,),  # and true goes with another rounding
    "resize.grey": (0,),
    "resize.centred": (True,),
    "output.family": ("", "x", "1"),
    "output.nms": (True,),
    "output.agnostic": (True, False),
    "thresholds.conf": (0,),
    "thresholds.keypoint_conf": (0,),
    "thresholds.iou": (0,),
    "thresholds.reprojection_px": (None, 2.5, 2**40),
    "thresholds.chosen": (True, False),
    "camera": (None,),
    "camera.fx": (2.5, 2**40),
    "camera.fy": (2.5, 2**40),
    "camera.cx": (-1, 0, 2.5, 2**40),
    "camera.cy": (-1, 0, 2.5, 2**40),
    "camera.distortion": ([],),
    "object_points": (None,),
}


def changed(path: str, value: Any, fields: Mapping[str, Any] = FIELDS) -> dict[str, Any]:
    """Contract in which one field, or one within it, is another."""
    first, _, second = path.partition(".")
    return {**fields, first: {**fields[first], second: value} if second else value}


def paths(fields: Mapping[str, Any] = FIELDS) -> Iterator[str]:
    for name, value in fields.items():
        yield name
        yield from (f"{name}.{key}" for key in value if isinstance(value, dict))


@pytest.mark.parametrize("path", paths())
def test_every_field_is_held_to_its_form(path: str) -> None:
    """Junk of every kind is a fault that begins with the field's name, unless it is a value of it."""
    for value in JUNK:
        allowed = any(type(value) is type(each) and value == each for each in ALLOWED.get(path, ()))
        found = faults(changed(path, value))
        if path == "keypoints" and value is None:
            assert found == ["object_points: their number is not that of the keypoints"]
        elif allowed:
            assert found == [], (path, value)
        else:
            assert found and all(each.startswith((path, "resize.rounding")) for each in found), (path, value, found)


@pytest.mark.parametrize("path", [*paths(), "resize.passes"])
def test_every_field_is_needed(path: str) -> None:
    fields = {**FIELDS, "resize": STRETCH} if path == "resize.passes" else FIELDS
    assert faults(fields) == []
    first, _, second = path.partition(".")
    left = {name: value for name, value in fields.items() if second or name != first}
    if second:
        left[first] = {key: value for key, value in left[first].items() if key != second}
    found = faults(left)
    assert f"{path}: the contract does not say it" in found


@pytest.mark.parametrize("path", ["zzz", *(f"{name}.zzz" for name in paths() if isinstance(FIELDS.get(name), dict))])
def test_what_is_not_known_is_refused(path: str) -> None:
    """A newer exporter's rule must not be passed over."""
    assert faults(changed(path, 1)) == [f"{path} is nothing that this runtime.py knows; take the exporter's own"]


SQUARE = FIELDS["object_points"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("thresholds.conf", 2, "thresholds.conf: 2 is no number from 0 to 1"),
        ("thresholds.max_det", 2.5, "thresholds.max_det: 2.5 is no whole number from 1 to"),
        ("thresholds.max_det", 0, "thresholds.max_det: 0 is no whole number from 1 to"),
        ("thresholds.reprojection_px", -1, "thresholds.reprojection_px: -1 is no number above 0, nor null"),
        ("input.batch", 2, "input.batch: 2 is nothing that this runtime.py knows"),
        ("camera.fx", 0, "camera.fx: 0 is no number above 0"),
        ("camera.fx", None, "camera.fx: null is no number above 0"),
        ("camera.width", 0, "camera.width: 0 is no whole number"),
        ("camera.distortion", [0.1, 0.2, 0.3], r"camera.distortion: \[0.1, 0.2, 0.3\] is no list of none, 4, 5, 8, 12"),
        ("object_points", [[n, n, 0] for n in range(4)], "object_points: .* not all in a line"),
        ("object_points", [[n, 0, 1e-5 * n**2] for n in range(4)], "object_points: .* not all in a line"),
        ("object_points", [*SQUARE[:3], SQUARE[0]], "object_points: .* in a place of its own"),
        ("object_points", [[0, 0, 0]] * 4, "object_points: .* in a place of its own"),
        ("object_points", [[1e308, 0, 0], [0, 1e308, 0], [-1e308, 0, 0]], "object_points: their number is not"),
        ("keypoints.names", ["a"], "keypoints.names: their number is not that of the keypoints"),
        ("keypoints.flip_idx", [0, 1, 2, 2], "keypoints.flip_idx: it has not each keypoint once"),
        ("keypoints.count", 2**31 - 1, "keypoints.names: their number is not"),
        ("output.boxes", "xyxy", "output.boxes: those of candidates are cxcywh"),
        ("output.nms", False, "output.nms: candidates need it"),
        ("resize.rounding", "nearest", "resize.rounding: with this input.dynamic it is up"),
        ("resize.rule", "crop", 'resize.rule: "crop" is nothing that this runtime.py knows'),
        ("resize.passes", "width first", "resize.passes is nothing that this runtime.py knows"),
        ("resize", 3, "resize: 3 is no mapping"),
        ("scaling.divide_by", 1, "scaling.divide_by: 1 is nothing"),
        ("colour", "BGR", 'colour: "BGR" is nothing'),
        ("zzz", 1, "zzz is nothing that this runtime.py knows"),
        ("z\nz", 1, r"z\\nz is nothing"),
        ("thresholds.conf", "x" * 1000, r'thresholds.conf: "x{119}… is no number'),
    ],
)
def test_a_file_whose_contract_is_hashed_anew_is_refused(
    path: str, value: Any, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_graph(tmp_path / "hand.onnx", np.zeros((1, 18, 5), np.float32), seal(changed(path, value)))
    with pytest.raises(ContractError, match=f"hand.onnx is refused: .*{words}") as refused:
        Model.load(file)
    assert "\n" not in str(refused.value) and runtime.main([str(file)]) == 2
    assert capsys.readouterr().err == f"error: {refused.value}\n"


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DEEP, "it is no JSON: nested too deeply"),
        ("[" * 40 + "]" * 40, "is nested too deeply"),
        ("1" * 5000, "it is no JSON|it is no finite number"),
        ("null", "not of the format aigp-contract-1, but None"),
        ('{"format": "a\\nb"}', r"but 'a\\nb'"),
        (json.dumps({"format": "aigp-contract-1", "fields": {}, "sha256": {}, "rules": []}), "does not know: rules"),
    ],
)
def test_what_is_no_contract(text: str, words: str) -> None:
    with pytest.raises(ContractError, match=words) as refused:
        check_contract({CONTRACT: text, CONTRACT_HASH: ""})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_a_number_that_is_none_is_named(number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a file's own contract, from the shell too, in an expected one, and in expected fields."""
    written = seal(changed("thresholds.conf", 0.123))[CONTRACT].replace("0.123", number)
    answer = np.zeros((1, 18, 5), np.float32)
    file = write_graph(tmp_path / "hand.onnx", answer, {**seal(FIELDS), CONTRACT: written})
    named = r"fields\.thresholds\.conf is no finite number"
    with pytest.raises(ContractError, match=named):
        Model.load(file)
    assert runtime.main([str(file)]) == 2 and "fields.thresholds.conf is no finite" in capsys.readouterr().err
    fine = write_graph(tmp_path / "fine.onnx", answer)
    expected = tmp_path / "contract.json"
    expected.write_text(f'{{"{CONTRACT}": {written}, "{CONTRACT_HASH}": ""}}', encoding="utf-8")
    with pytest.raises(ContractError, match=rf"contract\.json: .*{named}"):
        Model.load(fine, expected)
    expected.write_text(f'{{"thresholds": {{"conf": {number}}}}}', encoding="utf-8")
    with pytest.raises(ContractError, match=r"contract\.json: thresholds\.conf is no finite number"):
        Model.load(fine, expected)


class Odd:
    """Of no kind that JSON knows."""


@pytest.mark.parametrize(
    ("expects", "words"),
    [
        ([1], "expects: it is no contract"),
        (3, "expects: it is no contract"),
        (b"contract.json", "expects: it is no contract"),
        ({}, "expects: it expects nothing"),
        ({1: 2}, "expects: 1 is no name of a field"),
        ({"colour": Odd()}, "expects: colour is of Odd"),
        ({"camera": {"fx": np.zeros(3)}}, r"expects: camera\.fx is of ndarray"),
        ({"colour": float("nan")}, "expects: colour is no finite number"),
        ({"classes": ["\ud800"]}, r"expects: classes\[0\] is no Unicode"),
        ({"thresholds": 3}, "thresholds: file has .*, expected 3"),
        ({"input": None}, "input: file has .*, expected null"),
        ({"colour": ["RGB"]}, 'colour: file has "RGB", expected'),
        ({CONTRACT: 3}, "expects: its aigp_contract is not of the format"),
        ({**seal(FIELDS), "thresholds": {"conf": 0.9}}, "expects: beside a whole contract there is thresholds"),
        ({**seal(FIELDS), CONTRACT_FILES: {"a.onnx": 3}}, f"{CONTRACT_FILES} does not have"),
        ({**seal(FIELDS), CONTRACT_FILES: ["a" * 64]}, f"{CONTRACT_FILES} does not have"),
    ],
)
def test_expectations_of_the_wrong_kind(expects: Any, words: str, tmp_path: Path) -> None:
    file = write_graph(tmp_path / "hand.onnx", np.zeros((1, 18, 5), np.float32))
    with pytest.raises(ContractError, match=words) as refused:
        Model.load(file, expects)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        DEEP.encode(),
        b"",
        b"{}",
        b"3",
        b"\xff",
        '{"a": "\ud800"}'.encode("utf-8", "surrogatepass"),
        b'{"classes": ["\\ud800"]}',
    ],
)
def test_expected_files_that_are_none(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_graph(tmp_path / "hand.onnx", np.zeros((1, 18, 5), np.float32))
    (tmp_path / "own.json").write_bytes(content)
    assert runtime.main([str(file), "--expects", str(tmp_path / "own.json")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {tmp_path / 'own.json'}: ") and told.count("\n") == 1


def test_tuples_are_lists(tmp_path: Path) -> None:
    file = write_graph(tmp_path / "hand.onnx", np.zeros((1, 18, 5), np.float32))
    assert Model.load(file, {"classes": ("gate", "flag")}).names == ["gate", "flag"]


def test_metadata_that_other_programs_read(tmp_path: Path) -> None:
    """Nested too deeply for Python, over several lines, and no text at all."""
    answer = np.zeros((1, 18, 5), np.float32)
    for names in (DEEP[:5000], "a\nb"):
        file = write_graph(tmp_path / "hand.onnx", answer, {**seal(FIELDS), "names": names})
        with pytest.raises(ContractError, match="names: its metadata say ") as refused:
            Model.load(file)
        assert "\n" not in str(refused.value)
    file = write_graph(tmp_path / "hand.onnx", answer, {**seal(FIELDS), "author": "somebody"})
    file.write_bytes(file.read_bytes().replace(b"somebody", b"some\xff\xfe\xfdy"))
    with pytest.raises(ContractError, match=r"hand\.onnx.* metadata are no text|cannot be opened"):
        Model.load(file)


@pytest.mark.parametrize("threads", [-1, 2.5, True, 10**12, "2"])
def test_a_wrong_number_of_threads(threads: Any, tmp_path: Path) -> None:
    file = write_graph(tmp_path / "hand.onnx", np.zeros((1, 18, 5), np.float32))
    with pytest.raises(ContractError, match=r"threads: .* is no whole number"):
        Model.load(file, threads=threads)


def test_a_graph_whose_answer_is_no_number(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    file = write_graph(tmp_path / "hand.onnx", np.zeros((1, 18, 5), np.float32))
    model = onnx.load(str(file))
    model.graph.node[0].CopyFrom(helper.make_node("Cast", ["answer"], ["output0"], to=TensorProto.INT64))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    onnx.save(model, str(file))
    with pytest.raises(ContractError, match=r"output: the graph gives tensor\(int64\), expected float32"):
        Model.load(file)
