"""Where keypoints are on objects, cameras by profile, and data sets with eight corners from label files to metres."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.targets.built_in import TARGETS
from aigp_lightning.deploy.runtime import Camera
from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.metrics.camera_values import as_given
from aigp_lightning.modules.metrics.corner_report import CornerReport
from aigp_lightning.modules.metrics.corners import corner_and_pose_rows
from aigp_lightning.modules.metrics.gate_camera import GateCamera, degrees_between
from aigp_lightning.modules.metrics.pose import PoseMetrics
from aigp_lightning.modules.metrics.rigid_pose import runtime_camera, solve_in_pictures, target_of
from aigp_lightning.types import Keypoints, PoseBatch, Prediction

EIGHT = Keypoints(8, 3, tuple("abcdefgh"))
BENT = [-0.28, 0.09, 0.001, -0.002, -0.01]
TWO_PLACES = [[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_whose_points_count() -> None:
    """The option's, then the data set's, then a square's for four; nothing without a camera."""
    rings, rows = np.array(TARGETS["gate-8"]), np.array(TARGETS["gate-8-rows"])
    of_data = replace(EIGHT, points=TARGETS["gate-8"])
    four = Keypoints(4, 3, tuple("abcd"))
    np.testing.assert_array_equal(target_of(of_data, GateCamera()), rings)
    np.testing.assert_array_equal(target_of(of_data, GateCamera(object_points="gate-8-rows")), rows)
    np.testing.assert_array_equal(target_of(EIGHT, GateCamera(object_points=rows.tolist())), rows)
    np.testing.assert_array_equal(target_of(four, GateCamera(size=3.0)), 2 * np.array(TARGETS["gate-4"]))
    small = replace(four, points=tuple((x / 2, y / 2, z) for x, y, z in TARGETS["gate-4"]))
    np.testing.assert_array_equal(target_of(small, GateCamera(size=3.0)), np.array(TARGETS["gate-4"]) / 2)
    assert target_of(EIGHT, GateCamera()) is target_of(of_data, None) is target_of(None, GateCamera()) is None
    with pytest.raises(ConfigError, match=r"object_points has 8 points, but the data set's kpt_shape is \[4, 3\]"):
        target_of(four, GateCamera(object_points="gate-8"))


def test_a_profile_fills_in_what_is_not_given() -> None:
    wide, narrow = GateCamera(), GateCamera(profile="ts-005", fy=430.0)
    assert wide.runtime == Camera(640, 360, 320.0, 320.0, 320.0, 180.0)
    assert narrow.runtime == Camera(640, 360, pytest.approx(424.654, abs=1e-3), 430.0, 320.0, 180.0)
    assert GateCamera(**asdict(narrow)) == narrow  # as a checkpoint or a configuration has all of them
    assert runtime_camera(wide, (720, 1280)) == Camera(1280, 720, 640.0, 640.0, 640.0, 360.0)
    kept = as_given(asdict(narrow))
    assert (kept["fx"], kept["fy"], kept["width"], kept["profile"]) == (None, 430.0, None, "ts-005")
    earlier = {"size": 1.5, "width": 640, "height": 360, "fx": 320.0, "fy": 320.0, "cx": 320.0, "cy": 180.0}
    earlier |= {"distortion": [], "bands": [5.0]}
    assert GateCamera(**earlier).runtime == wide.runtime and GateCamera(**earlier).bands == [5.0]
    assert GateCamera(**{**as_given(earlier), "profile": "ts-005"}).runtime.fx == pytest.approx(424.654, abs=1e-3)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"profile": "ts-004"}, "--model.camera.profile 'ts-004' is no camera; known are ts-002, ts-005"),
        ({"profile": "ts-005", "fx": 320.0, "fy": 320.0}, "which is ts-002's: leave --model.camera.fx and .fy out"),
        ({"object_points": "gate-9"}, "'gate-9' is no built-in target; known are gate-4, gate-8, gate-8-rows"),
        ({"object_points": [[0.0, 0.0]] * 4}, r"must be a list of \[x, y, z\] in metres"),
        ({"object_points": [[float(x), 0, 0] for x in range(4)]}, "do not all lie in a line"),
        ({"object_points": TWO_PLACES}, "two keypoints in the same place"),
        ({"object_points": [[0.0, 0, float("nan")]] * 4}, r"must be a list of \[x, y, z\]"),
        ({"reprojection_px": 0.0}, "--model.camera.reprojection_px 0"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        GateCamera(**wrong)  # type: ignore[arg-type]


def truths(count: int, target: np.ndarray, camera: GateCamera, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, rotations and corners (pixels of the camera's picture) of gates with four corners in it at least."""
    random = np.random.default_rng(seed)
    position = np.stack([random.uniform(-0.8, 0.8, 40 * count), random.uniform(-0.5, 0.5, 40 * count)], 1)
    position = np.concatenate((position, np.ones((len(position), 1))), 1) * random.uniform(1.2, 15, (len(position), 1))
    angles = random.uniform([-1.0, -1.0, -np.pi], [1.0, 1.0, np.pi], (len(position), 3))
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles).T, np.cos(angles).T
    zero, one = np.zeros(len(position)), np.ones(len(position))
    tip = np.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], 1).reshape(-1, 3, 3)
    pan = np.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).reshape(-1, 3, 3)
    roll = np.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], 1).reshape(-1, 3, 3)
    rotation = tip @ pan @ roll
    places = position[:, None] + target @ rotation.transpose(0, 2, 1)
    pixels = camera.runtime.project(places)
    inside = ((pixels > 0) & (pixels < (640, 360))).all(2) & (places[..., 2] > 0.2).all(1, keepdims=True)
    near = (np.abs(places[..., :2] / places[..., 2:]) < 1.3).all((1, 2))  # within what the lens was made for
    chosen = np.flatnonzero((inside.sum(1) >= 5) & near)[:count]
    assert len(chosen) == count
    partly = ~inside[chosen].all(1)
    assert 0.1 < partly.mean() < 0.9
    return position[chosen], rotation[chosen], np.where(inside[chosen, :, None], pixels[chosen], np.nan)


def write_set(folder: Path, corners: np.ndarray, order: str, size: tuple[int, int]) -> Path:
    """A picture a gate, its labels with corners out of the picture as 0 0 0."""
    for name in ("images", "labels"):
        (folder / name / "val").mkdir(parents=True)
    for number, places in enumerate(corners / (640, 360)):
        Image.new("L", size).save(folder / "images" / "val" / f"{number:03d}.png")
        low, high = np.nanmin(places, 0), np.nanmax(places, 0)
        words = [0, *(low + high) / 2, *(high - low)]
        for x, y in places:
            words += [0, 0, 0] if np.isnan(x) else [f"{x:.12f}", f"{y:.12f}", 2]
        (folder / "labels" / "val" / f"{number:03d}.txt").write_text(" ".join(map(str, words)), encoding="utf-8")
    text = f"train: images/val\nval: images/val\nnames: [gate]\nkpt_shape: [8, 3]\nobject_points: {order}\n"
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return folder / "data.yaml"


def as_predicted(batch: PoseBatch) -> list[Prediction]:
    """Predictions that equal the labels; corners that are not labelled lie anywhere and are not sure."""
    height, width = batch["img"].shape[2:]
    found = []
    for place in range(len(batch["ori_shape"])):
        mine = batch["batch_idx"] == place
        centres, sizes = (batch["bboxes"][mine] * torch.tensor([width, height] * 2)).split(2, 1)
        points = batch["keypoints"][mine] * torch.tensor([width, height, 0.45])
        points[points[..., 2] == 0] = torch.tensor([3.0, 5.0, 0.1])
        boxes = torch.cat((centres - sizes / 2, centres + sizes / 2), 1)
        found.append(Prediction(boxes, torch.ones(len(boxes)), torch.zeros(len(boxes), dtype=torch.int64), points))
    return found


@pytest.mark.parametrize("order", ["gate-8", "gate-8-rows"])
@pytest.mark.parametrize("size", [(640, 360), (960, 540)], ids=["own size", "larger"])
@pytest.mark.parametrize("distortion", [[], BENT], ids=["pinhole", "distorted"])
def test_eight_corners_from_label_files_to_metres(
    order: str, size: tuple[int, int], distortion: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Perfect labels give the true pose to a millimetre and a tenth of a degree, partly out of the picture or not."""
    camera = GateCamera(profile="ts-005", distortion=distortion)
    target = np.array(TARGETS[order])
    position, rotation, corners = truths(48, target, camera, seed=len(distortion) + size[0])
    monkeypatch.setattr(YoloDataModule, "pose", True)
    yaml = write_set(tmp_path, corners, order, size)
    data = YoloDataModule(str(yaml), imgsz=640, batch_size=16, workers=0, rect=True)
    data.setup("validate")
    keypoints = data.spec.keypoints
    assert keypoints is not None and keypoints.flip_idx == (1, 0, 3, 2, 5, 4, 7, 6)
    metrics, seen = PoseMetrics({0: "gate"}, keypoints, camera), []
    for batch in data.val_dataloader():
        predictions = as_predicted(batch)
        metrics.update(predictions, batch)
        rows, qualities = corner_and_pose_rows(predictions, batch, camera, 8, target)
        numbers = [int(Path(file).stem) for file in batch["im_file"]]
        truth = position[numbers]
        np.testing.assert_allclose(rows[:, 2], np.linalg.norm(truth, axis=1), atol=1e-3)
        assert rows[:, 3].max() < 1e-3 and rows[:, 4].max() < 0.1 and qualities[:, 0].max() < 0.01
        pixels = batch["keypoints"].double().numpy() * (*batch["img"].shape[:1:-1], 1)
        gain = np.array([pair[0][::-1] for pair in batch["ratio_pad"]])[:, None]
        pixels[..., :2] = (pixels[..., :2] - np.array([pair[1] for pair in batch["ratio_pad"]])[:, None]) / gain
        shapes = np.array(batch["ori_shape"], float)
        poses = solve_in_pictures(pixels[..., :2], pixels[..., 2] > 0, shapes, target, camera)
        assert poses.solved.all()
        assert np.linalg.norm(poses.position - truth, axis=1).max() < 1e-3
        assert degrees_between(poses.rotation, rotation[numbers]).max() < 0.1
        seen += numbers
    assert sorted(seen) == list(range(48))
    figures = metrics.compute()
    assert figures["gate/position_m_median"] < 1e-3 and figures["gate/rotation_deg_mean"] < 0.1
    assert figures["gate/reprojection_px_median"] < 0.01 and figures["gate/ambiguous"] == 0
    assert "gate/refused" not in figures  # there is no limit
    assert metrics.report is not None
    bands = {row["band"]: row for row in metrics.report.bands()}
    assert "partly in view" not in bands and bands["all"]["solved"] == 1 and bands["all"]["gates"] == 48


def gate_batch(corners: np.ndarray) -> PoseBatch:
    """A batch of one picture of the camera's size with one gate; corners (8, 2) in its pixels."""
    low, high = corners.min(0), corners.max(0)
    box = np.concatenate(((low + high) / 2, high - low)) / (640, 360, 640, 360)
    points = np.concatenate((corners / (640, 360), np.full((8, 1), 2.0)), 1)
    return {
        "img": torch.zeros(1, 3, 360, 640), "cls": torch.zeros(1, dtype=torch.int64), "im_file": ["a.jpg"],
        "bboxes": torch.tensor(box[None], dtype=torch.float32), "batch_idx": torch.zeros(1, dtype=torch.int64),
        "keypoints": torch.tensor(points[None], dtype=torch.float32), "ori_shape": [(360, 640)],
        "ratio_pad": [((1.0, 1.0), (0.0, 0.0))], "sources": [("a.jpg",)], "counts": [1],
    }  # fmt: skip


def test_only_what_is_seen_counts_and_a_limit_refuses() -> None:
    """A corner that is 60 px off and unsure harms nothing; three sure ones are no pose; a limit refuses bad corners."""
    target = np.array(TARGETS["gate-8"])
    keypoints = replace(EIGHT, points=TARGETS["gate-8"])
    corners = GateCamera().runtime.project(target + np.array([0.3, 0.1, 6.0]))
    batch = gate_batch(corners)
    found = as_predicted(batch)[0]
    assert found.keypoints is not None

    def measured(camera: GateCamera, **changed: torch.Tensor) -> CornerReport:
        points = found.keypoints.clone()  # type: ignore[union-attr]
        for place, values in changed.items():
            points[0, int(place[1:])] = values
        one = Prediction(found.boxes, found.scores, found.labels, points)
        rows, poses = corner_and_pose_rows([one], batch, camera, 8, target)
        return CornerReport(rows, keypoints, camera, poses)

    astray = torch.tensor([corners[2, 0] + 60, corners[2, 1], 0.4])
    unsure = measured(GateCamera(), p2=astray)
    assert unsure.scalars()["gate/position_m_mean"] < 1e-3 and unsure.bands()[-1]["solved"] == 1
    astray[2] = 0.9
    sure = measured(GateCamera(), p2=astray)
    assert sure.scalars()["gate/position_m_mean"] > 0.1 and sure.scalars()["gate/reprojection_px_median"] > 8
    refused = measured(GateCamera(reprojection_px=8.0), p2=astray)
    assert refused.scalars()["gate/refused"] == 1 and refused.bands()[-1]["solved"] == 0
    assert refused.bands()[-1]["position_m_mean"] is None and refused.scalars()["gate/reprojection_px_median"] > 8
    assert measured(GateCamera(reprojection_px=8.0)).scalars()["gate/refused"] == 0
    gone = {f"p{place}": torch.tensor([9.0, 9.0, 0.2]) for place in range(5)}
    blind = measured(GateCamera(), **gone)
    assert blind.bands()[-1]["solved"] == 0 and "gate/position_m_mean" not in blind.scalars()
    assert blind.bands()[-1]["error_px_mean"] > 50
