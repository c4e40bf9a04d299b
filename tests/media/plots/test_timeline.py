"""The timeline of a flight and the overlay of a frame: pixels."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.media.plots.overlay import AXES, UNUSABLE, draw_overlay
from aigp_lightning.media.plots.overlay import USABLE as USABLE_TAG
from aigp_lightning.media.plots.timeline import (
    AWAY,
    COLOURS,
    LOST,
    SEEN,
    USABLE,
    WIDTH,
    Timeline,
    draw_timeline,
    timeline_figure,
)


def timeline(rows: np.ndarray, **more: object) -> Timeline:
    count = rows.shape[1]
    values = {"usable": None, "distance": None, "true_distance": None, **more}
    labels = tuple(f"corner {row}" for row in range(len(rows)))
    return Timeline("a/b $x$", np.arange(count) / 30, rows, labels, **values)  # type: ignore[arg-type]


def share(picture: np.ndarray, colour: tuple[int, int, int], below: int = 66) -> int:
    return int((picture[below:] == colour).all(2).sum())


def test_states_take_the_room_that_their_frames_do() -> None:
    rows = np.full((2, 100), SEEN, np.uint8)
    rows[0, 20:40], rows[1, 90:] = LOST, AWAY
    picture = draw_timeline(timeline(rows))
    areas = np.array([share(picture, colour) for colour in COLOURS])
    assert areas / areas.sum() == pytest.approx([0.05, 0.85, 0.10], abs=0.01)


def test_one_lost_frame_among_thousands_shows() -> None:
    rows = np.full((1, 20_000), SEEN, np.uint8)
    assert share(draw_timeline(timeline(rows)), COLOURS[LOST]) == 0
    rows[0, 12_345] = LOST
    assert share(draw_timeline(timeline(rows)), COLOURS[LOST]) > 0


def test_what_is_not_known_is_not_drawn() -> None:
    rows = np.full((2, 50), SEEN, np.uint8)
    assert len(timeline_figure(timeline(rows)).axes) == 1
    usable = np.arange(50) < 25
    picture = draw_timeline(timeline(rows, usable=usable))
    assert share(picture, USABLE[1]) == pytest.approx(share(picture, USABLE[0]), rel=0.02)
    nothing = np.full(50, np.nan)
    assert len(timeline_figure(timeline(rows, usable=usable, distance=nothing)).axes) == 2


def test_distances_are_in_their_places() -> None:
    far = np.linspace(10, 2, 50)
    figure = timeline_figure(timeline(np.ones((1, 50), np.uint8), usable=far > 0, distance=far, true_distance=far))
    true, told = figure.axes[-1].lines
    assert np.asarray(true.get_ydata()).tolist() == far.tolist() == np.asarray(told.get_ydata()).tolist()
    assert figure.axes[-1].bbox.width == pytest.approx(WIDTH)


def test_no_frames_and_one_frame() -> None:
    assert draw_timeline(timeline(np.zeros((1, 0), np.uint8))).shape[2] == 3
    assert share(draw_timeline(timeline(np.full((1, 1), LOST, np.uint8))), COLOURS[LOST]) > 1000


def test_axes_and_tag_of_a_frame() -> None:
    picture, none = np.full((120, 200, 3), 30, np.uint8), np.zeros((0, 4))
    axes = np.array([[[100.0, 60], [150, 60], [100, 100], [90, 50]], [[np.nan] * 2] * 4])
    drawn = draw_overlay(picture, none, none[:, 0], none[:, 0], {}, None, (), axes[:1], "7  0.23 s", usable=True)
    assert tuple(drawn[60, 140]) == AXES[0] and tuple(drawn[90, 100]) == AXES[1]
    assert tuple(drawn[0, 0]) == USABLE_TAG
    assert tuple(draw_overlay(picture, none, none[:, 0], none[:, 0], {}, None, (), axes, "7", False)[0, 0]) == UNUSABLE
    assert (picture == 30).all()


def test_corners_that_are_not_sure_are_not_drawn() -> None:
    picture, box = np.full((120, 200, 3), 30, np.uint8), np.array([[20.0, 20, 180, 110]])
    points = np.array([[[60.0, 60, 0.9], [140, 60, np.nan]]])
    drawn = draw_overlay(
        picture, box, np.zeros(1, int), np.ones(1), {0: "gate"}, points, ((0, 1),), np.zeros((0, 4, 2)), "1", None
    )
    assert (drawn[60, 60] != 30).any() and (drawn[60, 140] == 30).all()
