"""Options below `by_class` count for models of that class alone, and what is wrong with them is told with its line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from families.toy import ToyModule
from helpers import REPO
from option_sweep import call

from aigp_lightning.cli.by_class import ByClass, named_class
from aigp_lightning.cli.from_checkpoint import carried_options
from aigp_lightning.cli.option_names import MODELS, check_option_names
from aigp_lightning.errors import ConfigError

POSE, TOY = "aigp_lightning.modules.pose.PoseModule", "families.toy.ToyModule"
OF_THREE = """\
ema: {tau: 1.0, decay: 0.5}
by_class:
  DetectorModule: &both
    ema: {tau: 2.0}
    model: {init_args: {optim: {lr0: 0.2}}}
  PoseModule: *both
  ToyModule:
    ema: {tau: 3.0}
    model: {init_args: {width: 4}}
"""
OF_QUICK = {"name": "AdamW", "lr0": 0.004, "momentum": 0.9, "warmup_bias_lr": 0.0, "nbs": 16, "warmup_epochs": 1.0}
"""The optimizer's options in `configs/quick.yaml` before it had options by class."""


def resolved(*words: object, verb: str = "fit") -> dict[str, Any]:
    """Return the options as the parser understands a command."""
    done = call([verb, *words, "--print_config"])
    assert done.status in (0, None) and not done.error, done.text
    options: dict[str, Any] = yaml.safe_load(done.text)
    return options


def written(text: str, name: str = "mine.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize("task", ["detector", "pose", "obstacle"])
def test_the_quick_overlay_means_what_it_meant(task: str) -> None:
    """One file for all families; of YOLO's two tasks it says the optimizer once, with an alias."""
    base, quick = ("--config", REPO / f"configs/{task}.yaml"), REPO / "configs/quick.yaml"
    before = yaml.safe_load(quick.read_text(encoding="utf-8"))
    del before["by_class"]
    before["model"] = {"init_args": {"weights": None, "optim": OF_QUICK}}
    now, then = (resolved(*base, "--config", file) for file in (quick, written(yaml.safe_dump(before))))
    assert now == then and now["model"]["init_args"]["weights"] is None
    assert {name: now["model"]["init_args"]["optim"][name] for name in OF_QUICK} == OF_QUICK


def test_options_are_those_of_the_class_that_is_named_last() -> None:
    file = written(OF_THREE)
    pose = written(f"model:\n  class_path: {POSE}\n", "pose.yaml")
    default, alias, toy, last = (
        resolved("--config", file),
        resolved("--config", file, "--config", pose),  # named after it
        resolved("--config", pose, "--config", file, "--model.class_path", TOY),
        resolved(f"--model={TOY}", "--config", pose, "--config", file, "--model.optim.lr0", 0.3),
    )
    assert [each["ema"] for each in (default, alias, toy)] == [
        {"tau": 2.0, "decay": 0.5}, {"tau": 2.0, "decay": 0.5}, {"tau": 3.0, "decay": 0.5},
    ]  # fmt: skip
    assert (default["model"]["class_path"], default["model"]["init_args"]["optim"]["lr0"]) == (
        "aigp_lightning.modules.detector.DetectorModule",
        0.2,
    )
    assert (alias["model"]["class_path"], alias["model"]["init_args"]["optim"]["lr0"]) == (POSE, 0.2)
    assert toy["model"] == {"class_path": TOY, "init_args": {"width": 4}}
    assert (last["model"]["class_path"], last["model"]["init_args"]["optim"]["lr0"]) == (POSE, 0.3)
    assert not any("by_class" in each for each in (default, alias, toy, last))


def test_plan_takes_them_and_a_text_on_the_command_line_may_have_them() -> None:
    assert resolved("--config", written(OF_THREE), verb="plan")["ema"]["tau"] == 2.0
    text = "{ema: {decay: 0.25}, by_class: {DetectorModule: {ema: {decay: 0.75}}}}"
    assert resolved("--config", text)["ema"]["decay"] == 0.75


def test_on_stdin_too_unless_it_is_there_that_the_class_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read once, by the parser: then the class is known too late."""
    monkeypatch.setattr("sys.stdin", io.StringIO(OF_THREE))
    assert resolved("--config", "-", "--model", TOY)["model"]["init_args"] == {"width": 4}
    monkeypatch.setattr("sys.stdin", io.StringIO(f"model: {{class_path: {TOY}}}"))
    refused = call(["fit", "--config", "-", "--config", written("by_class: {DetectorModule: {ema: {tau: 2.0}}}")])
    assert refused.status == 2
    assert refused.text == (
        "error: by_class: the options for DetectorModule were taken, and the model is of class ToyModule. Name the "
        f"class on the command line: --model {TOY}\n"
    )


def test_validation_goes_by_the_class_of_the_checkpoint() -> None:
    """And the checkpoint may be named below `by_class`, where a class is named."""
    metadata = {"names": {0: "gate"}, "task": "pose", "family": "yolo", "network": {}}
    torch.save({"aigp": metadata, "state_dict": {}}, "pose.ckpt")
    file = written("by_class: {DetectorModule: {run: {name: a}}, PoseModule: {run: {name: b}}}")
    words = ("--ckpt_path", "pose.ckpt", "--config", file)
    names = [resolved(*words, *more, verb="validate")["run"]["name"] for more in ((), ("--model", "DetectorModule"))]
    assert names == ["b", "a"]
    text = f"model: {{class_path: {POSE}}}\nby_class: {{PoseModule: {{ckpt_path: pose.ckpt}}}}\n"
    carried = carried_options("validate", ["--config", written(text)])
    assert carried is not None and carried.task == "pose"


WRONG = {
    "a list": ("by_class: [PoseModule]\n", ":1: by_class: options by the short name of a class are wanted, such as"),
    "nothing": ("ema: {tau: 1}\nby_class:\n", ":2: by_class: options by the short name of a class are wanted"),
    "no options": ("by_class:\n  PoseModule: 5\n", ":2: by_class.PoseModule: options by their names are wanted"),
    "a long name": (
        f"by_class:\n  {POSE}: {{}}\n",
        ":2: by_class has classes by their short names, such as PoseModule.",
    ),
    "a misspelt option": (
        "by_class:\n  DetectorModule:\n    model: {init_args: {optim: {lrff: 1}}}\n",
        ":3: fit has no option model.optim.lrff. Did you mean model.optim.lrf?",
    ),
    "one of another class": (  # it is not the model's, and looked at all the same
        "by_class:\n  PoseModule:\n    dat: {imgsz: 64}\n",
        ":3: fit has no option dat. Did you mean data?",
    ),
    "one of a class that nobody knows": (
        "by_class:\n  MyModule:\n    model: {width: 4}\n    data: {imgsiz: 64}\n",
        ":4: fit has no option data.imgsiz. Did you mean data.imgsz?",
    ),
    "by an alias": (
        "by_class:\n  MyModule: &a\n    model: {width: 4}\n  PoseModule: *a\n",
        ":3: fit has no option model.width.",
    ),
    "a group without options": ("by_class:\n  PoseModule:\n    media:\n", ":3: media is a group: nothing is given"),
    "a class twice": ("by_class:\n  A: {}\n  A: {}\n", ":3: A stands on line 2 too; keep one of the two."),
    "an option twice": ("by_class:\n  A:\n    x: 1\n    x: 1\n", ":4: x stands on line 3 too; keep one of the two."),
    "a loop": ("by_class: &a\n  PoseModule: *a\n", ":1: it is no YAML: a value holds itself, by an alias (`*`)."),
    "a class of a class": (
        f"by_class:\n  PoseModule:\n    model:\n      class_path: {POSE}\n",
        ":4: by_class.PoseModule is for models of that class, so it cannot choose one.",
    ),
    "a class by its name": (
        f"by_class:\n  PoseModule:\n    model: {POSE}\n",
        ":3: by_class.PoseModule is for models of that class, so it cannot choose one.",
    ),
    "a class in one word": (
        f"by_class:\n  PoseModule:\n    model.class_path: {POSE}\n",
        ":3: by_class.PoseModule is for models of that class, so it cannot choose one.",
    ),
    "by class again": (
        "by_class:\n  PoseModule:\n    by_class: {}\n",
        ":3: by_class.PoseModule cannot have options by class again.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_line(name: str) -> None:
    text, told = WRONG[name]
    with pytest.raises(ConfigError) as refused:
        check_option_names("fit", ["--config", written(text)])
    said = str(refused.value)
    assert said.startswith("--config mine.yaml") and told in said and "\n" not in said


def test_nothing_right_is_refused() -> None:
    for text in (
        OF_THREE,
        "by_class: {}\n",
        "by_class: {MyModule: {model: {init_args: {width: 4}}}, PoseModule: {model: {camera: null}}}\n",
        "x: &x {ema: {tau: 1}}\n".replace("x: &x", "by_class: {PoseModule: &x").rstrip()
        + ", DetectorModule: {<<: *x}}\n",
    ):
        check_option_names("validate", ["--config", written(text)])


def test_wrong_text_on_the_command_line_is_one_line_too() -> None:
    refused = call(["fit", "--config", "{by_class: 5}"])
    assert refused.status == 2
    assert refused.text.startswith("error: --config text:1: by_class: options by the short name of a class are wanted")


def test_it_is_no_option_of_the_command_line_and_none_of_the_policy() -> None:
    assert "fit has no option --by_class." in call(["fit", "--by_class", "{}"]).text
    config = written("by_class: {PoseModule: {env: {laps: 1}}}\n")
    refused = call(["ppo", "fit", "--config", config, "--print_config"])
    assert refused.status == 2 and "by_class" in refused.text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], None),
        (["--model.iou", "0.5", "--config", "nowhere.yaml"], None),
        (["--model", "a.One", "--model.class_path=b.Two"], "b.Two"),
        (["--model", "a.One", "--model", "null"], "a.One"),
        (["--model", "{class_path: a.One, init_args: {x: 1}}"], "a.One"),
        (["--model", "model.yaml"], "m.Own"),
        (["--config", "one_word.yaml", "--config={model: a.One}"], "a.One"),
        (["--model", "a.One", "-c", "one_word.yaml"], "w.Word"),
        (["--config", "{model: &a {class_path: *a}}"], None),
        (["--config", "broken.yaml", "--config", "list.yaml"], None),
    ],
)
def test_the_class_is_the_one_named_last(words: list[str], found: str | None) -> None:
    written("class_path: m.Own\n", "model.yaml")
    written("model.class_path: w.Word\n", "one_word.yaml")
    written("model: [\n", "broken.yaml")
    written("- model\n", "list.yaml")
    assert named_class(words) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # mappings key by key, other values as a whole, null too
        ("a: {b: {c: 1, d: 2}, l: [1, 2]}\nby_class: {M: {a: {b: {d: 3}, l: [4]}, n: null}}",
         {"a": {"b": {"c": 1, "d": 3}, "l": [4]}, "n": None}),
        # another class of a logger brings its own arguments, the same class adds to them
        ("a: {class_path: x.Y, init_args: {k: 1}}\nby_class: {M: {a: {class_path: x.Z, init_args: {j: 1}}}}",
         {"a": {"class_path": "x.Z", "init_args": {"j": 1}}}),
        ("a: {class_path: x.Y, init_args: {k: 1}}\nby_class: {M: {a: {init_args: {j: 1}}}}",
         {"a": {"class_path": "x.Y", "init_args": {"k": 1, "j": 1}}}),
        # the model's arguments in the short form and in the long one
        ("model: {class_path: x.M, iou: 0.5}\nby_class: {M: {model: {init_args: {conf: 0.1}}}}",
         {"model": {"class_path": "x.M", "init_args": {"iou": 0.5, "conf": 0.1}}}),
        # options of another class, which the file named, go with it
        ("model: {class_path: x.N, init_args: {iou: 0.5}}\nby_class: {M: {model: {conf: 0.1}}}",
         {"model": {"class_path": "x.M", "init_args": {"conf": 0.1}}}),
        # what an alias shares is changed where it is overlaid alone
        ("a: &a {k: 1}\nb: *a\nby_class: {M: {a: {k: 2}}}", {"a": {"k": 2}, "b": {"k": 1}}),
        ("a: {k: 1}\nby_class:\n  N: &n {a: {k: 2}, c: 1}\n  M: {<<: *n, c: 3}", {"a": {"k": 2}, "c": 3}),
        # quoted words stay words
        ('a: "1e3"\nb: 1e-3\nc: "null"\nd: ü\nby_class: {M: {e: "01"}}',
         {"a": "1e3", "b": "1e-3", "c": "null", "d": "ü", "e": "01"}),
        ("a: 1\nby_class: {N: {a: 2}}", {"a": 1}),
    ],
)  # fmt: skip
def test_a_part_is_merged_over_the_rest(text: str, expected: dict[str, Any]) -> None:
    assert yaml.safe_load(ByClass("x.M").merged(text)) == expected


def test_what_has_no_part_is_left_as_it_is() -> None:
    for text in ("a: {b: 1}  # by_class\n", "by_class: [\n", "by_class", ""):
        assert ByClass("M").merged(text) == text


def test_a_stand_in_has_no_options_of_ours() -> None:
    """A family that this package does not know trains with the overlay of all."""
    options = resolved("--config", REPO / "configs/quick.yaml", "--model", TOY)
    assert (options["model"]["init_args"], options["data"]["imgsz"]) == ({"width": ToyModule().width}, 160)


def test_a_class_that_a_later_file_replaces_gives_its_options(tmp_path: Path) -> None:
    """A detector's file counts for the pose model that is named after it; the other way round it is refused."""
    below = tmp_path / "below.yaml"
    below.write_text(
        "model: {class_path: aigp_lightning.modules.detector.DetectorModule, init_args: {variant: yolo11s}}\n",
        encoding="utf-8",
    )
    part = ByClass(POSE)
    assert part.renamed(below.read_text(encoding="utf-8"), "below.yaml", MODELS) == (
        f"model: {{class_path: {POSE}, init_args: {{variant: yolo11s}}}}\n"
    )
    same = f"model: {{class_path: {POSE}}}  # a comment\n"
    assert part.renamed(same, "same.yaml", MODELS) == same
    words = ["--config", str(REPO / "configs/pose.yaml"), "--config", str(REPO / "configs/detector.yaml")]
    with pytest.raises(ConfigError, match=r"pose\.yaml:\d+: model\.\S+ is an option of PoseModule, and"):
        check_option_names("fit", words)


@pytest.mark.parametrize("words", [["--model.help", "RFDETRModule"], ["--model.help=RFDETRModule"]])
def test_the_options_of_a_class_are_shown_by_its_short_name(words: list[str]) -> None:
    shown = call(["fit", *words])
    assert shown.status == 0
    assert "groups of queries" in shown.text


def test_a_misspelt_class_is_refused_and_one_of_the_user_s_own_is_not(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("by_class: {RFDETRModul: {data: {imgsz: 64}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"by_class\.RFDETRModul: there is no such class. Did you mean RFDETRM"):
        check_option_names("fit", ["--config", str(file)])
    file.write_text("by_class: {MyModule: {data: {imgsz: 64}}}\n", encoding="utf-8")
    check_option_names("fit", ["--config", str(file)])
