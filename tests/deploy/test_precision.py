"""Files in 16 and 8 bits, and OpenVINO's: they are what they say, and are judged on the validation split."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from yolo_scored import build_case, write_checkpoint

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.images import read_image
from aigp_lightning.data.listing import list_images
from aigp_lightning.deploy.checks import packages_missing
from aigp_lightning.deploy.export import export
from aigp_lightning.deploy.exports_file import is_as_told, read_exports, write_exports
from aigp_lightning.deploy.graph_parts import parts_of, with_plain_weights
from aigp_lightning.deploy.openvino_file import write_openvino
from aigp_lightning.deploy.options import ExportOptions, Form, form_of
from aigp_lightning.errors import ConfigError, DataError, UserError, WeightsError
from aigp_lightning.evaluation.evaluate import EvaluationData, evaluate
from aigp_lightning.evaluation.exported_graph import open_graph
from aigp_lightning.files import sha256_of

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
MAP = "metrics/mAP50-95(B)"
NAMES = ["model.onnx", "model.fp16.onnx", "model.int8.onnx", "model.xml", "model.fp16.xml", "model.int8.xml"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint that scores on the data set of its run."""
    return write_checkpoint(*build_case(tmp_path_factory.mktemp("scored"), rect=False))


@pytest.fixture(scope="module")
def written(checkpoint, tmp_path_factory) -> Path:
    """The folder with its files in all precisions, each measured."""
    out = tmp_path_factory.mktemp("precisions")
    options = ExportOptions(str(checkpoint), format="onnx,openvino", precision="fp32,fp16,int8", max_drop=0.2)
    options.out = str(out)
    files = export(options)
    assert [file.name for file in files if file.suffix != ".bin"] == NAMES
    assert {file.name for file in out.iterdir()} == {*(file.name for file in files), "exports.json", "contract.json"}
    return out


def entries(folder: Path) -> dict[str, dict[str, Any]]:
    return {entry["file"]: entry for entry in json.loads((folder / "exports.json").read_text())["files"]}


def graph_of(file: Path) -> onnx.GraphProto:
    return onnx.load(file).graph


def kinds(graph: onnx.GraphProto) -> list[str]:
    return [node.op_type for node in graph.node]


def answers(file: Path, picture: torch.Tensor) -> torch.Tensor:
    found = open_graph(file, gpu=False).run(picture)
    assert isinstance(found, torch.Tensor)
    return found


@pytest.fixture(scope="module")
def picture(checkpoint) -> torch.Tensor:
    """A validation picture of 96 × 96 pixels, as the network takes it."""
    pixels = read_image(str(checkpoint.parent / "images" / "val" / "000.png"))
    assert pixels.shape == (96, 96, 3)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float() / 255


def test_int8_computes_in_8_bits_but_for_what_makes_boxes(written):
    full, graph = graph_of(written / "model.onnx"), graph_of(written / "model.int8.onnx")
    weights = {each.name: each for each in graph.initializer}
    layers = [node for node in graph.node if node.op_type == "Conv"]
    from_8_bits = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    in_8_bits = [node for node in layers if node.input[1] in from_8_bits]
    assert len(layers) == kinds(full).count("Conv")
    last = parts_of(with_plain_weights(onnx.load(written / "model.onnx"))).last
    assert len(last) == 6  # boxes and classes at three sizes
    assert len(layers) - len(in_8_bits) == 6 + 1  # and the fixed one that counts distances
    assert last == {node.name for node in layers if node not in in_8_bits and "dfl" not in node.name}
    for node in in_8_bits:
        stored = numpy_helper.to_array(weights[from_8_bits[node.input[1]]])
        assert stored.dtype == np.int8
        assert len(np.unique(stored)) > 10
        assert node.input[0] in from_8_bits
    assert (written / "model.int8.onnx").stat().st_size < 0.35 * (written / "model.onnx").stat().st_size


def test_fp16_halves_the_file_and_decodes_in_float32(written, picture):
    half = onnx.load(written / "model.fp16.onnx")
    sizes = [(written / name).stat().st_size for name in ("model.fp16.onnx", "model.onnx")]
    assert 0.45 < sizes[0] / sizes[1] < 0.55
    ends = [*half.graph.input, *half.graph.output]
    assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.FLOAT}
    made_by = {output: node for node in half.graph.node for output in node.output}
    casts = [node for node in half.graph.node if node.op_type == "Cast"]
    assert len(casts) < 12  # into the layers and out of each of the last ones
    assert not [node.name for node in casts if getattr(made_by.get(node.input[0]), "op_type", "") == "Cast"]
    places = answers(written / "model.fp16.onnx", picture)[0, :2].flatten()
    rounded = places.half().float()
    assert (places != rounded).float().mean() > 0.5  # a float16 of 32 pixels and more has steps of 1/32


def test_bin_of_fp16_and_int8_are_smaller(written):
    sizes = {name: (written / f"model{name}.bin").stat().st_size for name in ("", ".fp16", ".int8")}
    assert 0.49 < sizes[".fp16"] / sizes[""] < 0.52
    assert sizes[".int8"] / sizes[""] < 0.3


@pytest.mark.parametrize(
    ("name", "alike"),
    [
        ("model.xml", 0.999999),
        *(("model.fp16.onnx", 0.9999), ("model.fp16.xml", 0.9999)),
        *(("model.int8.onnx", 0.97), ("model.int8.xml", 0.97)),  # of a network of random weights
    ],
)
def test_answers_are_near_those_in_full_precision(written, picture, name, alike):
    """By the correlation of all boxes, and of all confidences."""
    found, expected = answers(written / name, picture), answers(written / "model.onnx", picture)
    assert found.shape == expected.shape
    for part in (slice(0, 4), slice(4, None)):
        pair = torch.stack((found[:, part].flatten(), expected[:, part].flatten()))
        assert float(torch.corrcoef(pair)[0, 1]) > alike
    assert float(expected[:, 4:].std()) > 0.05


def test_files_say_what_they_are(written):
    """All that the ONNX file says, and the same in OpenVINO's."""
    usual = open_graph(written / "model.onnx", gpu=False).told
    own = {"precision", "calibration", "compared", "bin_sha256"}
    for name in NAMES:
        told = open_graph(written / name, gpu=False).told
        assert {key: told[key] for key in usual if key not in own} == {
            key: value for key, value in usual.items() if key not in own
        }
        assert (told["precision"], told["compared"]) == (form_of(Path(name)).precision, "val")
        wanted = {"pictures": 2, "split": "train", "seed": 0} if told["precision"] == "int8" else None
        assert told.get("calibration") == wanted


def test_exports_json_says_what_was_measured(written, checkpoint):
    told, found = json.loads((written / "exports.json").read_text()), entries(written)
    assert list(found) == NAMES
    assert told["model"] == {"file": "model.ckpt", "sha256": sha256_of(checkpoint)}
    assert (told["module"]["split"], told["module"]["images"]) == ("val", 13)
    assert str(checkpoint.parent) not in json.dumps(told)  # nothing of this machine
    module = told["module"]["figures"][MAP]
    assert 0.02 < module < 0.95
    for name, entry in found.items():
        assert entry["sha256"] == sha256_of(written / name)
        assert is_as_told(written, entry)
        assert (entry["format"], entry["precision"]) == (form_of(Path(name)).format, form_of(Path(name)).precision)
        assert entry["difference"][MAP] == pytest.approx(entry["figures"][MAP] - module)
    assert found["model.onnx"]["difference"][MAP] == pytest.approx(0, abs=1e-3)
    assert found["model.int8.onnx"]["figures"][MAP] != found["model.onnx"]["figures"][MAP]


@pytest.mark.parametrize("name", ["model.int8.onnx", "model.fp16.xml"])
def test_figures_are_those_of_an_evaluation_of_the_file(written, checkpoint, tmp_path, name):
    """Also beside the checkpoint, which says by which options."""
    for file in (*written.glob(f"{Path(name).stem}.*"), checkpoint):
        shutil.copy(file, tmp_path)
    found = evaluate(tmp_path / name, EvaluationData(workers=0, progress=False)).about["metrics"][MAP]
    assert found == pytest.approx(entries(written)[name]["figures"][MAP], abs=1e-6)


def test_validate_measures_the_file_itself(written, checkpoint, tmp_path, run_cli, capsys):
    """By the command line, with the figures of the export's table; the wrong size and class are a line."""
    told, config = tmp_path / "m.json", Path(__file__).parents[2] / "configs"
    file, data = written / "model.int8.onnx", checkpoint.parent / "data.yaml"
    usual = ("--data.workers", 0, "--data.data_yaml", data, "--data.synthetic", "null", "--run.root", tmp_path)
    words = ("validate", "--config", config / "detector.yaml", "--model.weights", file, *usual)
    assert run_cli(*words, "--data.imgsz", 96, "--run.json", told) == 0
    found = json.loads(told.read_text())["metrics"][MAP]
    assert found == pytest.approx(entries(written)[file.name]["figures"][MAP], abs=1e-6)
    capsys.readouterr()
    assert run_cli(*words, "--data.imgsz", 64) == 2
    assert f"{file} takes pictures of 96 pixels alone; say --data.imgsz 96." in capsys.readouterr().err
    assert run_cli("validate", "--config", config / "segment.yaml", *words[3:], "--data.imgsz", 96) == 2
    assert f"{file} is of a detect model; the configuration asks for segment." in capsys.readouterr().err


def test_what_loses_too_much_is_not_written(checkpoint, tmp_path, capsys):
    """The file of before stays, the other files are written, and the table says so."""
    (tmp_path / "model.int8.onnx").write_bytes(b"earlier")
    options = ExportOptions(str(checkpoint), format="onnx", precision="int8,fp32", out=str(tmp_path), max_drop=0.0)
    options.calibration = 1
    with pytest.raises(
        WeightsError, match=r"model\.int8\.onnx is not written, since it loses more than --max_drop 0 on"
    ):
        export(options)
    names = {"model.int8.onnx", "model.onnx", "exports.json", "contract.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert (tmp_path / "model.int8.onnx").read_bytes() == b"earlier"
    assert list(entries(tmp_path)) == ["model.onnx"]
    printed = capsys.readouterr().out
    assert "(not written)" in printed
    assert "the module" in printed


def test_a_split_without_objects_measures_nothing(checkpoint, tmp_path, capsys):
    """0 of nothing is no mAP: neither figures nor a passed --max_drop; and no folder of what was refused."""
    spec = read_data_yaml(torch.load(checkpoint, weights_only=True)["aigp"]["run"]["data"]["data_yaml"])
    for number, image in enumerate(list_images(spec, "val")):
        target = tmp_path / "images" / "val" / f"{number}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, target)
    (train,) = spec.splits["train"]
    text = f"train: {train}\nval: images/val\nnames: {list(spec.names.values())}\n"
    (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
    options = ExportOptions(str(checkpoint), format="onnx", precision="int8", data_yaml=str(tmp_path / "data.yaml"))
    options.out, options.calibration = str(tmp_path / "out" / "deep"), 1
    refused = replace(options, compare="val")
    with pytest.raises(DataError, match=r"--compare val cannot measure: no object is labelled in the validation split"):
        export(refused)
    assert not (tmp_path / "out").exists()
    (file,) = export(options)
    told = capsys.readouterr()
    assert "warning: accuracy is not measured: no object is labelled in the validation split of" in told.err
    assert "accuracy not measured" in told.out and "0.0000" not in told.out and "finds nothing" not in told.err
    assert open_graph(file, gpu=False).told["compared"] == "not measured"
    (entry,) = entries(file.parent).values()
    assert entry["figures"] == entry["difference"] == "not measured"


def test_a_folder_of_which_no_file_was_written_is_removed(checkpoint, tmp_path):
    options = ExportOptions(str(checkpoint), format="onnx", tolerance=1e-12, out=str(tmp_path / "out" / "deep"))
    with pytest.raises(WeightsError):
        export(options)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    with pytest.raises(WeightsError):
        export(replace(options, out=str(tmp_path / "out")))
    assert (tmp_path / "out").is_dir(), "it was there"


@pytest.fixture
def without_data(checkpoint, tmp_path) -> Path:
    """The checkpoint of a run whose data set is gone."""
    content = torch.load(checkpoint, weights_only=True)
    content["aigp"]["run"]["data"]["data_yaml"] = str(tmp_path / "gone" / "data.yaml")
    torch.save(content, tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


def test_without_the_data_set_nothing_is_claimed(without_data, capsys):
    options = ExportOptions(str(without_data), format="onnx", precision="fp16")
    (file,) = export(options)
    told = capsys.readouterr()
    assert "warning: accuracy is not measured: --compare val needs the data set: " in told.err
    assert "--data_yaml data.yaml names another" in told.err
    assert "accuracy not measured" in told.out
    assert open_graph(file, gpu=False).told["compared"] == "not measured"
    assert entries(file.parent)["model.fp16.onnx"]["figures"] == "not measured"
    for wrong in (ExportOptions(str(without_data), precision="int8"), ExportOptions(str(without_data), compare="val")):
        with pytest.raises(
            DataError, match=r"needs the data set: .*data\.yaml: that of .* is not there any more; --data"
        ):
            export(wrong)
    missing = ExportOptions(str(without_data), precision="int8", data_yaml="no.yaml")
    with pytest.raises(DataError, match=r"no\.yaml: there is no such file; --data_yaml data\.yaml names another\.$"):
        export(missing)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp8"}, r"--precision fp8: known are fp32, fp16, int8\."),
        ({"precision": "int8", "format": "torchscript,onnx"}, r"files of format torchscript compute in fp32 alone"),
        ({"compare": "test"}, r"--compare test: known are none, val\."),
        ({"calibration": 0}, r"--calibration 0"),
        ({"max_drop": 1.5}, r"--max_drop 1\.5"),
        (
            {"format": "tensorrt"},
            r"^TENSORRT export needs tensorrt and an NVIDIA GPU that PyTorch can use: pip install",
        ),
    ],
)
def test_wrong_options(options, message):
    if options.get("format") == "tensorrt" and not packages_missing("tensorrt"):
        pytest.skip("TensorRT and a GPU are here")
    with pytest.raises(UserError, match=message) as error:
        export(ExportOptions("absent.ckpt", **options))
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not packages_missing("tensorrt"), reason="TensorRT and a GPU are here")
def test_what_the_machine_lacks_is_told_first_and_the_rest_is_written(checkpoint, tmp_path, capsys, run_cli):
    words = ("--format", "torchscript,engine", "--out", tmp_path, "--imgsz", 64)
    assert run_cli("export", checkpoint, *words) == 1
    told = capsys.readouterr()
    assert told.err.startswith("warning: model.engine is not written, since it needs tensorrt and an NVIDIA GPU that ")
    assert {path.name for path in tmp_path.iterdir()} == {"model.torchscript", "contract.json"}
    (tmp_path / "model.engine").write_bytes(b"engine")
    with pytest.raises(ConfigError, match=r"model\.engine needs tensorrt: pip install tensorrt\.$"):
        open_graph(tmp_path / "model.engine")


def test_openvino_cannot_convert_every_graph(tmp_path):
    node = onnx.helper.make_node("Gate", ["x"], ["y"], domain="a.team")
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1,)) for name in "xy"]
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("a.team", 1)]
    with pytest.raises(WeightsError, match=r"^OpenVINO cannot convert the ONNX graph: .*Gate") as error:
        write_openvino(tmp_path / "a.xml", onnx.helper.make_model(graph, opset_imports=opsets), half=False)
    assert "\n" not in str(error.value)


def test_what_cannot_be_converted_is_a_line_and_the_rest_is_written(checkpoint, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such operator\nsomewhere.cpp:12")

    monkeypatch.setattr("aigp_lightning.deploy.int8.quantized", fail)
    options = ExportOptions(str(checkpoint), format="onnx", precision="int8,fp32", out=str(tmp_path), compare="none")
    message = r"^model\.int8\.onnx is not written: onnx in int8 cannot be made: no such operator$"
    with pytest.raises(WeightsError, match=message):
        export(options)
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "contract.json"}


@pytest.mark.parametrize("fault", ["missing", "cut", "other", "xml"])
def test_a_damaged_pair_of_openvino_is_a_line(written, tmp_path, fault):
    for file in written.glob("model.xml"), written.glob("model.bin"):
        shutil.copy(next(file), tmp_path)
    weights = tmp_path / "model.bin"
    content = weights.read_bytes()
    if fault == "missing":
        weights.unlink()
    elif fault == "xml":
        (tmp_path / "model.xml").write_text("<net>")
    else:
        weights.write_bytes(content[:1000] if fault == "cut" else content[:-4] + b"\0\1\2\3")
    with pytest.raises(WeightsError, match=r"model\.xml cannot be opened: ") as error:
        open_graph(tmp_path / "model.xml")
    assert "\n" not in str(error.value)
    if fault in ("missing", "other"):
        assert "model.bin" in str(error.value)


def test_openvino_leaves_nothing_at_home_and_asks_nobody(written, tmp_path):
    """Its package would report that it was imported, with an id in the home folder."""
    code = (
        "import socket, sys\n"
        "def refuse(event, args):\n"
        "    if event in ('socket.getaddrinfo', 'socket.connect', 'socket.gethostbyname'): print('asked', args)\n"
        "sys.addaudithook(refuse)\n"
        "import aigp_lightning, openvino\n"
        "model = openvino.Core().read_model(sys.argv[1])\n"
        "openvino.save_model(model, sys.argv[2]); openvino.Core().compile_model(model, 'CPU')\n"
        "print('sent by', [name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module])"
    )
    home, out = tmp_path / "home", tmp_path / "out.xml"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    environment.pop("CI", None)  # with which it would not
    command = [sys.executable, "-c", code, written / "model.onnx", out]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["sent by []"]
    assert out.is_file()
    assert list(home.iterdir()) == []


def test_what_an_earlier_export_noted_stays_where_it_is_true(tmp_path):
    model, first, second = (tmp_path / name for name in ("best.ckpt", "best.onnx", "best.int8.onnx"))
    for path in (model, first, second):
        path.write_bytes(path.name.encode())
    made = [
        {"file": path.name, "sha256": sha256_of(path), "format": "onnx", "precision": "fp32", "beside": {}}
        for path in (first, second)
    ]
    write_exports(tmp_path, model, {"figures": {MAP: 0.5}}, made[:1])
    write_exports(tmp_path, model, None, made[1:])
    assert [entry["file"] for entry in read_exports(tmp_path)["files"]] == ["best.onnx", "best.int8.onnx"]
    assert read_exports(tmp_path)["module"] == {"figures": {MAP: 0.5}}
    first.write_bytes(b"another")
    write_exports(tmp_path, model, None, made[1:])
    assert [entry["file"] for entry in read_exports(tmp_path)["files"]] == ["best.int8.onnx"]
    model.write_bytes(b"trained anew")
    write_exports(tmp_path, model, None, made[:1])
    assert [entry["file"] for entry in read_exports(tmp_path)["files"]] == ["best.onnx"]
    (tmp_path / "exports.json").write_text("[]")
    assert read_exports(tmp_path) == {}


def test_names_of_files():
    forms = [Form(form, precision) for form in ("onnx", "openvino", "tensorrt") for precision in ("fp32", "int8")]
    assert [form_of(Path(form.file_name("a.b"))) for form in forms] == forms
