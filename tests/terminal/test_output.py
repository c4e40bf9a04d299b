"""Names of others as they are printed: as text, whatever is in them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from aigp_lightning.cli.lint import main as lint
from aigp_lightning.cli.run_report import print_table
from aigp_lightning.errors import ConfigError, printable, warn_user
from aigp_lightning.policy.view import PolicyView
from aigp_lightning.terminal.output import UNPRINTED, keep_unprinted, print_tables, protected_output
from aigp_lightning.terminal.screen import Screen
from aigp_lightning.terminal.view import View

HOSTILE = "[/bold] :smile: \x1b[31mred\x1b]0;t\x07\u202e \udc9b"
SHOWN = r"[/bold] :smile: \x1b[31mred\x1b]0;t\x07\u202e \udc9b"


def test_letters_of_all_scripts_stay() -> None:
    text = "Tür ворота 门 בית می‌خواهم 👩‍🚀 é ①　"
    assert printable(text) == text


def test_a_table_takes_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"class": HOSTILE, "mAP50": 0.5}
    print_table([row, row, row])
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    print_tables(table)
    printed = capsys.readouterr().out
    assert printed.count(SHOWN) == 3 + 3
    assert "\x1b" not in printed


@pytest.mark.parametrize("view", ["policy", "training", "failing"])
def test_a_live_view_takes_any_name(view: str) -> None:
    def show() -> View | PolicyView:
        if view == "failing":
            raise ValueError(HOSTILE)
        if view == "policy":
            return PolicyView(1, 2, output=HOSTILE)
        values = {HOSTILE: (0.5, 0.5, 1)}
        return View(epoch=1, epochs=2, losses={HOSTILE: (1.0, 2.0)}, metrics=values, footer=[HOSTILE], pictures=HOSTILE)

    target = io.StringIO()
    screen = Screen(Console(file=target, force_terminal=True, width=200), show, rate=4)
    screen.close()
    drawn = target.getvalue()
    assert SHOWN[:11] in drawn
    assert not {"\x1b[31m", "\x1b]", "\x07", "\u202e"} & {
        part for part in ("\x1b[31m", "\x1b]", "\x07", "\u202e") if part in drawn
    }


def test_warnings_and_errors_repeat_no_commands(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import lightning.pytorch  # noqa: F401  it finds out which process this is

    with caplog.at_level("INFO"):
        warn_user(f"no image at {HOSTILE}\nnor elsewhere")
    assert caplog.messages == [f"warning: no image at {SHOWN}\nnor elsewhere"]
    with pytest.raises(ConfigError) as refused:
        lint("lint", ["data.yaml", f"--{HOSTILE}"])
    assert f"--{SHOWN}" in str(refused.value)


def test_what_is_lost_is_in_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the stream that works says so; a terminal's colours are left out of the file."""
    closed, works = io.StringIO(), io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    monkeypatch.setattr(sys, "stderr", works)
    with protected_output(wait_for_reader=False):
        keep_unprinted(tmp_path)
        print("epoch 1")
        print("epoch 2")
    file = tmp_path / UNPRINTED
    assert file.read_text(encoding="utf-8") == "epoch 1\nepoch 2\n"
    assert (
        works.getvalue() == f"note: 2 lines could not be written to stdout (Bad file descriptor); they are in {file}\n"
    )
    assert sys.stdout is closed


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    with protected_output(wait_for_reader=False):
        keep_unprinted(tmp_path / "removed")
        print("epoch 1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [30, 60, 100])
def test_a_table_loses_no_column_on_a_narrow_terminal(width: int) -> None:
    """At 60 characters and fewer each row becomes a list; where there is room it is the table that it was."""
    table = Table(title="Pictures of the run")
    table.add_column("kind", no_wrap=True)
    for name in ("run folder", "tensorboard", "wandb", "other:Board"):
        table.add_column(f"{name}\nstays here\npictures / MB", justify="right", no_wrap=True)
    table.add_row("val_labels", "198 / 17.7", "199 / 17.7", "200 / 17.7", "201 / 17.7")
    screen = Console(width=width, file=io.StringIO())
    print_tables(table, on=screen)
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= width for line in printed.splitlines())
    together = " ".join(printed.split())
    for word in ("val_labels", "198 / 17.7", "199 / 17.7", "200 / 17.7", "201 / 17.7", "other:Board"):
        assert word in together
    assert ("│" in printed) is (width == 100)
