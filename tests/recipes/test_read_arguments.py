"""Recipes are read from files, calls and commands, and what is wrong is told with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import YAML_OF_LAUGHS

from aigp_lightning.errors import ConfigError
from aigp_lightning.recipes.read_arguments import read_recipe
from aigp_lightning.recipes.recipe import Given, Recipe

CALL = "model.train(data='coco8.yaml', epochs=3, device=[0, 1], scale=(0.5, 2.0), resume=False)"


def plain(recipe: Recipe) -> dict[str, object]:
    return {name: given.value for name, given in recipe.values.items()}


def test_an_args_yaml_has_its_values_and_lines() -> None:
    recipe = read_recipe([str(Path(__file__).parent / "team-a" / "args.yaml")])
    assert len(recipe.values) == 110
    assert recipe.values["data"] == Given("data.yaml", 4)
    assert recipe.values["device"] == Given("0", 13)
    assert recipe.values["freeze"] == Given(None, 31)
    assert recipe.value("resume") == "runs\\pose\\runs\\gate-pose-5\\weights\\last.pt"
    assert recipe.place("lr0").endswith("args.yaml:74")


def test_the_folder_of_a_run_is_its_args_yaml() -> None:
    folder = Path(__file__).parent / "team-a"
    assert read_recipe([str(folder)]).source == str(folder / "args.yaml")


def test_numbers_that_yaml_takes_for_texts_and_words_for_nothing() -> None:
    Path("a.yaml").write_text("lr0: 1e-3\nname: '1e-3'\nfreeze: None\nclasses:\nmomentum: .9\n", encoding="utf-8")
    assert plain(read_recipe(["a.yaml"])) == {
        "lr0": 0.001, "name": "1e-3", "freeze": None, "classes": None, "momentum": 0.9,
    }  # fmt: skip


def test_settings_that_are_merged_count_below_the_files_own() -> None:
    Path("a.yaml").write_text("base: &b {epochs: 3, batch: 8}\n<<: *b\nbatch: 4\n", encoding="utf-8")
    assert plain(read_recipe(["a.yaml"])) == {"base": {"epochs": 3, "batch": 8}, "batch": 4, "epochs": 3}


def test_words_behind_a_file_take_the_place_of_its_own() -> None:
    Path("a.yaml").write_text("epochs: 3\nbatch: 8\n", encoding="utf-8")
    recipe = read_recipe(["a.yaml", "epochs=50", "--data=x.yaml", "task=pose"])
    assert plain(recipe) == {"epochs": 50, "batch": 8, "data": "x.yaml", "task": "pose"}


@pytest.mark.parametrize("text", [CALL, f"results = {CALL}", f"m = 1\n{CALL}"])
def test_a_call_is_read(text: str) -> None:
    assert plain(read_recipe([text])) == {
        "data": "coco8.yaml", "epochs": 3, "device": [0, 1], "scale": (0.5, 2.0), "resume": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        *("YOLO('a.pt').train(data='b.yaml', epochs=3)", "m = YOLO(model='a.pt'); m.train(data='b.yaml', epochs=3)"),
        *("dict(model='a.pt', data='b.yaml', epochs=3)", "{'model': 'a.pt', 'data': 'b.yaml', 'epochs': 3}"),
        *("model=a.pt data=b.yaml epochs=3", "yolo model='a.pt' data='b.yaml' epochs=3"),
        "settings = dict(data='b.yaml', epochs=3)\nYOLO('a.pt').train(**settings)",
    ],
)
def test_forms_of_the_same(text: str) -> None:
    assert plain(read_recipe([text])) == {"model": "a.pt", "data": "b.yaml", "epochs": 3}


def test_a_command_is_read_in_one_word_or_in_many() -> None:
    words = ["yolo", "pose", "train", "epochs=3", "device=0,1", "amp=False", "cache=none", "data=a b.yaml"]
    wanted = {"task": "pose", "mode": "train", "epochs": 3, "device": (0, 1), "amp": False, "cache": None}
    assert plain(read_recipe(words)) == {**wanted, "data": "a b.yaml"}
    assert plain(read_recipe(["yolo pose train epochs=3 device=0,1 amp=False cache=none data='a b.yaml'"])) == {
        **wanted, "data": "a b.yaml",
    }  # fmt: skip


PROGRAM = """
import os, torch, wandb
from ultralytics import YOLO

EPOCHS = 3
OPTIONS = {"imgsz": 320}
raise SystemExit("it must not run")
net = torch.nn.Linear(1, 1)
net.train()
net.train(True)
model = YOLO("a.pt")
model.train(
    data=os.path.join("data", "my.yaml"),
    epochs=EPOCHS,
    **OPTIONS,
)
"""


def test_a_program_is_read_and_not_run() -> None:
    Path("t.py").write_text(PROGRAM, encoding="utf-8")
    recipe = read_recipe(["t.py", "batch=4"])
    assert recipe.values == {
        "model": Given("a.pt", 11), "data": Given("os.path.join('data', 'my.yaml')", 13, unread=True),
        "epochs": Given(3, 14), "imgsz": Given(320, 6), "batch": Given(4),
    }  # fmt: skip
    assert recipe.wandb
    assert recipe.value("data") is None


def test_weights_that_a_program_loads_into_a_network() -> None:
    text = "m = YOLO('yolo11n.yaml').load('mine.pt')\nm.train(data='a.yaml')"
    wanted = {"model": "yolo11n.yaml", "pretrained": "mine.pt", "data": "a.yaml"}
    assert plain(read_recipe([text])) == wanted
    assert plain(read_recipe(["YOLO('yolo11n.yaml').load('mine.pt').train(data='a.yaml')"])) == wanted


def test_a_name_that_is_given_two_values_is_not_guessed_at() -> None:
    Path("t.py").write_text("n = 1\nn = 2\nm.train(epochs=n, data='a')\n", encoding="utf-8")
    assert read_recipe(["t.py"]).values["epochs"] == Given("n", 3, unread=True)


COMPUTED = [
    "epochs = 3\ndef main(epochs):\n    m.train(data='a', epochs=epochs)",
    "epochs = 3\ndef main():\n    global epochs\n    m.train(data='a', epochs=epochs)",
    "from config import epochs\nclass C:\n    epochs = 7\nm.train(data='a', epochs=epochs)",
    "epochs = 3\nfrom config import *\nm.train(data='a', epochs=epochs)",
    "epochs, batch = 3, 4\nm.train(data='a', epochs=epochs)",
    "epochs = 3\nepochs += 1\nm.train(data='a', epochs=epochs)",
    "for epochs in (3, 4):\n    m.train(data='a', epochs=epochs)",
    "with go() as epochs:\n    m.train(data='a', epochs=epochs)",
    "epochs = 3\nif (epochs := 4):\n    m.train(data='a', epochs=epochs)",
    "epochs = [3]\nepochs.append(1)\nm.train(data='a', epochs=epochs)",
    "epochs = [3]\nother = epochs\nother.append(1)\nm.train(data='a', epochs=epochs)",
    "epochs = [3]\nepochs[0] = 4\nm.train(data='a', epochs=epochs)",
    "epochs = [3]\nchange(epochs)\nm.train(data='a', epochs=epochs)",
    "def f():\n    epochs = 3\nm.train(data='a', epochs=epochs)",
]


@pytest.mark.parametrize("text", COMPUTED)
def test_a_name_whose_value_a_run_alone_would_tell_is_not_guessed_at(text: str) -> None:
    Path("t.py").write_text(text, encoding="utf-8")
    given = read_recipe(["t.py"]).values["epochs"]
    assert (given.value, given.unread) == ("epochs", True)


@pytest.mark.parametrize(
    "text",
    [
        "epochs = 3\ndef main():\n    m.train(data='a', epochs=epochs)",
        "def main(m):\n    epochs = 3\n    m.train(data='a', epochs=epochs)\ndef other(epochs): pass",
        "epochs: int = 3\nprint(epochs)\nm.train(None, data='a', epochs=epochs)",
        "s = dict(data='a', epochs=3)\nprint(s, s['data'])\nm.train(**s)",
        "[epochs for epochs in go()]\nepochs = 3\nm.train(data='a', epochs=epochs)",
    ],
)
def test_a_name_that_is_bound_once_is_read(text: str) -> None:
    Path("t.py").write_text(text, encoding="utf-8")
    recipe = read_recipe(["t.py"])
    assert (recipe.value("epochs"), "trainer" in recipe.values) == (3, False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("s = dict(epochs=3)\ns['epochs'] = 100\nm.train(**s)", r"t.py:3: \*\*s: what is in there"),
        ("s = dict(epochs=3)\ns.update(imgsz=320)\nm.train(**s)", r"t.py:3: \*\*s: what is in there"),
        ("s = {'epochs': 3}\ns |= {'imgsz': 320}\nm.train(**s)", r"t.py:3: \*\*s: what is in there"),
        ("m.train(**dict(base, epochs=3))", r"t.py:1: \*\*dict\(base, epochs=3\): what is in there"),
        ("s = {'epochs': 3}\nm.train(**s, epochs=4)", "t.py:2: epochs is given twice in one call"),
        ("m.train(*a, epochs=4)", r"t.py:1: \*a: what is in there"),
    ],
)
def test_keywords_that_a_run_alone_would_tell_are_refused(text: str, told: str) -> None:
    Path("t.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        read_recipe(["t.py"])


def test_a_network_that_a_run_alone_would_tell_is_named() -> None:
    Path("t.py").write_text("m = YOLO('a.pt')\nm = YOLO('b.pt')\nm.train(data='a')", encoding="utf-8")
    assert read_recipe(["t.py"]).values["model"] == Given("m", 3, unread=True)
    Path("t.py").write_text("m = YOLO('a.yaml')\nm.load('b.pt')\nm.train(mine, data='a')", encoding="utf-8")
    values = read_recipe(["t.py"]).values
    assert (values["model"].value, values["pretrained"]) == ("a.yaml", Given("b.pt", 2))
    assert values["trainer"] == Given("mine", 3, unread=True)


def test_cfg_names_a_file_whose_settings_count_below() -> None:
    Path("c.yaml").write_text("epochs: 7\nbatch: 4\n", encoding="utf-8")
    assert plain(read_recipe(["train", "cfg=c.yaml", "epochs=3"])) == {
        "epochs": 3, "batch": 4, "mode": "train", "cfg": "c.yaml",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.yaml", "epochs: 3\nepochs: 4\n", "a.yaml:2: epochs stands on line 1 too"),
        ("a.yaml", "epochs: [3\n", "a.yaml:2: it is no YAML"),
        ("a.yaml", "- 3\n", "a.yaml: settings by their names are wanted"),
        ("a.yaml", "epochs: 3\nname: !!python/object:os.system x\n", "a.yaml:2: could not determine a constructor"),
        ("t.py", "model.train(epochs=\n", "t.py:1: it is no Python"),
        ("t.py", "x = 1\n", "t.py: there is no call of `train`"),
        ("t.py", "a.train(data='a')\na.train(data='b')\n", "t.py: 2 trainings, on lines 1, 2"),
        ("t.py", "a.train(data='a', **load())\n", r"t.py:1: \*\*load\(\): what is in there is known only when"),
        ("t.txt", "epochs: 3\n", "t.txt is none of these: a recipe is an args.yaml"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(name: str, text: str, told: str) -> None:
    Path(name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told) as error:
        read_recipe([name])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere.yaml"], "nowhere.yaml: there is no such file"),
        (["foo", "bar"], "foo is no `name=value`"),
        (["model.train(data="], "the call:1: it is no Python"),
        (["yolo"], "no settings are given"),
    ],
)
def test_words_that_are_no_recipe(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_recipe(words)


@pytest.mark.parametrize("call", [True, False])
def test_what_is_nested_too_deeply_has_a_reason(call: bool) -> None:
    text = f"model.train(epochs={'-' * 100_000}1)"
    Path("t.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^(the call|t\.py): it is no Python: \w.+\.$"):
        read_recipe([text if call else "t.py"])


def test_bytes_that_are_no_text() -> None:
    Path("a.yaml").write_bytes(b"epochs: 3\nname: \xff\n")
    with pytest.raises(ConfigError, match=r"a\.yaml:2: it is not UTF-8"):
        read_recipe(["a.yaml"])


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (YAML_OF_LAUGHS + "classes: *l8\n", 4, "repeat more than 10,000 values"),
        ("epochs: 3\nclasses: &a [*a]\n", 2, "a value holds itself"),
        ("epochs: 3\n<<: &a {b: *a}\n", 2, "a value holds itself"),
        (f"task: pose\nepochs: {'9' * 400}\n", 2, "beyond 64 bits"),
        ("epochs: -9223372036854775809\n", 1, "beyond 64 bits"),
        *[(f"{name}: 0x{'f' * 4000}\n", 1, "beyond 64 bits") for name in ("model", "data", "task")],
        (f"model: [1, {'1:' * 300}1]\n", 1, "beyond 64 bits"),
        (f"epochs: 3\nlr0: {'1:' * 300}1.5\n", 2, "a number beyond 64 bits"),
        ("epochs: !!int ''\n", 1, "no whole number"),
        ("epochs: !!bool maybe\n", 1, "cannot be read"),
    ],
)
def test_a_yaml_that_is_more_than_it_looks_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    """Nested aliases that would fill the memory, a value that holds itself, numbers that no option takes."""
    Path("a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"\Aa\.yaml:{line}: .*{problem}.*\Z"):
        read_recipe(["a.yaml"])


def test_aliases_that_repeat_little_are_read() -> None:
    Path("a.yaml").write_text("scale: &a [0.5, 2]\nbgr: *a\nseed: 9223372036854775807\n", encoding="utf-8")
    assert plain(read_recipe(["a.yaml"])) == {"scale": [0.5, 2], "bgr": [0.5, 2], "seed": 2**63 - 1}


@pytest.mark.parametrize(
    "words",
    [["train", f"epochs={'9' * 400}"], [f"model.train(data='a.yaml', device=[0, {'9' * 400}])"],
     [f"yolo train model=0x{'f' * 4000}"]],
)  # fmt: skip
def test_a_number_of_a_call_or_a_command_has_64_bits(words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"(epochs|device|model) is a whole number beyond 64 bits"):
        read_recipe(words)
