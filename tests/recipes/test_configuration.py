"""The configuration that is written: the task's own with its comments, the recipe's values, and what is left to do."""

from __future__ import annotations

import pytest
import yaml

from aigp_lightning.errors import ConfigError
from aigp_lightning.recipes.base_config import base_text
from aigp_lightning.recipes.write_config import values_of, with_values

TEXT = """\
# first
a: 1  # one
group:
  b: [1, 2]   # a list
  extra: []   # yours:
  # extra:
  #   - x
  block:      # gone
    c: 1
    d: 2      # two
flow: {e: 1, f: text}  # in braces
none: {}
model:
  class_path: old.Class
  init_args:
    g: null
last: x
"""


def test_values_take_the_place_of_others_and_comments_stay() -> None:
    options = {"a": 2, "group.b": [3], "flow.e": 5, "model": "new.Class", "model.g": "C:\\x", "last": None}
    text = with_values(TEXT, options, {"model.g": "to replace"})
    assert yaml.safe_load(text) == {
        "a": 2, "group": {"b": [3], "extra": [], "block": {"c": 1, "d": 2}}, "flow": {"e": 5, "f": "text"},
        "none": {}, "model": {"class_path": "new.Class", "init_args": {"g": "C:\\x"}}, "last": None,
    }  # fmt: skip
    assert "a: 2  # one\n" in text
    assert "b: [3]   # a list\n" in text
    assert "flow: {e: 5, f: text}  # in braces\n" in text
    assert "    g: C:\\x  # to replace\n" in text


def test_new_options_stand_in_their_groups() -> None:
    text = with_values(
        TEXT, {"group.new": 1, "flow.new": 2, "none.new": 3, "model.new": 4, "deep.er.new": 5, "model.h.i": 6, "z": 7}
    )
    assert yaml.safe_load(text) == {
        "a": 1, "group": {"b": [1, 2], "extra": [], "block": {"c": 1, "d": 2}, "new": 1},
        "flow": {"e": 1, "f": "text", "new": 2}, "none": {"new": 3},
        "model": {"class_path": "old.Class", "init_args": {"g": None, "new": 4, "h": {"i": 6}}}, "last": "x",
        "deep": {"er": {"new": 5}}, "z": 7,
    }  # fmt: skip


def test_new_options_of_a_group_and_of_one_within_it_stand_in_either_order() -> None:
    """Both are added at one place of the text where the inner group is the outer one's last."""
    text = "m:\n  a: 1\n  inner:\n    b: 2\nlast: 0\n"
    wanted = {"m": {"a": 1, "c": 3, "inner": {"b": 2, "d": 4}}, "last": 0, "x": {"e": 5, "y": {"f": 6}}}
    options = {"m.c": 3, "m.inner.d": 4, "x.e": 5, "x.y.f": 6}
    for names in (list(options), [*options][::-1]):
        assert yaml.safe_load(with_values(text, {name: options[name] for name in names})) == wanted
    assert yaml.safe_load(with_values("m:\n  a:\n", {"m.a.b": 1})) == {"m": {"a": {"b": 1}}}


def test_what_is_no_yaml_of_the_values_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigp_lightning.recipes.write_config.dumped", lambda value: "[")
    with pytest.raises(ConfigError, match="does not say what it should"):
        with_values(TEXT, {"a": 2})


def test_a_block_is_replaced_or_removed_as_a_whole() -> None:
    replaced = with_values(TEXT, {"group.block": None}, {"group.block": "why"})
    assert "  block: null  # why\nflow" in replaced
    removed = with_values(TEXT, {}, remove=("group.block", "not.there"))
    assert "gone" not in removed
    assert "two" not in removed
    assert yaml.safe_load(removed)["group"] == {"b": [1, 2], "extra": []}


def test_every_value_of_the_tasks_configurations_can_be_replaced() -> None:
    """Each alone by itself: what was read is what is written, and all else stays."""
    for task in ("detect", "pose"):
        text = base_text(task)
        before = yaml.safe_load(text)
        options = {"trainer.max_epochs": 7, "data.augment.mosaic": 0.25, "early_stopping.patience": 3, "run.name": "x"}
        options |= {"model.gains.box": 1.5, "model.optim.lr0": 1e-05, "model.weights": "a.pt", "data.seed": 9}
        assert values_of(text, options).keys() == options.keys()
        after = with_values(text, options)
        assert values_of(after, options) == options
        assert with_values(after, values_of(text, options)) == with_values(text, values_of(text, options))
        assert yaml.safe_load(with_values(text, values_of(text, options))) == before
        assert after.count("#") == text.count("#")
