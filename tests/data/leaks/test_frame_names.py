"""Which recording a picture is of, by its name, and which frame of it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from aigp_lightning.data.leaks.frame_names import frame_name, recordings


@pytest.mark.parametrize(
    ("name", "recording", "number", "timed"),
    [
        ("flight_003_000123.jpg", "flight_003_*", 123, False),
        ("frame_12.png", "frame_*", 12, False),
        ("images/flight 7/000123.jpg", "flight 7/*", 123, False),
        ("train/images/a/9.jpg", "a/*", 9, False),
        ("cam-left-0007_rgb.png", "cam-left-*_rgb", 7, False),
        ("clip_mp4-40_jpg.rf.0f3a77cd21.jpg", "clip_mp4-*", 40, False),
        ("1699999999.123.jpg", "*", 1699999999.123, True),
        ("gate_1699999999_500000.png", "gate_*", 1699999999.5, True),
        ("bild (12).jpg", "bild (*)", 12, False),
        ("полёт_01\n_0002.jpg", "полёт_01\n_*", 2, False),
        ("20261331_250000_7.jpg", "20261331_250000_*", 7, False),
    ],
)
def test_names(name: str, recording: str, number: float, timed: bool) -> None:
    found = frame_name(name)
    assert found is not None
    assert (found.recording, found.timed) == (recording, timed)
    assert found.number == pytest.approx(number)


def test_dates_rise_as_time_does() -> None:
    """Over midnight and the end of a year, with and without separators, to the millisecond."""
    names = [
        "2026-12-31_23-59-59-750.jpg",
        "2027-01-01_00-00-00-250.jpg",
        "20270101000001.jpg",
        "20270101_000002.5.jpg",
    ]
    times = [found.number for name in names if (found := frame_name(name)) is not None and found.timed]
    assert [round(b - a, 3) for a, b in pairwise(times)] == [0.5, 0.75, 1.5]


def test_a_name_without_a_number_is_no_frame() -> None:
    assert frame_name("gate.jpg") is None
    assert frame_name("gate_3d_model_of_a_hall_with_banners.jpg") is None  # too far from the end to count frames


def test_recordings_over_splits_and_folders() -> None:
    """One recording that a split has parted is one; numbers sort as numbers, not as text."""
    files = ["/d/images/train/f_10.jpg", "/d/images/val/f_9.jpg", "/d/images/val/g/f_1.jpg", "/d/images/train/f_8.jpg"]
    [one] = recordings(files, "/d")
    assert (one.name, one.places.tolist(), one.numbers.tolist(), one.step) == ("f_*", [3, 1, 0], [8, 9, 10], 1)
