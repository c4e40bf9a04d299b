"""What a training shows: a live view on a terminal, lines elsewhere; the terminal is given back."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from policy_envs import small_config
from rich.console import Console
from stable_baselines3.common.callbacks import BaseCallback

from aigp_lightning.policy.dashboard import Dashboard, PlainLines, progress_callback
from aigp_lightning.policy.progress import LastScalars, TrainingStats
from aigp_lightning.policy.train import train


class Looks(BaseCallback):
    """Notes what the live view holds at the end of each rollout."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console, self.seen = console, []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        shown = next(each for each in self.parent_callbacks() if isinstance(each, Dashboard))
        with self.console.capture() as drawn:
            self.console.print(shown.view())
        self.seen.append(drawn.get())

    def parent_callbacks(self) -> list[BaseCallback]:
        return self.locals["callback"].callbacks


def test_a_terminal_gets_a_live_view(tmp_path: Path) -> None:
    stream, streams = io.StringIO(), (sys.stdout, sys.stderr)
    looks = Looks(Console(file=io.StringIO(), width=110))
    config = small_config(tmp_path / "run", total_timesteps=2048)
    train(config, [looks], Console(file=stream, force_terminal=True, width=110))
    text = stream.getvalue()
    assert "\x1b[?25l" in text and text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is back"
    assert (sys.stdout, sys.stderr) == streams
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", looks.seen[-1])
    shown = ("steps  ", "/2048", "steps/s", "rollout", "update", "return", "length", "success", "KL ", "std ",
             "clip fraction", "entropy", "explained variance", "last eval   1,536 steps: success",
             "best eval")  # fmt: skip
    assert [words for words in shown if words not in last] == []
    assert "gate" not in last and str(tmp_path / "run") in last.replace("\n", "")
    assert "evaluation at 512 steps" in text, "lines of evaluations stay, above the view"


def test_lines_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small_config(tmp_path / "run", total_timesteps=512)
    stats = TrainingStats(10)
    lines = PlainLines(config, stats, every=0)
    train(config, [stats, lines])
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("steps ")]
    assert [line.split("  ")[0] for line in said] == ["steps 256/512", "steps 512/512"]
    assert all("return" in line and "length" in line and "success" in line for line in said)
    assert "steps/s" in said[1] and "eta 0 s" in said[1]


def test_who_shows_what(tmp_path: Path) -> None:
    config, console = small_config(tmp_path), Console(file=io.StringIO(), force_terminal=True)
    others = TrainingStats(10), None, LastScalars(), tmp_path
    assert isinstance(progress_callback(config, *others), PlainLines), "pytest's output is no terminal"
    assert isinstance(progress_callback(config, *others, console=console), Dashboard)
    config.progress = False
    assert isinstance(progress_callback(config, *others, console=console), PlainLines)
    assert Dashboard(config, *others, rate=60).rate == 4, "views a second at most"
