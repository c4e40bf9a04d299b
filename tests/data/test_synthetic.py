"""The synthetic gate world: geometry against closed forms, labels against rendered masks, files byte by byte."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from aigp_lightning.data.synthetic import MakeDataOptions, make_data
from aigp_lightning.data.synthetic import draw as draw_module
from aigp_lightning.data.synthetic.annotate import body_box, keypoints, label_lines, share_in_picture, share_unhidden
from aigp_lightning.data.synthetic.clipping import clip_polygon
from aigp_lightning.data.synthetic.draw import compose, is_background
from aigp_lightning.data.synthetic.gate import Gate
from aigp_lightning.data.synthetic.gate_body import make_gate
from aigp_lightning.data.synthetic.geometry import Camera, clipped_contours
from aigp_lightning.data.synthetic.objects import Body, Surface, quad
from aigp_lightning.data.synthetic.render import paint
from aigp_lightning.data.synthetic.warp import texture_homography
from aigp_lightning.data.targets.built_in import GATE_OUTER
from aigp_lightning.errors import ConfigError, DataError

LEVEL = Camera(640, 360, tilt=0.0)
LIGHT = np.array([-0.6, 0.0, -0.8])
SMALL = MakeDataOptions(train=9, val=2, test=1, imgsz=(160, 90), workers=1)


def gate_body(gate: Gate, seed: int = 0) -> Body:
    """Paint a gate, in a paint drawn from the seed."""
    return make_gate(np.random.default_rng(seed), gate, LIGHT)


def pixels(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Project world points that are in front of the camera."""
    return camera.project(camera.to_camera(points))


def screen(x: float, left: float, right: float) -> Body:
    """Stand a wall 4 m high at x metres ahead, from left to right."""
    wall = quad(np.array([x, left, -2.0]), np.array([0, right - left, 0.0]), np.array([0, 0, 4.0]))
    return Body("box", wall.mean(axis=0), [Surface([wall], (10.0, 20.0, 30.0))])


def blank(camera: Camera = LEVEL) -> np.ndarray:
    """Make an empty picture."""
    return np.zeros((camera.height, camera.width, 3), dtype=np.uint8)


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file of a data set."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_inner_corners_straight_ahead_are_where_the_pinhole_puts_them() -> None:
    """The near face is 5 m away, so the corners are 320 · 0.75 / 5 = 48 pixels from the middle."""
    corners = Gate.facing(np.array([5.13, 0, 0]), yaw=0.0).corners(LEVEL)
    expected = np.array([[272, 132], [368, 132], [368, 228], [272, 228]])
    np.testing.assert_allclose(pixels(LEVEL, corners), expected, atol=1e-9)


def test_box_straight_ahead_is_the_outer_frame() -> None:
    """Half of 2.70 m at 5 m is 86.4 pixels."""
    box = body_box(LEVEL, gate_body(Gate.facing(np.array([5.13, 0, 0]), yaw=0.0)))
    np.testing.assert_allclose(box, [320 - 86.4, 180 - 86.4, 320 + 86.4, 180 + 86.4], atol=1e-9)


def test_camera_looks_20_degrees_above_a_level_body() -> None:
    """What is level ahead appears 320 · tan 20° below the middle; the horizon's angle survives another width."""
    ahead = np.array([[10.0, 0, 0]])
    np.testing.assert_allclose(pixels(Camera(640, 360), ahead), [[320, 180 + 320 * np.tan(np.pi / 9)]])
    np.testing.assert_allclose(pixels(Camera(320, 180), ahead), [[160, 90 + 160 * np.tan(np.pi / 9)]])


def test_roll_to_the_right_turns_the_picture_to_the_left() -> None:
    """With the right side 90° down, what is to the right of the body's path appears above."""
    camera = Camera(640, 360, roll=np.pi / 2, tilt=0.0)
    np.testing.assert_allclose(pixels(camera, np.array([[10.0, 1.0, 0]])), [[320, 180 - 32]], atol=1e-9)


def test_polygon_through_the_camera_is_cut_at_the_picture() -> None:
    """A strip of ground from 5 m behind to 5 m ahead, 2 m wide and 1 m below, meets the lower edge at 16/9 m."""
    strip = np.array([[-5.0, -1, 1], [5, -1, 1], [5, 1, 1], [-5, 1, 1]])
    (flat,) = clipped_contours(LEVEL, [strip])
    np.testing.assert_allclose([*flat.min(axis=0), *flat.max(axis=0)], [140, 244, 500, 360], atol=1e-9)
    assert clipped_contours(LEVEL, [strip - [10, 0, 0]]) == []


def test_clipping_keeps_a_polygon_inside_and_cuts_a_corner() -> None:
    """A unit square cut by x + y <= 1.5 loses one corner and gains two."""
    square = np.array([[0.0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
    np.testing.assert_array_equal(clip_polygon(square, np.array([[0.0, 0, 1, 0]])), square)
    cut = clip_polygon(square, np.array([[-1.0, -1, 0, 1.5]]))
    np.testing.assert_allclose(cut, [[0, 0, 1], [1, 0, 1], [1, 0.5, 1], [0.5, 1, 1], [0, 1, 1]])


@pytest.mark.parametrize("seed", range(5))
def test_gate_around_the_camera_gives_a_box_in_the_picture(seed: int) -> None:
    """Gates partly behind the camera bound to the picture, with no infinite values."""
    rng = np.random.default_rng(seed)
    for _ in range(40):
        gate = Gate.facing(rng.uniform([-1.0, -1.5, -1.5], [1.5, 1.5, 1.5]), *rng.uniform(-0.6, 0.6, 3))
        box = body_box(LEVEL, gate_body(gate))
        if box is not None:
            assert np.isfinite(box).all() and (box >= 0).all() and (box <= [640, 360, 640, 360]).all()
            assert (box[2:] >= box[:2]).all()


@pytest.mark.parametrize("behind", [0.0, np.pi])
def test_corners_run_clockwise_from_the_top_left_of_the_picture(behind: float) -> None:
    """From the front and from behind, whatever the roll, the order is that of the picture."""
    rng = np.random.default_rng(3)
    for roll in np.deg2rad([0, 30, -40, 60, 100, 180, 250]):
        gate = Gate.facing(np.array([7.0, *rng.uniform(-1, 1, 2)]), behind + rng.uniform(-0.9, 0.9), 0.1, float(roll))
        flat = pixels(LEVEL, gate.corners(LEVEL))
        x, y = flat.T
        assert x @ np.roll(y, -1) - y @ np.roll(x, -1) > 0
        right, down = flat[1] - flat[0] + flat[2] - flat[3], flat[3] - flat[0] + flat[2] - flat[1]
        assert right[0] + down[1] > abs(right[1] - down[0])


def test_corners_lie_on_the_near_face_from_behind() -> None:
    """Seen from behind, left and right are the viewer's, and the face is the back."""
    corners = Gate.facing(np.array([5.13, 0, 0]), yaw=np.pi).corners(LEVEL)
    np.testing.assert_allclose(corners[0], [5.0, -0.75, -0.75], atol=1e-9)
    np.testing.assert_allclose(corners[2], [5.0, 0.75, 0.75], atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_box_matches_the_painted_gate(seed: int) -> None:
    """Box, silhouette and painted pixels of a gate that nothing hides agree within 1.5 pixels."""
    rng = np.random.default_rng(seed)
    camera = Camera(640, 360, pitch=-0.4, roll=float(rng.uniform(-0.4, 0.4)))
    centre = rng.uniform(4, 25) * camera.ray(rng.uniform(0, 640), rng.uniform(0, 360))
    gate = Gate.facing(centre, *rng.uniform(-0.7, 0.7, 3))
    green = np.full((360, 640, 3), (0, 255, 1), dtype=np.uint8)
    picture = paint(green.copy(), camera, [gate_body(gate, seed)])
    rows, columns = np.nonzero(picture.outlines[0])
    extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    box = body_box(camera, picture.bodies[0])
    np.testing.assert_allclose(box, extent, atol=1.5)
    painted = (np.abs(picture.image.astype(int) - green).max(axis=2) > 60) & picture.outlines[0]
    assert painted.sum() > 0.9 * picture.outlines[0].sum()


def test_texture_meets_the_face_of_the_gate() -> None:
    """The corners of the texture's corner pixels fall on the projected outer corners."""
    gate = Gate.facing(np.array([6.0, 1.0, 0.5]), 0.3, 0.1, 0.2)
    surface = gate_body(gate).surfaces[-1]
    matrix = texture_homography(LEVEL, surface, (64, 64), (100, 50))
    ends = np.array([[-0.5, -0.5, 1], [63.5, -0.5, 1], [63.5, 63.5, 1], [-0.5, 63.5, 1]]) @ matrix.T
    flat = pixels(LEVEL, gate.square(GATE_OUTER, -0.13))
    np.testing.assert_allclose(ends[:, :2] / ends[:, 2:] + [100.5, 50.5], flat, atol=1e-9)


def test_keypoints_tell_seen_hidden_and_outside() -> None:
    """A wall hides the left corners; a gate at the picture's edge has its left corners outside."""
    gate = gate_body(Gate.facing(np.array([8.13, 0, 0]), yaw=0.0))
    picture = paint(blank(), LEVEL, [screen(4.0, -2.0, 0.0), gate])
    points = keypoints(picture, LEVEL, 0)
    assert points[:, 2].tolist() == [1, 2, 2, 1]
    np.testing.assert_allclose(points[0, :2], [290, 150], atol=1e-9)
    edge = gate_body(Gate.facing(np.array([8.13, -8.0, 0]), yaw=0.0))
    points = keypoints(paint(blank(), LEVEL, [edge]), LEVEL, 0)
    assert points[:, 2].tolist() == [0, 2, 2, 0]
    np.testing.assert_array_equal(points[[0, 3], :2], 0)


def test_pose_line_holds_the_box_then_the_corners() -> None:
    """Fractions of the picture, four corners with their visibility."""
    picture = paint(blank(), LEVEL, [gate_body(Gate.facing(np.array([5.13, 0, 0]), yaw=0.0))])
    (line,) = label_lines(picture, LEVEL, "pose")
    expected = [0, 0.5, 0.5, 172.8 / 640, 172.8 / 360]
    for x, y in [(272, 132), (368, 132), (368, 228), (272, 228)]:
        expected += [x / 640, y / 360, 2]
    np.testing.assert_allclose([float(v) for v in line.split()], expected, atol=1e-6)
    assert label_lines(picture, LEVEL, "detect") == [" ".join(line.split()[:5])]
    assert label_lines(picture, LEVEL, "obstacle") == []


def test_hidden_share_decides_what_is_labelled() -> None:
    """A wall over all but 30 % of a gate drops its label, one over half keeps the whole box."""
    gate = gate_body(Gate.facing(np.array([8.13, 0, 0]), yaw=0.0))
    half = paint(blank(), LEVEL, [gate, screen(4.0, -2.0, 0.0)])
    assert share_unhidden(half, 0) == pytest.approx(0.5, abs=0.02)
    assert label_lines(half, LEVEL, "detect") == label_lines(paint(blank(), LEVEL, [gate]), LEVEL, "detect")
    most = paint(blank(), LEVEL, [gate, screen(4.0, -2.0, 0.45)])
    assert share_unhidden(most, 0) < 0.3
    assert label_lines(most, LEVEL, "detect") == []


def test_share_in_picture_of_a_gate_cut_in_the_middle() -> None:
    """A gate whose middle is on the picture's right edge is half in it."""
    gate = gate_body(Gate.facing(np.array([8.13, 8.0, 0]), yaw=0.0))
    assert share_in_picture(LEVEL, replace(gate, surfaces=gate.surfaces[-1:])) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0])
def test_backgrounds_have_their_share(share: float) -> None:
    """Of 60 pictures, exactly the share asked for."""
    assert sum(is_background(i, share) for i in range(60)) == round(60 * share)


def test_background_scenes_hold_nothing_that_the_task_labels() -> None:
    """No gate in a detector's background and no obstacle in an obstacle detector's."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        for task, banned in (("detect", {"gate"}), ("obstacle", {"pillar", "net", "box", "tree"})):
            scene, picture = compose(rng, task, True, (160, 90))
            assert not banned & {body.kind for body in scene.bodies}
            assert label_lines(picture, scene.camera, task) == []


def test_same_seed_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    """One process and two write the same files; another seed writes others; fewer pictures are the same first ones."""
    one, two = tmp_path / "one", tmp_path / "zwei é"
    make_data(replace(SMALL, out=str(one)), progress=False)
    make_data(replace(SMALL, out=str(two), workers=2), progress=False)
    assert contents(one) == contents(two)
    assert len(contents(one)) == 2 * 12 + 1
    make_data(replace(SMALL, out=str(two), seed=1, train=2, force=True), progress=False)
    other = contents(two)
    assert other["images/train/000000.jpg"] != contents(one)["images/train/000000.jpg"]
    make_data(replace(SMALL, out=str(two), train=2, force=True), progress=False)
    fewer = contents(two)
    assert all(contents(one)[name] == data for name, data in fewer.items() if name != "data.yaml")
    assert len(fewer) == 2 * 5 + 1


@pytest.mark.parametrize(("task", "columns", "classes"), [("detect", 5, 1), ("pose", 17, 1), ("obstacle", 5, 4)])
def test_a_data_set_is_complete_and_valid(tmp_path: Path, task: str, columns: int, classes: int) -> None:
    """Every picture has its size and its labels, every value is in range, backgrounds are a quarter."""
    path = make_data(replace(SMALL, out=str(tmp_path / "set"), task=task, train=24), progress=False)
    info = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert "path" not in info and len(info["names"]) == classes
    assert info.get("flip_idx") == ([1, 0, 3, 2] if task == "pose" else None)
    assert info.get("flip_idx_vertical") == ([3, 2, 1, 0] if task == "pose" else None)
    empty = 0
    for split, count in (("train", 24), ("val", 2), ("test", 1)):
        images = sorted((path.parent / info[split]).iterdir())
        assert [p.name for p in images] == [f"{i:06d}.jpg" for i in range(count)]
        for image in images:
            assert cv2.imdecode(np.fromfile(image, dtype=np.uint8), cv2.IMREAD_COLOR).shape == (90, 160, 3)
            text = (path.parent / "labels" / split / f"{image.stem}.txt").read_text(encoding="utf-8")
            empty += split == "train" and not text
            rows = np.array([line.split() for line in text.splitlines()], dtype=float).reshape(-1, columns)
            assert np.isin(rows[:, 0], range(classes)).all()
            assert (rows[:, 1:3] - rows[:, 3:5] / 2 > -1e-5).all() and (
                rows[:, 1:3] + rows[:, 3:5] / 2 < 1 + 1e-5
            ).all()
            assert (rows[:, 3:5] * [160, 90] > 5.99).all()
            for x, y, v in rows[:, 5:].reshape(-1, 3):
                assert v in (0, 1, 2) and 0 <= x <= 1 and 0 <= y <= 1 and (v > 0 or x == y == 0)
    assert empty == 6


def test_a_data_set_is_not_overwritten_unasked(tmp_path: Path) -> None:
    """The message names force; with force only what make-data wrote is replaced; an empty folder is free."""
    out = tmp_path / "set"
    out.mkdir()
    options = replace(SMALL, out=str(out), train=1, val=1, test=0)
    make_data(options, progress=False)
    before = contents(out)
    assert "images/test/000000.jpg" not in before and "test:" not in before["data.yaml"].decode()
    with pytest.raises(DataError, match="force"):
        make_data(replace(options, seed=5), progress=False)
    assert contents(out) == before
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(DataError, match="not written by make-data"):
        make_data(replace(options, out=str(mine), force=True), progress=False)
    for name in ("labels/train/notes.txt", "images/val/mine.jpg", "README"):
        (out / name).write_text("years", encoding="utf-8")
        with pytest.raises(DataError, match=f"{name} was not written by make-data"):
            make_data(replace(options, force=True), progress=False)
        (out / name).unlink()
    for name in ("labels/train.cache", "images/train.aigp-cache.npz", "images/train-64.aigp-pictures"):
        (out / name).touch()
    make_data(replace(options, force=True), progress=False)
    assert contents(out) == before
    with pytest.raises(DataError, match="is a file"):
        make_data(replace(options, out=str(mine / "thesis.txt")), progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "set"]


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
def test_no_half_data_set_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: type[BaseException]
) -> None:
    """Nothing new is left, and an older set that was to be replaced is still whole."""
    real = draw_module.draw

    def fails(options: MakeDataOptions, split: str, index: int) -> tuple[bytes, list[str]]:
        if split == "val":
            raise problem("stop")
        return real(options, split, index)

    old = replace(SMALL, out=str(tmp_path / "old"), train=1, val=1, test=0)
    make_data(old, progress=False)
    before = contents(tmp_path)
    monkeypatch.setattr(draw_module, "draw", fails)
    for options in (replace(old, out=str(tmp_path / "new")), replace(old, force=True, seed=3)):
        with pytest.raises(problem):
            make_data(options, progress=False)
    assert contents(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(
    "wrong",
    [{"task": "segmentation"}, {"train": 0}, {"val": 0}, {"test": -1}, {"imgsz": (640, 32)}, {"backgrounds": 1.5},
     {"backgrounds": float("nan")}, {"seed": -1}, {"workers": -2}, {"out": " "}],
    ids=str,
)  # fmt: skip
def test_wrong_options_are_named(tmp_path: Path, wrong: dict[str, object]) -> None:
    """The message holds the option's name, and nothing is written."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        make_data(replace(SMALL, **{"out": str(tmp_path / "set"), **wrong}), progress=False)
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_a_config_error(tmp_path: Path) -> None:
    """A file stands where a parent folder should be."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot write"):
        make_data(replace(SMALL, out=str(tmp_path / "file" / "set")), progress=False)


def test_drawing_imports_nothing_heavy(tmp_path: Path) -> None:
    """A worker draws without torch or any of the big libraries; importing the options loads not even OpenCV."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from aigp_lightning.data.synthetic import MakeDataOptions\n"
        "assert 'cv2' not in sys.modules\n"
        "from aigp_lightning.data.synthetic.workers import start_worker\n"
        "from aigp_lightning.data.synthetic.writer import draw_chunk\n"
        "start_worker()\n"
        "root = Path(sys.argv[1])\n"
        "[(root / k / 'train').mkdir(parents=True) for k in ('images', 'labels')]\n"
        "assert draw_chunk(MakeDataOptions(imgsz=(64, 64)), root, 'train', 0, 4) == 4\n"
        "print(sorted({'torch', 'lightning', 'ultralytics', 'albumentations', 'scipy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert len(list(tmp_path.rglob("*.jpg"))) == 4
