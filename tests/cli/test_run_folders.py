"""Verbs that do not train take a run folder for its best checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_run_folder_stands_for_its_best_checkpoint(
    verb: str, tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "runs" / "detect" / "w"
    (run / "weights").mkdir(parents=True)
    (run / "weights" / "best.ckpt").write_bytes(b"cut off")
    assert run_cli(verb, "--ckpt_path", run, "--data.source", tmp_path, "--run.root", tmp_path / "runs") == 2
    told = capsys.readouterr().err
    assert told.splitlines()[-1].startswith(f"error: cannot read {run}/weights/best.ckpt: ")


def test_a_folder_without_one_is_refused(
    tmp_path: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli("validate", "--ckpt_path", tmp_path, "--run.root", tmp_path / "runs") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == (
        f"error: --ckpt_path {tmp_path} is a folder; it has no weights/best.ckpt; name the file, such as "
        "weights/last.ckpt in it."
    )
