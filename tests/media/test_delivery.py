"""Whatever goes wrong while pictures are handed over, the ledger says of each what is known; nothing left unsaid."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import largest_file
from lightning.pytorch.loggers import Logger

from aigp_lightning.logfiles.event_file import event_files, read_event_file
from aigp_lightning.logfiles.wandb_run import read_wandb_run
from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger, quiet_writer
from aigp_lightning.loggers.wandb import ResilientWandbLogger
from aigp_lightning.media.budget import Budget
from aigp_lightning.media.delivery import Delivery
from aigp_lightning.media.ledger.ledger import Ledger, Line, read_ledger, settled
from aigp_lightning.media.ledger.lines import IN_FLIGHT
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.pipeline import start_pipeline
from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.sinks import sinks_of
from aigp_lightning.media.sinks import wandb as wandb_sink
from aigp_lightning.media.types import RenderedImage, RenderGroup, RenderJob

PICTURES = 4
Identity = tuple[str, int, str]
ERRORS = (ConnectionError("it broke"), MemoryError(), KeyboardInterrupt(), SystemExit(3))


class Board(Logger):
    """A logger of the user's own that keeps what it is given; its n-th call fails, before or after it kept that."""

    name, version = "board", 0  # type: ignore[assignment]

    def __init__(self, fails: int = -1, error: BaseException | None = None, after: bool = False) -> None:
        super().__init__()
        self.got: list[tuple[Identity, int]] = []
        self.calls, self.fails, self.error, self.after = 0, fails, error, after
        self.meanwhile: Callable[[], object] = lambda: None

    def log_metrics(self, metrics: Any, step: int | None = None) -> None: ...
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        self.calls += 1
        failing = self.error is not None and self.calls - 1 == self.fails
        if not failing or self.after:
            data = Path(images[0]).read_bytes()
            self.got.append(((key, int(step or 0), sha256(data).hexdigest()), len(data)))
        self.meanwhile()
        if failing:
            assert self.error is not None
            raise self.error

    @property
    def taken(self) -> Counter[Identity]:
        return Counter(identity for identity, _ in self.got)


class Other(Board):
    """Another class, so another destination."""


def blank(masked: frozenset[int]) -> np.ndarray:
    return np.zeros((8, 8, 3), np.uint8)


def images_of(folder: Path, epoch: int, count: int = PICTURES) -> list[RenderedImage]:
    """Small pictures of the validation, others in each epoch."""
    found = []
    for number in range(count):
        pixels = np.full((8, 8, 3), (10 * number + epoch) % 256, np.uint8)
        job = RenderJob("val_pred", f"val_batch{number}_pred.png", blank, (("a.jpg",),), number)
        found.append(RenderedImage(job, folder / job.name, cv2.imencode(".png", pixels)[1].tobytes()))
    return found


class Run:
    """A delivery without its thread, into a folder."""

    def __init__(self, folder: Path, loggers: list[Any], megabytes: float | None = None) -> None:
        self.folder, self.said = folder, list[str]()
        self.ledger = Ledger(folder / "media.jsonl")
        self.budget = Budget(megabytes, self.ledger.left, self.said.append)
        routing = Routing(Routes(), sinks_of(loggers, self.said.append))
        self.delivery = Delivery(folder, self.ledger, routing, self.budget, self.said.append)
        self.status = self.delivery.status

    def epoch(self, epoch: int, count: int = PICTURES) -> None:
        images = images_of(self.folder, epoch, count)
        self.delivery.deliver(images, RenderGroup([image.job for image in images], epoch, 10 * epoch))

    def close(self) -> None:
        self.delivery.record.close()

    @property
    def lines(self) -> list[Line]:
        found = read_ledger(self.folder / "media.jsonl")
        assert found.problems == []
        return found


def identities(lines: list[Line], destination: str, *outcomes: str) -> Counter[Identity]:
    mine = [line for line in settled(lines) if line.destination == destination and line.outcome in outcomes]
    return Counter((line.key, line.epoch, line.sha256) for line in mine)


def check(run: Run, destination: str, taken: Counter[Identity]) -> None:
    """What a logger has is sent or unknown, each once; what is sent it has; budget, status and ledger agree."""
    lines = run.lines
    sent, unknown = (identities(lines, destination, outcome) for outcome in ("sent", "unknown"))
    assert taken <= sent + unknown, "it has what the ledger does not say"
    assert sent <= taken, "the ledger says more than it has"
    assert max(identities(lines, destination, "sent", "unknown", "failed", "withheld").values(), default=0) <= 1
    left = sum(line.bytes for line in lines if line.left)
    assert run.budget.sent == run.ledger.left == left
    assert run.status.megabytes + run.status.waiting_megabytes == pytest.approx(left / 1e6)
    offline = destination == "wandb" and bool(left)
    assert (run.status.waiting_megabytes > 0, run.status.megabytes > 0) == (offline, not offline and bool(left))
    counted = Counter(line.outcome for line in lines if line.destination != "file")
    assert run.status.sent + run.status.waiting + run.status.kept == counted["sent"]
    assert (run.status.unknown, run.status.failed) == (counted["unknown"], counted["failed"])


# ---- a logger that fails half-way ------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before it took it", "after it took it"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_logger_that_fails_at_any_picture(error: BaseException, after: bool, tmp_path: Path) -> None:
    for fails in range(2 * PICTURES + 1):
        folder = tmp_path / str(fails)
        board, second = Board(fails, error, after), Other()
        run = Run(folder, [board, second])
        for epoch in range(2):
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                run.epoch(epoch)
        check(run, "other:Board", board.taken)
        lines = run.lines
        doubtful = [line for line in lines if line.outcome == "unknown"]
        assert [line.key for line in doubtful] == [f"val_batch{fails % 4}_pred"] * (fails < 2 * PICTURES)
        failed = [line for line in lines if line.outcome == "failed"]
        assert len(failed) == (3 - fails % 4) * (fails < 2 * PICTURES)
        assert {line.reason for line in doubtful + failed} <= {str(error) or type(error).__name__}
        run.close()
        again = Run(folder, [board, second])
        assert again.budget.sent == run.budget.sent
        before = board.taken
        for epoch in range(2):
            again.epoch(epoch)
        assert max(board.taken.values()) == 1, "nothing goes twice"
        assert identities(again.lines, "other:Board", "sent", "unknown").total() == 2 * PICTURES
        assert board.taken - before <= identities(again.lines, "other:Board", "sent")
        assert second.taken == identities(again.lines, "other:Other", "sent")
        if doubtful:
            told = [text for text in again.said if text.startswith("other:Board: nobody can tell")]
            assert len(told) == 1
        again.close()


def test_three_failures_in_a_row_and_no_more(tmp_path: Path) -> None:
    class Broken(Board):
        def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
            self.calls += 1
            raise ConnectionError("nobody there")

    broken = Broken()
    run = Run(tmp_path, [broken])
    for epoch in range(5):
        run.epoch(epoch)
    assert broken.calls == 3
    check(run, "other:Broken", Counter())
    assert Counter(line.outcome for line in run.lines if line.destination != "file") == {"unknown": 3, "failed": 17}
    doubt = "1 of them may have arrived all the same, and count as sent"
    assert run.said[0] == f"other:Broken did not take 4 pictures: nobody there; {doubt}"
    assert [text.endswith("it gets no more") for text in run.said] == [False, False, True]
    assert run.lines[-1].reason == "switched off after repeated failures"


def test_what_nobody_can_tell_counts_against_the_budget(tmp_path: Path) -> None:
    size = len(images_of(tmp_path, 0)[0].data)
    board = Board(fails=0, error=TimeoutError("no answer"), after=True)
    run = Run(tmp_path, [board], megabytes=2.5 * size / 1e6)
    run.epoch(0, count=1)
    run.epoch(1, count=1)
    run.epoch(2, count=1)
    assert sum(size for _, size in board.got) <= 2.5 * size
    assert [line.outcome for line in run.lines if line.destination != "file"] == ["unknown", "sent", "withheld"]


def test_a_terminal_that_is_gone_costs_no_line(tmp_path: Path) -> None:
    board = Board(fails=1, error=ConnectionError("it broke"))
    run = Run(tmp_path, [board])

    def gone(text: str) -> None:
        raise BrokenPipeError

    run.delivery = Delivery(tmp_path, run.ledger, run.delivery.routing, run.budget, gone, status=run.status)
    run.epoch(0)
    run.epoch(1)
    check(run, "other:Board", board.taken)
    assert identities(run.lines, "other:Board", "sent", "unknown", "failed").total() == 2 * PICTURES


def test_a_logger_that_ends_its_thread_does_not_end_the_pictures(tmp_path: Path) -> None:
    board = Board(fails=1, error=SystemExit("bye"))
    routing, said = Routing(Routes(), sinks_of([board])), list[str]()
    worker = start_pipeline(tmp_path, routing, ImagePatterns(None, "--media.private"), say=said.append)
    for epoch in range(2):
        jobs = [RenderJob("val_pred", f"val_batch{n}_pred.png", blank)
                for n in range(PICTURES)]  # fmt: skip
        worker.put(RenderGroup(jobs, epoch, 0))
    worker.close()
    assert board.taken == identities(read_ledger(tmp_path / "media.jsonl"), "other:Board", "sent")
    assert board.taken.total() == 1 + PICTURES
    assert said == ["pictures of epoch 0 failed: bye"]


# ---- a kill ----------------------------------------------------------------------------------------------------------


def test_a_kill_at_any_moment_leaves_a_line_of_all_that_left(tmp_path: Path) -> None:
    """What the file holds at that moment is what a kill leaves."""
    board = Board()
    run = Run(tmp_path, [board])

    def look() -> None:
        lines = read_ledger(tmp_path / "media.jsonl")
        assert lines.problems == []
        assert board.taken <= identities(lines, "other:Board", "sent", "unknown")
        assert {line.reason for line in lines if line.outcome == "unknown"} == {IN_FLIGHT}
        killed = tmp_path / f"killed {board.calls}"
        killed.mkdir()
        shutil.copy(tmp_path / "media.jsonl", killed)

    board.meanwhile = look
    for epoch in range(2):
        run.epoch(epoch)
    check(run, "other:Board", board.taken)
    assert identities(run.lines, "other:Board", "unknown").total() == 0
    for calls in range(1, 2 * PICTURES + 1):
        resumed = Board()
        again = Run(tmp_path / f"killed {calls}", [resumed])
        for epoch in range(2):
            again.epoch(epoch)
        assert not resumed.taken & Counter(list(board.taken.elements())[:calls]), "nothing goes twice"
        again.close()


# ---- no line, no sending ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
def test_a_disk_that_is_full_at_any_byte(tmp_path: Path) -> None:
    """At every size of the ledger; then there is room again, and what is owed is written."""
    whole = Run(tmp_path / "whole", [Board()])
    whole.epoch(0, 2)
    whole.epoch(1, 2)
    size, cut = (tmp_path / "whole" / "media.jsonl").stat().st_size, 0
    stopped = 0
    for limit in range(120, size + 60, 41):
        board, folder = Board(), tmp_path / str(limit)
        run = Run(folder, [board])
        with largest_file(limit):
            for epoch in range(2):
                run.epoch(epoch, 2)
                check(run, "other:Board", board.taken)
                assert sum(size for _, size in board.got) <= sum(line.bytes for line in run.lines if line.left)
        cut += board.taken.total() < 4
        assert len([text for text in run.said if text.startswith("the ledger could not")]) == (board.taken.total() < 4)
        run.epoch(2, 2)
        run.close()
        assert board.taken.total() < 6 or not run.said
        lines = run.lines
        assert len(lines) == 3 * 2 * 2, "all that happened is in it"
        assert board.taken == identities(lines, "other:Board", "sent")
        reasons = {line.reason for line in lines if line.outcome == "withheld"}
        assert reasons <= {"the ledger could not be written"}
        stopped += len([line for line in lines if line.outcome == "withheld"])
    assert cut > 10
    assert stopped > 20


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
@pytest.mark.parametrize("fails", [-1, 1])
def test_a_disk_that_fills_up_while_pictures_leave(fails: int, tmp_path: Path) -> None:
    """The outcomes have their room already: a limit at the file's very size changes nothing but long reasons."""
    board = Board(fails, ConnectionError("a long story " * 40))
    run = Run(tmp_path, [board])
    with contextlib.ExitStack() as stack:

        def fill() -> None:
            board.meanwhile = lambda: None
            stack.enter_context(largest_file((tmp_path / "media.jsonl").stat().st_size))

        board.meanwhile = fill
        run.epoch(0)
        check(run, "other:Board", board.taken)
        lines = [line for line in run.lines if line.destination != "file"]
        if fails < 0:
            assert [line.outcome for line in lines] == ["sent"] * 4
        else:
            assert [line.outcome for line in lines] == ["sent", "unknown", "failed", "failed"]
            assert {line.reason for line in lines[1:]} == {"its reason found no room on the disk"}
        run.epoch(1)
        assert board.taken.total() == len([line for line in lines if line.outcome == "sent"]), "no line, no sending"
        check(run, "other:Board", board.taken)


def lose_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def lose_file(folder: Path) -> None:
    (folder / "media.jsonl").unlink()


def swap_file(folder: Path) -> None:
    shutil.copy(folder / "media.jsonl", folder / "copy")
    (folder / "copy").replace(folder / "media.jsonl")


def empty_file(folder: Path) -> None:
    os.truncate(folder / "media.jsonl", 0)


def cut_file(folder: Path) -> None:
    os.truncate(folder / "media.jsonl", 500)


def add_to_file(folder: Path) -> None:
    with (folder / "media.jsonl").open("ab") as file:
        file.write(b"{}\n")


def change_last_line(folder: Path) -> None:
    data = (folder / "media.jsonl").read_bytes()
    with (folder / "media.jsonl").open("r+b") as file:
        file.seek(data.rindex(b'"kind": "') + 9)
        file.write(b"V")


LOSSES = [lose_folder, lose_file, swap_file, empty_file, cut_file, add_to_file, change_last_line]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
@pytest.mark.parametrize("lose", LOSSES[1:], ids=lambda lose: lose.__name__)
def test_a_ledger_that_is_lost_while_pictures_leave(lose: Callable[[Path], None], tmp_path: Path) -> None:
    """What was noted before has left, and is the last: nothing follows it."""
    board, folder = Board(), tmp_path / "run"
    run = Run(folder, [board])

    def lose_once() -> None:
        board.meanwhile = lambda: None
        lose(folder)

    board.meanwhile = lose_once
    run.epoch(0)
    run.epoch(1)
    assert board.taken.total() == PICTURES
    assert len(run.said) == 1
    assert (run.status.sent, run.status.withheld) == (PICTURES, PICTURES)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_a_ledger_that_is_gone(lose: Callable[[Path], None], tmp_path: Path) -> None:
    """The open file still takes bytes, which nobody will ever find."""
    board, folder = Board(), tmp_path / "run"
    local = ResilientTensorBoardLogger(tmp_path, name="events", version="")
    run = Run(folder, [board, local])
    run.epoch(0)
    lose(folder)
    run.epoch(1)
    run.epoch(2)
    assert board.taken.total() == PICTURES
    assert len(run.said) == 1
    assert run.said[0].startswith("the ledger could not be written (")
    assert run.said[0].endswith("nothing goes to remote destinations until it can be")
    assert (run.status.sent, run.status.withheld) == (PICTURES, 2 * PICTURES)
    (events,) = event_files(tmp_path / "events")
    assert len(read_event_file(events).images) == 3 * PICTURES, "what stays here goes on"
    local.finalize("success")


def test_a_ledger_that_is_closed(tmp_path: Path) -> None:
    board = Board()
    run = Run(tmp_path, [board])
    run.epoch(0)
    run.close()
    run.epoch(1)
    assert board.taken.total() == PICTURES
    assert run.said == ["the ledger could not be written ([Errno 9] it is closed): nothing goes to remote destinations "
                        "until it can be"]  # fmt: skip


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "socket"])
def test_a_ledger_that_cannot_be_opened(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it."""
    if kind != "folder" and sys.platform != "linux":
        pytest.skip("no such files")
    if kind == "folder":
        (tmp_path / "media.jsonl").mkdir()
    elif kind == "pipe":
        os.mkfifo(tmp_path / "media.jsonl")
    elif kind == "device":
        (tmp_path / "media.jsonl").symlink_to("/dev/full")
    else:
        monkeypatch.chdir(tmp_path)  # a socket's name may be 107 bytes long
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("media.jsonl")
    board, said = Board(), list[str]()
    local = ResilientTensorBoardLogger(tmp_path, name="events", version="")
    routing = Routing(Routes(), sinks_of([board, local]))
    worker = start_pipeline(tmp_path, routing, ImagePatterns(None, "--media.private"), say=said.append, max_mb=5)
    job = RenderJob("val_pred", "val_batch0_pred.png", blank)
    for epoch in range(2):
        worker.put(RenderGroup([job], epoch, 0))
    worker.close()
    assert board.got == []
    assert len(said) == 1
    assert said[0].startswith("the ledger cannot be opened (")
    assert said[0].endswith("): pictures are drawn, and none goes to a remote destination")
    assert (tmp_path / "val_batch0_pred.png").is_file()
    (events,) = event_files(tmp_path / "events")
    assert len(read_event_file(events).images) == 2
    assert (worker.status.kept, worker.status.sent, worker.status.withheld) == (2, 0, 2)
    local.finalize("success")


# ---- two loggers of one kind -----------------------------------------------------------------------------------------


def test_two_loggers_of_a_kind_are_two_destinations(tmp_path: Path) -> None:
    def events(name: str) -> Counter[Identity]:
        images = [image for file in event_files(tmp_path / name) for image in read_event_file(file).images]
        return Counter((image.tag, image.step, image.sha256) for image in images)

    boards = [Board(), Board()]
    for start in range(2):  # the second resumes the first
        writers = [ResilientTensorBoardLogger(tmp_path, name=name, version="") for name in ("a", "b")]
        run = Run(tmp_path, [writers[0], boards[0], writers[1], boards[1]])
        names = [sink.name for sink in run.delivery.routing.sinks]
        assert names == ["tensorboard", "other:Board", "tensorboard:2", "other:Board:2"]
        for epoch in range(start + 1):
            run.epoch(epoch)
        run.close()
        for writer in writers:
            writer.finalize("success")
    lines = run.lines
    for name, taken in zip(names, (events("a"), boards[0].taken, events("b"), boards[1].taken), strict=True):
        assert taken == identities(lines, name, "sent")
        assert taken.total() == 2 * PICTURES
    each = sum(line.bytes for line in lines if line.destination == "file")
    assert run.ledger.left == 2 * each
    assert run.ledger.total(destinations=["tensorboard"]) == run.ledger.total(destinations=["tensorboard:2"]) == each


# ---- TensorBoard -----------------------------------------------------------------------------------------------------


def events_of(folder: Path) -> Counter[Identity]:
    images = [image for file in event_files(folder) for image in read_event_file(file).images]
    return Counter((image.tag, image.step, image.sha256) for image in images)


@pytest.mark.parametrize("where", ["before", "after", "flush"])
def test_an_event_file_that_fails_at_any_picture(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the file after all is sent: the file itself was asked."""
    for fails in range(PICTURES):
        folder = tmp_path / str(fails)
        logger = ResilientTensorBoardLogger(folder, name="events", version="")
        writer, calls = logger.experiment._get_file_writer(), iter(range(99))

        def broken(call: Callable[..., None], late: bool, calls: Iterator[int] = calls, fails: int = fails) -> Any:
            def called(*words: Any) -> None:
                failing = next(calls) == fails
                if not failing or late:
                    call(*words)
                if failing:
                    raise OSError(5, "Input/output error")

            return called

        target = "flush" if where == "flush" else "add_summary"
        monkeypatch.setattr(writer, target, broken(getattr(writer, target), where == "after"))
        run = Run(folder, [logger])
        run.epoch(0)
        monkeypatch.undo()
        logger.finalize("success")
        taken, lines = events_of(folder), run.lines
        sent, unknown = (identities(lines, "tensorboard", outcome) for outcome in ("sent", "unknown"))
        assert sent <= taken <= sent + unknown
        assert (sent.total(), identities(lines, "tensorboard", "failed").total()) in (
            (fails, PICTURES - fails - 1), (fails + 1, PICTURES - fails - 1)
        )  # fmt: skip
        assert run.status.kept == sent.total()


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
@pytest.mark.parametrize("room", range(0, 500, 61))
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_event_file_that_is_full_at_any_byte(room: int, tmp_path: Path) -> None:
    logger = ResilientTensorBoardLogger(tmp_path, name="events", version="")
    logger.experiment.add_text("long", "so that the ledger is the smaller file " * 500)
    logger.experiment.flush()
    run = Run(tmp_path, [logger])
    (file,) = event_files(tmp_path)
    with largest_file(file.stat().st_size + room):
        run.epoch(0)
    with quiet_writer(), contextlib.suppress(OSError):
        run.epoch(1)
        logger.finalize("success")
    taken = events_of(tmp_path)
    sent, unknown = (identities(run.lines, "tensorboard", outcome) for outcome in ("sent", "unknown"))
    assert sent <= taken <= sent + unknown
    assert identities(run.lines, "tensorboard", "failed")


# ---- W&B -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wandb_logger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResilientWandbLogger]:
    """One offline run for all tests; each has epochs of its own."""
    import wandb

    settings = wandb.Settings(silent=True, x_transaction_log_flush_interval=0.1, console="off")
    logger = ResilientWandbLogger(save_dir=str(tmp_path_factory.mktemp("wandb")), mode="offline", settings=settings)
    _ = logger.experiment
    yield logger
    wandb.finish()
    wandb.teardown()


def rows_of(logger: ResilientWandbLogger, epoch: int) -> Counter[Identity]:
    media = read_wandb_run(Path(logger.experiment.dir).parent).media
    return Counter((one.key, epoch, one.sha256) for one in media if one.epoch == epoch)


@pytest.mark.parametrize("missing", range(PICTURES))
def test_a_row_that_cannot_be_made_is_failed(
    missing: int, wandb_logger: ResilientWandbLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of one picture is gone before W&B reads it: nothing of the row was given."""
    import wandb

    real = wandb.Image
    count = iter(range(99))

    def lost(path: str) -> Any:
        if next(count) == missing:
            Path(path).unlink()
        return real(path)

    monkeypatch.setattr(wandb, "Image", lost)
    run = Run(tmp_path, [wandb_logger])
    run.epoch(100 + missing)
    check(run, "wandb", rows_of(wandb_logger, 100 + missing))
    assert [line.outcome for line in run.lines if line.destination == "wandb"] == ["failed"] * PICTURES
    assert run.budget.sent == 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [ConnectionError("it broke"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_row_that_breaks(
    error: BaseException, after: bool, wandb_logger: ResilientWandbLogger, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Before, and nobody can tell; after, and the run file shows the row, if there was time to look."""
    epoch = 200 + 2 * after + isinstance(error, KeyboardInterrupt)
    real = wandb_logger.experiment.log

    def log(row: dict[str, Any]) -> None:
        if after:
            real(row)
            wait_for(lambda: rows_of(wandb_logger, epoch).total() == PICTURES)
        raise error

    monkeypatch.setattr(wandb_logger.experiment, "log", log)
    run = Run(tmp_path, [wandb_logger])
    with contextlib.suppress(KeyboardInterrupt):
        run.epoch(epoch)
    check(run, "wandb", rows_of(wandb_logger, epoch))
    outcomes = {line.outcome for line in run.lines if line.destination == "wandb"}
    assert outcomes == {"sent" if after and isinstance(error, Exception) else "unknown"}
    monkeypatch.undo()
    again = Run(tmp_path, [wandb_logger])
    again.epoch(epoch)
    assert rows_of(wandb_logger, epoch).total() == PICTURES * after, "what may be there does not go again"


def test_a_row_that_is_not_written_in_time(
    wandb_logger: ResilientWandbLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_sink, "WAIT", 0.05)
    monkeypatch.setattr(wandb_logger, "flushed", lambda: False)
    monkeypatch.setattr(wandb_logger, "logged_pictures", lambda epoch: set())
    run = Run(tmp_path, [wandb_logger])
    run.epoch(300)
    monkeypatch.undo()
    wait_for(lambda: rows_of(wandb_logger, 300).total() == PICTURES)
    check(run, "wandb", rows_of(wandb_logger, 300))
    lines = [line for line in run.lines if line.destination == "wandb"]
    assert {(line.outcome, line.reason) for line in lines} == {("unknown", "its row is not on disk")}
    assert run.budget.sent == sum(line.bytes for line in lines)
    doubt = "4 of them may have arrived all the same, and count as sent"
    assert run.said == [f"wandb did not take 4 pictures: its row is not on disk; {doubt}"]


def test_a_moment_is_one_row_and_sent(wandb_logger: ResilientWandbLogger, tmp_path: Path) -> None:
    run = Run(tmp_path, [wandb_logger])
    run.epoch(400)
    check(run, "wandb", rows_of(wandb_logger, 400))
    assert [line.outcome for line in run.lines if line.destination == "wandb"] == ["sent"] * PICTURES
    rows = [row for row in read_wandb_run(Path(wandb_logger.experiment.dir).parent).history if row.get("epoch") == 400]
    assert len(rows) == 1


def wait_for(true: Callable[[], bool], seconds: float = 30) -> None:
    import time

    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.02)
