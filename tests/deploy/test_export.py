"""Exported files answer as the module does, open in Ultralytics, and are written whole or not at all."""

from __future__ import annotations

import getpass
import json
import math
import os
import re
import socket
import struct
import subprocess
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import torch
from ultralytics import YOLO

import aigp_lightning
from aigp_lightning.deploy.difference import greatest_difference
from aigp_lightning.deploy.export import export
from aigp_lightning.deploy.options import OWN_FORMATS, ExportOptions
from aigp_lightning.errors import ConfigError, UserError, WeightsError
from aigp_lightning.modules import registry
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.deployment import Deployment, ExportGraph
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.registry import load_module
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.transfer import transfer_weights
from aigp_lightning.modules.yolo.weights import load_weights, save_pt
from aigp_lightning.run.marker import mark_run_folder

NAMES = {0: "gate", 1: "tree ü"}
SIZE = 64


def shake(network, seed=0):
    """Weights and statistics as a trained network has them, and classes sure enough to be detected."""
    random = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1, generator=random)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 2, generator=random)
    for branch in network.model[-1].cv3:
        branch[-1].weight.data.normal_(0, 0.3, generator=random)
        branch[-1].bias.data[:] = torch.tensor([-1.0, -2.0])


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint as Lightning writes it, in a folder with a space, an apostrophe and an umlaut."""
    torch.manual_seed(0)
    module = DetectorModule()
    module.set_network(module.build_network(NAMES))
    shake(module.network)
    content = {"state_dict": module.state_dict(), "epoch": 3}
    module.on_save_checkpoint(content)
    folder = tmp_path_factory.mktemp("run") / "it's größer"
    folder.mkdir()
    torch.save(content, folder / "best.ckpt")
    return folder / "best.ckpt"


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("exported") / "a b" / "ü"
    files = export(ExportOptions(ckpt_path=str(checkpoint), out=str(out), imgsz=SIZE))
    assert sorted(out.iterdir()) == sorted([*files, out / "contract.json"])  # nothing else is left behind
    return {file.suffix[1:]: file for file in files}


@pytest.fixture(scope="module")
def module(checkpoint) -> DetectorModule:
    return load_module(checkpoint)


def picture(height=SIZE, width=SIZE, count=1) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(7))


def raw(module, images) -> torch.Tensor:
    with torch.no_grad():
        return module.network(images)[0]


def onnx_answer(path, images) -> torch.Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def torchscript_answer(path, images) -> torch.Tensor:
    with path.open("rb") as file, torch.no_grad():
        return torch.jit.load(file)(images)


ANSWERS = {"onnx": onnx_answer, "torchscript": torchscript_answer}


def test_files_are_named_after_the_checkpoint(exported):
    assert [(form, file.name) for form, file in exported.items()] == [
        ("pt", "best.pt"),
        ("onnx", "best.onnx"),
        ("torchscript", "best.torchscript"),
    ]


@pytest.mark.parametrize("form", ANSWERS)
def test_graph_returns_ultralytics_raw_tensor(exported, module, form):
    """Boxes cxcywh in pixels, then confidences, on a picture that export did not check."""
    images, expected = picture(), raw(module, picture())
    found = ANSWERS[form](exported[form], images)
    assert found.shape == (1, 4 + 2, 8 * 8 + 4 * 4 + 2 * 2)
    assert expected[:, 4:].max() > 0.3
    torch.testing.assert_close(found[:, :4], expected[:, :4], atol=1e-3, rtol=0)
    torch.testing.assert_close(found[:, 4:], expected[:, 4:], atol=1e-5, rtol=0)


def test_pt_holds_the_weights_rounded_to_float16(exported, module):
    theirs, mine = load_weights(exported["pt"]).state_dict(), module.network.state_dict()
    assert theirs.keys() == mine.keys()
    for key, value in mine.items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(theirs[key], expected), key


@pytest.mark.parametrize(("form", "pixels"), [("pt", 0.3), ("onnx", 1e-2), ("torchscript", 1e-2)])
def test_yolo_opens_and_predicts_as_the_module(exported, module, form, pixels):
    image = (picture()[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    bgr = np.ascontiguousarray(image[..., ::-1])
    batch = {"img": torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255}
    with torch.no_grad():
        expected = module.predict_batch(batch, 0.25)[0]
    model = YOLO(exported[form], task=None if form == "pt" else "detect")
    found = model.predict(bgr, imgsz=SIZE, conf=0.25, iou=0.7, device="cpu", verbose=False)[0]
    assert found.names == NAMES
    assert len(expected.boxes) > 3
    assert found.boxes.cls.int().tolist() == expected.labels.tolist()
    torch.testing.assert_close(found.boxes.conf, expected.scores, atol=2e-3, rtol=0)
    inside = expected.boxes.clamp(0, SIZE)  # Ultralytics clips to the picture
    torch.testing.assert_close(found.boxes.xyxy, inside, atol=pixels, rtol=0)


@pytest.mark.parametrize("form", ANSWERS)
def test_task_is_read_from_the_file(exported, form):
    """Without a word from the user, Ultralytics finds task, stride and size in the file."""
    from ultralytics.nn.autobackend import AutoBackend

    backend = AutoBackend(str(exported[form]), device=torch.device("cpu"))
    assert (backend.task, backend.stride, backend.imgsz, backend.names) == ("detect", 32, [SIZE, SIZE], NAMES)
    assert (backend.batch, backend.dynamic, backend.end2end) == (1, False, False)


def test_metadata(exported):
    import onnx

    in_onnx = {entry.key: entry.value for entry in onnx.load(exported["onnx"]).metadata_props}
    with zipfile.ZipFile(exported["torchscript"]) as archive:
        name = next(name for name in archive.namelist() if name.endswith("extra/config.txt"))
        in_torchscript = json.loads(archive.read(name))
    assert in_onnx["names"] == str(NAMES)
    assert in_torchscript["names"] == {str(key): value for key, value in NAMES.items()}
    assert (in_onnx["stride"], in_onnx["task"], in_onnx["imgsz"]) == ("32", "detect", "[64, 64]")
    assert in_torchscript["args"] == {"batch": 1, "dynamic": False, "nms": False}


def traces(file: Path, words: Collection[str]) -> list[str]:
    """Where words stand in a file, or in a member of one that is an archive."""
    parts = {file.name: file.read_bytes()}
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            parts |= {f"{file.name}: {name}": archive.read(name) for name in archive.namelist()}
    return [f"{part} has {word}" for part, content in parts.items() for word in words if word.encode() in content]


def machine(*folders: Path) -> set[str]:
    """What must not stand in a file that is given away: folders of the data and the code, user, host."""
    code = Path(aigp_lightning.__file__).parent.parent, Path(torch.__file__).parent.parent, Path.home(), Path.cwd()
    found = {*map(str, (*folders, *code)), "site-packages", "dist-packages", socket.gethostname(), getpass.getuser()}
    return {word for word in found if len(word) > 4}  # shorter ones are found in any weights


def test_no_file_names_this_machine(exported, checkpoint):
    words = machine(checkpoint.parent)
    assert {"site-packages", str(checkpoint.parent)} <= words
    for file in exported.values():
        assert traces(file, words) == []


def test_what_a_stranger_left_in_a_pt_is_not_passed_on(checkpoint, tmp_path):
    """Ultralytics' own files have the paths of whoever trained them, and where their sources were."""
    save_pt(tmp_path / "theirs.pt", load_module(checkpoint).network)
    content = torch.load(tmp_path / "theirs.pt", weights_only=False)
    home = {"data": "/home/mallory/secret.yaml", "project": "C:\\Users\\mallory\\runs", "save_dir": "/home/mallory/run"}
    content["model"].args |= home
    content["train_args"] |= home
    content["model"].pt_path = "/home/mallory/theirs.pt"
    described = content["model"].yaml
    described["yaml_file"] = "/home/mallory/yolo11n.yaml"
    described["nested"] = {"/home/mallory/k": {"k": "mallory"}, "l": ["/home/mallory/data", ("mallory",)]}
    described["text_model"] = described["nc_of_mallory"] = "mallory"
    described["scales"] |= {"/home/mallory": [1, 1, 1]}
    described["activation"] = None
    described["head"][0] = [-1, 1, "nn.Upsample", [None, 2, "nearest"]]
    described["inplace"] = {"deeper": [["/home/mallory"]]}
    content["model"].kpt_names = {0: [["/home/mallory"]]}
    content["model"].kpt_oks_sigmas = ["/home/mallory"]
    content["model"].mallory = "mallory"
    content["git"] = {"root": "/home/mallory/git", "origin": "git@example.org:mallory/secret.git"}
    torch.save(content, tmp_path / "theirs.pt")
    options = {"weights": str(tmp_path / "theirs.pt"), "format": ["pt", "torchscript"], "imgsz": SIZE}
    written = export(ExportOptions(**options, out=str(tmp_path / "ours")))
    assert len(written) == 2
    for file in written:
        assert traces(file, {"mallory", *machine(tmp_path)}) == []
    ours = YOLO(tmp_path / "ours" / "theirs.pt")
    assert (ours.names, ours.model.yaml["yaml_file"]) == (NAMES, "yolo11n.yaml")
    torch.testing.assert_close(raw(load_module(checkpoint), picture()), raw_of(ours), atol=0.3, rtol=2e-2)


def raw_of(model: YOLO) -> torch.Tensor:
    with torch.no_grad():
        return model.model.float().eval()(picture())[0]


@pytest.mark.parametrize("place", ["/home/mallory", "C:\\mallory", "~mallory", "mallory@host", "/home/mallory/runs/"])
def test_a_folder_leaves_no_name_behind(checkpoint, tmp_path, place):
    """Neither in settings nor where a layer takes anything."""
    network = load_module(checkpoint).network
    network.yaml |= {"yaml_file": place, "activation": f"nn.SiLU() # {place}"}
    network.yaml["backbone"][0][3] = [64, 3, 2, place, {place: [place]}]
    network.yaml["backbone"].append([-1, 1, "nn.Identity", [place]])
    save_pt(
        tmp_path / "a.pt", network, train_args={"data": place, "project": place, "pretrained": place, "name": "mallory"}
    )
    assert traces(tmp_path / "a.pt", {"mallory"}) == []
    assert YOLO(tmp_path / "a.pt").ckpt["train_args"]["data"] is None


def test_data_in_torchscript_stay_aligned(exported):
    """So that programs may map the weights into memory, as in the file that PyTorch wrote."""
    content = exported["torchscript"].read_bytes()
    with zipfile.ZipFile(exported["torchscript"]) as archive:
        assert archive.testzip() is None
        members = archive.infolist()
    assert not [member.filename for member in members if member.filename.endswith(".debug_pkl")]
    for member in members:
        lengths = content[member.header_offset + 26 : member.header_offset + 30]
        start = member.header_offset + 30 + sum(struct.unpack("<HH", lengths))
        assert start % 64 == 0, member.filename


def test_best_pt_keeps_the_names_of_files_alone(checkpoint, tmp_path):
    settings = {"data": "/home/mallory/my gates.yaml", "imgsz": SIZE}
    load_module(checkpoint).deployment.write_portable(tmp_path / "best.pt", 3, settings)
    assert traces(tmp_path / "best.pt", {"mallory", *machine(tmp_path)}) == []
    kept = YOLO(tmp_path / "best.pt").ckpt["train_args"]
    assert (kept["data"], kept["imgsz"]) == ("my gates.yaml", SIZE)


def test_pt_needs_nothing_of_ours(exported):
    """Every class in the pickle is torch's, Ultralytics' or Python's; a fresh process opens it without us."""
    roots = {name.split(".")[0] for name in torch.serialization.get_unsafe_globals_in_checkpoint(exported["pt"])}
    assert roots <= {"torch", "ultralytics", "types", "builtins"}
    code = (
        "import sys, numpy; from ultralytics import YOLO; model = YOLO(sys.argv[1]);"
        "result = model.predict(numpy.zeros((64, 64, 3), 'uint8'), imgsz=64, device='cpu', verbose=False)[0];"
        "print(result.names, model.task, int(model.model.stride.max()),"
        " [name for name in sys.modules if name.startswith(('aigp', 'lightning'))])"
    )
    environment = {**os.environ, "YOLO_OFFLINE": "true", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, exported["pt"]],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{NAMES} detect 32 []"


@pytest.mark.parametrize("form", ANSWERS)
def test_dynamic_takes_any_shape_and_batch(checkpoint, module, tmp_path, form):
    options = ExportOptions(ckpt_path=str(checkpoint), out=str(tmp_path), imgsz=SIZE, format=[form], dynamic=True)
    (file,) = export(options)
    images = picture(96, 160, count=3)
    torch.testing.assert_close(ANSWERS[form](file, images), raw(module, images), atol=1e-3, rtol=1e-5)


def test_differences_are_printed(checkpoint, tmp_path, capsys):
    (file,) = export(ExportOptions(ckpt_path=str(checkpoint), out=str(tmp_path), imgsz=SIZE, format=["pt"]))
    line = capsys.readouterr().out
    assert line.startswith(str(file))
    found = re.search(r"from the module rounded to float16: boxes and keypoints (\S+) px, confidences (\S+)\)", line)
    assert found
    assert float(found[1]) < 1e-3
    assert float(found[2]) < 1e-6


def test_beyond_tolerance_nothing_is_written(checkpoint, tmp_path):
    """An earlier file of the name stays as it was."""
    before = tmp_path / "best.torchscript"
    before.write_bytes(b"earlier")
    options = ExportOptions(str(checkpoint), format=["torchscript"], out=str(tmp_path), imgsz=SIZE, tolerance=1e-12)
    with pytest.raises(WeightsError, match=r"best\.torchscript does not answer as the module does: boxes .* px"):
        export(options)
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_bytes() == b"earlier"


def test_not_a_number_is_beyond_any_tolerance(module):
    broken = picture().fill_(math.nan)
    graph = module.deployment.graph(SIZE, dynamic=False)
    difference = greatest_difference(lambda images: raw(module, broken), graph, SIZE)
    assert not difference.within(1e9, SIZE)


def test_from_ultralytics_weights(exported, module, tmp_path, capsys):
    """The source is not touched, and says so; a copy may go elsewhere."""
    source = tmp_path / "mine.pt"
    source.write_bytes(exported["pt"].read_bytes())
    files = export(ExportOptions(weights=str(source), format=["pt", "torchscript"], imgsz=SIZE))
    assert files == [tmp_path / "mine.torchscript"]
    assert "mine.pt  (the source itself" in capsys.readouterr().out
    assert source.read_bytes() == exported["pt"].read_bytes()
    torch.testing.assert_close(
        torchscript_answer(files[0], picture())[:, 4:], raw(module, picture())[:, 4:], atol=2e-3, rtol=0
    )
    (copied,) = export(ExportOptions(weights=str(source), format=["pt"], imgsz=SIZE, out=str(tmp_path / "copy")))
    assert YOLO(copied).names == NAMES


def test_class_branch_of_pretrained_weights_survives(tmp_path):
    """Weights of 80 classes bring a wider class branch, which the description of the checkpoint must know."""
    source = tmp_path / "coco.pt"
    save_pt(source, build_model("yolo11n", {i: f"class {i}" for i in range(80)}, {}))
    module = DetectorModule(weights=str(source))
    network = build_model("yolo11n", NAMES, {})
    transfer_weights(network, load_weights(source))
    module.set_network(network)
    content = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    torch.save(content, tmp_path / "fine.ckpt")
    (file,) = export(ExportOptions(str(tmp_path / "fine.ckpt"), format=["pt"], imgsz=SIZE))
    assert load_weights(file).model[-1].cv3[0][-1].weight.shape == (2, 80, 1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"--ckpt_path FILE\.ckpt \(ours\) or --weights FILE\.pt \(Ultralytics'\), FILE\.pth \(RF-DETR's\)\.$"),
        ({"ckpt_path": "a.ckpt", "weights": "a.pt"}, "needs one model"),
        ({"ckpt_path": "a.ckpt", "format": ["coreml"]}, "yolo export model=best.pt format=coreml"),
        ({"ckpt_path": "a.ckpt", "format": []}, "known are"),
        ({"ckpt_path": "a.ckpt", "tolerance": math.nan}, "--tolerance nan: a number above 0"),
        ({"ckpt_path": "absent.ckpt"}, "absent.ckpt"),
        ({"weights": "absent.pt"}, "--weights: no weights file at absent.pt, nor in weights"),
        ({"ckpt_path": "mine.pt"}, r"^--ckpt_path mine\.pt is an Ultralytics file; it goes to --weights\.$"),
    ],
)
def test_wrong_options(options, message):
    Path("mine.pt").touch()
    with pytest.raises(UserError, match=message):
        export(ExportOptions(**options))


def test_size_must_fit_the_stride(checkpoint):
    with pytest.raises(ConfigError, match="--imgsz 100 is no multiple of this network's stride 32; try 96"):
        export(ExportOptions(str(checkpoint), imgsz=100))


def test_opset_out_of_range(checkpoint, tmp_path):
    with pytest.raises(ConfigError, match="cannot export to ONNX with --opset 99"):
        export(ExportOptions(str(checkpoint), imgsz=SIZE, opset=99, format=["onnx"], out=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_out_is_a_file(checkpoint, tmp_path):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ConfigError, match="taken cannot be a folder"):
        export(ExportOptions(str(checkpoint), imgsz=SIZE, out=str(tmp_path / "taken")))


def without_onnx(monkeypatch):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)  # as Python marks what cannot be found


def test_missing_onnx_is_told_before_any_work(checkpoint, tmp_path, monkeypatch):
    """As soon as it is known that it is wanted: where nobody asks, a family may have no ONNX."""
    without_onnx(monkeypatch)
    told = r"needs onnx and onnxruntime: pip install 'aigp_lightning\[export\]'"
    with pytest.raises(ConfigError, match=told + r"\.$"):
        export(ExportOptions("absent.ckpt", format="onnx"))
    with pytest.raises(ConfigError, match=told + r", or leave it out with --format pt,torchscript\.$"):
        export(ExportOptions(str(checkpoint), imgsz=SIZE, out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


class Traced(Deployment):
    """How a family is deployed that has TorchScript and a file of its own, and nothing else."""

    formats = ("bin", "torchscript")
    stride = 1

    def __init__(self, network):
        self._network = network

    def write_portable(self, path, epoch=-1, settings=None):
        torch.save(self._network.state_dict(), path)

    def portable_graph(self, path, imgsz):
        twin = torch.nn.Conv2d(3, 5, 1)
        twin.load_state_dict(torch.load(path, weights_only=True))
        return twin, self.graph(imgsz, False)

    def graph(self, imgsz, dynamic):
        return ExportGraph(self._network, self._network, scores=[4], axes={}, metadata={})


class OtherModule(BaseModule):
    """A family of one layer."""

    family = "other"

    def build_network(self, names, description=None):
        return torch.nn.Conv2d(3, 5, 1)

    def network_description(self):
        return {}

    @property
    def deployment(self):
        return Traced(self.network)


@pytest.fixture
def of_another_family(tmp_path):
    registry.register("other", "detect", lambda: OtherModule)
    module = OtherModule()
    module.set_network(module.build_network(NAMES), NAMES)
    content = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    torch.save(content, tmp_path / "best.ckpt")
    yield tmp_path / "best.ckpt"
    del registry.CLASSES["other", "detect"]


def test_what_needs_no_missing_package_is_written(checkpoint, tmp_path, monkeypatch, capsys, run_cli):
    """And the exit status says whether a format that somebody asked for is not there."""
    without_onnx(monkeypatch)
    for number, (words, status) in enumerate(((["--format", "torchscript,onnx"], 1), ([], 0))):
        out = tmp_path / str(number)
        assert run_cli("export", checkpoint, "--out", out, "--imgsz", SIZE, *words) == status
        told = "best.onnx is not written, since it needs onnx and onnxruntime. To have it too: pip install "
        assert told in capsys.readouterr().err
        expected = {".torchscript", ".json"} if words else {".pt", ".torchscript", ".json"}
        assert {file.suffix for file in out.iterdir()} == expected
    assert run_cli("export", checkpoint, "--out", tmp_path / "2", "--format", "onnx") == 2
    assert "ONNX export needs onnx and onnxruntime: pip install" in capsys.readouterr().err
    assert not (tmp_path / "2").exists()


def test_a_package_that_cannot_be_imported_is_missing(checkpoint, tmp_path, monkeypatch, capsys, run_cli):
    """Installed or not: the other formats are written, and the reason is told."""
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "__init__.py").write_text("import gone\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnx"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert run_cli("export", checkpoint, "--out", tmp_path / "out", "--imgsz", SIZE) == 0
    assert {file.suffix for file in (tmp_path / "out").iterdir()} == {".pt", ".torchscript", ".json"}
    told = capsys.readouterr().err
    reason = "onnx (installed, but importing it fails: No module named 'gone')"
    assert f"it needs {reason}. To have it too: pip install" in told
    assert run_cli("export", checkpoint, "--out", tmp_path / "out", "--imgsz", SIZE, "--format", "onnx") == 2
    assert f"ONNX export needs {reason}: pip" in capsys.readouterr().err


def test_a_model_is_named_by_its_run(checkpoint, tmp_path, monkeypatch, capsys, run_cli):
    """By its folder, alone or as --ckpt_path, and by the configuration that it was trained with."""
    run = tmp_path / "runs" / "detect" / "mine-2"
    (run / "weights").mkdir(parents=True)
    (run / "weights" / "best.ckpt").write_bytes(checkpoint.read_bytes())
    mark_run_folder(run)
    config = tmp_path / "my.yaml"
    config.write_text(
        f"run: {{name: mine, root: {tmp_path / 'runs'}}}\ndata: {{imgsz: 64}}\ntrainer: {{max_epochs: 3}}\n"
    )
    for number, named in enumerate(([run], ["--ckpt_path", run], ["--config", config])):
        assert (
            run_cli("export", *named, "--format", "torchscript", "--imgsz", SIZE, "--out", tmp_path / str(number)) == 0
        )
        assert (tmp_path / str(number) / "best.torchscript").is_file()
    capsys.readouterr()
    assert run_cli("export", run, checkpoint) == 2
    assert run_cli("export", "--config", config, "--ckpt_path", "none.ckpt") == 2
    assert run_cli("export", "format=onnx", f"model={checkpoint}") == 2
    text = capsys.readouterr().err.splitlines()
    assert text[0] == "error: export takes one model: a run folder, --ckpt_path FILE.ckpt or --weights FILE."
    assert text[1] == "error: --ckpt_path none.ckpt: there is no such file."
    assert "Type: python -m aigp_lightning export --format onnx --ckpt_path " in text[2]


def test_the_formats_are_the_familys_own(of_another_family, monkeypatch, capsys):
    """All of them by default, and ONNX is not missed by a family without it; its own file is checked as the others."""
    without_onnx(monkeypatch)
    files = export(ExportOptions(str(of_another_family), imgsz=SIZE))
    assert [file.name for file in files] == ["best.bin", "best.torchscript"]
    assert capsys.readouterr().out.count("greatest difference from the module: boxes and keypoints 0 px") == 2


def test_a_format_of_another_family_is_refused(of_another_family, checkpoint):
    with pytest.raises(ConfigError) as refused:
        export(ExportOptions(str(of_another_family), imgsz=SIZE, format=["torchscript", "pt"]))
    assert str(refused.value) == (
        f"{of_another_family} is of family other, which exports bin, torchscript; --format asks for pt. A .pt is "
        "Ultralytics' own format, and no other family has it."
    )
    with pytest.raises(
        ConfigError,
        match=r"exports pt, onnx, torchscript, openvino, tensorrt; --format asks for pth\. A \.pth is RF-DETR's",
    ):
        export(ExportOptions(str(checkpoint), format="pth"))


def test_formats_of_families_are_those_of_their_weights_files():
    """The table of formats is light, and says of a suffix what the registry says."""
    for suffix, file in registry.FILES.items():
        assert OWN_FORMATS[suffix[1:]].removesuffix("s").rstrip("'") in file.kind


@pytest.mark.parametrize("kind", ["ultralytics", "text", "truncated", "foreign", "state_dict"])
def test_foreign_checkpoints(checkpoint, exported, tmp_path, kind):
    path = tmp_path / "other.ckpt"
    if kind == "ultralytics":
        path.write_bytes(exported["pt"].read_bytes())
    elif kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "truncated":
        path.write_bytes(checkpoint.read_bytes()[:100_000])
    elif kind == "foreign":
        torch.save({"state_dict": {}, "pytorch-lightning_version": "2.6"}, path)
    else:
        torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"other\.ckpt"):
        export(ExportOptions(str(path), imgsz=SIZE))
    assert list(tmp_path.iterdir()) == [path]
