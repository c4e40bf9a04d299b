"""The page about Python: its blocks run as they stand, one after the other, on a data set of a few pictures."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from helpers import REPO
from yolo_scored import build_case, write_checkpoint

PAGE = REPO / "docs" / "python-api.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHORTER = {"max_epochs=20": ("max_epochs=1", 2), "imgsz=160": ("imgsz=64", 1), "workers=2": ("workers=0", 1)}
"""What the test changes, since a reader trains longer, and how often it stands on the page."""


def test_the_blocks_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    for written, (shorter, times) in SHORTER.items():
        assert sum(block.count(written) for block in blocks) == times
        blocks = [block.replace(written, shorter) for block in blocks]
    assert len(blocks) == text.count("```python") == 7

    data, run = tmp_path / "datasets" / "quick-detect", tmp_path / "runs" / "detect" / "gates" / "weights"
    data.mkdir(parents=True)
    run.mkdir(parents=True)
    weights, yaml = build_case(data, rect=True)
    shutil.copy(write_checkpoint(weights, yaml), run / "best.ckpt")
    shutil.copy(weights, run / "best.pt")
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "__main__"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"block {number}", "exec"), space)
    told = capsys.readouterr().out
    assert "'square'" in told and "95 % between" in told and "[[" in told
    assert len(list(Path("drawn").iterdir())) == 13, "each picture was drawn"
    assert len(space["model"].names) == 3 and space["poses"].solved.tolist() == [True]  # type: ignore[attr-defined]
