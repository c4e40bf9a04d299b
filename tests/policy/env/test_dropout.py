"""Corners that are lost as a detector was measured to lose them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.dropout import CornerDropout
from aigp_lightning.policy.env.dropout_file import DropoutModel, read_dropout
from aigp_lightning.policy.env.observation import Noise, Observer, Truth
from aigp_lightning.policy.env.options import race_options
from aigp_lightning.policy.env.race import Race
from aigp_lightning.policy.env.streams import Streams

NAMES = ("top_left", "top_right", "bottom_right", "bottom_left")
EIGHT = tuple(f"{ring}_{corner}" for ring in ("outer", "inner") for corner in NAMES)
ALL = slice(None)
N = 2000


def model(rate: float = 0.13, stay: float = 0.81, **more: object) -> DropoutModel:
    return DropoutModel(NAMES, (rate,) * 4, (stay,) * 4, **{"frame_hz": 30.0, **more})


def seeded(n: int) -> Streams:
    streams = Streams(n)
    streams.seed(np.arange(n, dtype=np.uint64))
    return streams


def losses(dropout: CornerDropout, frames: int, distance: float = 8.0, every: int = 1, n: int = N) -> np.ndarray:
    """(frames, 2, K, n): what is lost in the frames that come every so many steps."""
    streams, found = seeded(n), []
    away, never = np.full((2, n), distance, np.float32), np.zeros(n, bool)
    for step in range(frames * every):
        lost = dropout.update(away, never, np.full(n, step % every == 0), streams, ALL)
        found.append(lost)
    return np.stack(found)[::every]


def stays(lost: np.ndarray) -> float:
    """The share of lost corners that are lost in the next frame too."""
    return float(lost[1:][lost[:-1]].mean())


@pytest.mark.parametrize(("rate", "stay"), [(0.13, 0.81), (0.4, 0.5), (0.02, 0.6)])
def test_losses_have_the_rate_and_last_as_long_as_measured(rate: float, stay: float) -> None:
    lost = losses(CornerDropout(N, model(rate, stay), 1 / 30), 60)
    common = (stay - rate) / (1 - rate)
    alike = lost.size * (1 - common) / (1 + common)  # so many independent draws say as much
    assert lost.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / alike))
    assert stays(lost) == pytest.approx(stay, abs=4 * np.sqrt(stay * (1 - stay) / lost[:-1].sum()))
    assert lost[0].mean() == pytest.approx(rate, abs=4 * np.sqrt(rate / (8 * N)))  # from the first picture on


def test_every_corner_has_its_own() -> None:
    own = DropoutModel(NAMES, (0.05, 0.1, 0.3, 0.6), (0.5, 0.9, 0.3, 0.8), 30.0)
    lost = losses(CornerDropout(N, own, 1 / 30), 60)
    assert lost.mean((0, 1, 3)) == pytest.approx([0.05, 0.1, 0.3, 0.6], abs=0.012)
    assert [stays(lost[:, :, k]) for k in range(4)] == pytest.approx([0.5, 0.9, 0.3, 0.8], abs=0.012)
    shared = (lost[:, :, 2] & lost[:, :, 3]).mean()
    assert shared == pytest.approx(0.3 * 0.6, abs=0.01)  # of one another they know nothing


def test_far_gates_lose_more_and_keep_their_stickiness() -> None:
    by_distance = DropoutModel(NAMES, (0.1, 0.1, 0.2, 0.2), (0.8,) * 4, 30.0, (5.0, 10.0), (0.05, 0.15, 0.5))
    for distance, share in ((3.0, 0.05), (7.0, 0.15), (25.0, 0.5)):
        lost = losses(CornerDropout(N, by_distance, 1 / 30), 40, distance)
        assert lost.mean() == pytest.approx(share, abs=0.01)
    common = by_distance.stickiness()
    rates = lost.mean((0, 1, 3))
    expected = rates + (1 - rates) * common
    assert [stays(lost[:, :, k]) for k in range(4)] == pytest.approx(expected, abs=0.01)


def test_another_frame_rate_keeps_seconds_not_frames() -> None:
    """Measured at 60 frames a second, flown at 30: λ is squared."""
    lost = losses(CornerDropout(N, model(0.2, 0.84, frame_hz=60.0), 1 / 30), 60)
    assert lost.mean() == pytest.approx(0.2, abs=0.01)
    assert stays(lost) == pytest.approx(0.2 + 0.8 * 0.8**2, abs=0.01)


def test_between_pictures_nothing_changes() -> None:
    dropout, streams = CornerDropout(50, model(0.5, 0.5), 1 / 30), seeded(50)
    away, never = np.full((2, 50), 8.0, np.float32), np.zeros(50, bool)
    first = dropout.update(away, never, np.ones(50, bool), streams, ALL)
    assert np.array_equal(dropout.update(away, never, np.zeros(50, bool), streams, ALL), first)
    assert not np.array_equal(dropout.update(away, never, np.ones(50, bool), streams, ALL), first)


def test_a_gate_that_becomes_the_next_keeps_its_losses() -> None:
    dropout, streams = CornerDropout(400, model(0.5, 1.0), 1 / 30), seeded(400)
    away, passed = np.full((2, 400), 8.0, np.float32), np.ones(400, bool)
    before = dropout.update(away, ~passed, passed, streams, ALL)
    after = dropout.update(away, passed, ~passed, streams, ALL)
    assert np.array_equal(after[0], before[1])
    then = dropout.update(away, ~passed, passed, streams, ALL)
    assert (then[0] == before[1]).mean() > 0.99  # λ is cut at 0.9999
    assert abs((then[1] == before[1]).mean() - 0.5) < 0.1  # and the new one behind it has its own


def test_an_environments_losses_do_not_depend_on_the_others() -> None:
    many = losses(CornerDropout(8, model(), 1 / 30), 20, n=8)
    few = losses(CornerDropout(3, model(), 1 / 30), 20, n=3)
    assert np.array_equal(many[..., :3], few)
    dropout, streams = CornerDropout(8, model(), 1 / 30), seeded(8)
    rows, away = np.array([1, 5]), np.full((2, 2), 8.0, np.float32)
    for step in range(20):
        lost = dropout.update(away, np.zeros(2, bool), np.ones(2, bool), streams, rows)
        assert np.array_equal(lost, many[step][..., rows])


# ---- in the observation ----------------------------------------------------------------------------------------------


def square(distance: float, n: int) -> np.ndarray:
    """Corners of two gates straight ahead in the middle of the picture, both at the same place."""
    up = distance * np.tan(np.deg2rad(20))
    near = np.array([[distance, y, z - up] for y, z in ((-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75))])
    return np.repeat(np.concatenate([near, near]).T[:, :, None], n, axis=2).astype(np.float32)


def sight(corners: np.ndarray, step: int = 0) -> Truth:
    n = corners.shape[-1]
    return Truth(
        velocity=np.zeros((3, n), np.float32),
        gravity=np.zeros((3, n), np.float32),
        rates=np.zeros((3, n), np.float32),
        corners=corners,
        action=np.zeros((4, n), np.float32),
        step=np.full(n, step),
        switched=np.zeros(n, bool),
    )


def written(folder: Path, kept: DropoutModel) -> str:
    path = folder / "dropout.json"
    path.write_text(kept.as_json(), encoding="utf-8")
    return str(path)


def known(observer: Observer, streams: Streams, corners: np.ndarray, step: int = 0) -> np.ndarray:
    return observer.observe(sight(corners, step), streams)[9:33].reshape(8, 3, -1).transpose(1, 0, 2)


def test_a_gate_needs_its_four_corners(tmp_path: Path) -> None:
    n, rate = 4000, 0.13
    noise = Noise(camera=True, dropout_model=written(tmp_path, model(rate)))
    observer, streams = Observer(n, noise, 1 / 60), seeded(n)
    seen = (known(observer, streams, square(8.0, n))[0] != 0).reshape(2, 4, n)
    assert (seen.all(1) == seen.any(1)).all()  # all of a gate or none: nothing in between is made up
    assert seen.mean() == pytest.approx((1 - rate) ** 4, abs=0.03)


def test_three_corners_will_do_for_a_gate_that_was_measured(tmp_path: Path) -> None:
    n, rate = 4000, 0.2
    file = written(tmp_path, model(rate, rate))  # independent from frame to frame
    noise = Noise(camera=True, frame_every=1, dropout_model=file, needs_corners=3, lost="zero")
    observer, streams = Observer(n, noise, 1 / 60), seeded(n)
    four, three = (1 - rate) ** 4, 4 * rate * (1 - rate) ** 3
    first = known(observer, streams, square(8.0, n))[0, 0] != 0
    assert first.mean() == pytest.approx(four, abs=0.03)
    again = known(observer, streams, square(8.0, n), step=1)[0, 0] != 0
    assert again[first].mean() == pytest.approx(four + three, abs=0.03)
    assert again[~first].mean() == pytest.approx(four, abs=0.03)


def test_lost_corners_are_remembered_and_no_zeros(tmp_path: Path) -> None:
    noise = Noise(camera=True, frame_every=1, dropout_model=written(tmp_path, model(0.5, 0.5)), lost="hold")
    observer, streams = Observer(200, noise, 1 / 60), seeded(200)
    ever = np.zeros(200, bool)
    for step in range(100):
        now = known(observer, streams, square(8.0 - 0.01 * step, 200), step)[0, 0]
        ever |= now != 0
        assert (now[ever] != 0).all()
        assert (now[ever] >= 8.0 - 0.01 * step - 1e-5).all()  # older measurements are farther
    assert ever.mean() > 0.9


def test_outer_corners_leave_the_picture_first(tmp_path: Path) -> None:
    """At 1.6 m the inner ring (1.5 m) fits 90° by 58.7°, the outer (2.7 m) does not: four of eight are enough."""
    sure = DropoutModel(EIGHT, (0.0,) * 8, (None,) * 8, 30.0)
    noise = Noise(camera=True, dropout_model=written(tmp_path, sure))
    observer, streams = Observer(1, noise, 1 / 60), seeded(1)
    assert known(observer, streams, square(1.6, 1))[0, :4, 0] == pytest.approx([1.6] * 4)
    inner_lost = DropoutModel(EIGHT, (0.0,) * 4 + (1.0,) * 4, (None,) * 4 + (1.0,) * 4, 30.0)
    noise = Noise(camera=True, dropout_model=written(tmp_path, inner_lost))
    assert not known(Observer(1, noise, 1 / 60), seeded(1), square(1.6, 1)).any()
    assert known(Observer(1, noise, 1 / 60), seeded(1), square(8.0, 1)).any()


def test_a_race_with_a_model_flies_the_same_twice(tmp_path: Path) -> None:
    noise = {"camera": True, "dropout_model": written(tmp_path, model()), "needs_corners": 3, "delay": 1}
    logs = []
    for _ in range(2):
        race = Race(4, race_options(noise=noise))
        race.seed(np.arange(4, dtype=np.uint64))
        race.reset()
        log = [race.observe()]
        for _ in range(30):
            race.step(np.zeros((4, 4), np.float32))
            log.append(race.observe())
        logs.append(np.stack(log))
    assert np.array_equal(*logs)
    assert np.isfinite(logs[0]).all()


# ---- the file --------------------------------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    whole = DropoutModel(
        NAMES, (0.1, 0.2, 0.3, None), (0.5, None, 0.7, None), 29.97, (5.0, 10.0), (0.1, None, 0.4),
        {"rate": [[0.05, 0.2], None, None, None]}, {"frames": 12},
    )  # fmt: skip
    read = read_dropout(written(tmp_path, whole))
    assert (read.rate, read.stay_lost, read.rate_by_band) == (whole.rate, whole.stay_lost, whole.rate_by_band)
    assert (read.keypoints, read.bands_m, read.frame_hz) == (NAMES, (5.0, 10.0), 29.97)
    assert json.loads(read.as_json())["about"] == {"frames": 12}
    assert read.rates_by_band()[1] == pytest.approx(read.rates_by_band()[0])  # the band without frames


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": "other"}, "format"),
        ({"rate": [0.1]}, "one entry for each corner"),
        ({"rate": [1.5, 0, 0, 0]}, "'rate' must hold numbers from 0 to 1"),
        ({"stay_lost": "x"}, "'stay_lost' must be a list"),
        ({"frame_hz": 0}, "frame_hz"),
        ({"frame_hz": True}, "frame_hz"),
        ({"bands_m": [5, 3], "rate_by_band": [0.1, 0.1, 0.1]}, "rising"),
        ({"bands_m": [5], "rate_by_band": [0.1]}, "one entry more"),
    ],
)
def test_wrong_files_are_refused_in_a_line(tmp_path: Path, change: dict[str, object], named: str) -> None:
    path = tmp_path / "dropout.json"
    path.write_text(json.dumps({**json.loads(model().as_json()), **change}), encoding="utf-8")
    with pytest.raises(ConfigError, match=named) as caught:
        read_dropout(path)
    assert "dropout.json" in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        read_dropout(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid JSON"):
        read_dropout(tmp_path / "broken.json")


@pytest.mark.parametrize(
    ("kept", "named"),
    [
        (DropoutModel(("a", "b"), (0.1, 0.1), (0.5, 0.5), 30.0), "no gate's"),
        (DropoutModel(NAMES, (1.0,) * 4, (1.0,) * 4, 30.0), "all corners are always lost"),
        (DropoutModel(NAMES, (None, 0.1, 0.1, 0.1), (0.5,) * 4, 30.0), "top_left was never in view"),
        (DropoutModel(NAMES, (0.1,) * 4, (None, 0.5, 0.5, 0.5), 30.0), "too rarely"),
    ],
)
def test_models_that_say_too_little_are_refused(kept: DropoutModel, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        CornerDropout(1, kept, 1 / 30)


@pytest.mark.parametrize("wrong", [{"needs_corners": 2}, {"needs_corners": 5}])
def test_corners_that_give_no_pose_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="needs_corners"):
        Noise(**wrong)
