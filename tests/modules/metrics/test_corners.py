"""Corner errors of hand-made predictions whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aigp_lightning.modules.metrics.corner_report import (
    DISTANCE,
    FOUND,
    HEAD,
    POSITION,
    ROTATION,
    WHOLE,
    CornerReport,
    row_width,
)
from aigp_lightning.modules.metrics.corners import corner_rows
from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.types import Keypoints, PoseBatch, Prediction

NAMES = ("top_left", "top_right", "bottom_right", "bottom_left")
GATE = Keypoints(4, 3, NAMES)
GAIN, PAD = 0.25, (0.0, 35.0)
"""640×360 pictures in a network input of 160×160: 160×90 with 35 grey rows above and below."""


def square(x: float, y: float, side: float) -> np.ndarray:
    """Corners (4, 2) in pixels of the original picture."""
    return np.array([x, y]) + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * side / 2


def moved(corners: np.ndarray, right: float, down: float) -> np.ndarray:
    return np.asarray(corners + np.array([right, down]))


def boxed(corners: np.ndarray) -> np.ndarray:
    """Box (4,) xyxy round corners, 10 % wider and higher than they are."""
    low, high = corners.min(0), corners.max(0)
    return np.concatenate((low - (high - low) / 20, high + (high - low) / 20))


def inwards(points: np.ndarray) -> np.ndarray:
    """Original pixels (…, 2) as network-input pixels."""
    return points * GAIN + PAD


def make_batch(images: list[list[tuple[np.ndarray, list[int]]]]) -> PoseBatch:
    """A batch of objects given by their corners in the original picture and the visibility of each."""
    objects = [(number, *one) for number, image in enumerate(images) for one in image]
    boxes = np.array([inwards(boxed(corners).reshape(2, 2)) for _, corners, _ in objects]).reshape(-1, 2, 2) / 160
    points = np.zeros((len(objects), 4, 3))
    for row, (_, corners, visible) in enumerate(objects):
        points[row, :, :2], points[row, :, 2] = inwards(corners) / 160, visible
        points[row][np.array(visible) == 0] = 0
    return {
        "img": torch.zeros(len(images), 3, 160, 160),
        "cls": torch.zeros(len(objects), dtype=torch.int64),
        "bboxes": torch.tensor(np.concatenate((boxes.mean(1), boxes[:, 1] - boxes[:, 0]), 1), dtype=torch.float32),
        "batch_idx": torch.tensor([number for number, _, _ in objects], dtype=torch.int64),
        "im_file": [f"{number}.jpg" for number in range(len(images))],
        "ori_shape": [(360, 640)] * len(images),
        "ratio_pad": [((GAIN, GAIN), PAD)] * len(images),
        "sources": [(f"{number}.jpg",) for number in range(len(images))],
        "keypoints": torch.tensor(points, dtype=torch.float32),
    }


def prediction(*found: tuple[np.ndarray, float], seen: tuple[float, ...] = (0.9,) * 4, numbers: int = 3) -> Prediction:
    """Objects given by their corners in the original picture and their confidence."""
    points = np.zeros((len(found), 4, 3))
    for row, (corners, _) in enumerate(found):
        points[row, :, :2], points[row, :, 2] = inwards(corners), seen
    boxes = np.array([inwards(boxed(corners).reshape(2, 2)).ravel() for corners, _ in found]).reshape(-1, 4)
    return Prediction(
        torch.tensor(boxes, dtype=torch.float32),
        torch.tensor([score for _, score in found], dtype=torch.float32),
        torch.zeros(len(found), dtype=torch.int64),
        torch.tensor(points[..., :numbers], dtype=torch.float32),
    )


def test_known_errors_through_a_letterbox() -> None:
    """Corners that are 0, 1, 5 and 2 pixels of the original off, to a thousandth."""
    true = square(320, 180, 48)
    off = np.array([[0, 0], [1, 0], [3, -4], [0, 2.0]])
    rows = corner_rows([prediction((true + off, 0.8))], make_batch([[(true, [2] * 4)]]), GateCamera())
    assert rows.shape == (1, row_width(4)) and rows.dtype == np.float32
    assert rows[0, HEAD : HEAD + 4] == pytest.approx([0, 1, 5, 2], abs=1e-3)
    assert rows[0, HEAD + 4 :].tolist() == [1, 1, 1, 1]
    assert rows[0, [FOUND, WHOLE]].tolist() == [1, 1]
    assert rows[0, DISTANCE] == pytest.approx(10, abs=1e-3)  # 320 px · 1.5 m / 48 px


def test_two_pixels_too_wide_is_known_in_metres() -> None:
    """48 px at 10 m seen as 50 px is 9.6 m; moved by 5 px at 48 px is 0.156 m to the side."""
    true = square(320, 180, 48)
    wide = corner_rows([prediction((square(320, 180, 50), 0.8))], make_batch([[(true, [2] * 4)]]), GateCamera())
    assert wide[0, POSITION] == pytest.approx(0.4, abs=1e-3)
    assert wide[0, ROTATION] == pytest.approx(0, abs=0.5)
    aside = corner_rows([prediction((square(325, 180, 48), 0.8))], make_batch([[(true, [2] * 4)]]), GateCamera())
    assert aside[0, POSITION] == pytest.approx(5 / 48 * 1.5, abs=1e-3)
    assert aside[0, HEAD : HEAD + 4] == pytest.approx([5] * 4, abs=1e-3)


@pytest.mark.parametrize(("turns", "degrees"), [(1, 90), (2, 180), (3, 90)])
def test_a_turned_order_of_corners_is_a_turned_gate(turns: int, degrees: float) -> None:
    true = square(300, 150, 60)
    wrong = np.roll(true, turns, axis=0)
    rows = corner_rows([prediction((wrong, 0.8))], make_batch([[(true, [2] * 4)]]), GateCamera())
    assert rows[0, ROTATION] == pytest.approx(degrees, abs=0.3)
    assert rows[0, POSITION] == pytest.approx(0, abs=1e-3)
    assert rows[0, HEAD : HEAD + 4] == pytest.approx([60 if turns != 2 else 60 * 2**0.5] * 4, abs=1e-3)


def test_partly_in_view() -> None:
    """No pose without all corners; the labelled ones have an error, and all a visibility that is right or not."""
    true = square(320, 180, 48)
    found = prediction((moved(true, 2.0, 0.0), 0.8), seen=(0.9, 0.1, 0.8, 0.5))
    rows = corner_rows([found], make_batch([[(true, [2, 1, 0, 0])]]), GateCamera())[0]
    assert rows[[FOUND, WHOLE]].tolist() == [1, 0]
    assert np.isnan(rows[[DISTANCE, POSITION, ROTATION]]).all()
    assert rows[HEAD : HEAD + 2] == pytest.approx([2, 2], abs=1e-3)
    assert np.isnan(rows[HEAD + 2 : HEAD + 4]).all()
    assert rows[HEAD + 4 :].tolist() == [1, 0, 0, 1]


def test_not_found() -> None:
    """Unsure, elsewhere, or in another image: the gate has its distance and nothing else."""
    true = square(320, 180, 48)
    batch = make_batch([[(true, [2] * 4)], []])
    nothing = [prediction((true, 0.25), (square(400, 180, 48), 0.9)), prediction((true, 0.9))]
    for rows in (corner_rows(nothing, batch, GateCamera()),
                 corner_rows([prediction(), prediction()], batch, GateCamera())):  # fmt: skip
        assert rows.shape == (1, row_width(4))
        assert rows[0, [FOUND, WHOLE]].tolist() == [0, 1]
        assert rows[0, DISTANCE] == pytest.approx(10, abs=1e-3)
        assert np.isnan(rows[0, POSITION:][1:]).all() and np.isnan(rows[0, POSITION])


def test_corners_that_no_gate_can_have_are_found_without_a_pose() -> None:
    true = square(320, 180, 48)
    crossed = true[[0, 2, 1, 3]]
    rows = corner_rows([prediction((crossed, 0.8))], make_batch([[(true, [2] * 4)]]), GateCamera())
    assert rows[0, FOUND] == 1 and np.isnan(rows[0, [POSITION, ROTATION]]).all()
    whole = CornerReport(rows, GATE, GateCamera()).bands()[-1]
    assert (whole["found"], whole["solved"], whole["position_m_mean"]) == (1, 0, None)


def two_images() -> tuple[list[Prediction], PoseBatch]:
    """Two gates, then three: at 10, 4, 30, 10 and 15 m; the third not found, the last one partly in view."""
    near, far = square(320, 180, 48), square(200, 160, 120)
    tiny, aside, edge = square(100, 100, 16), square(500, 200, 48), square(300, 250, 32)
    batch = make_batch([[(near, [2] * 4), (far, [2] * 4)], [(tiny, [2] * 4), (aside, [2] * 4), (edge, [2, 2, 2, 0])]])
    found = [
        prediction((moved(far, 3.0, 0.0), 0.9), (moved(near, 0.0, 1.0), 0.7)),
        prediction((moved(edge, 4.0, 0.0), 0.9), (moved(aside, 0.0, -2.0), 0.8)),
    ]
    return found, batch


def test_two_images_in_a_batch() -> None:
    found, batch = two_images()
    rows = corner_rows(found, batch, GateCamera())
    assert rows[:, FOUND].tolist() == [1, 1, 0, 1, 1]
    assert rows[:4, DISTANCE] ** 2 == pytest.approx(
        [100, 16 * (1 + (120**2 + 20**2) / 320**2), 900 * (1 + (220**2 + 80**2) / 320**2),
         100 * (1 + (180**2 + 20**2) / 320**2)], rel=1e-3)  # fmt: skip
    assert rows[:, HEAD : HEAD + 4].mean(1)[[0, 1, 3]] == pytest.approx([1, 3, 2], abs=1e-3)


def test_halves_add_up_to_the_whole() -> None:
    """As processes exchange rows: image by image gives the same rows as both at once, whatever order labels are in."""
    found, batch = two_images()
    whole = corner_rows(found, batch, GateCamera())
    parts = []
    for number in range(2):
        mine = batch["batch_idx"] == number
        part = {key: [value[number]] if isinstance(value, list) else value[mine] if key != "img" else value[:1]
                for key, value in batch.items()}  # fmt: skip
        part["batch_idx"] = torch.zeros(int(mine.sum()), dtype=torch.int64)
        parts.append(corner_rows([found[number]], part, GateCamera()))  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    order = torch.tensor([3, 0, 4, 2, 1])
    for key in ("cls", "bboxes", "batch_idx", "keypoints"):
        batch[key] = batch[key][order]  # type: ignore[literal-required]
    np.testing.assert_array_equal(corner_rows(found, batch, GateCamera()), whole[order])


def test_empty_batches() -> None:
    """A process without an image, and images without objects, add no rows but fit the others'."""
    nothing = make_batch([])
    del nothing["keypoints"]  # type: ignore[misc]  # as `collate` has it
    assert corner_rows([], nothing, GateCamera()).shape == (0, row_width(4))
    background = make_batch([[], []])
    assert corner_rows([prediction(), prediction()], background, None).shape == (0, row_width(4))
    report = CornerReport(np.zeros((0, row_width(4)), np.float32), GATE, GateCamera())
    assert report.scalars() == {} and report.errors() is None
    assert [row["gates"] for row in report.bands()] == [0] * 5
    assert {row["error_px_mean"] for row in report.corners()} == {None}


def test_without_visibility() -> None:
    """Labels of two numbers, by a model that gives two or three."""
    plain, true = Keypoints(4, 2, NAMES), square(320, 180, 48)
    for numbers in (2, 3):
        rows = corner_rows(
            [prediction((moved(true, 1.0, 0.0), 0.8), numbers=numbers)], make_batch([[(true, [1] * 4)]]), None
        )
        assert np.isnan(rows[0, HEAD + 4 :]).all() == (numbers == 2) and np.isnan(rows[0, DISTANCE])
        figures = CornerReport(rows, plain, None).scalars()
        assert set(figures) == {"corners/error_px_mean", "corners/error_px_median"}
        assert figures["corners/error_px_mean"] == pytest.approx(1, abs=1e-3)


def test_other_numbers_of_keypoints_have_no_pose() -> None:
    """Three keypoints: errors, and one row for all distances."""
    three, true = Keypoints(3, 3, ("a", "b", "c d")), square(320, 180, 48)
    batch, found = make_batch([[(true, [2] * 4)]]), prediction((moved(true, 0.0, 3.0), 0.8))
    batch["keypoints"] = batch["keypoints"][:, :3]
    assert found.keypoints is not None
    found = Prediction(found.boxes, found.scores, found.labels, found.keypoints[:, :3])
    report = CornerReport(corner_rows([found], batch, GateCamera(), 3), three, GateCamera())
    assert [row["band"] for row in report.bands()] == ["all"]
    assert report.bands()[0]["error_px_median"] == pytest.approx(3, abs=1e-3)
    assert report.scalars()["corners/visible_c_d"] == 1
    assert report.errors() is None


def test_report() -> None:
    """Figures by distance, by corner and over all, from the two images."""
    report = CornerReport(corner_rows(*two_images(), GateCamera()), GATE, GateCamera(bands=[5, 12]))
    bands = {row.pop("band"): row for row in report.bands()}
    assert list(bands) == ["0–5 m", "5–12 m", "over 12 m", "partly in view", "all"]
    assert [row["gates"] for row in bands.values()] == [1, 2, 1, 1, 5]
    assert [row["found"] for row in bands.values()] == pytest.approx([1, 1, 0, 1, 0.8])
    assert [row["solved"] for row in bands.values()] == [1, 1, None, None, 1]
    assert bands["5–12 m"]["error_px_mean"] == pytest.approx(1.5, abs=1e-3)
    assert bands["5–12 m"]["position_m_mean"] == pytest.approx(1.5 / 320 * 10, abs=1e-3)
    assert bands["over 12 m"] == {"gates": 1, "found": 0, **dict.fromkeys(list(bands["all"])[2:])}
    assert bands["partly in view"]["error_px_mean"] == pytest.approx(4, abs=1e-3)
    assert bands["partly in view"]["position_m_mean"] is None
    assert bands["all"]["error_px_mean"] == pytest.approx((4 * 1 + 4 * 3 + 4 * 2 + 3 * 4) / 15, abs=1e-3)
    corners = report.corners()
    assert [row["name"] for row in corners] == list(NAMES)
    assert [row["error_px_mean"] for row in corners] == pytest.approx([2.5, 2.5, 2.5, 2.0], abs=1e-3)
    assert [row["visible_accuracy"] for row in corners] == [1, 1, 1, 0.75]
    figures = report.scalars()
    assert figures["corners/visible_accuracy"] == pytest.approx(15 / 16)
    assert figures["corners/visible_bottom_left"] == 0.75
    assert figures["corners/error_px_median"] == pytest.approx(2, abs=1e-3)
    metres = sorted([3 / 320 * 4, 10 / 320, 2 / 320 * 10])
    assert figures["gate/position_m_median"] == pytest.approx(metres[1], abs=1e-3)
    assert figures["gate/position_m_mean"] == pytest.approx(np.mean(metres), abs=1e-3)
    assert figures["gate/rotation_deg_mean"] < 1
    assert not any(np.isnan(value) for value in figures.values())


def test_errors_against_distance() -> None:
    """One point a gate that was found and has a distance."""
    errors = CornerReport(corner_rows(*two_images(), GateCamera()), GATE, GateCamera()).errors()
    assert errors is not None and errors.bands == (5, 10, 20)
    assert errors.error == pytest.approx([1, 3, 2], abs=1e-3)
    assert errors.distance[0] == pytest.approx(10, abs=1e-3)


def test_pictures_of_another_aspect_are_named() -> None:
    """A square picture is not this camera's: pixels count, and the row says that the distance is unknown."""
    batch = make_batch([[(square(320, 180, 48), [2] * 4)]])
    batch["ori_shape"] = [(640, 640)]
    report = CornerReport(
        corner_rows([prediction((square(321, 180, 48), 0.8))], batch, GateCamera()), GATE, GateCamera()
    )
    assert [row["band"] for row in report.bands() if row["gates"]] == ["distance unknown", "all"]
    assert report.scalars()["corners/error_px_mean"] == pytest.approx(1, abs=1e-3)
    assert report.errors() is None
