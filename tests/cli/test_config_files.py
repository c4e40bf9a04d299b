"""What is wrong with a configuration file is told with its line, before anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPO

from aigp_lightning.cli.option_names import check_option_names
from aigp_lightning.errors import ConfigError

WRONG = {
    "broken": (b"data:\n  imgsz: 64\n bad: [1, 2\n", ":3: it is no YAML: "),
    "tab": (b"data:\n\timgsz: 64\n", ":2: it is no YAML: found character"),
    "zero byte": (b"run:\n  name: \0\n", ":2: it is no YAML: special characters are not allowed."),
    "latin-1": ("# ok\nrun: {name: tür}\n".encode("latin-1"), ":2: it is not UTF-8 text; save it as UTF-8."),
    "UTF-16": ("data: {imgsz: 64}\n".encode("utf-16"), ":1: it is not UTF-8 text"),
    "a group twice": (b"data:\n  imgsz: 64\ndata: {seed: 1}\n", ":3: data stands on line 1 too; keep one of the two."),
    "an option twice": (b"data:\n  imgsz: 64\n  imgsz: 96\n", ":3: imgsz stands on line 2 too; keep one of the two."),
    "a list": (b"# mine\n- 1\n- 2\n", ":2: options by their names are wanted"),
    "a word": (b"hello\n", ":1: options by their names are wanted"),
    "two documents": (b"data: {}\n---\nrun: {}\n", ":2: it is no YAML: but found another document."),
    "code": (b"data: !!python/object:os.system {}\n", ":1: python/object:os.system is no kind of value for an option."),
    "an unknown anchor": (b"run:\n  name: *c\n", ":2: it is no YAML: found undefined alias 'c'."),
    "a misspelt option": (
        b"data:\n  imgsiz: 64\n",
        ":2: fit has no option data.imgsiz. Did you mean data.imgsz? `python -m aigp_lightning fit --help` lists them.",
    ),
    "a misspelt group": (b"dat: {imgsz: 64}\n", ":1: fit has no option dat. Did you mean data?"),
    "below the model": (
        b"model:\n  init_args:\n    optim:\n      lrff: 3\n",
        ":4: fit has no option model.optim.lrff",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_line_with_its_line(
    name: str, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    content, told = WRONG[name]
    (tmp_path / "mine.yaml").write_bytes(content)
    assert run_cli("fit", "--config", REPO / "configs/detector.yaml", "--config", "mine.yaml") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: --config mine.yaml{told}") and said.count("\n") == 1


def test_a_file_that_cannot_be_there(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("ppo", "fit", "--config=nowhere.yaml") == run_cli("validate", "-c", tmp_path) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "error: --config nowhere.yaml: there is no such file.",
        f"error: --config {tmp_path} is a folder; name the file in it.",
    ]


def test_aliases_that_double_with_every_line_are_refused(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    assert run_cli("fit", "--config", "bomb.yaml") == 2
    assert "it is no YAML: aliases (`*`) repeat more than 10,000 values." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run: {name: x}\nmedia:\n# max_mb: 3\n", ":2: media is a group: nothing is given for it; leave it out."),
        ("media: 5\n", ":1: media is a group: its options are wanted, by their names."),
        ("data: [imgsz, 96]\n", ":1: data is a group: its options are wanted"),
        ("media:\n  routes: null\n", ":2: media.routes is a group: nothing is given"),
        ("model:\n  init_args:\n    optim: null\n", ":3: model.optim is a group: nothing is given"),
        ("&a\ndata: *a\n", ":1: it is no YAML: a value holds itself, by an alias (`*`)."),
    ],
)
def test_a_group_is_given_by_its_options(text: str, told: str) -> None:
    """An empty `media:` in a later file took away what an earlier one said of private images."""
    Path("a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        check_option_names("fit", ["--config", "a.yaml"])
    assert told in str(refused.value)


def test_a_group_that_may_be_null() -> None:
    model = "{class_path: aigp_lightning.modules.pose.PoseModule, init_args: {camera: null}}"
    Path("a.yaml").write_text(f"data: {{synthetic: null}}\nmodel: {model}\n", encoding="utf-8")
    check_option_names("fit", ["--config", "a.yaml"])
