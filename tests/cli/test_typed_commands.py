"""What pages and help tell people to type can be typed as it stands, in a terminal of 80 columns."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import REPO
from typed_commands import Block, blocks

from aigp_lightning.cli.init import project_files
from aigp_lightning.cli.main import VERBS, main
from aigp_lightning.cli.option_names import OWN, check_option_names
from aigp_lightning.evaluation.sequence.options import SequenceOptions

WIDTH = 80
PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
PATH = re.compile(r"[\w.~/*-]*(?:/[\w.*-]+|\.(?:yaml|pt|pth|ckpt|onnx))/?")
"""A value that names a file or folder."""
QUICK = {"datasets/quick-detect", "runs/detect/gates"}
"""What the README's first command has left."""
TASKS = {"detector": "detect", "obstacle": "detect", "rfdetr": "detect", "pose": "pose", "segment": "segment"}
OUTPUTS = ("--out", "--output", "--run.json", "--json", "--run.root")
"""Options whose files a command makes."""
NOT_FILES = (*OUTPUTS, "--env.id", "--head")
"""Options whose values need not be there."""


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))


def too_long(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > WIDTH]


@pytest.mark.parametrize("verb", ["", *VERBS, "ppo fit", "ppo evaluate", "ppo export"])
def test_help_fits_a_terminal(verb: str, narrow: None, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert main([*verb.split(), "--help"]) == 0
    except SystemExit as stop:
        assert stop.code in (0, None)
    told = capsys.readouterr().out
    assert told.startswith("usage: ") and too_long(told) == []


def test_code_of_the_readmes_fits_a_terminal(tmp_path: Path) -> None:
    """The checkout's, and the one that `init` writes."""
    ours = tmp_path / "README.md"
    ours.write_bytes(project_files(tmp_path / "gates")["README.md"])
    for page in (REPO / "README.md", ours):
        found = blocks(page)
        assert len(found) > 1
        assert [line for block in found for line in too_long(block.text)] == []


def commands(page: Path) -> Iterator[tuple[Block, list[str]]]:
    for block in blocks(page):
        for words in block.commands:
            yield block, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_are_ones(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bash reads them, the verbs are there, and so are the options of Lightning's."""
    monkeypatch.chdir(REPO)
    bash = shutil.which("bash")
    for block in blocks(page):
        if bash is not None and block.commands:
            read = subprocess.run([bash, "-n"], input=block.text, text=True, capture_output=True, check=False)
            assert read.returncode == 0, read.stderr
        for words in block.commands:
            if words[0] == "VERB":
                continue
            assert words[0] in VERBS, words
            if words[0] == "validate" and "--sequence" in words:
                given = {word[2:].removeprefix("model.").partition(".")[0] for word in words if word[:2] == "--"}
                assert given <= {each.name for each in fields(SequenceOptions)}, words
            elif words[0] in OWN:
                check_option_names(words[0], without_config(words[1:]))


def without_config(words: Sequence[str]) -> list[str]:
    """Leave out configurations that are a reader's own."""
    kept: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if before == "--config" and not word.startswith("configs/"):
            kept.pop()
        else:
            kept.append(word)
    return kept


class Folder:
    """The files that are there while the commands of a page are typed, one after the other.

    Args:
        files: paths; folders have all that is below them.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = set(files)

    def has(self, path: str) -> bool:
        """True if a path is there, or a pattern that begins with a folder that is."""
        plain = re.split(r"[*]", path.rstrip("/"), maxsplit=1)[0].rstrip("/")
        if (REPO / plain).exists() and plain.startswith("configs"):
            return True
        return any(plain == file or plain.startswith(f"{file}/") for file in self.files)

    def after(self, words: Sequence[str]) -> None:
        """Note what a command leaves."""
        verb = words[0]
        for option, value in pairwise(words):
            if option in OUTPUTS:
                self.files.add(value)
        if verb == "fetch":
            self.files.add(words[1])
        if verb == "fit" and (config := named_config(words)) is not None:
            given = dict(pairwise(words))
            name = given.get("--run.name", config["run"]["name"])
            run = f"{given.get('--run.root', 'runs')}/{config['task']}/{name}"
            self.files.add(f"{run}-2" if run in self.files else run)
            if "configs/quick.yaml" in words:
                self.files.add(f"datasets/quick-{config['synthetic']}")
        if words[:2] == ["ppo", "fit"] and "--output" not in words:
            self.files.add("output/quick_policy" if "configs/policy-quick.yaml" in words else "output/apex_policy")
        if verb == "keys":
            self.files |= {words[1], f"{words[1]}.pub"}
        if verb == "promote":
            name = words[words.index("--name") + 1] if "--name" in words else words[1].rpartition("/")[2]
            self.files.add(f"models/latest/{name}")


def named_config(words: Sequence[str]) -> dict[str, Any] | None:
    """Return what a training begins with: its task, the configuration's weights, and its own name."""
    stem = next((Path(word).stem for word in words if Path(word).stem in TASKS and word.startswith("configs/")), None)
    if stem is None:
        return None
    config = yaml.safe_load((REPO / "configs" / f"{stem}.yaml").read_text(encoding="utf-8"))
    weights, made = config["model"]["init_args"]["weights"], config["data"]["synthetic"]["task"]
    return {"task": TASKS[stem], "run": config["run"], "weights": weights, "synthetic": made}


def missing(words: Sequence[str], there: Folder) -> list[str]:
    """Return what a command names, or begins with, that is not there."""
    found = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if before not in NOT_FILES and words[0] not in ("keys", "fetch", "init") and not word.startswith("--")
        and PATH.fullmatch(word) and not there.has(word)
    ]  # fmt: skip
    config, given = named_config(words), dict(pairwise(words))
    if words[0] in ("fit", "plan") and config is not None and "configs/quick.yaml" not in words:
        weights = given.get("--model.weights", config["weights"])
        resumed = "--ckpt_path" in words
        found += [str(weights)] if words[0] == "fit" and weights != "null" and not resumed else []
    return [word for word in found if not there.has(word)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_find_what_they_name(page: Path) -> None:
    """After the README's quick run: files are there, the page has made them, or it says what to put in."""
    there = Folder(sorted(QUICK))
    wrong = []
    for block, words in commands(page):
        told = block.around + "".join(re.findall(r"#.*", block.text))
        wrong += [f"{word} in: {' '.join(words)}" for word in missing(words, there) if word not in told]
        there.after(words)
    assert wrong == []


def test_what_is_missing_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Text.\n\n```\npython -m aigp_lightning lint my/data.yaml\npython -m aigp_lightning make-data --out my\n"
        "python -m aigp_lightning lint my/data.yaml\n```\n\nThen\n\n    python -m aigp_lightning fit \\\n"
        "      --config configs/pose.yaml\n    python -m aigp_lightning validate --ckpt_path runs/pose/gate-corners\n",
        encoding="utf-8",
    )
    there = Folder([])
    found = []
    for _, words in commands(page):
        found += missing(words, there)
        there.after(words)
    assert found == ["my/data.yaml", "yolo11n-pose.pt"]
