"""Through a gate, into its frame, past it: decided by the path."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.policy.env.crossing import BLOCKED, CLEAR, crosses_gate, hits_any_frame, hits_frame, to_gate_frame
from aigp_lightning.policy.env.streams import Streams
from aigp_lightning.policy.env.track import Gates
from aigp_lightning.policy.env.track_file import parse_track

Point = tuple[float, float, float]


def column(point: Point) -> np.ndarray:
    return np.array(point, np.float32)[:, None]


def look(before: Point, after: Point) -> tuple[bool, bool, bool]:
    """Passes, misses, hits the frame."""
    passes, misses, _ = crosses_gate(column(before), column(after))
    return bool(passes[0]), bool(misses[0]), bool(hits_frame(column(before), column(after))[0])


def test_sizes() -> None:
    assert pytest.approx(0.75 - 0.14) == CLEAR
    assert pytest.approx(1.35 + 0.14) == BLOCKED


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((-1, 0, 0), (1, 0, 0), (True, False, False)),
        ((-1, 0.60, 0), (1, 0.60, 0), (True, False, False)),  # the airframe just fits
        ((-1, 0.62, 0), (1, 0.62, 0), (False, False, True)),  # its side touches
        ((-1, 0.60, -0.60), (1, 0.60, -0.60), (True, False, False)),  # the opening is a square
        ((-1, 0, 1.0), (1, 0, 1.0), (False, False, True)),
        ((-1, 0, 1.48), (1, 0, 1.48), (False, False, True)),
        ((-1, 0, 1.50), (1, 0, 1.50), (False, True, False)),
        ((-1, -9, 0), (1, -9, 0), (False, True, False)),
        ((1, 0, 0), (-1, 0, 0), (False, False, False)),  # backwards counts for nothing
        ((1, 1.0, 0), (-1, 1.0, 0), (False, False, True)),  # but the frame is there
        ((-2, 0, 0), (-1, 0, 0), (False, False, False)),
        ((-1, 0, 0), (-0.2, 0.9, 0), (False, False, False)),  # in front of the frame
        ((-0.2, 0.9, 0), (-0.1, 0.9, 0), (False, False, True)),
    ],
)
def test_paths(before: Point, after: Point, expected: tuple[bool, bool, bool]) -> None:
    assert look(before, after) == expected


def test_a_fast_diagonal_is_judged_where_it_crosses() -> None:
    """From outside to outside of the opening, but through its middle, at 40 m/s."""
    assert look((-0.33, -0.30, -0.3), (0.33, 0.30, 0.3)) == (True, False, False)
    assert look((-0.2, -1.9, 0), (0.2, 1.9, 0))[2]  # slides through the frame's depth


def test_depth_of_the_frame() -> None:
    """Clear in the plane, but the frame's depth of 0.26 m is met on the way."""
    passes, _, hit = look((-1.0, -6.0, 0), (1.0, 6.0, 0))
    assert passes and hit


def test_frames_against_points_along_the_path() -> None:
    """Random paths, each looked at in 600 places: where one is inside the frame, the path hits it, and else not.

    Paths that only graze it, nearer than the places are apart, may differ.
    """
    generator, n = np.random.default_rng(0), 1500
    before = generator.uniform(-2, 2, (3, n)).astype(np.float32) * [[0.4], [1], [1]]
    after = before + generator.normal(0, 0.7, (3, n)) * [[0.6], [1], [1]]
    places = before + np.linspace(0, 1, 600)[:, None, None] * (after - before)
    off = np.abs(places[:, 1:]).max(axis=1)
    in_depth = np.abs(places[:, 0]) <= 0.13

    def inside(margin: float) -> np.ndarray:
        return (in_depth & (off > CLEAR + margin) & (off < BLOCKED - margin)).any(axis=0)

    hit = hits_frame(before.astype(np.float32), after.astype(np.float32))
    surely, perhaps = inside(0.01), inside(-0.01)
    assert hit[surely].all()
    assert not hit[~perhaps].any()
    assert 250 < surely.sum() <= perhaps.sum() < surely.sum() + 100 < 1250


def test_share_of_the_step() -> None:
    assert crosses_gate(column((-0.1, 0, 0)), column((0.3, 0, 0)))[2][0] == pytest.approx(0.25)


def gates(*entries: dict[str, object]) -> Gates:
    made = Gates(1, parse_track({"gates": list(entries)}, "test"))
    made.draw_tracks(Streams(1), slice(None))
    return made


def test_gate_frame() -> None:
    """A gate looking east: north of it is left of it."""
    turned = to_gate_frame(column((2, 3, -1)), np.cos(np.pi / 2), np.sin(np.pi / 2))
    assert turned[:, 0] == pytest.approx([3, -2, -1], abs=1e-6)


def test_every_gate_of_the_track_can_be_hit() -> None:
    track = gates({"position": [10, 0, -3], "yaw": 0}, {"position": [20, 0, -3], "yaw": 90})
    for start, end, hit in [
        ((9, 1, -3), (11, 1, -3), True),
        ((19, 1, -3), (19, -1, -3), True),  # the second gate's frame stands from north to south
        ((20, 1, -3), (20, -1, -3), False),  # through its opening
        ((14, 0, -3), (15, 0, -3), False),
    ]:
        assert hits_any_frame(track, column(start), column(end))[0] == hit
