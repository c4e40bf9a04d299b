"""The combination that a rule chooses: a best one, a plateau, a target that none meets."""

import numpy as np
import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.calibration.choice import choose
from aigp_lightning.evaluation.calibration.grid import Grid, parse_values
from aigp_lightning.evaluation.calibration.rule import FIGURES, Rule, choose_rule, parse_targets

SHAPE = (19, 5, 3, 4)


def known_figures() -> dict[str, np.ndarray]:
    """Usable falls with each threshold's distance from (7, 2, 1, 3); false alarms fall with confidence alone."""
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    away = np.abs(places - np.array([7, 2, 1, 3]).reshape(4, 1, 1, 1, 1)).sum(0)
    return {"usable": 1 - away / 100, "false_alarms": (18 - places[0]) / 10, "position_m": away / 10}


def test_the_only_best_one_is_found() -> None:
    found = choose(known_figures(), Rule((), "usable"))
    assert found.place == (7, 2, 1, 3) and found.plateau == 1 and found.meeting == np.prod(SHAPE)
    assert choose(known_figures(), Rule((), "position_m", maximize=False)).place == (7, 2, 1, 3)


def test_a_target_moves_it_to_the_edge_of_what_is_allowed() -> None:
    found = choose(known_figures(), Rule(parse_targets("false_alarms <= 0.5"), "usable"))
    assert found.place == (13, 2, 1, 3)  # 18 - 13 is 5
    assert choose(known_figures(), Rule(parse_targets("false_alarms < 0.5"), "usable")).place == (14, 2, 1, 3)


@pytest.mark.parametrize(
    ("row", "chosen"),
    [
        ([0.2, 0.9, 0.9, 0.9, 0.1], 2),
        ([0.2, 0.9, 0.9, 0.9, 0.9], 3),  # of two middles the more careful one
        ([0.9, 0.2, 0.9, 0.9, 0.9], 3),  # the longest run
        ([0.9, 0.9, 0.2, 0.9, 0.9], 4),  # of two runs the more careful one
        ([np.nan, 0.5, np.nan, np.nan, np.nan], 1),
    ],
)
def test_the_middle_of_a_plateau(row: list[float], chosen: int) -> None:
    for axis in range(4):
        shape = [1, 1, 1, 1]
        shape[axis] = 5
        place = choose({"usable": np.array(row).reshape(shape)}, Rule((), "usable")).place
        assert place is not None and place[axis] == chosen


def test_nothing_is_chosen_where_the_best_has_nothing() -> None:
    """A model that finds nothing gives no false alarm, at whatever thresholds."""
    nothing = np.zeros((3, 1, 1, 1))
    found = choose({"usable": nothing, "false_alarms": nothing}, Rule(parse_targets("false_alarms <= 0.1"), "usable"))
    assert (found.place, found.meeting, found.nearest) == (None, 3, None)
    assert choose({"false_alarms": nothing}, Rule((), "false_alarms", maximize=False)).place is not None


def test_how_near_one_comes_where_none_meets_the_targets() -> None:
    figures = {"usable": np.array([0.9, 0.5, 0.4]), "false_alarms": np.array([0.9, 0.2, 0.2])}
    figures = {name: values.reshape(3, 1, 1, 1) for name, values in figures.items()}
    found = choose(figures, Rule(parse_targets("false_alarms <= 0.1"), "usable"))
    assert (found.place, found.meeting, found.nearest) == (None, 0, (1, 0, 0, 0))
    two = choose(figures, Rule(parse_targets("false_alarms <= 0.1, usable >= 0.45"), "usable"))
    assert two.nearest == (1, 0, 0, 0)
    nothing = {name: np.full((3, 1, 1, 1), np.nan) for name in figures}
    assert choose(nothing, Rule(parse_targets("false_alarms <= 0.1"), "usable")).nearest is None


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.05:0.9:0.05", tuple(np.round(np.arange(1, 19) * 0.05, 6).tolist())),
        ("0.3", (0.3,)),
        ("[0.5, 0.25]", (0.25, 0.5)),
        ("0.1:0.2:0.05,0.9", (0.1, 0.15, 0.2, 0.9)),
    ],
)
def test_values_as_they_are_typed(text: str, values: tuple[float, ...]) -> None:
    assert parse_values("conf", text) == values


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("conf", "", "give values as a range"),
        ("conf", "0.1:0.9", "give values as a range"),
        ("conf", "a", "give values as a range"),
        ("conf", "1.5", "--conf 1.5: a number from 0 to 1"),
        ("conf", "0.9:0.1:0.1", "it ends before it begins"),
        ("conf", "0:1:0.0001", "10001 values; at most 200"),
        ("conf", "0.1:0.5:0", "--conf 0: a number above 0"),
        ("iou", "null", "give values as a range"),
        ("reprojection", "0", "--reprojection 0: a number above 0"),
    ],
)
def test_values_that_make_no_sense(option: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_values(option, text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["false_alarms", "false_alarms == 1", "false_alarms <= x", "1 <= false_alarms", "import os <= 1", "<= 1"]
)
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(ConfigError, match="write a figure, a comparison"):
        parse_targets(text)
    with pytest.raises(ConfigError, match="there is no such figure; known are usable"):
        parse_targets("falsealarms <= 1")


def test_the_rule_where_none_is_given() -> None:
    all_known = dict.fromkeys(FIGURES, "")
    assert str(choose_rule((), None, None, all_known, 100)) == "false_alarms <= 0.05, then the most usable"
    assert str(choose_rule((), None, None, {**all_known, "false_alarms": "no empty frames"}, 0)) == "the most usable"
    assert [choose_rule((), None, None, all_known, empty).targets[0].limit for empty in (1, 15, 20, 1000)] == [
        *(1, 1 / 15, 0.05, 0.05)
    ]
    detector = {**all_known, "usable": "no keypoints"}
    assert str(choose_rule((), None, None, detector, 100)) == "false_alarms <= 0.05, then the most f1"
    targets = parse_targets("recall >= 0.9")
    assert (
        str(choose_rule(targets, None, "false_alarms", all_known, 100)) == "recall >= 0.9, then the least false_alarms"
    )
    for options in (("position_m", None), (None, "usable")):
        with pytest.raises(ConfigError, match=r"imize (position_m|usable) takes the worst: --m"):
            choose_rule((), *options, all_known, 100)
    with pytest.raises(ConfigError, match="one figure decides"):
        choose_rule((), "usable", "position_m", all_known, 100)
    with pytest.raises(ConfigError, match="--target false_alarms: no empty frames"):
        choose_rule(parse_targets("false_alarms <= 1"), None, None, {**all_known, "false_alarms": "no empty frames"}, 0)
    with pytest.raises(ConfigError, match="nothing can be measured"):
        choose_rule((), None, None, dict.fromkeys(FIGURES, "no labels"), 0)


def test_a_place_in_the_grid_is_a_combination() -> None:
    grid = Grid((0.1, 0.2), (0.3,), (0.7, 0.5), (None, 4.0))
    assert str(grid.at((1, 0, 1, 1))) == "conf 0.2, keypoint_conf 0.3, iou 0.5, reprojection_px 4"
    assert str(grid.at((0, 0, 0, 0))) == "conf 0.1, keypoint_conf 0.3, iou 0.7"
