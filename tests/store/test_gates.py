"""Gates: how they are read, when they hold, and the table that shows why."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.store.gates import DEFAULT_GATE, FIRST, judge, parse_gate

MAP = "metrics/mAP50-95(B)"


@dataclass(frozen=True)
class Compared:
    candidate: float
    other: float
    value: float
    low: float
    high: float


@pytest.mark.parametrize(
    ("text", "latest", "limit"),
    [
        (f"{MAP} >= 0.5", None, 0.5),
        (f" {MAP}>=.5 ", 0.9, 0.5),
        ("corners/error_px_mean <= latest", 3.0, 3.0),
        (f"{MAP} >= latest - 0.002", 0.5, 0.498),
        (f"{MAP} > latest+1e-2", 0.5, 0.51),
        ("corners/error_px_mean < latest * 0.98", 2.0, 1.96),
        ("success_rate == 1", None, 1.0),
        ("x >= -0.5", None, -0.5),
        ("x >= latest - -0.5", 1.0, 1.5),
        (f"{MAP} >= latest", None, None),
        (f"{MAP} >= latest", math.nan, None),
    ],
)
def test_the_limit_of_a_gate(text: str, latest: float | None, limit: float | None) -> None:
    found = parse_gate(text).limit(latest)
    assert found == (None if limit is None else pytest.approx(limit, abs=1e-12))


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "x >=", ">= 1", "x => 1", "x = 1", "x >= 1 2", "x >= latest - ", "x >= latest / 2", "x >= latest - y",
        "x >= 1 - latest", "x >= __import__('os')", "x >= 1e999", "x >= nan", "x >= 1 >= 0", "x != 1", "x >= 0x1",
        "x >= latest latest", "x >= latest-0.1-0.1",
    ],
)  # fmt: skip
def test_what_is_no_gate_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(ConfigError, match="--gate") as caught:
        parse_gate(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sign", "holds"), [(">=", [0, 1, 1]), (">", [0, 0, 1]), ("<=", [1, 1, 0]), ("<", [1, 0, 0]), ("==", [0, 1, 0])]
)
def test_the_signs(sign: str, holds: list[int]) -> None:
    gate = parse_gate(f"x {sign} 0.5")
    assert [gate.holds(value, None) for value in (0.4, 0.5, 0.6)] == [bool(each) for each in holds]
    assert not gate.holds(math.nan, None) and not gate.holds(None, None) and not gate.holds(math.inf, None)


def test_an_unknown_metric_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        judge([parse_gate("metrics/map50-95(B) >= 0.5")], {MAP: 0.5, "metrics/mAP50(B)": 0.6, "fitness": 0.5}, None)
    text = str(caught.value)
    assert "Did you mean 'metrics/mAP50-95(B)'" in text and "There are: fitness, metrics/mAP50(B)" in text
    assert "\n" not in text


def test_rows_say_why() -> None:
    gates = [parse_gate(f"{MAP} >= latest - 0.002"), parse_gate("fitness > 0.9"), parse_gate("recall >= latest")]
    candidate, latest = {MAP: 0.5, "fitness": 0.5, "recall": 0.7}, {MAP: 0.501, "fitness": 0.4, "recall": math.nan}
    found = judge(gates, candidate, latest)
    assert not found.passed and [row["passed"] for row in found.rows] == [True, False, False]
    assert found.rows[0]["difference"] == pytest.approx(-0.001) and found.rows[0]["interval"] is None
    assert found.rows[1]["message"] == "0.5 is not > 0.9"
    assert found.rows[2]["message"] == "the latest's recall is not known" and found.rows[2]["latest"] is None
    json.dumps(found.rows, allow_nan=False)


def test_the_first_one_is_worse_than_none() -> None:
    found = judge([parse_gate(f"{MAP} >= latest - 0.002"), parse_gate(f"{MAP} >= 0.4")], {MAP: 0.5}, None)
    assert found.passed and found.rows[0]["message"] == FIRST
    assert judge([], {}, None).passed
    assert not judge([parse_gate(f"{MAP} >= 0.6")], {MAP: 0.5}, None).passed, (
        "a plain limit holds for the first one too"
    )
    unknown = judge([parse_gate(f"{MAP} >= latest")], {MAP: math.nan}, None)
    assert not unknown.passed and unknown.rows[0]["message"] == f"the candidate's {MAP} is not known"


@pytest.mark.parametrize(
    ("low", "high", "passed"),
    [(-0.03, 0.01, True), (-0.03, 0.0, True), (-0.03, -0.001, False), (0.01, 0.02, True), (math.nan, math.nan, False)],
)
def test_the_default_gate_allows_for_noise(low: float, high: float, passed: bool) -> None:
    middle = (low + high) / 2
    found = judge([], {MAP: 0.5}, {MAP: 0.5}, {MAP: Compared(0.5, 0.5 - middle, middle, low, high)})
    assert found.passed is passed and found.rows[0]["gate"] == DEFAULT_GATE and found.rows[0]["metric"] == MAP
    if (low, high) == (-0.03, -0.001):
        assert found.rows[0]["message"] == "worse by 0.0155 (95 % interval 0.001 to 0.03)"
        assert found.rows[0]["interval"] == [-0.03, -0.001]


def test_box_and_pose_both_count() -> None:
    better, worse = Compared(0.6, 0.5, 0.1, 0.05, 0.15), Compared(0.4, 0.5, -0.1, -0.15, -0.05)
    assert not judge([], {}, {}, {MAP: better, "metrics/mAP50-95(P)": worse}).passed
    assert not judge([], {}, {}).passed, "a latest that cannot be compared is no reason to replace it"


def test_a_comparison_on_the_same_pictures_gives_the_values() -> None:
    found = judge(
        [parse_gate(f"{MAP} >= latest")], {MAP: 0.5}, {MAP: 0.9}, {MAP: Compared(0.5, 0.45, 0.05, 0.01, 0.09)}
    )
    assert found.passed and found.rows[0]["latest"] == 0.45 and found.rows[0]["interval"] == [0.01, 0.09]


def test_of_a_few_pictures_nothing_lower_passes_and_no_certainty_is_claimed() -> None:
    for images, value, passed in ((5, -0.01, False), (5, 0.0, True), (6, -0.01, True), (None, -0.01, True)):
        found = judge([], {MAP: 0.5}, {MAP: 0.5}, {MAP: Compared(0.5, 0.5 - value, value, -0.1, 0.1)}, images)
        assert found.passed is passed
        assert ("of 5 pictures an interval says nothing" in found.rows[0]["message"]) is (images == 5)
    certain = judge([], {MAP: 0.4}, {MAP: 0.5}, {MAP: Compared(0.4, 0.5, -0.1, -0.2, -0.05)}, 1)
    assert "certainty" not in certain.rows[0]["message"] and not certain.passed


def test_a_first_one_has_to_be_measured() -> None:
    found = judge([], {MAP: 0.5, "fitness": 0.4}, None)
    assert [(row["metric"], row["candidate"], row["passed"], row["message"]) for row in found.rows] == [
        (MAP, 0.5, True, FIRST)
    ]
    assert not judge([], {MAP: math.nan}, None).passed
