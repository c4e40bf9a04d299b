"""Losses of corners on rendered flights, by a process that is known: the fit finds it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sequence_flights import detections, flights_of, recorded, setup, write_flights

from aigp_lightning.errors import DataError, WeightsError
from aigp_lightning.evaluation.sequence.assemble import assemble, check_fits
from aigp_lightning.evaluation.sequence.corners import (
    corner_chains,
    flips,
    object_chain,
    overall,
    rate_by_distance,
    seen_corners,
)
from aigp_lightning.evaluation.sequence.flights import Flight
from aigp_lightning.evaluation.sequence.recording import Recording, followers, joined
from aigp_lightning.evaluation.sequence.summary import dropout_model
from aigp_lightning.policy.env.dropout_file import read_dropout
from aigp_lightning.types import Keypoints

RATE, STAY = 0.13, 0.81


@pytest.fixture(scope="session")
def flown(made_once: Callable[..., Path]) -> list[Flight]:
    """Two flights of 10 s past gates, without anything drawn."""
    folder = made_once("flown", lambda path: write_flights(path / "data", 2, 300, pictures=False))
    return flights_of(folder / "data" / "data.yaml")


def without_metres(flight: Flight, seed: int, labelled: bool = True, **process: float) -> Recording:
    """Detections brought together without a camera, as only corners matter: poses take the time."""
    found = detections(flight, seed=seed, **process)  # type: ignore[arg-type]
    return assemble(flight if labelled else replace(flight, labels=None), found, replace(setup(conf=0.25), camera=None))


@pytest.mark.parametrize("labelled", [True, False])
def test_the_process_lies_in_the_intervals(flown: list[Flight], labelled: bool) -> None:
    """Of many recordings, of each corner and of all together; with labels, and by tracking alone."""
    held, whole, times = np.zeros(2), np.zeros(2), 40 if labelled else 16
    for seed in range(times):
        recording = joined(
            [
                without_metres(flight, 10 * seed + place, labelled, rate=RATE, stay=STAY)
                for place, flight in enumerate(flown)
            ]
        )
        for fitted in corner_chains(recording):
            assert fitted.rate_interval is not None and fitted.stay_lost_interval is not None
            held += (
                fitted.rate_interval[0] <= RATE <= fitted.rate_interval[1],
                (fitted.stay_lost_interval[0] <= STAY <= fitted.stay_lost_interval[1]),
            )
        together = overall(recording)
        spans = together["rate_interval"], together["stay_lost_interval"]
        whole += [low <= value <= high for value, (low, high) in zip((RATE, STAY), spans, strict=True)]
    assert (held / (4 * times) >= 0.90).all(), held / (4 * times)
    assert (whole / times >= 0.85).all(), whole / times


def test_flips_are_those_of_the_process(flown: list[Flight]) -> None:
    """A corner flips with 2 r (1 − s) in a frame."""
    found = [flips(without_metres(flight, seed, rate=RATE, stay=STAY)) for flight in flown for seed in range(5)]
    pairs = sum(each["pairs"] for each in found)
    share = sum(each["share"] * each["pairs"] for each in found) / pairs
    assert share == pytest.approx(2 * RATE * (1 - STAY), rel=0.08)


def test_corners_out_of_the_picture_do_not_count(flown: list[Flight]) -> None:
    recording = without_metres(flown[0], 0, rate=0.0, stay=0.0)
    could, seen = recording.objects.could, seen_corners(recording)
    assert not could.all() and np.array_equal(could, seen)
    assert sum(fitted.lost for fitted in corner_chains(recording)) == 0
    assert flips(recording)["share"] == 0.0


def test_a_gate_that_is_not_found_has_lost_all_its_corners(flown: list[Flight]) -> None:
    recording = without_metres(flown[0], 0, rate=0.0, stay=0.0)
    order, _ = followers(recording)
    missed = order[20:30]
    match = recording.objects.match.copy()
    match[missed] = -1
    recording = replace(recording, objects=replace(recording.objects, match=match))
    assert sum(fitted.lost for fitted in corner_chains(recording)) == recording.objects.could[missed].sum()
    assert object_chain(recording).lost == 10
    assert object_chain(recording).stay_lost == pytest.approx(0.9)


def test_by_distance_each_band_has_its_own_rate(flown: list[Flight]) -> None:
    """Lose corners of far gates alone."""
    near, far = (without_metres(flown[0], 1, rate=rate, stay=0.5) for rate in (0.0, 0.4))
    distance = far.objects.distance
    seen = np.where((distance > 10)[:, None], seen_corners(far), seen_corners(near))
    points = near.found.seen.copy()
    points[near.objects.match] = seen
    recording = replace(near, found=replace(near.found, seen=points))
    bands = rate_by_distance(recording, (5.0, 10.0))
    assert [each["rate"] for each in bands[:2]] == [0.0, 0.0]
    assert bands[2]["rate"] == pytest.approx(0.4, abs=0.06)
    low, high = bands[2]["interval"]
    assert low <= 0.4 <= high
    assert sum(each["corners"] for each in bands) == recording.objects.could.sum()


def test_the_dropout_model_holds_what_was_fitted(flown: list[Flight], tmp_path: Path) -> None:
    recording = joined([without_metres(flight, place) for place, flight in enumerate(flown)])
    model = dropout_model(recording, (5.0, 10.0, 20.0), {"source": "flights"})
    assert model is not None
    (tmp_path / "dropout.json").write_text(model.as_json(), encoding="utf-8")
    read, chains = read_dropout(tmp_path / "dropout.json"), corner_chains(recording)
    assert read.rate == tuple(each.rate for each in chains)
    assert read.stay_lost == tuple(each.stay_lost for each in chains)
    assert read.frame_hz == pytest.approx(30.0)
    assert read.intervals["rate"][0] == list(chains[0].rate_interval or ())
    assert len(read.rate_by_band) == 4 and read.about["source"] == "flights"


def test_nothing_to_count_is_no_model(flown: list[Flight]) -> None:
    recording = without_metres(flown[0], 0)
    assert dropout_model(replace(recording, keypoints=()), (5.0,), {}) is None
    blind = replace(recording, objects=replace(recording.objects, could=np.zeros_like(recording.objects.could)))
    assert dropout_model(blind, (5.0,), {}) is None


def test_one_flight_of_several_is_what_it_was_alone(flown: list[Flight]) -> None:
    parts = [without_metres(flight, place) for place, flight in enumerate(flown)]
    both = joined(parts)
    again = both.of_flight(1)
    assert again.names == ("flight_001",)
    assert flips(again) == flips(parts[1])
    assert corner_chains(again) == corner_chains(parts[1])


def test_metres_are_of_the_poses(flown: list[Flight]) -> None:
    """Without truth, the labelled corners say how far a gate is."""
    flight = replace(flown[0], position=flown[0].position[:40], time=flown[0].time[:40], turning=flown[0].turning[:40])
    labels = flight.labels
    assert labels is not None
    first = labels.frame < 40
    kept = {each: getattr(labels, each)[first] for each in ("frame", "cls", "box", "points", "ident", "place")}
    flight = replace(flight, files=flight.files[:40], labels=replace(labels, **kept))
    true = np.linalg.norm(kept["place"], axis=1)
    unknown = replace(flight, labels=replace(labels, **{**kept, "place": np.full_like(kept["place"], np.nan)}))
    recording = recorded(unknown, detections(flight, 0.0, 0.0))
    whole = recording.objects.could.all(1)
    assert whole.any()
    assert recording.objects.distance[whole] == pytest.approx(true[whole], rel=1e-3)
    assert np.isnan(recording.objects.distance[~whole]).all()


def test_a_detector_is_measured_on_flights_with_corners(flown: list[Flight]) -> None:
    found = [replace(one, keypoints=None) for one in detections(flown[0])]
    detector = replace(setup(), keypoints=None, camera=None)
    recording = assemble(flown[0], found, detector)
    assert recording.keypoints == () and recording.objects.could.shape[1] == 0
    assert (recording.objects.match >= 0).all() and not recording.metric
    assert np.isfinite(recording.objects.distance).all()  # from the truth


def test_labels_of_other_things_are_refused(flown: list[Flight]) -> None:
    eight = replace(setup(), keypoints=Keypoints(8, 3, tuple("abcdefgh")))
    with pytest.raises(DataError, match=r"4 keypoints an object, best\.ckpt finds 8"):
        check_fits(flown[0], eight)
    with pytest.raises(WeightsError, match="tree"):
        check_fits(flown[0], replace(setup(), names={0: "tree"}))
    check_fits(flown[0], setup())
    check_fits(replace(flown[0], labels=None), eight)
