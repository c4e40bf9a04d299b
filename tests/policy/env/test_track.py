"""Tracks from YAML and generated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import REPO

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.streams import Streams
from aigp_lightning.policy.env.track import RUN_OUT, Gates
from aigp_lightning.policy.env.track_file import BUILT_IN, find_track, parse_track
from aigp_lightning.policy.env.track_random import RandomTracks

GATE = {"position": [5, 0, -2]}


def build(source: object, n: int = 1) -> Gates:
    streams = Streams(n)
    streams.seed(np.arange(n, dtype=np.uint64))
    gates = Gates(n, source)
    gates.draw_tracks(streams, slice(None))
    return gates


def test_circuit_is_the_lap_it_says() -> None:
    gates = build(find_track("circuit"))
    assert gates.closed
    assert gates.count.tolist() == [7]
    loop = np.concatenate([gates.centre[:, :7, 0], gates.centre[:, :1, 0]], axis=1)
    edges = np.linalg.norm(np.diff(loop, axis=1), axis=0)
    assert 9 < edges.min() < edges.max() < 20
    assert edges.sum() == pytest.approx(105, abs=1.5)
    assert gates.index_after(np.array([6]), slice(None)).tolist() == [0]


def test_corners_go_round_from_the_top_left() -> None:
    gates = build(parse_track({"gates": [{"position": [0, 10, -3], "yaw": 90}]}, "t"))
    corners = gates.corners[:, :, 0, 0].T
    assert corners == pytest.approx(
        np.array([[0.75, 10, -3.75], [-0.75, 10, -3.75], [-0.75, 10, -2.25], [0.75, 10, -2.25]]), abs=1e-6
    )
    assert gates.start[:, 0] == pytest.approx([0, 0, -3], abs=1e-6)  # 10 m before the gate
    assert gates.start_yaw[0] == pytest.approx(np.pi / 2)


def test_an_open_course_has_a_gate_to_look_at_behind_the_last_one() -> None:
    gates = build(parse_track({"gates": [GATE, {"position": [15, 0, -2], "yaw": 0}]}, "t"))
    assert not gates.closed
    assert gates.index_after(np.array([1]), slice(None)).tolist() == [2]
    assert gates.centre[:, 2, 0] == pytest.approx([15 + RUN_OUT, 0, -2])


def test_gates_without_yaw_look_halfway() -> None:
    gates = build(parse_track({"gates": [GATE, {"position": [15, 0, -2]}, {"position": [15, 10, -2]}]}, "t"))
    yaw = np.rad2deg(np.arctan2(gates.sin[:3, 0], gates.cos[:3, 0]))
    assert yaw == pytest.approx([0, 45, 90], abs=1e-4)


def test_built_in_tracks_and_the_files_beside_the_configurations() -> None:
    for name in BUILT_IN:
        assert build(find_track(name)).count[0] == len(BUILT_IN[name]["gates"])
    files = sorted((REPO / "configs" / "tracks").glob("*.yaml"))
    assert len(files) >= 2
    for file in files:
        build(find_track(str(file)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gates: [", "not valid YAML"),
        ("- 1", "must be a mapping"),
        ("closed: true", "gates is missing"),
        ("gates: []", "at least 1"),
        ("closed: true\ngates: [{position: [0, 0, -2]}]", "at least 3"),
        ("closed: 3\ngates: [{position: [0, 0, -2]}]", "closed"),
        ("gates: [{position: [0, 0]}]", "gate 0: position"),
        ("gates: [{position: [0, 0, .nan]}]", "gate 0: position"),
        ("gates: [{position: [0, 0, -2], yaw: north}]", "gate 0: yaw"),
        ("gates: [{position: [0, 0, 2]}]", "above the ground"),
        ("gates: [{position: [0, 0, -2], roll: 3}]", "roll is not known"),
        ("gates: [{yaw: 2}]", "position is missing"),
        ("gates: [{position: [0, 0, -2]}, {position: [1, 0, -2]}]", "gate 1: only 1.00 m from gate 0"),
        ("start: {position: [0, 0, 1]}\ngates: [{position: [9, 0, -2]}]", "start"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "träck.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=says) as caught:
        find_track(str(file))
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tracks_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="circuit, sprint, random, or a YAML file"):
        find_track("monza")
    with pytest.raises(ConfigError, match="can't be read"):
        find_track(str(tmp_path / "none.yaml"))


def test_generated_tracks_are_as_promised() -> None:
    n = 400
    gates = build(RandomTracks(), n)
    edges, turns = [], []
    for i in range(n):
        count = gates.count[i]
        path = np.concatenate([gates.start[:, i : i + 1], gates.centre[:, :count, i]], axis=1)
        steps = np.diff(path, axis=1)
        edges.append(np.linalg.norm(steps[:, 1:], axis=0))
        heading = np.arctan2(steps[1], steps[0])
        turns.append(np.abs((np.diff(heading) + np.pi) % (2 * np.pi) - np.pi))
        assert -6.01 < path[2].min() <= path[2].max() < -1.59
    every = np.concatenate(edges)
    assert set(gates.count.tolist()) == set(range(6, 13))
    assert every.min() == pytest.approx(8, abs=0.2)
    assert every.max() == pytest.approx(34, abs=0.5)
    assert 15 < every.mean() < 19
    assert np.rad2deg(np.concatenate(turns).max()) == pytest.approx(76, abs=0.5)
    assert len(np.unique(gates.centre[0, 3])) == n
