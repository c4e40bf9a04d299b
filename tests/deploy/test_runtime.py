"""`runtime.py` finds what `predict` finds, without torch, and refuses what differs from its contract."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from exported_models import FIELDS, KEYPOINTS, KINDS, NMS_FREE, exported, picture, write_graph

from aigp_lightning import load
from aigp_lightning.data.items import stretch
from aigp_lightning.deploy import runtime
from aigp_lightning.deploy.runtime import FrameError, Model, seal, solve_targets, stretched
from aigp_lightning.modules.thresholds import Thresholds, write_thresholds

SHAPES = [(96, 96), (72, 128), (131, 87), (288, 288), (54, 96), (63, 201), (360, 640), (20, 31)]
"""Square, wide, odd and high, three times the input, as wide as it, very wide, large and small."""

QUICK = ("dynamic", "rfdetr", "pose4", "pose8", "pose26")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes the file of a kind, each once."""
    folder, files = tmp_path_factory.mktemp("exported"), dict[str, Path]()

    def make(kind: str) -> Path:
        return files.get(kind) or files.setdefault(kind, exported(kind, folder / kind))

    return make


@pytest.fixture(params=[kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS])
def file(request: pytest.FixtureRequest, made: Callable[[str], Path]) -> Path:
    return made(request.param)


def kind_of(file: Path) -> str:
    return file.parent.name


# ---- the same as predict ---------------------------------------------------------------------------------------------


def check_same(found: runtime.Detections, expected: Any, pixels: float = 1e-3) -> None:
    """Boxes and corners to a thousandth of a pixel, in the same order."""
    assert found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=pixels / 10)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=pixels)
    assert found.names == [expected.names[label] for label in expected.labels.tolist()]
    if expected.keypoints is not None:
        np.testing.assert_allclose(found.corners, expected.keypoints, atol=pixels)


def test_it_finds_what_predict_finds(file: Path) -> None:
    """In frames of all shapes, by the same file; one of any size as the checkpoint, too, whose input is the same."""
    ours, flying = load(file), Model.load(file, threads=1, poses=False)
    trained = load(file.with_suffix(".ckpt"), device="cpu") if kind_of(file) == "dynamic" else None
    count = 0
    for number, shape in enumerate(SHAPES):
        frame = picture(*shape, seed=number)
        found = flying(frame)
        (expected,) = ours.predict(frame, channels="bgr")
        check_same(found, expected)
        count += len(found)
        if trained is not None:
            (expected,) = trained.predict(frame, channels="bgr", imgsz=flying.contract["input"]["width"])
            check_same(found, expected, pixels=0.2)  # as far as the graph answers as the untrained module does
        turned = flying(frame[..., ::-1], bgr=False)
        np.testing.assert_array_equal(turned.boxes, found.boxes)
    assert count > 2 * len(SHAPES)
    assert flying.contract["output"]["nms"] == (kind_of(file) not in (*NMS_FREE, "rfdetr"))


def test_thresholds_come_from_their_file(tmp_path: Path) -> None:
    """Those that were chosen decide, and `predict` by its defaults finds the same, wherever the file lies."""
    chosen = Thresholds(conf=0.55, keypoint_conf=0.35, iou=0.3, reprojection_px=5.0, max_det=7)
    write_thresholds(tmp_path / "thresholds.json", chosen)
    file = exported("pose8", tmp_path)
    model = Model.load(file, threads=1, poses=False)
    assert model.contract["thresholds"] == {**chosen.values(), "chosen": True}
    frame = picture(72, 128)
    found = model(frame)
    assert 0 < len(found) <= 7
    (tmp_path / "away").mkdir()
    for each in (file, Path(shutil.copy(file, tmp_path / "away"))):
        ours = load(each)
        assert ours.thresholds == chosen
        (expected,) = ours.predict(frame, channels="bgr")
        check_same(found, expected)
        assert found.seen.tolist() == expected.seen.tolist()


@pytest.mark.parametrize("kind", ["pose4", "pose8"])
def test_poses_are_those_of_the_solver(kind: str, made: Callable[[str], Path]) -> None:
    """In pixels of the camera's picture, whatever the frame's size."""
    model, frame = Model.load(made(kind), threads=1), picture(180, 320)
    assert model.camera is not None and (model.camera.width, model.camera.height) == (640, 360)
    assert model.target is not None and len(model.target) == KEYPOINTS[kind].count
    found, (expected,) = model(frame), load(model.path).predict(frame, channels="bgr")
    points = expected.keypoints[..., :2].astype(np.float64) * 2
    poses = solve_targets(points, expected.keypoints[..., 2] >= 0.5, model.target, model.camera)
    assert found.poses is not None and found.poses.solved.tolist() == poses.solved.tolist() and len(found) > 3
    np.testing.assert_allclose(found.poses.position, poses.position, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.poses.rotation, poses.rotation, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shape", [(24, 40), (41, 23), (100, 80), (200, 70), (33, 33), (64, 128), (48, 48), (130, 64)])
@pytest.mark.parametrize("size", [(48, 48), (64, 64), (33, 57)])
def test_stretched_pixels_are_pillows(shape: tuple[int, int], size: tuple[int, int]) -> None:
    from aigp_lightning.deploy.contract import _passes

    frame = picture(*shape)
    np.testing.assert_array_equal(stretched(frame, size, _passes()), stretch(frame, size))


def test_threefold_pictures_are_halved_and_thirded_as_by_opencv() -> None:
    """The short cut of an odd factor gives bilinear pixels."""
    frame = picture(360, 640)
    for times in (3, 5):
        size = 360 // times, 640 // times
        old = size[0] * times, size[1] * times
        how = runtime._interpolation(old, size)
        assert how == cv2.INTER_NEAREST_EXACT
        cut = np.ascontiguousarray(frame[: old[0], : old[1]])
        expected = cv2.resize(cut, size[::-1], interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(cv2.resize(cut, size[::-1], interpolation=how), expected)
    assert runtime._interpolation((360, 640), (180, 320)) == cv2.INTER_LINEAR


# ---- graphs by hand --------------------------------------------------------------------------------------------------


def corners_of(place: tuple[float, float, float], confidence: tuple[float, ...] = (0.9,) * 4) -> list[float]:
    """Pixels of a gate's corners, square to a camera of 40 pixels' focal length, and their confidences."""
    found = []
    for (x, y, _), sure in zip(FIELDS["object_points"], confidence, strict=True):
        found += [(x + place[0]) / place[2] * 40 + 32, (y + place[1]) / place[2] * 40 + 32, sure]
    return found


def candidate(place: tuple[float, float, float], score: float, label: int = 0, **more: Any) -> list[float]:
    points = corners_of(place, **more)
    left, top, right, bottom = min(points[::3]), min(points[1::3]), max(points[::3]), max(points[1::3])
    scores = [0.0, 0.0]
    scores[label] = score
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, *scores, *points]


def flying(tmp_path: Path, *candidates: list[float], **changed: Any) -> Model:
    fields = {**FIELDS, **changed}
    answer = np.array(candidates, np.float32).T[None]
    return Model.load(write_graph(tmp_path / "hand.onnx", answer, seal(fields)), threads=1)


FRAME = np.zeros((64, 64, 3), np.uint8)


def test_known_gates(tmp_path: Path) -> None:
    """Corners, poses and what of it is usable, of gates whose places are known."""
    near, far = (0.5, 0.2, 4.0), (-1.0, -0.5, 8.0)
    model = flying(
        tmp_path,
        candidate(far, 0.6, confidence=(0.9, 0.1, 0.9, 0.9)),
        candidate(near, 0.9),
        candidate(near, 0.8),  # the same gate again: suppressed
        candidate(near, 0.7, label=1),  # of another class: not
        candidate(far, 0.2),  # not sure enough
    )
    found = model(FRAME)
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.6])
    assert (found.labels.tolist(), found.names) == ([0, 1, 0], ["gate", "flag", "gate"])
    assert found.seen.sum(1).tolist() == [4, 4, 3] and found.usable.tolist() == [True, True, False]
    np.testing.assert_allclose(found.boxes[0], [29.5, 26.5, 44.5, 41.5], atol=1e-4)
    assert found.poses is not None
    np.testing.assert_allclose(found.poses.position[:2], [near, near], atol=1e-3)
    assert found.poses.solved.tolist() == [True, True, False] and np.isnan(found.poses.position[2]).all()


def test_a_pose_over_the_limit_is_not_usable(tmp_path: Path) -> None:
    bent = candidate((0, 0, 4.0), 0.9)
    bent[6] -= 5  # one corner off, as no gate is seen
    for limit, usable in ((0.1, False), (50.0, True), (None, True)):
        model = flying(tmp_path, bent, thresholds={**FIELDS["thresholds"], "reprojection_px": limit})
        found = model(FRAME)
        assert found.poses is not None and found.poses.solved.all() and found.usable.tolist() == [usable]
        assert 0.1 < found.poses.reprojection_px[0] < 50


def test_three_keypoints_do_with_the_frame_before(tmp_path: Path) -> None:
    """The pose of the same class's nearest box is the prior; it is a pose, and not a usable one: nothing checks it."""
    places = [(0.5, 0.2, 4.0), (-1.0, -0.5, 8.0)]
    before = flying(tmp_path, *(candidate(place, 0.9 - n / 10) for n, place in enumerate(places)))(FRAME)
    moved = [(-1.02, -0.5, 7.9), (0.52, 0.21, 3.95)]
    model = flying(tmp_path, *(candidate(p, 0.9 - n / 10, confidence=(0.9, 0.9, 0.9, 0)) for n, p in enumerate(moved)))
    alone, followed = model(FRAME), model(FRAME, priors=before)
    assert alone.poses is not None and not alone.poses.solved.any()
    assert followed.poses is not None and followed.poses.solved.all() and not followed.usable.any()
    np.testing.assert_allclose(followed.poses.position, moved, atol=0.02)
    assert model(FRAME, priors=alone).poses.solved.tolist() == [False, False]  # type: ignore[union-attr]
    other = flying(tmp_path, candidate(moved[1], 0.9, label=1, confidence=(0.9, 0.9, 0.9, 0)))(FRAME, priors=before)
    assert not other.poses.solved.any()  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16"])
def test_the_network_gets_the_letterboxed_frame(kind: str, tmp_path: Path) -> None:
    """Grey 114 around it, red first, 0…1; in float16 where the graph takes that."""
    from onnx import TensorProto

    answer = np.zeros((1, 18, 5), np.float32)
    model = Model.load(write_graph(tmp_path / "hand.onnx", answer, kind=getattr(TensorProto, kind)), poses=False)
    frame = np.zeros((30, 64, 3), np.uint8)
    frame[...] = 10, 20, 30
    images = model._fit(frame).fill(frame, bgr=True)
    assert images.dtype == {"FLOAT": np.float32, "FLOAT16": np.float16}[kind] and len(model(frame)) == 0
    expected = np.full((1, 3, 64, 64), 114, np.float32)
    expected[0, :, 17:47] = np.array([30, 20, 10])[:, None, None]
    np.testing.assert_allclose(images, expected / 255, atol=1e-3)


def test_wrong_frames(tmp_path: Path) -> None:
    model = flying(tmp_path, candidate((0, 0, 4.0), 0.9))
    for frame, words in (
        (FRAME[..., 0], r"not \(64, 64\) uint8"),
        (FRAME.astype(np.float32), "not .* float32"),
        ("a.jpg", "not str"),
        (FRAME[:0], "64 × 0"),
        (FRAME[:32], r"64 × 32 pixels, and the contract's camera 64 × 64: another aspect.*poses=False"),
    ):
        with pytest.raises(FrameError, match=words):
            model(frame)  # type: ignore[arg-type]
    assert len(Model.load(model.path, poses=False)(FRAME[:32])) == 1
    nan = flying(tmp_path, [*candidate((0, 0, 4.0), 0.9)[:-1], np.nan])
    with pytest.raises(FrameError, match="answers NaN"):
        nan.warm_up()


# ---- without torch ---------------------------------------------------------------------------------------------------

BLOCKED = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "lightning", "aigp_lightning", "ultralytics", "PIL", "onnx", "scipy"}:
            raise ImportError(f"{name} is not on the drone")
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[2:]
import socket
socket.socket.connect = None
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def without_torch(model: Path, frame: np.ndarray, folder: Path, *more: str) -> dict[str, Any]:
    """What a copy in an empty folder finds, by a Python that sees neither torch nor this package, nor can connect."""
    for copied in (model, Path(runtime.__file__)):
        shutil.copy(copied, folder)
    cv2.imwrite(str(folder / "frame.png"), frame)
    words = ["runtime.py", model.name, "frame.png", "--threads", "1", "--json", *more]
    command = [sys.executable, "-I", "-c", BLOCKED, str(folder), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["pose8", pytest.param("rfdetr", marks=pytest.mark.slow)])
def test_the_file_alone_gives_the_same_on_a_machine_without_torch(
    kind: str, made: Callable[[str], Path], tmp_path: Path
) -> None:
    frame, model = picture(180, 320), made(kind)
    told = without_torch(model, frame, tmp_path, "--expects", str(model.with_name("contract.json")))
    (expected,) = load(model).predict(frame, channels="bgr")
    assert told["labels"] == expected.labels.tolist() and len(expected) > 3
    np.testing.assert_allclose(told["boxes"], expected.boxes, atol=1e-3)
    if kind == "pose8":
        np.testing.assert_allclose(told["corners"], expected.keypoints, atol=1e-3)
    assert (told["poses"] is None) == (kind == "rfdetr")


def test_the_file_alone_gives_the_same_poses(tmp_path: Path) -> None:
    places = (0.5, 0.2, 4.0), (-1.0, -0.5, 8.0)
    (tmp_path / "drone").mkdir()
    model = flying(tmp_path, *(candidate(place, 0.9 - n / 10) for n, place in enumerate(places)))
    told, found = without_torch(Path(model.path), FRAME, tmp_path / "drone"), model(FRAME)
    assert told["usable"] == [True, True] and found.poses is not None
    np.testing.assert_allclose(told["poses"]["position"], places, atol=1e-3)
    for name in ("position", "rotation", "covariance", "reprojection_px"):
        np.testing.assert_allclose(told["poses"][name], getattr(found.poses, name), rtol=1e-6, atol=1e-9)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = flying(tmp_path, candidate((0.5, 0.2, 4.0), 0.9), candidate((-1.0, -0.5, 8.0), 0.4))
    cv2.imwrite(str(tmp_path / "a.png"), FRAME)
    assert runtime.main([model.path, str(tmp_path / "a.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "a.png: 2 found; pre " in lines[0]
    assert lines[1].startswith(
        "  gate 0.900  box 29.5 26.5 44.5 41.5  4 of 4 keypoints seen  at (0.500, 0.200, 4.000) m"
    )
    assert runtime.main([model.path]) == 0
    assert json.loads(capsys.readouterr().out)["contract"] == FIELDS
    for words, told in (
        ([model.path, "gone.png"], "error: gone.png cannot be read as a picture"),
        (["gone.onnx"], "error: gone.onnx cannot be read: No such file or directory"),
        ([model.path, "--provider", "Moon"], "error: providers: Moon; this ONNX Runtime has "),
    ):
        assert runtime.main(words) == 2
        assert capsys.readouterr().err.startswith(told)


def test_it_runs_on_the_python_of_older_boards() -> None:
    import ast

    source = Path(runtime.__file__).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 8))
    assert source.splitlines()[:20].count("from __future__ import annotations") == 1
