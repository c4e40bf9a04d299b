"""`validate --sequence`: what it takes, and what it refuses in one line before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aigp_lightning.cli.verb_help import verb_help


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--sequence", "flights"], "which model?"),
        (["--sequence", "flights", "--ckpt_path", "a", "--model.weights", "b"], "which model?"),
        (["--sequence", "flights", "--ckpt_path", "none.ckpt"], "none.ckpt: there is no such file or folder"),
        (["--sequence=flights", "--weights", "best.ckpt"], "--sequence flights: no data set"),
        (["--sequence", "flights", "--ckpt_path", "best.ckpt", "--fps", "0"], "--fps 0: a number above 0"),
        (["--sequence", "flights", "--ckpt_path", "best.ckpt", "--split", "vall"], "--split vall: it is one of"),
        (["--sequence", "flights", "--ckpt_path", "best.ckpt", "--config", "a.yaml"], "takes no --config"),
        (["--sequence", "flights", "--ckpt_path", "best.ckpt", "--imgsz", "8"], "--imgsz 8: a number from 32"),
        (["--sequence", "flights", "--ckpt_path", "best.ckpt", "--batch", "0"], "--batch 0"),
        (["--sequence", "", "--ckpt_path", "best.ckpt"], "--sequence is empty"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    words: list[str], named: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("best.ckpt").touch()
    assert run_cli("validate", *words) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("error: ") and named in told and len(told.splitlines()) == 1


def test_a_misspelt_option_is_answered_with_the_nearest(
    run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("validate", "--sequence", "a", "--ckpt_path", "b", "--threshold", "c") == 2
    assert "--thresholds" in capsys.readouterr().err


def test_it_has_a_help_of_its_own_that_the_verbs_names(
    run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_cli("validate", "--sequence", "flights", "--help")
    text = capsys.readouterr().out
    assert stop.value.code in (0, None) and "dropout.json" in text and "--thresholds thresholds.json" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "--sequence" in verb_help("validate") and "--sequence" not in verb_help("test")


def test_other_verbs_do_not_know_it(run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("test", "--sequence", "flights", "--ckpt_path", "best.ckpt") == 2
    assert "--sequence" in capsys.readouterr().err


def test_refusing_a_file_imports_nothing_heavy() -> None:
    code = (
        "import sys; from aigp_lightning.cli.main import main; "
        "status = main(['validate', '--sequence', 'flights', '--ckpt_path', 'none.ckpt']); "
        "sys.exit(10 * status + any(name in sys.modules for name in ('torch', 'lightning', 'cv2', 'matplotlib')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 20, done.stderr
