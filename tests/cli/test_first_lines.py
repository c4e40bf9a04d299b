"""Commands that lack something or have it in the wrong place are answered in a line, before anything heavy."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from helpers import REPO

from aigp_lightning.cli.main import VERBS, main

Cli = Callable[..., int]
Out = pytest.CaptureFixture[str]
TAKES_PAIRS = (
    "from-ultralytics yolo pose train model=yolo11n-pose.pt data=my/data.yaml epochs=3",
    "from-ultralytics yolo train model=yolo11n.yaml device=0 patience=0",
    "from-ultralytics args.yaml data=my/data.yaml epochs=50",
    "from-ultralytics args.yaml epochs=50 --out -",
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))


def error_of(line: str, capsys: Out) -> str:
    """Run a command that is refused, and return its one line."""
    assert main(line.split()) == 2
    told = capsys.readouterr().err
    assert re.fullmatch(r"error: [^\n]*\n", told), told
    return told[len("error: ") : -1]


@pytest.mark.parametrize("line", TAKES_PAIRS)
def test_from_ultralytics_takes_settings_as_its_page_says(line: str, capsys: Out) -> None:
    with open("args.yaml", "w", encoding="utf-8") as file:
        file.write("task: detect\nmode: train\nmodel: yolo11n.yaml\ndata: x.yaml\n")
    assert main(line.split()) in (0, 1)
    told = capsys.readouterr()
    assert "settings" in told.out + told.err


def test_the_page_s_own_commands_are_read(capsys: Out) -> None:
    page = (REPO / "docs" / "coming-from-ultralytics.md").read_text(encoding="utf-8")
    lines = re.findall(r"from-ultralytics (?:yolo|args\.yaml) [^`|#'\n]*=[^`|#'\n]*", page)
    assert lines
    for line in lines:
        main(line.split())
        assert "is written" not in capsys.readouterr().err, line


NEEDS = {
    "init": "FOLDER", "fetch": "NAME", "audit": "RUN", "lint": "DATA_YAML", "report": "RUN", "compare": "A, B",
    "promote": "RUN", "ship": "RUN", "from-ultralytics": "RECIPE",
}  # fmt: skip


@pytest.mark.parametrize("verb", sorted(NEEDS))
def test_a_missing_argument_is_told_in_a_line(verb: str, capsys: Out) -> None:
    assert verb in VERBS
    told = error_of(verb, capsys)
    assert re.match(rf"{verb} needs \S.*, as in `python -m aigp_lightning {verb} .*`\.$", told)
