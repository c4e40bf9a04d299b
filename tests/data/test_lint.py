"""The linter: planted mistakes are found with file and line, and good data sets are left in peace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import process_time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.keypoint_checks import clockwise, crossed, first_corners, mirror_that_fits, outside_box, thin
from aigp_lightning.data.lint import LintResult, lint
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.scan import scan_split
from aigp_lightning.data.synthetic import MakeDataOptions, make_data
from aigp_lightning.errors import DataError

GATE = "kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\nflip_idx_vertical: [3, 2, 1, 0]\n"
RING = np.array([(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)])
"""Corners in their box, clockwise from the top left."""
Planted = Callable[[int, np.ndarray], np.ndarray]


def write_set(root: Path, change: Planted = lambda _, ring: ring, extra: str = GATE, files: int = 25) -> DataSpec:
    """Pictures with two gates each; `change` gets the number of a gate and its corners, fractions of its box.

    The first line of every label file is blank, so that a gate's line is not its row.
    """
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder / "train").mkdir(parents=True)
    for number in range(files):
        Image.new("RGB", (200, 100)).save(root / "images" / "train" / f"{number:02d}.png")
        lines = [""]
        for gate in range(2):
            low, size = rng.uniform(0, 0.5, 2), rng.uniform(0.2, 0.45, 2)
            points = low + change(2 * number + gate, RING + rng.normal(0, 0.02, RING.shape)) * size
            values = (*(low + size / 2), *size, *np.column_stack((points, np.full(4, 2))).ravel())
            lines.append("0 " + " ".join(f"{v:.6g}" for v in values))
        (root / "labels" / "train" / f"{number:02d}.txt").write_text("\n".join(lines), encoding="utf-8")
    return write_yaml(root, extra)


def write_yaml(root: Path, extra: str) -> DataSpec:
    yaml = root / "data.yaml"
    yaml.write_text(f"train: images/train\nval: images/train\nnames: [gate]\n{extra}", encoding="utf-8")
    return read_data_yaml(yaml)


def check(spec: DataSpec, **options: bool) -> LintResult:
    records = scan_split(spec, "train", pose=True, workers=1, progress=False).records
    return lint("train", records, spec, **options)


def found(result: LintResult) -> list[tuple[str, int | None, str]]:
    return [(Path(p.file).name, p.line, p.kind) for p in result.problems]


def test_a_good_set_has_no_problems(tmp_path: Path) -> None:
    result = check(write_set(tmp_path))
    assert result.problems == []
    assert result.summary() == "train keypoints: 50 objects, no problems"


@pytest.mark.parametrize(
    ("order", "kind", "text"),
    [
        ([0, 3, 2, 1], "corner order", "corners run counter-clockwise, but those of 48 of 50 objects clockwise"),
        ([0, 1, 3, 2], "corners cross", "the lines 0-1-2-3-0 cross; write the corners in order round the object"),
        ([1, 2, 3, 0], "first corner", "keypoint 0 (0) lies elsewhere than top left, where 48 of 50 objects have it"),
        ([2, 3, 0, 1], "first corner", "keypoint 0 (0) lies elsewhere than top left, where 48 of 50 objects have it"),
    ],
    ids=["winding", "bow tie", "next corner", "corner across"],
)
def test_another_order_than_the_others(tmp_path: Path, order: list[int], kind: str, text: str) -> None:
    """Gates 13 and 40: the second of file 06, on its third line, and the first of file 20, on its second."""
    result = check(write_set(tmp_path, lambda gate, ring: ring[order] if gate in (13, 40) else ring))
    assert found(result) == [("06.txt", 3, kind), ("20.txt", 2, kind)]
    assert {p.text for p in result.problems} == {text}
    assert not any(p.fatal for p in result.problems)


def test_every_ring_a_bow_tie_is_said_once(tmp_path: Path) -> None:
    """Row by row, as some tools write corners; with a skeleton that says so there is nothing to say."""
    extra = "kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\nflip_idx_vertical: [2, 3, 0, 1]\n"
    spec = write_set(tmp_path, lambda _, ring: ring[[0, 1, 3, 2]], extra)
    result = check(spec)
    assert found(result) == [("data.yaml", 4, "corners not in a ring")]
    assert "in 50 of 50 objects" in result.problems[0].text
    spec = write_yaml(tmp_path, extra + "skeleton: [[0, 1], [1, 3], [3, 2], [2, 0]]\n")
    assert check(spec).problems == []


def test_no_rule_for_the_first_corner_no_complaint(tmp_path: Path) -> None:
    """Corners that turn with the gate start anywhere in the picture."""
    result = check(write_set(tmp_path, lambda gate, ring: np.roll(ring, gate % 4, 0)))
    assert result.problems == []


def test_what_is_not_wholly_labelled_has_no_order(tmp_path: Path) -> None:
    """A missing corner at x = y = 0 makes no bow tie, nor lies it outside its box."""
    spec = write_set(tmp_path)
    file = tmp_path / "labels" / "train" / "03.txt"
    words = file.read_text(encoding="utf-8").split()
    words[8:11] = ["0", "0", "0"]
    file.write_text(" ".join(words[:17]) + "\n" + " ".join(words[17:]), encoding="utf-8")
    assert check(spec).problems == []


@pytest.mark.parametrize(
    ("extra", "line", "kind", "text"),
    [
        ("kpt_shape: [4, 3]\nflip_idx: [3, 2, 1, 0]\n", 5, "wrong flip_idx", "write flip_idx: [1, 0, 3, 2]"),
        ("kpt_shape: [4, 3]\nflip_idx: [0, 1, 2, 3]\n", 5, "wrong flip_idx", "write flip_idx: [1, 0, 3, 2]"),
        (GATE[:-1].replace("[3, 2, 1, 0]", "[1, 0, 3, 2]"), 6, "wrong flip_idx_vertical",
         "[1, 0, 3, 2] does not fit the labels mirrored upside down; write flip_idx_vertical: [3, 2, 1, 0]"),
    ],
)  # fmt: skip
def test_a_mirror_order_that_does_not_fit(tmp_path: Path, extra: str, line: int, kind: str, text: str) -> None:
    first = check(write_set(tmp_path, extra=extra)).problems[0]
    assert (Path(first.file).name, first.line, first.kind) == ("data.yaml", line, kind)
    assert first.text.endswith(text)


def test_a_mirror_order_that_was_taken_from_the_other_says_so(tmp_path: Path) -> None:
    """Corners row by row: left and right swap as in a ring, top and bottom do not."""
    extra = "kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\n"
    result = check(write_set(tmp_path, lambda _, ring: ring[[0, 1, 3, 2]], extra))
    assert found(result)[1] == ("data.yaml", 5, "wrong flip_idx_vertical")
    assert result.problems[1].text == (
        "[3, 2, 1, 0] (taken from flip_idx, since it is not written) does not fit the labels mirrored upside down; "
        "write flip_idx_vertical: [2, 3, 0, 1]"
    )


def test_visible_points_outside_their_box(tmp_path: Path) -> None:
    """Within a hundredth of the box, or a pixel, is fine; the text says which keypoint and how far."""

    def shift(gate: int, ring: np.ndarray) -> np.ndarray:
        if gate == 13:
            ring[2] = (1.5, 0.8)
        if gate == 14:
            ring[2] = (1.009, 0.8)
        return ring

    (problem,) = check(write_set(tmp_path, shift, GATE + "kpt_names: [a, b, c, d]\n")).problems
    words = Path(problem.file).read_text(encoding="utf-8").splitlines()[2].split()
    assert (Path(problem.file).name, problem.line, problem.kind) == ("06.txt", 3, "keypoint outside its box")
    assert problem.text == f"keypoint 2 (c) is {float(words[3]) * 0.5 * 200:.0f} pixels outside of the box"


@pytest.mark.parametrize("numbers", [2, 3])
def test_hidden_points_may_lie_anywhere_unless_visibility_is_not_written(tmp_path: Path, numbers: int) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder / "train").mkdir(parents=True)
    Image.new("RGB", (200, 100)).save(tmp_path / "images" / "train" / "a.png")
    visible = ["", " 1"][numbers - 2]
    line = f"0 0.3 0.5 0.2 0.4 0.9 0.5{visible} 0.3 0.5{visible} -0.001 0.5{visible}\n"
    (tmp_path / "labels" / "train" / "a.txt").write_text(line, encoding="utf-8")
    result = check(write_yaml(tmp_path, f"kpt_shape: [3, {numbers}]\n"))
    expected = ["keypoint 0 (0) is 100 pixels outside of the box"] if numbers == 2 else []
    assert [p.text for p in result.problems] == expected


def test_objects_without_keypoints_are_named_only_when_asked(tmp_path: Path) -> None:
    spec = write_set(tmp_path)
    file = tmp_path / "labels" / "train" / "24.txt"
    file.write_text("0 0.5 0.5 0.2 0.2" + " 0 0 0" * 4, encoding="utf-8")
    assert check(spec).problems == []
    assert found(check(spec, thorough=True)) == [("24.txt", 1, "no keypoint")]


def test_a_picture_listed_twice_is_told_once(tmp_path: Path) -> None:
    spec = write_set(tmp_path, lambda gate, ring: ring[[0, 3, 2, 1]] if gate == 13 else ring)
    text = spec.file.read_text(encoding="utf-8").replace("train: images/train", "train: [images/train, images/train]")
    spec.file.write_text(text, encoding="utf-8")
    result = check(read_data_yaml(spec.file))
    assert found(result) == [("06.txt", 3, "corner order")]
    assert result.objects == 50


def test_long_lists_are_cut(tmp_path: Path) -> None:
    """As in the scan's summary: how many, in how many files, the first five."""
    lines = (
        check(write_set(tmp_path, lambda gate, ring: ring[[0, 3, 2, 1]] if gate < 12 else ring)).summary().splitlines()
    )
    assert lines[0] == "train keypoints: 50 objects, 12 problems"
    assert lines[1] == "  corner order: 12 in 6 files, kept"
    assert lines[2].startswith(f"    {tmp_path}/labels/train/00.txt:2 corner order: corners run counter-clockwise")
    assert lines[7:] == ["    … and 7 more"]


def test_our_own_pose_sets_are_clean(tmp_path: Path) -> None:
    options = MakeDataOptions(
        out=str(tmp_path / "set"), task="pose", train=60, val=1, test=0, imgsz=(160, 90), workers=1
    )
    result = check(read_data_yaml(make_data(options, progress=False)))
    assert result.objects > 60
    assert result.problems == []


def test_a_large_set_takes_seconds(tmp_path: Path) -> None:
    """100,000 objects in 20,000 pictures."""
    spec = write_set(tmp_path, files=1)
    rng = np.random.default_rng(0)
    low, size = rng.uniform(0, 0.5, (100_000, 1, 2)), rng.uniform(0.2, 0.45, (100_000, 1, 2))
    points = np.concatenate((low + RING * size, np.full((100_000, 4, 1), 2)), 2).astype(np.float32)
    boxes = np.concatenate((low + size / 2, size), 2)[:, 0].astype(np.float32)
    cls = np.zeros(5, np.int64)
    records = [
        ImageRecord(f"{i}.png", (360, 640), cls, boxes[5 * i : 5 * i + 5], points[5 * i : 5 * i + 5])
        for i in range(20_000)
    ]
    start = process_time()
    result = lint("train", records, spec)
    assert (result.objects, result.problems) == (100_000, [])
    assert process_time() - start < 20


# ---- the checks themselves


def square(*order: int) -> np.ndarray:
    return np.array([[(0, 0), (10, 0), (10, 10), (0, 10)]], float)[:, list(order)]


def test_winding_and_bow_ties() -> None:
    rings = np.concatenate([square(0, 1, 2, 3), square(2, 3, 0, 1), square(0, 3, 2, 1), square(0, 1, 3, 2)])
    assert clockwise(rings)[:3].tolist() == [True, True, False]
    assert crossed(rings).tolist() == [False, False, False, True]
    assert crossed(square(0, 2, 1, 3)).tolist() == [True]
    # A dart (one corner pushed in) is no bow tie.
    assert crossed(np.array([[(0.0, 0), (10, 0), (3, 3), (0, 10)]])).tolist() == [False]


def test_flat_rings_tell_nothing() -> None:
    flat = np.array([[(0.0, 0), (0.2, 0), (0.2, 90), (0, 90)]])
    assert thin(np.concatenate([flat, square(0, 1, 2, 3), square(0, 1, 3, 2), square(0, 1, 2, 3) / 20])).tolist() == [
        True, False, False, True,
    ]  # fmt: skip


def test_first_corner_of_gates_seen_at_a_slant() -> None:
    """Narrow and rolled by up to 20 degrees: still the top left; one that starts at the top right is told."""
    rng = np.random.default_rng(0)
    angles = np.deg2rad(rng.uniform(-20, 20, 60))
    turn = np.stack([np.stack([np.cos(angles), np.sin(angles)], 1), np.stack([-np.sin(angles), np.cos(angles)], 1)], 1)
    rings = (square(0, 1, 2, 3) - 5) * [rng.uniform(0.1, 1), 1] @ turn
    odd, rule = first_corners(rings)
    assert not odd.any()
    assert rule[0] < -0.4 and rule[1] < -0.4
    rings[7] = rings[7][[1, 2, 3, 0]]
    assert np.flatnonzero(first_corners(rings)[0]).tolist() == [7]


def test_mirror_orders_from_the_layout() -> None:
    corners = np.array([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)])
    assert mirror_that_fits(corners, 0, None) == (1, 0, 3, 2)
    assert mirror_that_fits(corners, 1, None) == (3, 2, 1, 0)
    assert mirror_that_fits(corners, 0, (1, 0, 3, 2)) is None
    assert mirror_that_fits(corners, 1, (1, 0, 3, 2)) == (3, 2, 1, 0)
    assert mirror_that_fits(np.full((4, 2), 0.5), 0, None) is None  # all in one place: nothing can be told
    assert mirror_that_fits(np.full((4, 2), 0.5), 0, (3, 2, 1, 0)) is None
    assert mirror_that_fits(np.array([(0.1, 0.1), (0.4, 0.1)]), 0, (1, 0)) is None  # no mirror image of itself
    assert mirror_that_fits(np.array([(0.5, 0.5)]), 0, None) == (0,)


def test_distance_out_of_the_box() -> None:
    points = np.array([[(-3.0, 5), (5, 14), (13, 14), (-0.9, 5), (-9, -9)]])
    visible = np.array([[True, True, True, True, False]])
    assert outside_box(points, visible, np.array([[0.0, 0, 10, 10]])).tolist() == [[3, 4, 5, 0, 0]]


# ---- in a run


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., YoloDataModule]:
    """Make a data module for a pose model, as a run in the folder `run` has it."""

    def make(spec: DataSpec, wants_keypoints: bool = True, **options: Any) -> YoloDataModule:
        data = YoloDataModule(str(spec.file), imgsz=64, batch_size=2, workers=0, **options)
        data.trainer = SimpleNamespace(  # type: ignore[assignment]
            world_size=1, local_rank=0, global_rank=0, default_root_dir=str(tmp_path / "run"),
            limit_train_batches=1.0, limit_val_batches=1.0, overfit_batches=0.0, val_check_interval=1.0,
            state=SimpleNamespace(fn=None), lightning_module=SimpleNamespace(wants_keypoints=wants_keypoints),
        )  # fmt: skip
        return data

    return make


def test_a_run_tells_and_keeps_what_was_found(
    tmp_path: Path,
    module: Callable[..., YoloDataModule],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behind what the scan found, in the same file; a detector on the same set is told nothing of it."""
    spec = write_set(tmp_path / "set", lambda gate, ring: ring[[0, 3, 2, 1]] if gate == 13 else ring)
    file = tmp_path / "set" / "labels" / "train" / "00.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([*lines, lines[1]]), encoding="utf-8")
    with caplog.at_level("INFO"):
        module(spec).prepare_data()
    told = caplog.text + capfd.readouterr().err
    assert "  duplicate row: 1 in 1 file, mended\n" in told
    assert "train keypoints: 50 objects, 1 problem\n  corner order: 1 in 1 file, kept\n" in told
    kept = (tmp_path / "run" / "data_problems_train.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split(": ")[0] for line in kept] == [
        f"{file}:4 duplicate row", f"{file.parent / '06.txt'}:3 corner order",
    ]  # fmt: skip
    caplog.clear()
    with caplog.at_level("INFO"):
        module(spec, wants_keypoints=False).prepare_data()
    assert "corner order" not in caplog.text


@pytest.mark.parametrize("outside", ["clip", "drop"])
def test_a_gate_is_found_in_its_line_whatever_was_mended(
    tmp_path: Path, module: Callable[..., YoloDataModule], outside: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The first of file 06 reaches out; a corner of the second, which runs the other way, is not labelled anywhere."""
    spec = write_set(tmp_path / "set", lambda gate, ring: ring[[0, 3, 2, 1]] if gate == 13 else ring)
    file = tmp_path / "set" / "labels" / "train" / "06.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    words = lines[1].split()
    words[1], words[3], words[5] = "0.1", "0.9", "-0.3"
    file.write_text("\n".join(["", " ".join(words), lines[2]]), encoding="utf-8")
    data = module(spec, outside=outside)
    with caplog.at_level("INFO"):
        data.prepare_data()
    assert f"{file}:3 corner order: corners run counter-clockwise" in caplog.text
    records = {Path(record.im_file).name: record for record in data.scan("train").records}
    if outside == "drop":
        assert len(records["06.png"].cls) == 1
        return
    first = records["06.png"]
    np.testing.assert_allclose(first.bboxes[0, [0, 2]], [0.275, 0.55], atol=1e-6)
    assert first.keypoints is not None and first.keypoints[0, 0].tolist() == [0, 0, 0]


def test_strict_makes_it_an_error(tmp_path: Path, module: Callable[..., YoloDataModule]) -> None:
    spec = write_set(tmp_path / "set", lambda gate, ring: ring[[0, 3, 2, 1]] if gate == 13 else ring)
    with pytest.raises(DataError, match=r"(?s)strict is set and 'train' .*06\.txt:3 corner order: corners run counter"):
        module(spec, strict=True).prepare_data()
    module(spec, wants_keypoints=False, strict=True, leak_limit=None).prepare_data()  # val is train
