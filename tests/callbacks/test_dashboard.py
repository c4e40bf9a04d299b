"""What a run shows on a terminal and elsewhere: the numbers, the pace of the drawing, the terminal afterwards."""

from __future__ import annotations

import csv
import io
import logging
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from forked_python import executable
from helpers import REPO, small, tiny_network
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from rich.console import Console
from torch.utils.data import DataLoader

from aigp_lightning.callbacks.dashboard import Dashboard, PlainProgress, progress_callback
from aigp_lightning.callbacks.results import Results
from aigp_lightning.terminal.pace import Pace
from aigp_lightning.terminal.view import View, duration, pictures_line

MAPS = [0.25, 0.75, 0.5]
"""mAP50 of the epochs: the second is the best."""


class Tiny(pl.LightningModule):
    """Its losses are those of the batches' numbers, its metrics given."""

    def __init__(self, pause: float = 0.0, fail_at: int = -1, error: type[BaseException] = ValueError) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.pause, self.fail_at, self.error = pause, fail_at, error

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> dict[str, Any]:
        time.sleep(self.pause)
        if self.global_step == self.fail_at:
            raise self.error("stop here")
        print(f"a line of step {self.global_step}")
        logging.getLogger("lightning.pytorch").warning("a warning of step %d", self.global_step)
        items = {"box_loss": torch.tensor(float(batch_idx)), "cls_loss": torch.tensor(0.5)}
        self.log_dict({f"train/{key}": value for key, value in items.items()}, on_epoch=True, on_step=False)
        return {"loss": self.layer(batch["img"]).mean(), "loss_items": items}

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        self.log("val/box_loss", torch.tensor(3.25), batch_size=1)

    def on_validation_epoch_end(self) -> None:
        if not self.trainer.sanity_checking:
            self.log_dict({"metrics/mAP50(B)": MAPS[self.current_epoch], "fitness": MAPS[self.current_epoch]})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0125)


@dataclass
class Status:
    drawn: int = 12
    sent: int = 9
    withheld: int = 3
    failed: int = 0
    megabytes: float = 4.21
    pending: int = 0
    waiting: int = 0
    waiting_megabytes: float = 0.0


class Pictures(Callback):
    def status(self) -> Status:
        return Status()


class Spy(Dashboard):
    """Keeps what was shown, with the time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.shown: list[tuple[float, str]] = []

    def view(self) -> View:
        view = super().view()
        self.shown.append((time.monotonic(), drawn(view)))
        return view


def drawn(view: View, width: int = 100, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width, record=True, legacy_windows=False, **options)
    console.print(view)
    return console.export_text()


def terminal(width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=40, legacy_windows=False, _environ={})


def loader(batches: int = 4, size: int = 2) -> DataLoader:
    return DataLoader([{"img": torch.ones(1)}] * (batches * size), batch_size=size)  # type: ignore[arg-type]


def train(
    callbacks: Sequence[Callback], folder: Path, module: Tiny, epochs: int = 3, resume: Path | None = None, **more: Any
) -> pl.Trainer:
    trainer = pl.Trainer(
        default_root_dir=folder, accelerator="cpu", max_epochs=epochs, callbacks=list(callbacks), logger=False,
        enable_model_summary=False, enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        **{"num_sanity_val_steps": 0, **more},
    )  # fmt: skip
    trainer.fit(module, loader(), loader(2), ckpt_path=resume)
    return trainer


def screen_text(console: Console) -> str:
    """What was written, without colours and cursor movements."""
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())


# ---- a run on a terminal --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Spy, str, list[dict[str, str]]]:
    """Three epochs of four batches of two images; what was shown, what the terminal got, the rows of results.csv."""
    folder = tmp_path_factory.mktemp("watched")
    spy = Spy(console=terminal(), rate=50)
    train([spy, Pictures(), Results()], folder, Tiny(pause=0.15), num_sanity_val_steps=1)
    with (folder / "results.csv").open(newline="") as file:
        return spy, screen_text(spy._console), list(csv.DictReader(file))


def test_the_last_view_tells_the_whole_run(watched: tuple[Spy, str, list[dict[str, str]]]) -> None:
    spy, _, rows = watched
    lines = [line.split() for line in spy.shown[-1][1].splitlines()]
    assert lines[0][:2] == ["epoch", "3/3"]
    assert lines[0][-5:] == ["100", "%", "0", "s", "left"]
    assert lines[1][:2] == ["train", "4/4"]
    assert 0 < float(lines[1][-2]) < 2 / 0.15 * 1.05, "two images in 0.15 s or more"
    logged = f"{float(rows[-1]['train/box_loss']):.3f}"
    assert logged == "1.500", "the mean of 0, 1, 2, 3"
    assert ["box", logged, "3.250", "mAP50", "0.500", "0.750", "2"] == lines[4]
    assert lines[5] == ["cls", "0.500", "-"]
    text = spy.shown[-1][1]
    assert "learning rate 0.0125" in text
    assert float(re.search(r"memory ([\d.]+) GB", text)[1]) > 0.1  # type: ignore[index]
    assert "pictures: 12 drawn, 9 sent (4.2 MB), 3 withheld" in text


def test_views_are_at_most_four_a_second(watched: tuple[Spy, str, list[dict[str, str]]]) -> None:
    times = [when for when, _ in watched[0].shown]
    seconds = times[-1] - times[0]
    assert seconds > 1.5
    assert 4 < len(times) <= 4 * seconds + 3, "3: construction, start and end"


def test_losses_of_a_running_epoch_are_its_mean_so_far(watched: tuple[Spy, str, list[dict[str, str]]]) -> None:
    means = {0: "0.000", 1: "0.000", 2: "0.500", 3: "1.000", 4: "1.500"}
    seen = set()
    for _, text in watched[0].shown:
        batch = re.search(r"train +(\d)/4", text)
        loss = re.search(r"box +([\d.]+)", text)
        if batch and loss and int(batch[1]) > 0:
            at = int(batch[1])
            seen.add(at)
            assert loss[1] in (means[at], means[at - 1]), "the count may be one ahead of the sum"
    assert len(seen) > 1


def test_other_lines_appear_above_whole(watched: tuple[Spy, str, list[dict[str, str]]]) -> None:
    """Prints and log lines of the run, and one line an epoch with its best marked."""
    lines = [line.rstrip() for line in watched[1].splitlines()]
    for step in range(12):
        assert lines.count(f"a line of step {step}") == 1
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert len(epochs) == 3
    assert [("mAP50(B) 0.750 *" in line) for line in epochs] == [False, True, False]


def test_a_later_validation_shows_a_bar_of_its_own(tmp_path: Path) -> None:
    spy = Spy(console=terminal())
    trainer = train([spy], tmp_path, Tiny(), epochs=1)
    spy.shown.clear()
    trainer.validate(trainer.lightning_module, loader(2), verbose=False)
    assert spy.shown[-1][1].split()[:2] == ["val", "2/2"]
    assert spy._console.file.getvalue().endswith("\x1b[2K"), "and takes it away"  # type: ignore[union-attr]


# ---- the terminal is given back -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_terminal_streams_and_handlers_are_given_back(error: type[BaseException] | None, tmp_path: Path) -> None:
    console, before, interrupt = terminal(), (sys.stdout, sys.stderr), signal.getsignal(signal.SIGINT)
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger("lightning.pytorch").addHandler(handler)
    try:
        module = Tiny() if error is None else Tiny(fail_at=2, error=error)
        if error is None:
            train([Dashboard(console=console)], tmp_path, module)
        else:
            with pytest.raises(SystemExit if error is KeyboardInterrupt else error):
                train([Dashboard(console=console)], tmp_path, module)
    finally:
        logging.getLogger("lightning.pytorch").removeHandler(handler)
        signal.signal(signal.SIGINT, interrupt)  # Lightning ignores it once it was pressed
    assert (sys.stdout, sys.stderr) == before
    assert handler.stream is before[0]
    written = console.file.getvalue()  # type: ignore[union-attr]
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l") >= 0, "the cursor is shown again"
    assert not console._live_stack
    assert "a warning of step 1" in screen_text(console).splitlines()


def test_a_failing_view_does_not_end_the_run(tmp_path: Path) -> None:
    class Broken(Callback):
        def status(self) -> None:
            raise RuntimeError("no status")

    console = terminal()
    trainer = train([Dashboard(console=console), Broken()], tmp_path, Tiny())
    assert trainer.current_epoch == 3
    assert "dashboard: RuntimeError: no status" in screen_text(console)


def test_a_forked_loader_writes_past_the_view(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Chatty(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            if hasattr(os, "fork") and (child := os.fork()) == 0:
                print("from the child", flush=True)
                os._exit(0)
            elif hasattr(os, "fork"):
                os.waitpid(child, 0)

    console = terminal()
    train([Dashboard(console=console), Chatty()], tmp_path, Tiny(), epochs=1)
    assert "from the child" not in screen_text(console)
    assert capfd.readouterr().out.count("from the child\n") == (4 if hasattr(os, "fork") else 0)


# ---- resumed, silent, elsewhere -------------------------------------------------------------------------------------


def test_a_resumed_run_knows_its_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = ModelCheckpoint(dirpath=tmp_path, filename="last", save_on_train_epoch_end=True)
    train([Results(), checkpoint], tmp_path, Tiny(), epochs=2)
    capsys.readouterr()
    spy, results = Spy(console=terminal()), Results()
    train([spy, results], tmp_path, Tiny(pause=0.05), epochs=3, resume=tmp_path / "last.ckpt")
    assert "epoch  3/3" in spy.shown[-1][1]
    assert re.search(r"mAP50 +0.500 +0.750 +2", spy.shown[-1][1])
    assert results.best["val/box_loss"] == (3.25, 1)
    assert not any(line.rstrip().endswith("*") for line in screen_text(spy._console).splitlines()), "epoch 2 was better"
    assert results.seconds > float(_first_row(tmp_path)["time"])


def _first_row(folder: Path) -> dict[str, str]:
    with (folder / "results.csv").open(newline="") as file:
        return next(iter(csv.DictReader(file)))


def test_other_processes_show_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal()
    monkeypatch.setattr(pl.Trainer, "is_global_zero", False)
    train([Dashboard(console=console)], tmp_path, Tiny(), epochs=1)
    assert screen_text(console) == ""


def test_plain_lines_now_and_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train([PlainProgress(every=0.0), Results()], tmp_path, Tiny(pause=0.01), epochs=2, enable_progress_bar=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert lines[0] == "epoch 1/2  batch 1/4"
    assert re.fullmatch(r"epoch 1/2  batch 3/4  [\d.]+ images/s  eta 0 s", lines[2])
    assert re.fullmatch(r"epoch 1/2  validation batch 2/2  [\d.]+ images/s  eta 0 s", lines[5])
    assert lines[6].startswith("epoch 1/2  loss: box 1.500  cls 0.500  mAP50(B) 0.250 *")
    assert len(lines) == 2 * (4 + 2 + 1)


def test_a_validation_by_itself_belongs_to_no_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As that of the best epoch after the last one, whose time is over."""
    module = Tiny()
    trainer = train([PlainProgress(every=0.0)], tmp_path, module, epochs=1, enable_progress_bar=False)
    capsys.readouterr()
    trainer.validate(module, loader(2), verbose=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if "batch" in line]
    assert lines == ["validation batch 1/2", "validation batch 2/2"]


def test_plain_lines_are_rare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    train([PlainProgress(every=0.2)], tmp_path, Tiny(pause=0.09), epochs=1, enable_progress_bar=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert 1 <= len(lines) <= (time.monotonic() - started) / 0.2


def test_the_terminal_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress_callback(None, []), PlainProgress), "pytest's output is no terminal"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress_callback(None, []), Dashboard)
    assert isinstance(progress_callback(False, []), PlainProgress)
    assert progress_callback(True, [Dashboard()]) is None
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_callback(True, []), PlainProgress)


# ---- numbers and looks ----------------------------------------------------------------------------------------------


def test_pace_counts_validation_in_and_the_first_epoch_out() -> None:
    now = 100.0
    pace = Pace(clock=lambda: now)
    pace.start_epoch(first=True)
    assert pace.time_left(10, 2) is None
    for _ in range(10):  # the first batch after 21 s, then one a second
        now += 1.0 if pace._first else 21.0
        pace.step(8)
    assert pace.speed == pytest.approx(8.0)
    assert pace.time_left(10, 2) == pytest.approx(20.0), (
        "two more epochs of ten batches at one a second; this one is over"
    )
    for _ in range(2):
        now += 5.0  # validation
        pace.start_epoch(first=False)
        assert pace.speed == pytest.approx(8.0), "training's, not validation's"
        for _ in range(10):
            now += 1.0
            pace.step(8)
    assert pace.time_left(10, 3) == pytest.approx(5.0 + 3 * 15.0), "epochs of 15 s, of which this has trained 10"
    now += 30.0
    assert pace.time_left(10, 0) == 0.0


VIEW = View(
    epoch=12, epochs=200, batch=120, batches=800, speed=31.44, elapsed=4351, left=43210,
    losses={"box": (1.23456, 1.301), "cls": (0.812, 0.00004)},
    metrics={"mAP50": (0.901, 0.921, 10), "mAP50-95": (0.612, 0.612, 12)},
    footer=["learning rate 0.00123", "memory 3.31 GB", "GPU memory 7.90 GB"],
    pictures="pictures: 12 drawn, 9 sent (4.2 MB), 3 withheld",
)  # fmt: skip


@pytest.mark.parametrize("width", [30, 60, 84, 100, 300])
def test_every_width_shows_all(width: int) -> None:
    lines = drawn(VIEW, width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    wanted = ["12/200", "120/800"]
    if width >= 60:
        wanted += ["5 %", "15 %", "12 h 0 min left", "31.4 images/s", "1.235", "1.301", "4.00e-05", "0.921", "0.612",
                   "1 h 12 min elapsed", "learning rate 0.00123", "GPU memory 7.90 GB", "12 drawn"]  # fmt: skip
    assert [word for word in wanted if word not in text] == []
    assert len(lines) <= 19


def test_bars_are_as_long_as_they_say() -> None:
    line = drawn(VIEW).splitlines()[1]
    assert line.count("━") / (line.count("━") + line.count("─")) == pytest.approx(120 / 800, abs=0.02)


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_old_windows_consoles_can_print_it(encoding: str) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=100, legacy_windows=False).print(VIEW)
    file.seek(0)
    assert "====" in file.read()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(41.6, "42 s"), (59.7, "1 min 0 s"), (725, "12 min 5 s"), (3599.6, "1 h 0 min"), (180000, "2 d 2 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_pictures_line_names_failures_only_where_there_are_any() -> None:
    assert pictures_line(None) is None
    assert pictures_line(Status(failed=1, pending=2)) == (
        "pictures: 12 drawn, 9 sent (4.2 MB), 3 withheld, 1 failed, 2 to be drawn"
    )
    assert pictures_line(Status(sent=0, megabytes=0.0, waiting=9, waiting_megabytes=4.2)) == (
        "pictures: 12 drawn, 0 sent (0.0 MB), 9 to be synced (4.2 MB), 3 withheld"
    )


def test_a_step_costs_less_than_a_fifth_of_a_millisecond(tmp_path: Path) -> None:
    """The hooks of 2000 steps, the views drawn meanwhile included."""
    dashboard = Dashboard(console=terminal())
    trainer = train([dashboard], tmp_path, Tiny(), epochs=1)
    items = {name: torch.tensor(1.0) for name in ("box_loss", "cls_loss", "dfl_loss")}
    outputs, batch = {"loss": torch.tensor(1.0), "loss_items": items}, {"img": torch.ones(8, 1)}
    dashboard.on_train_start(trainer, trainer.lightning_module)
    dashboard.on_train_epoch_start(trainer, trainer.lightning_module)
    started = time.process_time()
    for index in range(2000):
        dashboard.on_train_batch_end(trainer, trainer.lightning_module, outputs, batch, index)
    cost = (time.process_time() - started) / 2000
    dashboard.teardown(trainer, trainer.lightning_module, "fit")
    assert cost < 0.0002


# ---- the command line -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_the_command_line_shows_it_on_a_terminal(shapes: Path, tmp_path: Path) -> None:
    import pty

    words = [*map(str, small(shapes, tmp_path)), "--trainer.enable_progress_bar", "null", "--trainer.max_epochs", "1"]
    words += ["--trainer.limit_train_batches", "2", "--trainer.logger", "false", *map(str, tiny_network(tmp_path))]
    master, slave = pty.openpty()
    run = subprocess.Popen(
        [executable(), "-m", "aigp_lightning", "fit", *words], cwd=REPO, stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    )  # fmt: skip
    os.close(slave)
    written = b""
    while select.select([master], [], [], 600)[0]:
        try:
            written += os.read(master, 65536)
        except OSError:  # the other end is closed
            break
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode())
    assert run.wait(600) == 0, text
    assert re.search(r"train  2/2 +━+  100 %", text)
    assert text.count("epoch 1/1  loss: ") == 1
    assert written.rfind(b"\x1b[?25h") > written.rfind(b"\x1b[?25l") > 0
