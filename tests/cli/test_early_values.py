"""A value of the wrong type, or none at all, is told in one line before torch is imported; nothing right is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from helpers import REPO

from aigp_lightning.cli.early_values import check_values
from aigp_lightning.cli.option_names import OWN
from aigp_lightning.cli.parser_errors import shorten_error
from aigp_lightning.cli.verb_help import verb_help
from aigp_lightning.cli.verb_texts import CLASSES
from aigp_lightning.errors import ConfigError

WRONG = [
    (["--data.imgsz", "abc"], "--data.imgsz abc: a whole number, such as 640."),
    (["--data.imgsz=64.5"], "--data.imgsz 64.5: a whole number, such as 640."),
    (["--media.unchanged", "skp"], "--media.unchanged skp: send or skip."),
    (["--run.exist_ok", "maybe"], "--run.exist_ok maybe: true or false."),
    (["--model.init_args.optim.lr0", "much"], "--model.init_args.optim.lr0 much: a number, such as 0.01."),
    (["--trainer.max_epochs", "many"], "--trainer.max_epochs many: a whole number, such as 50."),
    (["--data.fraction"], "--data.fraction needs a value, as in --data.fraction 0.5."),
    (["--run.name", "--run.exist_ok", "true"], "--run.name needs a value, as in --run.name gates1."),
]


@pytest.mark.parametrize(("words", "told"), WRONG)
def test_a_wrong_value_is_told_in_one_line(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_values("fit", words)
    assert str(refused.value) == told


@pytest.mark.parametrize("words", [
    ["--data.imgsz", "640"], ["--data.imgsz", "6_40"], ["--model.optim.lr0", "1e-3"], ["--model.optim.lr0=.5"],
    ["--run.exist_ok", "True"], ["--extend", "--run.name", "a"], ["--run.hours", "null"],
    ["--media.unchanged", "skip"], ["--model", "mine.Net", "--model.conf", "high"], ["--print_config"],
    ["--run.name", "a", "b"], ["--data.source+", "a"],
])  # fmt: skip
def test_nothing_right_is_refused(words: list[str]) -> None:
    check_values("fit", words)


@pytest.mark.parametrize("verb", OWN)
@pytest.mark.parametrize("model", CLASSES)
def test_the_values_of_the_help_are_taken(verb: str, model: str) -> None:
    lines = [line.split(maxsplit=1) for line in verb_help(verb, model).splitlines() if line.startswith("  --")]
    for option, value in (line for line in lines if len(line) > 1):
        check_values(verb, ["--model", model, option, value.strip("'")])


@pytest.mark.parametrize(("words", "told"), [
    (["--format", "onnx", "--imgsz", "abc"], "error: --imgsz abc: a whole number, such as 640.\n"),
    (["--out"], "error: --out needs a value, as in --out exported/.\n"),
])  # fmt: skip
def test_export_tells_in_one_line_too(
    words: list[str], told: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("export", "runs/detect/gates", *words) == 2
    assert capsys.readouterr().err == told


def test_a_wrong_value_is_refused_before_torch_is_imported() -> None:
    program = "import sys; from aigp_lightning.cli.main import main; status = main(['fit', '--data.imgsz', 'abc']);"
    program += "print(status, [name for name in ('torch', 'lightning', 'jsonargparse') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPO, check=True)
    assert done.stdout == "2 []\n" and done.stderr == "error: --data.imgsz abc: a whole number, such as 640.\n"


def test_types_that_only_the_parser_knows_are_told_in_words() -> None:
    tried = "Does not validate against any of the Union subtypes\nSubtypes: [int, float]\nErrors:\n"
    tried = f"{tried}  - Expected a <class 'int'>. Got value: x\n  - Expected a <class 'float'>. Got value: x\n"
    assert shorten_error(f"Parser key \"data.fraction\":\n{tried}Given value type: <class 'str'>\nGiven value: x") == (
        "--data.fraction x: a whole number or a number"
    )
    literal = "Parser key \"media.unchanged\":\n  Expected a typing.Literal['send', 'skip']. Got value: skp"
    assert shorten_error(literal) == "--media.unchanged skp: send or skip."
