"""The verb `split`, and what `lint` and `fit` say of splits that leak."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import UNDRAWN, small, tiny_network


@pytest.fixture
def leaking(flights: Path, tmp_path: Path) -> Path:
    """Frames of two flights at random in two lists, in a folder of its own."""
    frames = sorted((flights / "images").rglob("*.jpg"))
    for name, chosen in (("val", frames[::5]), ("train", [f for n, f in enumerate(frames) if n % 5])):
        (tmp_path / f"{name}.txt").write_text("".join(f"{file}\n" for file in chosen), encoding="utf-8")
    (tmp_path / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [gate, banner]\n", encoding="utf-8")
    return tmp_path / "data.yaml"


def test_lint_tells_the_share_and_split_mends_it(
    leaking: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("lint", leaking) == 1
    printed = capsys.readouterr().out
    assert "42 of 42 val pictures (100.0 %) have a near neighbour in train, over the limit of 5 %" in printed
    assert "42 neighbouring frames; the split cuts 2 recordings:" in printed
    assert f"mend it with: python -m aigp_lightning split {leaking} --by block" in printed
    assert run_cli("lint", leaking, "--leak-limit", "1") == 0
    assert run_cli("split", leaking, "--by", "block", "--force") == 0
    printed = capsys.readouterr().out
    assert f"made {leaking.parent / 'data-block.yaml'}; train on it with" in printed
    assert run_cli("lint", leaking.parent / "data-block.yaml") == 0
    assert "(0.0 %) have a near neighbour in train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "split takes one folder or data.yaml"),
        (["a", "b"], "split takes one folder or data.yaml"),
        (["nowhere"], "nowhere"),
        (["--by", "luck"], "luck"),
        (["--vall", "0.1"], "--val"),
    ],
)
def test_mistakes_are_told(
    words: list[str], told: str, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("split", *words, *(["."] if words[:1] == ["--by"] else [])) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_a_limit_out_of_range(leaking: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli("lint", leaking, "--leak-limit", "5") == 2
    assert "--leak-limit 5: a number from 0 to 1." in capsys.readouterr().err


@pytest.mark.slow
def test_a_training_warns_keeps_it_and_refuses_when_strict(
    leaking: Path,
    tmp_path: Path,
    run_cli: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The warning is at the start and at the end; the figures are in `run.json` and in the metrics' JSON."""
    words = [*small(leaking, tmp_path / "runs"), *tiny_network(tmp_path), *UNDRAWN, "--trainer.max_epochs", 1]
    words += ["--data.leak_limit", 0.05]
    caplog.set_level("INFO")
    assert run_cli("fit", *words, "--run.json", tmp_path / "m.json") == 0
    text = (
        "42 of 42 val pictures (100 %) have a near neighbour in train, over the limit of 5 %: the metrics are too good"
    )
    assert caplog.text.count(f"warning: {text}; ") == 1
    assert capfd.readouterr().out.count(f"warning: {text}\n") == 1
    kept = json.loads((tmp_path / "runs" / "detect" / "gates" / "run.json").read_text(encoding="utf-8"))["split_leak"]
    assert kept == {
        "limit": 0.05, "split": "val", "other": "train", "pictures": 42, "near": 42, "share": 1.0, "cut_recordings": 2,
    }  # fmt: skip
    assert json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))["split_leak"] == kept
    assert run_cli("fit", *words, "--data.strict", "true") == 2
    assert f"strict is set and {text}" in capfd.readouterr().err
    caplog.clear()
    assert run_cli("fit", *words, "--data.strict", "true", "--data.leak_limit", "null", "--run.name", "unmeasured") == 0
    captured = capfd.readouterr()
    assert "near neighbour" not in captured.out + captured.err + caplog.text
    unmeasured = json.loads((tmp_path / "runs" / "detect" / "unmeasured" / "run.json").read_text(encoding="utf-8"))
    assert unmeasured["split_leak"] is None
