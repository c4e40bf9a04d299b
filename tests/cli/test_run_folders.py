"""Verbs that do not train take a run folder for its best checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from yolo_scored import build_case, write_checkpoint


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


def test_it_is_measured_with_the_options_of_its_run(tmp_path: Path, run_cli: Callable[..., int]) -> None:
    weights, yaml = build_case(tmp_path / "scored", rect=True)
    best = tmp_path / "runs" / "detect" / "w" / "weights" / "best.ckpt"
    best.parent.mkdir(parents=True)
    shutil.copy(write_checkpoint(weights, yaml), best)
    words = ("--run.root", tmp_path / "made", "--trainer.accelerator", "cpu", "--data.workers", 0)
    told = []
    for name, model in (("a", best.parent.parent), ("b", best)):
        file = tmp_path / f"{name}.json"
        assert run_cli("validate", "--ckpt_path", model, *words, "--run.json", file, "--trainer.logger", "false") == 0
        told.append(json.loads(file.read_text(encoding="utf-8"))["metrics"])
    assert told[0] == told[1] and told[0]
