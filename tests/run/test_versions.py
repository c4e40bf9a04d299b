"""Versions outside what was tested are told in a line, and `pyproject.toml` says the same range."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import REPO
from packaging.specifiers import SpecifierSet

from aigp_lightning.errors import ConfigError
from aigp_lightning.run.versions import TESTED, Tested, check_version, judge

RANGE = Tested("8.4.151", "8.4.190", never=("8.4.160",))


@pytest.mark.parametrize("installed", ["8.4.151", "8.4.152.dev1", "8.4.190", "8.4.190+cpu"])
def test_what_was_tested_is_taken_without_a_word(installed: str, caplog: Any) -> None:
    with caplog.at_level("INFO"):
        judge("ultralytics", installed, RANGE)
    assert caplog.messages == []


@pytest.mark.parametrize("installed", ["8.4.150", "8.3.253", "8.4"])
def test_an_older_one_is_refused(installed: str) -> None:
    with pytest.raises(ConfigError) as told:
        judge("ultralytics", installed, RANGE)
    assert str(told.value) == (
        f"ultralytics {installed} is installed, and 8.4.151 is the oldest that this works with: "
        "pip install 'ultralytics>=8.4.151,<=8.4.190'."
    )


@pytest.mark.parametrize("installed", ["8.4.191", "8.5.0", "9.0"])
def test_a_newer_one_is_told(installed: str, caplog: Any) -> None:
    with caplog.at_level("INFO"):
        judge("ultralytics", installed, RANGE)
    assert [message for message in caplog.messages if message.startswith("warning: ")] == caplog.messages
    assert f"ultralytics {installed} is newer than 8.4.190" in caplog.text


def test_a_minor_version_stands_for_its_patches(caplog: Any) -> None:
    with caplog.at_level("INFO"):
        judge("wandb", "0.31.7", Tested("0.30", "0.31"))
        assert caplog.messages == []
        judge("wandb", "0.32.0", Tested("0.30", "0.31"))
    assert "pip install 'wandb>=0.30,==0.31.*'" in caplog.text


def test_a_compromised_release_is_not_run() -> None:
    with pytest.raises(ConfigError, match=r"ultralytics 8\.4\.160 is a compromised release"):
        judge("ultralytics", "8.4.160", RANGE)
    assert TESTED["lightning"].never == ("2.6.2", "2.6.3")


@pytest.mark.parametrize("package", TESTED)
def test_pyproject_says_the_same(package: str) -> None:
    text = (REPO / "pyproject.toml").read_text(encoding="utf-8")
    (said,) = re.findall(rf'^  "{package}([<>=!][^"]+)",', text, re.MULTILINE)
    allowed, tested = SpecifierSet(said), TESTED[package]
    newest = [int(number) for number in tested.newest.split(".")]
    last = tested.newest if len(newest) == 3 else f"{tested.newest}.99"
    beyond = ".".join(map(str, [*newest[:-1], newest[-1] + 1]))
    first = [int(number) for number in tested.oldest.split(".")]
    before = ".".join(map(str, [*first[:-1], first[-1] - 1]))
    assert [each in allowed for each in (tested.oldest, last, beyond, before)] == [True, True, False, False]
    assert not any(each in allowed for each in tested.never)
    check_version(package)  # what these tests run with


def test_ultralytics_is_not_imported_to_be_refused(tmp_path: Path) -> None:
    """Another version's metadata first on the path: a line, before anything of it is run."""
    other = tmp_path / "ultralytics-8.3.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: ultralytics\nVersion: 8.3.0\n", encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from aigp_lightning.errors import ConfigError\n"
        "try: import aigp_lightning.modules.yolo\n"
        "except ConfigError as error: print(error, 'ultralytics' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert done.stdout.startswith("ultralytics 8.3.0 is installed, and ")
    assert done.stdout.rstrip().endswith("False")
