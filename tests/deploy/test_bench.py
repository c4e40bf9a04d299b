"""`bench`: files in turns on the same pictures, percentiles, a budget as exit status, JSON."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from aigp_lightning.cli.main import main
from aigp_lightning.deploy.bench import Measured
from aigp_lightning.deploy.bench_options import BenchOptions
from aigp_lightning.deploy.bench_pictures import drawn_picture, pictures_for
from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.exported_graph import open_graph

QUICK = ("--threads", "1", "--device", "cpu", "--warm_up", "1", "--runs", "6")


@pytest.fixture(scope="module")
def files(made_once: Callable[..., Path]) -> Path:
    """A pose network in four forms, in a folder like a run's."""
    onnx, openvino = (pytest.importorskip(name) for name in ("onnx", "openvino"))
    from ultralytics.nn.tasks import PoseModel

    from aigp_lightning.deploy.export import export
    from aigp_lightning.deploy.options import ExportOptions

    def make(folder: Path) -> None:
        weights = folder / "weights"
        weights.mkdir()
        torch.manual_seed(0)
        network = PoseModel("yolo11n-pose.yaml", nc=1, data_kpt_shape=(4, 3), verbose=False)
        network.names = {0: "gate"}
        for classes in network.model[-1].cv3:
            classes[-1].bias.data.fill_(2.0)  # it finds gates everywhere
        network.args = {"imgsz": 64}
        torch.save({"model": network.half(), "train_args": {"imgsz": 64, "task": "pose"}}, weights / "best.pt")
        export(ExportOptions(weights=str(weights / "best.pt"), format="onnx,torchscript", imgsz=64))
        graph = openvino.Core().read_model(weights / "best.onnx")
        for each in onnx.load(weights / "best.onnx").metadata_props:
            graph.set_rt_info(each.value, ["aigp", each.key])
        openvino.save_model(graph, weights / "best.xml", compress_to_fp16=False)

    return made_once("files of bench", make)


def bench(*words: object) -> tuple[int, dict[str, Any]]:
    status = main(["bench", *map(str, words), "--json", "out.json"])
    return status, json.loads(Path("out.json").read_text(encoding="utf-8"))


def test_all_formats_in_one_run(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = bench(files, *QUICK, "--runs", 20, "--budget-ms", 60_000)
    assert status == 0 and found["failed"] == [] and found["pictures"] == "a drawn picture, 640 × 360"
    by_format = {each["format"]: each for each in found["files"]}
    assert {name: each["provider"] for name, each in by_format.items()} == {
        "pt": "PyTorch", "onnx": "CPUExecutionProvider", "torchscript": "torch cpu", "xml": "OpenVINO CPU",
    }  # fmt: skip
    for each in by_format.values():
        latency, parts = each["latency_ms"], each["parts_ms"]
        assert (each["threads"], each["imgsz"], each["calls"], each["device"]) == (1, [64, 64], 20, "CPU")
        assert 0 < latency["least"] <= latency["p50"] <= latency["p95"] <= latency["most"] and latency["p99"] is None
        assert 0 < parts["network"] < latency["most"] and parts["pre"] > 0 and parts["post"] > 0
        assert each["load_ms"] > 0 and each["first_call_ms"] > 0 and each["over_budget"] is False
        assert each["pictures_per_second"] == pytest.approx(1000 / latency["mean"], rel=1e-3)
    assert len({each["objects_per_picture"] for each in by_format.values()}) == 1, "all of them find the same"
    out = capsys.readouterr().out
    assert (
        "best.xml: OpenVINO CPU, 1 thread; input 64 × 64" in out
        and "within the budget of 60000 ms" in out
        and "–" in out
    )


def test_a_file_over_the_budget_is_the_exit_status(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx = files / "weights" / "best.onnx"
    status, found = bench(onnx, *QUICK, "--budget_ms", 0.001, "--budget_at", "p50")
    assert status == 1 and found["files"][0]["over_budget"] is True and found["budget_at"] == "p50"
    assert "p50" in capsys.readouterr().out


def test_nothing_found_is_no_pass(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What follows a detection takes time too, and was not timed; over the budget it is all the same."""
    content = torch.load(files / "weights" / "best.pt", weights_only=False)
    for classes in content["model"].model[-1].cv3:
        classes[-1].bias.data.fill_(-20.0)
    torch.save(content, "blind.pt")
    status, found = bench("blind.pt", *QUICK, "--budget_ms", 60_000, "--budget_at", "p50")
    assert status == 1 and found["files"][0]["over_budget"] is None and found["files"][0]["objects_per_picture"] == 0
    out = capsys.readouterr().out
    assert "no object was found, so that post-processing and poses were not timed: --data.source PATH" in out
    assert "without what follows a detection: no verdict on the budget of 60000 ms" in out and "within" not in out
    status, found = bench("blind.pt", *QUICK, "--budget_ms", 0.001, "--budget_at", "p50")
    assert status == 1 and found["files"][0]["over_budget"] is True
    assert bench("blind.pt", *QUICK)[0] == 0, "without a budget there is nothing to pass"


def test_torchscript_is_opened_without_a_word(files: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Torch's warning that it has a successor is not for those who have such a file; others are not silenced."""
    warnings.simplefilter("always")
    open_graph(files / "weights" / "best.torchscript", gpu=False)
    assert [str(each.message) for each in recwarn.list] == []
    warnings.warn("`torch.jit.load` is deprecated", FutureWarning, stacklevel=1)
    assert len(recwarn.list) == 1


def test_what_cannot_be_measured_leaves_the_others(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.onnx").write_bytes(b"no graph")
    Path("gates.engine").write_bytes(b"")
    status, found = bench("broken.onnx", "gates.engine", files / "weights" / "best.onnx", *QUICK)
    assert status == 1 and [Path(each["file"]).name for each in found["files"]] == ["best.onnx"]
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("not measured: ")]
    assert len(told) == 2 and "broken.onnx" in told[0] and "tensorrt" in told[1].lower()


def test_several_pictures_a_call(files: Path) -> None:
    status, found = bench(files / "weights" / "best.pt", files / "weights" / "best.onnx", *QUICK, "--batch", 3)
    assert status == 0
    for each in found["files"]:
        assert each["batch"] == 3
        assert each["pictures_per_second"] == pytest.approx(3000 / each["latency_ms"]["mean"], rel=1e-3)
    assert [each["one_by_one"] for each in found["files"]] == [False, True]


def test_json_alone(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(files / "weights" / "best.onnx"), *QUICK, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["calls"] == 6


def test_percentiles_are_told_where_enough_was_timed() -> None:
    times = np.zeros((100, 4))
    times[:, 1] = np.arange(1, 101) / 1000
    model: Any = SimpleNamespace(poses=0)
    found = Measured(model, times, batch=2)
    assert found.latency("p50") == pytest.approx(50.5) and found.latency("p95") == pytest.approx(95.05)
    assert found.latency("p99") == pytest.approx(99.01)
    assert found.parts() == {"pre": 0.0, "network": pytest.approx(50.5), "post": 0.0}, "no pose was solved"
    assert found.pictures_per_second == pytest.approx(200 / 5.05)
    times[:3, 3] = (0.002, 0.004, 0.003)  # in all other calls nothing was found
    assert Measured(SimpleNamespace(poses=3), times, batch=1).parts()["pose"] == pytest.approx(3.0)  # type: ignore[arg-type]
    few = Measured(model, times[:19], batch=1)
    assert few.latency("p95") is None and few.is_over(BenchOptions(budget_ms=1e9)), "not known is no pass"
    assert not found.is_over(BenchOptions(budget_ms=95.1)) and found.is_over(BenchOptions(budget_ms=95.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget_ms": 33.0, "budget_at": "p99", "runs": 50}, "needs 100 calls"),
        ({"budget_ms": 33.0, "runs": 5}, "p95"),
        ({"budget_ms": 0.0}, "--budget-ms"),
        ({"batch": 0}, "--batch"),
        ({"threads": 0}, "--threads"),
        ({"seconds": -1.0}, "--seconds"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BenchOptions(**options).check()


def test_pictures(gates: Path) -> None:
    found, told = pictures_for(None, ["nowhere.yaml", str(gates)])
    assert len(found) == 5 and found[0].shape == (90, 160, 3) and "validation split" in told
    found, told = pictures_for(str(gates.parent / "images" / "train"), [str(gates)])
    assert len(found) == 8 and told.startswith("8 pictures of ")
    assert np.array_equal(drawn_picture(), drawn_picture()) and drawn_picture().std() > 20


def test_poses_are_a_part_of_their_own() -> None:
    """Detections with perfect corners have poses; of pictures with another aspect than the camera's none is solved."""
    from aigp_lightning.deploy.bench_pose import pose_solving
    from aigp_lightning.media.detections import ImageDetections
    from aigp_lightning.modules.metrics.gate_camera import GateCamera
    from aigp_lightning.modules.pose import PoseModule
    from aigp_lightning.modules.thresholds import Thresholds
    from aigp_lightning.types import Keypoints

    module = PoseModule(camera=GateCamera(), weights=None)
    module.keypoints = Keypoints(4, 3, ("tl", "tr", "br", "bl"))
    solving, note = pose_solving(module, Thresholds(keypoint_conf=0.5), [(180, 320)])
    assert solving is not None and note == ""
    corners = np.array([[136.0, 66], [184, 66], [184, 114], [136, 114]])  # 1.5 m at 5 m, in half the camera's size
    points = np.stack([np.column_stack((corners, np.full(4, conf))) for conf in (0.9, 0.4)]).astype(np.float32)
    boxes, scores, labels = np.zeros((2, 4)), np.ones(2), np.zeros(2, np.int64)
    assert solving.solve(ImageDetections(boxes, scores, labels, points, shape=(180, 320))) == 1, "the other is not seen"
    assert pose_solving(module, Thresholds(), [(320, 320)])[0] is None
    module.keypoints = Keypoints(8, 3, tuple("abcdefgh"))
    assert "object_points" in pose_solving(module, Thresholds(), [(180, 320)])[1]
