"""Help of Lightning's verbs: made without them, and equal to what their parsers know."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml
from helpers import REPO
from option_sweep import flatten

from aigp_lightning.cli.by_class import named_class
from aigp_lightning.cli.main import VERBS
from aigp_lightning.cli.option_docs import UNKNOWN, OptionDoc
from aigp_lightning.cli.option_names import GROUPS, MODELS, OWN, option_names
from aigp_lightning.cli.verb_help import _docs, example, verb_help
from aigp_lightning.cli.verb_texts import CLASSES, GROUP_CLASSES, IDLE, OF_OTHER_VERBS, OPTIONS_OF_TRAINING, TITLES

OPTION = re.compile(r"^  --([a-z_][\w.]*) ?(.*)$", re.MULTILINE)
NO_VALUE = {"help", "print_config"}
LIGHTNING = ("optimizer", "lr_scheduler")


def shown(verb: str, model: str = "DetectorModule") -> dict[str, str]:
    """Return the options that a help lists, with their examples."""
    return dict(OPTION.findall(verb_help(verb, model)))


@pytest.mark.parametrize("model", CLASSES)
def test_every_option_is_in_it_with_an_example(model: str) -> None:
    found = shown("fit", model)
    groups = {group for table in (GROUPS, MODELS[model]) for group in table}
    missing = option_names("fit", model) - set(found) - groups - set(LIGHTNING)
    assert missing == set()
    assert [name for name, value in found.items() if not value and name not in NO_VALUE] == []
    whole = verb_help("fit", model)
    for kind in set(CLASSES) - {model}:
        for name in option_names("fit", kind) - groups - set(MODELS[kind]):
            assert f"--{name}" in whole or name in LIGHTNING or name == "help", name


@pytest.mark.parametrize("verb", OWN)
def test_lines_have_eighty_columns_and_no_noise(verb: str) -> None:
    text = verb_help(verb)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert re.findall(r"class_path or name|Union\[|<class|NoneType|\(type:|CLASS_PATH|lightning\.pytorch", text) == []


def test_ours_come_first_and_the_trainers_last() -> None:
    text = verb_help("fit")
    places = [text.find(f"\n{title}:\n") for title in TITLES.values() if len(title) < 70 and title != TITLES["output"]]
    places = [place for place in places if place >= 0]
    assert places == sorted(places) and len(places) > 15


def documented(groups: Mapping[str, str], model: str) -> Iterator[tuple[str, OptionDoc]]:
    """Yield all options with what help knows of them."""
    for group, names in groups.items():
        for name in names.split():
            if not group and name in (*LIGHTNING, "help"):
                continue
            yield f"{group}.{name}".lstrip("."), _docs(group, model).get(name, OptionDoc())


@pytest.mark.parametrize(
    ("config", "model"), [("detector", "DetectorModule"), ("pose", "PoseModule"), ("rfdetr", "RFDETRModule")]
)
def test_defaults_are_those_of_the_parser(
    config: str, model: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_cli("fit", "--model", CLASSES[model], "--data.synthetic", "{}", "--print_config")
    real = dict(flatten(yaml.safe_load(capsys.readouterr().out)))
    wrong: list[Any] = []
    compared = 0
    for name, doc in documented({**GROUPS, **MODELS[model]}, model):
        if name in real and doc.default is not UNKNOWN and name not in ("trainer.logger", "data.data_yaml"):
            compared += 1
            known = list(doc.default) if isinstance(doc.default, tuple) else doc.default
            wrong += [(name, known, real[name])] if known != real[name] and not doc.options else []
    assert wrong == [] and compared > 120


def test_help_comes_without_torch_and_for_every_verb() -> None:
    code = (
        "import sys, time; start = time.process_time()\n"
        "from aigp_lightning.cli.main import main\n"
        f"for verb in {tuple(OWN)!r}: assert main([verb, '--help']) == 0\n"
        "assert main(['fit', '--config', 'configs/pose.yaml', '--help']) == 0\n"
        "assert main(['fit', '--model.help', 'RFDETRModule']) == main(['fit', '--model.help=PoseModule']) == 0\n"
        "assert main(['fit', '--model.help', 'PosModule']) == 2\n"
        "spent = time.process_time() - start\n"
        "heavy = sorted({'torch', 'lightning', 'numpy', 'jsonargparse'} & set(sys.modules))\n"
        "print(heavy, spent < 2.5, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPO)
    assert done.stderr.splitlines()[-1] == "[] True", done.stderr
    assert "classes here are DetectorModule, PoseModule, SegmentModule, RFDETRModule" in done.stderr
    assert done.stdout.count("usage: python -m aigp_lightning") == len(OWN) + 1
    assert done.stdout.count("  --model.camera.fx 610\n") == 2  # of pose.yaml, and of the class


def test_what_readme_promises_is_there(run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """Each option in a command is in that verb's help; one that stands alone is in that of some verb."""
    text = (REPO / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    helps: dict[str, str] = {}

    def help_of(*verb: str) -> str:
        if " ".join(verb) not in helps:
            try:
                run_cli(*verb, "--help")
            except SystemExit as stop:
                assert stop.code in (0, None)
            helps[" ".join(verb)] = capsys.readouterr().out
        return helps[" ".join(verb)]

    def has(help_text: str, option: str) -> bool:
        return re.search(rf"{re.escape(option)}(?![\w.])", help_text) is not None

    missing = []
    for line in re.findall(r"aigp_lightning ([^`\n]*)", text):
        words = line.partition("#")[0].split()
        verb = words[:2] if words[:1] == ["ppo"] else words[:1]
        if verb and verb[0] in VERBS:
            missing += [(line, word) for word in words if word.startswith("--") and not has(help_of(*verb), word)]
    lone = set(re.findall(r"`(--[a-z][\w.]+)", text))
    everything = "\n".join([*helps.values(), *map(help_of, OWN)])
    missing += [("README", word) for word in lone if not has(everything, word)]
    assert missing == []


def test_examples() -> None:
    assert example("data", "strict", OptionDoc(default=False, boolean=True)) == "true"
    assert example("media.routes", "curves", OptionDoc(default=None)) == "'[file]'"
    assert example("x", "y", OptionDoc()) == ""
    assert named_class(["--model", "PoseModule"]) == "PoseModule" and GROUP_CLASSES["run"].endswith("RunConfig")


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_verbs_that_do_not_train_list_what_they_use(verb: str) -> None:
    for model in CLASSES:
        listed = list(shown(verb, model))
        assert listed[: len(OF_OTHER_VERBS[verb])] == list(OF_OTHER_VERBS[verb])
        assert not set(listed) & OPTIONS_OF_TRAINING and len(listed) == len(set(listed))
        assert len(OPTION.findall(verb_help(verb, model))) == len(listed), "none is listed twice"
    idle = (
        {"--run.plots", "--run.json", "--model.conf"} if verb == "predict" else {"--data.source", "--data.vid_stride"}
    )
    assert not idle & {f"--{name}" for name in listed}
    every = set().union(*(option_names(verb, model) for model in CLASSES))
    assert OPTIONS_OF_TRAINING | IDLE[verb] <= every, "they are taken all the same"
