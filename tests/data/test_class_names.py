"""Classes of a model and of a data set, matched by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigp_lightning.data.class_follower import ClassFollower
from aigp_lightning.data.class_names import match_classes
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.errors import WeightsError


def order(model: list[str], data: list[str], rule: str = "name") -> tuple[list[str], list[int] | None]:
    found = match_classes(dict(enumerate(model)), dict(enumerate(data)), "best.pt", "data.yaml", rule)
    return list(found.names.values()), None if found.ids is None else found.ids.tolist()


def test_names_decide() -> None:
    assert order(["a", "b", "c"], ["a", "b", "c"]) == (["a", "b", "c"], None)
    assert order(["a", "b", "c"], ["c", "a", "b"]) == (["a", "b", "c"], [2, 0, 1])
    assert order(["tür", "tor"], ["tor", "tür"]) == (["tür", "tor"], [1, 0])  # composed, decomposed
    assert order(["crane", "crane"], ["crane", "crane"]) == (["crane", "crane"], None)  # an old model's
    assert order(["a", "b"], ["b", "c"], "number") == (["b", "c"], None)
    assert order(["a", "b"], ["b", "a"], "number") == (["b", "a"], None)


@pytest.mark.parametrize(
    ("model", "data", "rule", "remedy"),
    [
        (["gate"], ["Gate"], "name", "--data.match_classes number"),
        (["gate", "a"], ["gate", "a "], "name", "--data.match_classes number"),
        (["a", "a", "b"], ["a", "b", "a"], "name", "--data.match_classes number"),
        (["a", "b"], ["a"], "name", "`fit --model.weights FILE` adapt"),
        (["a", "b"], ["a"], "number", "--data.match_classes number needs as many"),
        (["item"], ["a", "b"], "name", "if the model takes all classes for one, add --data.single_cls true."),
    ],
)
def test_other_names_are_refused(model: list[str], data: list[str], rule: str, remedy: str) -> None:
    with pytest.raises(WeightsError, match=r"best\.pt and data\.yaml have other classes") as caught:
        order(model, data, rule)
    assert remedy in str(caught.value)


def test_the_table_is_short_and_shows_what_differs() -> None:
    """Of many classes those that differ come first; nothing in a name ends a line."""
    names = [f"class {number}" for number in range(80)]
    with pytest.raises(WeightsError) as caught:
        order(names, [*names[:70], "new\nline", *names[71:]])
    lines = str(caught.value).splitlines()
    assert lines[1:3] == ["id  model     data set", "70  class 70  new\\nline"]
    assert lines[-2] == "… and 60 more"
    assert len(lines) == 24


@pytest.mark.parametrize(
    ("single", "predicting", "remedy"),
    [
        (True, False, "Leave out --data.single_cls true, which makes all classes of the data set one; or take the data "
         "set that the model was trained for; or have `fit --model.weights FILE` adapt it."),
        (False, True, "Take the data set that the model was trained for; or leave out --data.data_yaml."),
        (False, False, "Take the data set that the model was trained for; or have `fit --model.weights FILE` adapt "
         "it."),
    ],
)  # fmt: skip
def test_the_remedy_is_one_sentence_about_the_option_that_is_wrong(
    single: bool, predicting: bool, remedy: str, tmp_path: Path
) -> None:
    file = tmp_path / "data.yaml"
    file.write_text("train: a\nval: b\nnames: [gate, disc, square]\n")
    data = YoloDataModule(str(file), single_cls=single)
    with pytest.raises(WeightsError) as caught:
        ClassFollower(data).follow({0: "gate", 1: "disc"}, "best.ckpt", predicting)
    assert str(caught.value).splitlines()[-1] == remedy
    option = " with --data.single_cls true" if single else ""
    assert str(caught.value).startswith(f"best.ckpt and {file}{option} have other classes:\n")
