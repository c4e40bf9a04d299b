"""`init` writes a project whose commands can be typed, over nothing that is there, from what the wheel brings."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPO
from typed_commands import blocks

from aigp_lightning.cli.main import VERBS
from aigp_lightning.cli.option_names import OWN, check_option_names
from aigp_lightning.files import shell_quoted

LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
CONFIGS = sorted(path.relative_to(REPO).as_posix() for path in (REPO / "configs").rglob("*.yaml"))


@pytest.fixture
def project(tmp_path: Path, run_cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert run_cli("init", "my gates") == 0
    monkeypatch.chdir(tmp_path / "my gates")
    return tmp_path / "my gates"


def test_a_project_has_the_configurations_and_what_they_point_to(project: Path) -> None:
    for name in CONFIGS:
        assert (project / name).read_bytes() == (REPO / name).read_bytes()
        for page in re.findall(r"docs/[\w-]+\.md", (project / name).read_text(encoding="utf-8")):
            assert (project / page).is_file(), f"{name} points to {page}"
    assert (project / "README.md").read_text(encoding="utf-8").startswith("# my gates\n")
    for page in [project / "README.md", *(project / "docs").glob("*.md")]:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} points to {link}"


def test_the_commands_of_its_readme_are_ones(project: Path) -> None:
    commands = [words for block in blocks(Path("README.md")) for words in block.commands]
    assert len(commands) == 11
    for verb, *words in commands:
        assert verb in VERBS
        if verb in OWN:
            check_option_names(verb, words)
        for word in words:
            if word.startswith("configs/"):
                assert Path(word).is_file()


def test_git_leaves_out_what_is_written(project: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    subprocess.run(["git", "init", "-q"], check=True)
    out = ["runs/detect/a/results.csv", "weights/yolo11n.pt", "datasets/a/a.jpg", "models/a/b", "ledger.key"]
    kept = ["weights/weights.json", "configs/detector.yaml", "README.md", "ledger.key.pub"]
    asked = subprocess.run(["git", "check-ignore", *out, *kept], capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines() == out


def test_nothing_that_is_there_is_overwritten(
    project: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("README.md").write_text("mine", encoding="utf-8")
    Path(".gitignore").write_text("mine", encoding="utf-8")
    Path("configs/pose.yaml").unlink()
    capsys.readouterr()
    assert run_cli("init", ".") == 0
    told = capsys.readouterr().out
    assert "1 files written" in told and "--force replaces them: README.md, .gitignore\n" in told
    assert "lines for your .gitignore: runs/ datasets/" in told and "cd " not in told
    assert Path("README.md").read_text(encoding="utf-8") == "mine" and Path("configs/pose.yaml").is_file()
    assert run_cli("init", ".", "--force") == 0
    assert Path("README.md").read_text(encoding="utf-8").startswith("# my gates")
    capsys.readouterr()
    assert run_cli("init", ".") == 0
    assert capsys.readouterr().out == ".: everything is there already\n"


def test_what_comes_next_is_told(
    tmp_path: Path, run_cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli("init", "my gates") == 0
    told = capsys.readouterr().out
    command = "  python -m aigp_lightning fit --config configs/detector.yaml \\\n    --config configs/quick.yaml"
    assert f"next:\n  cd {shell_quoted('my gates')}\n{command} --run.name first\n" in told
    assert max(map(len, told.splitlines())) <= 80


def test_a_file_is_no_folder(project: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("init", "README.md") == 2
    assert "README.md is a file; name a folder" in capsys.readouterr().err
    Path("other").mkdir()
    Path("other/configs").touch()
    assert run_cli("init", "other") == 2
    assert "other/configs/" in capsys.readouterr().err.replace("\\", "/")


def test_the_wheel_has_all_that_init_writes_and_the_script(tmp_path: Path) -> None:
    setuptools = pytest.importorskip("setuptools", minversion="77")
    assert setuptools
    for name in ("aigp_lightning", "configs", "docs"):
        shutil.copytree(REPO / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(REPO / name, tmp_path / name)
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        assert "aigp-lightning = aigp_lightning.cli.script:main" in wheel.read(entry).decode()
        for name in CONFIGS:
            assert wheel.read(f"aigp_lightning/{name}") == (REPO / name).read_bytes()
    wanted = [*(REPO / "docs").rglob("*.*"), *(REPO / "aigp_lightning/report/page/assets").iterdir()]
    wanted += (REPO / "aigp_lightning").rglob("*.py")
    for path in wanted:
        inside = path.relative_to(REPO).as_posix().removeprefix("aigp_lightning/")
        assert f"aigp_lightning/{inside}" in names
    assert not [name for name in names if name.startswith(("configs/", "docs/", "tests/", "benchmarks/"))]


def test_the_script_is_the_module_by_another_name(tmp_path: Path) -> None:
    """Whatever starts more processes finds the module's name in `__main__`, not a script that Python may not read."""
    script = tmp_path / "aigp-lightning"
    script.write_text("import sys\nfrom aigp_lightning.cli.script import main\nsys.exit(main())\n", encoding="utf-8")
    for words, status, said in ((["--version"], 0, "aigp_lightning "), (["fitt"], 2, "Did you mean 'fit'?")):
        done = [
            subprocess.run([sys.executable, *start, *words], cwd=REPO, capture_output=True, text=True, check=False)
            for start in ((str(script),), ("-m", "aigp_lightning"))
        ]
        assert [each.returncode for each in done] == [status, status]
        assert done[0].stdout == done[1].stdout and done[0].stderr == done[1].stderr
        assert said in done[0].stdout + done[0].stderr
    code = "import sys, runpy; sys.argv = ['x.exe', 'made up']; from aigp_lightning.cli import script, main as m;"
    code += "m.main = lambda: print(sys.modules['__main__'].__spec__.name, sys.argv[1:]); script.main()"
    shown = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert shown.stdout == "aigp_lightning.__main__ ['made up']\n"
