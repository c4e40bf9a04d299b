"""An exported file away from its checkpoint is what its contract says: camera, target, keypoints, thresholds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from exported_models import KEYPOINTS, exported, picture

from aigp_lightning import load
from aigp_lightning.data.targets.built_in import TARGETS
from aigp_lightning.deploy.bench_models import open_benched
from aigp_lightning.deploy.bench_options import BenchOptions
from aigp_lightning.deploy.bench_pose import pose_solving
from aigp_lightning.evaluation.calibration.subject import open_subject
from aigp_lightning.evaluation.evaluate import _opened
from aigp_lightning.evaluation.exported import told_by_exported
from aigp_lightning.evaluation.exported_contract import EXPORTED_FROM
from aigp_lightning.evaluation.exported_graph import open_graph
from aigp_lightning.evaluation.file_thresholds import thresholds_of_file
from aigp_lightning.evaluation.open_model import open_model
from aigp_lightning.evaluation.open_with_options import decoder_of
from aigp_lightning.evaluation.sequence.look import open_looker
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.modules.thresholds import NAME, ChosenThresholds, Thresholds, write_thresholds

pytestmark = pytest.mark.usefixtures("one_thread")

CAMERAS = {
    "ts-005": GateCamera(profile="ts-005", bands=[3.0, 6.0]),
    "own": GateCamera(width=1280, height=720, fx=900.0, fy=905.0, cx=630.0, cy=355.0, distortion=[0.1, 0.0, 0.0, 0.0]),
}


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Exports a model of eight corners that was trained for a camera, beside its checkpoint."""
    folder, files = tmp_path_factory.mktemp("exported"), dict[str, Path]()

    def make(camera: str) -> Path:
        if camera not in files:
            files[camera] = exported("pose8", folder / camera, of_module={"camera": CAMERAS[camera]})
        return files[camera]

    return make


def away(file: Path, folder: Path) -> Path:
    """The file without anything beside it."""
    return Path(shutil.copy(file, folder))


@pytest.mark.parametrize("camera", CAMERAS)
def test_everything_that_opens_it_has_the_contracts_camera_and_target(
    camera: str, beside: Callable[[str], Path], tmp_path: Path
) -> None:
    file, expected = away(beside(camera), tmp_path), CAMERAS[camera].runtime
    benched = open_benched(file, BenchOptions(device="cpu", threads=1)).timed.module
    opened = {
        "open_model": open_model(file), "sequence": open_looker(file, None).module, "bench": benched,
        "calibrate": open_subject(file).module, "evaluate": _opened(file, None)[1],
    }  # fmt: skip
    for name, module in opened.items():
        found = decoder_of(module).camera  # type: ignore[attr-defined]
        assert found.runtime == expected, name
        np.testing.assert_array_equal(found.object_points, TARGETS["gate-8"])
        if module.keypoints is not None:  # of `evaluate` they come from the data set
            assert (module.keypoints.names, module.keypoints.points) == (KEYPOINTS["pose8"].names, TARGETS["gate-8"])


def test_the_run_still_says_what_no_contract_does(beside: Callable[[str], Path]) -> None:
    assert told_by_exported(beside("ts-005")).model["camera"]["bands"] == [3.0, 6.0]


def test_another_camera_of_the_checkpoint_beside_is_told(
    beside: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = away(beside("ts-005"), tmp_path)
    shutil.copy(beside("own").with_suffix(".ckpt"), tmp_path)
    camera = told_by_exported(file).model["camera"]
    assert GateCamera(**camera).runtime == CAMERAS["ts-005"].runtime
    assert (
        f"the camera of {file}, by its contract, is not that of the checkpoint beside it: width 640 (there: 1280)"
        in (caplog.text)
    )
    caplog.clear()
    told_by_exported(beside("ts-005"))
    assert "camera" not in caplog.text


def test_poses_of_a_file_are_timed_as_those_of_its_checkpoint(beside: Callable[[str], Path], tmp_path: Path) -> None:
    """Nothing is said that keeps the pose out of the figures, and as many are solved."""
    file, options = beside("ts-005"), BenchOptions(device="cpu", threads=1, imgsz=96)
    poses = []
    for path in (file.with_suffix(".ckpt"), file, away(file, tmp_path)):
        model = open_benched(path, options)
        frames = [picture(180, 320, seed=seed) for seed in range(2)]
        model.solving, why = pose_solving(model.timed.module, model.thresholds, [(180, 320)])
        assert (why, model.solving is not None) == ("", True)
        times = model.look_at(frames)
        assert times[-1] > 0 and model.objects > 0
        poses.append((model.objects, model.poses))
    assert len(set(poses)) == 1 and poses[0][1] > 0


# ---- thresholds ------------------------------------------------------------------------------------------------------

CHOSEN = Thresholds(conf=0.55, keypoint_conf=0.35, iou=0.3, reprojection_px=5.0, max_det=7)


def calibrated(folder: Path, checkpoint: Path, thresholds: Thresholds) -> Path:
    about = {"model": {"file": checkpoint.name, "sha256": sha256_of(checkpoint)}}
    write_thresholds(folder / NAME, Thresholds(**thresholds.values(), about=about))
    return folder / NAME


def counted(file: Path) -> ChosenThresholds:
    return thresholds_of_file(file, open_graph(file))


@pytest.fixture(scope="module")
def with_chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that carries chosen thresholds, alone in its folder."""
    folder = tmp_path_factory.mktemp("chosen")
    (folder / "weights").mkdir()
    write_thresholds(folder / "weights" / NAME, CHOSEN)
    return away(exported("pose8", folder / "weights"), folder)


def test_those_of_the_contract_count_where_none_lie_beside(with_chosen: Path, tmp_path: Path) -> None:
    file = away(with_chosen, tmp_path)
    assert counted(file) == ChosenThresholds(CHOSEN, file)
    assert load(file).thresholds == CHOSEN and load(file, thresholds=None).thresholds is None
    benched = open_benched(file, BenchOptions(device="cpu", threads=1))
    assert benched.thresholds == CHOSEN and f"thresholds of {file}" in benched.notes
    assert (benched.timed.module.predict_conf, decoder_of(benched.timed.module).inference.iou) == (0.55, 0.3)  # type: ignore[attr-defined]
    now = open_subject(file).now
    assert (now.conf, now.keypoint_conf, now.iou, now.reprojection_px) == (0.55, 0.35, 0.3, 5.0)
    validated = told_by_exported(file).model
    assert not validated.keys() & {"predict_conf", "iou", "max_det"}, "a validation is not by what was chosen to fly"


def test_the_models_own_are_no_choice(beside: Callable[[str], Path], tmp_path: Path) -> None:
    """They are those of its run, away from it too."""
    found = counted(file := away(beside("own"), tmp_path))
    assert found.thresholds == Thresholds(conf=0.5) and not found.by_frames
    assert open_benched(file, BenchOptions(device="cpu", threads=1)).notes == []
    assert told_by_exported(file).model["predict_conf"] == 0.5


def test_those_of_the_run_are_those_of_its_exports(beside: Callable[[str], Path], tmp_path: Path) -> None:
    """By the weights that the file was written from, whatever its name is and whenever it was copied."""
    source = beside("own")
    file = Path(shutil.copy(source, tmp_path / "best.int8.onnx"))
    lying = calibrated(tmp_path, source.with_suffix(".ckpt"), CHOSEN)
    found = counted(file)
    assert (found.thresholds, found.file) == (CHOSEN, lying)
    assert "conf 0.55 (the file: 0.5), keypoint_conf 0.35 (the file: 0.5)" in found.warning
    assert found.warning.endswith("on the drone the file's count: export it again")
    other = calibrated(tmp_path, beside("ts-005").with_suffix(".ckpt"), CHOSEN)
    found = counted(file)
    assert found.thresholds == Thresholds(conf=0.5)
    assert found.warning.startswith(f"{other} was calibrated for other weights than those of {file}")
    assert found.warning.endswith("Those that the file carries count until then")


def test_files_that_do_not_say_their_weights_are_told_by_exports_json(
    beside: Callable[[str], Path], tmp_path: Path
) -> None:
    source, file = beside("own"), tmp_path / "best.fp16.onnx"
    model = onnx.load(str(source))
    kept = {each.key: each.value for each in model.metadata_props if each.key != EXPORTED_FROM}
    assert len(kept) + 1 == len(model.metadata_props)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, str(file))
    calibrated(tmp_path, source.with_suffix(".ckpt"), CHOSEN)
    assert counted(file).thresholds != CHOSEN
    entry = {"file": file.name, "sha256": sha256_of(file), "format": "onnx", "precision": "fp16"}
    told = {"file": "best.ckpt", "sha256": sha256_of(source.with_suffix(".ckpt"))}
    listed = {"format": "aigp-exports-1", "model": told, "files": [entry]}
    (tmp_path / "exports.json").write_text(json.dumps(listed))
    assert counted(file).thresholds == CHOSEN
