"""The thread that renders and delivers, with real files, a real ledger and real TensorBoard event files."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from aigp_lightning.media.budget import Budget
from aigp_lightning.media.delivery import Delivery
from aigp_lightning.media.hand_over import HandOver
from aigp_lightning.media.ledger.ledger import Ledger, read_ledger
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.renderer import Renderer
from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.sinks import sinks_of
from aigp_lightning.media.types import RenderedImage, RenderGroup, RenderJob
from aigp_lightning.media.worker import QUEUE_SIZE, RenderWorker

GREY = np.full((40, 60, 3), 90, np.uint8)


class Shelf:
    """A destination that keeps what it is given, and fails when told to."""

    def __init__(self, name: str = "wandb", remote: bool = True) -> None:
        self.name, self.destination, self.remote, self.broken = name, name.split(":", maxsplit=1)[0], remote, False
        self.waits = False
        self.got: list[tuple[str, bytes, int, int]] = []

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        if self.broken:
            raise ConnectionError("nobody there\nat all")
        hand_over.begin(hand_over.images)
        self.got += [(image.key, image.path.read_bytes(), epoch, step) for image in hand_over.images]
        hand_over.took(hand_over.images)


def picture(masked: frozenset[int]) -> NDArray[np.uint8]:
    """Two cells side by side; a masked one is black."""
    canvas = np.full((40, 80, 3), 200, np.uint8)
    for cell in masked:
        canvas[:, 40 * cell : 40 * cell + 40] = 0
    return canvas


def job(name: str = "val_batch0_pred.png", kind: str = "val_pred", **more: Any) -> RenderJob:
    return RenderJob(kind, name, more.pop("draw", picture), more.pop("cells", (("a.jpg",), ("b.jpg", "c.jpg"))), **more)


@pytest.fixture
def render_worker(tmp_path: Path) -> Callable[..., RenderWorker]:
    def make(sinks: list[Any], routes: Routes | None = None, private: str | None = None, megabytes: float | None = None,
             withhold: bool = False, keep_history: bool = False) -> RenderWorker:  # fmt: skip
        said: list[str] = []
        routing, ledger = Routing(routes or Routes(), sinks), Ledger(tmp_path / "media.jsonl")
        budget = Budget(megabytes, 0, said.append)
        renderer = Renderer(tmp_path, routing, ImagePatterns(private, "--media.private"), withhold)
        return RenderWorker(renderer, Delivery(tmp_path, ledger, routing, budget, said.append, keep_history))

    return make


def lines(folder: Path) -> list[tuple[str, str, str, int]]:
    found = read_ledger(folder / "media.jsonl")
    assert found.problems == []
    return [(line.key, line.destination, line.outcome, line.epoch) for line in found]


def test_file_ledger_and_logger_have_the_same_bytes(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    shelf = Shelf()
    mine = render_worker([shelf])
    mine.put(RenderGroup([job()], epoch=3, step=17))
    mine.close()
    data = (tmp_path / "val_batch0_pred.png").read_bytes()
    assert shelf.got == [("val_batch0_pred", data, 3, 17)]
    assert (cv2.imread(str(tmp_path / "val_batch0_pred.png")) == 200).all()
    found = read_ledger(tmp_path / "media.jsonl")
    assert [(line.destination, line.outcome) for line in found] == [("file", "written"), ("wandb", "sent")]
    for line in found:
        assert (line.kind, line.file, line.epoch, line.step) == ("val_pred", "val_batch0_pred.png", 3, 17)
        assert (line.sha256, line.bytes) == (sha256(data).hexdigest(), len(data))
        assert line.sources == ["a.jpg", "b.jpg", "c.jpg"]
    status = mine.status
    assert (status.drawn, status.sent, status.withheld, status.failed, status.pending) == (1, 1, 0, 0, 0)
    assert status.kept == 0
    assert status.megabytes == pytest.approx(len(data) / 1e6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["media.jsonl", "val_batch0_pred.png"]


def test_nothing_asked_for_nothing_drawn(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    def never(masked: frozenset[int]) -> NDArray[np.uint8]:
        raise AssertionError("drawn")

    mine = render_worker([Shelf("tensorboard", False)], Routes(val_pred=["wandb"]))
    mine.put(RenderGroup([job(draw=never)], 0, 0))
    mine.close()
    assert lines(tmp_path) == []
    assert mine.status.failed == 0


def test_a_private_cell_is_masked_in_what_leaves(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    far, near = Shelf("wandb"), Shelf("tensorboard", remote=False)
    mine = render_worker([near, far], private="c.jpg")
    mine.put(RenderGroup([job(), job("train_batch0.png", "train_batch", cells=(("a.jpg",), ("b.jpg",)))], 0, 0))
    mine.close()
    shown = cv2.imread(str(tmp_path / "val_batch0_pred.png"))
    masked = cv2.imread(str(tmp_path / "masked" / "val_batch0_pred.png"))
    assert (shown == 200).all()
    assert (masked[:, :40] == 200).all()
    assert (masked[:, 40:] == 0).all()
    assert near.got[0][1] == (tmp_path / "val_batch0_pred.png").read_bytes()
    assert far.got[0][1] == (tmp_path / "masked" / "val_batch0_pred.png").read_bytes()
    assert far.got[1][1] == near.got[1][1], "no private image in this one"
    sent = [line for line in read_ledger(tmp_path / "media.jsonl") if line.destination == "wandb"]
    assert [line.file for line in sent] == ["masked/val_batch0_pred.png", "train_batch0.png"]
    assert sent[0].sources == ["a.jpg"], "the masked cell's images are not in it"
    assert sent[0].sha256 == sha256(far.got[0][1]).hexdigest()


def test_withholding(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    far, near = Shelf("wandb"), Shelf("tensorboard", remote=False)
    mine = render_worker([far, near], private="b.jpg", withhold=True)
    mine.put(RenderGroup([job()], 0, 0))
    mine.close()
    assert far.got == []
    assert len(near.got) == 1
    assert not (tmp_path / "masked").exists()
    withheld = next(line for line in read_ledger(tmp_path / "media.jsonl") if line.destination == "wandb")
    assert (withheld.outcome, withheld.reason) == ("withheld", "private image")
    assert mine.status.withheld == 1


def test_a_mask_that_fails_withholds(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        if masked:
            raise ValueError("no mask today")
        return GREY

    far = Shelf()
    mine = render_worker([far], private="b.jpg")
    mine.put(RenderGroup([job(draw=draw)], 0, 0))
    mine.close()
    assert far.got == []
    assert lines(tmp_path)[-1] == ("val_batch0_pred", "wandb", "withheld", 0)


def test_budget(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    """Two mosaics an epoch do not fit: the second stays here, and its file is complete."""
    size = len(cv2.imencode(".png", picture(frozenset()))[1])
    far = Shelf()
    mine = render_worker([far], megabytes=3.5 * size / 1e6)
    for epoch in range(3):
        jobs = [job(f"val_batch{number}_pred.png", mosaic=number) for number in range(2)]
        mine.put(RenderGroup(jobs, epoch, 0, validations_left=2 - epoch))
    mine.close()
    assert [(key, epoch) for key, _, epoch, _ in far.got] == [("val_batch0_pred", epoch) for epoch in range(3)]
    assert sum(len(data) for _, data, *_ in far.got) <= 3.5 * size
    reasons = {line.reason for line in read_ledger(tmp_path / "media.jsonl") if line.outcome == "withheld"}
    assert reasons == {"budget"}
    assert (tmp_path / "val_batch1_pred.png").is_file()


def test_budget_counts_only_what_may_go(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    """The first mosaic is withheld for a private image: the budget's one mosaic is then the second."""
    size = len(cv2.imencode(".png", picture(frozenset()))[1])
    far = Shelf()
    mine = render_worker([far], private="secret.jpg", withhold=True, megabytes=2.5 * size / 1e6)
    for epoch in range(2):
        jobs = [job(f"val_batch{number}_pred.png", mosaic=number) for number in (1, 2)]
        secret = job("val_batch0_pred.png", cells=(("secret.jpg",), ("b.jpg",)))
        mine.put(RenderGroup([secret, *jobs], epoch, 0, validations_left=1 - epoch))
    mine.close()
    assert [(key, epoch) for key, _, epoch, _ in far.got] == [("val_batch1_pred", 0), ("val_batch1_pred", 1)]


def test_a_broken_logger_is_left_alone_and_others_go_on(
    render_worker: Callable[..., RenderWorker], tmp_path: Path
) -> None:
    broken, sound = Shelf("other:Broken"), Shelf("tensorboard", remote=False)
    broken.broken = True
    mine = render_worker([broken, sound])
    for epoch in range(5):
        mine.put(RenderGroup([job()], epoch, 0))
    mine.close()
    assert len(sound.got) == 5
    failed = [line for line in read_ledger(tmp_path / "media.jsonl") if line.destination == "other:Broken"]
    assert [line.outcome for line in failed] == ["failed"] * 5
    assert [line.reason for line in failed] == ["nobody there"] * 3 + ["switched off after repeated failures"] * 2
    assert mine.delivery.budget.sent == 0, "what was not taken does not count"
    assert mine.status.failed == 5


def test_a_picture_that_fails_is_a_line_and_the_next_is_drawn(
    render_worker: Callable[..., RenderWorker], tmp_path: Path
) -> None:
    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        raise OSError("val image is gone")

    shelf = Shelf()
    mine = render_worker([shelf])
    mine.put(RenderGroup([job("val_batch0_pred.png", draw=draw), job("val_batch1_pred.png")], 0, 0))
    mine.close()
    assert [key for key, *_ in shelf.got] == ["val_batch1_pred"]
    assert lines(tmp_path)[0] == ("val_batch0_pred", "file", "failed", 0)
    assert read_ledger(tmp_path / "media.jsonl")[0].reason == "val image is gone"


def test_a_group_that_fails_ends_nothing(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    broken: Any = (job(f"{1 // number}.png") for number in range(2))  # its first name cannot be made
    mine = render_worker([Shelf()])
    mine.put(RenderGroup(broken, 0, 0))
    mine.put(RenderGroup([job()], 1, 0))
    mine.close()
    assert [line[3] for line in lines(tmp_path)] == [1, 1]
    assert mine.status.failed == 1


def test_a_resumed_run_makes_no_doubles(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    first, second = Shelf(), Shelf()
    for shelf in (first, second):
        mine = render_worker([shelf])
        mine.put(RenderGroup([job()], 0, 0))
        if shelf is second:
            mine.put(RenderGroup([job()], 1, 5))
        mine.close()
    assert [epoch for _, _, epoch, _ in first.got] == [0]
    assert [epoch for _, _, epoch, _ in second.got] == [1]
    assert [line for line in lines(tmp_path) if line[1] == "wandb"] == [
        ("val_batch0_pred", "wandb", "sent", 0),
        ("val_batch0_pred", "wandb", "sent", 1),
    ]
    assert [line for line in lines(tmp_path) if line[1] == "file"] == [
        ("val_batch0_pred", "file", "written", 0),
        ("val_batch0_pred", "file", "written", 1),
    ]


def test_what_stays_the_same_is_drawn_once(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    calls: list[frozenset[int]] = []

    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        calls.append(masked)
        return picture(masked)

    shelf = Shelf()
    mine = render_worker([shelf], private="a.jpg")
    for epoch, key in enumerate(["x", "x", "y"]):
        mine.put(RenderGroup([job(draw=draw, cache_key=key)], epoch, 0))
    mine.close()
    assert calls == [frozenset(), frozenset({0})] * 2
    assert len({data for _, data, *_ in shelf.got}) == 1
    assert len(shelf.got) == 3


def test_history_keeps_every_epoch(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    shades = iter([10, 20])
    mine = render_worker([], keep_history=True)
    for epoch in (0, 11):
        shade = next(shades)
        mine.put(RenderGroup([job(draw=lambda masked, shade=shade: np.full((8, 8, 3), shade, np.uint8))], epoch, 0))
    mine.close()
    for epoch, shade in ((0, 10), (11, 20)):
        kept = tmp_path / "history" / f"epoch{epoch:04d}" / "val_batch0_pred.png"
        assert (cv2.imread(str(kept)) == shade).all()
    assert (cv2.imread(str(tmp_path / "val_batch0_pred.png")) == 20).all()


def test_training_is_not_held_up(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    """`put` returns while a picture is being drawn; `close` waits for all of them."""
    gate = threading.Event()

    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        assert gate.wait(600)
        return GREY

    mine = render_worker([])
    for number in range(3):
        mine.put(RenderGroup([job(f"val_batch{number}_pred.png", draw=draw)], 0, 0))
    assert mine.status.pending == 3
    assert not (tmp_path / "val_batch0_pred.png").exists()
    gate.set()
    mine.close()
    assert mine.status.drawn == 3
    mine.put(RenderGroup([job()], 0, 0))
    mine.close()
    assert mine.status.drawn == 3, "a closed render_worker takes nothing"


@pytest.mark.parametrize("waiting", [1, 1 + QUEUE_SIZE])
def test_a_disk_that_hangs_does_not_hold_up_the_end(
    waiting: int, render_worker: Callable[..., RenderWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However full the queue is."""
    monkeypatch.setattr("aigp_lightning.media.worker.PATIENCE", 0.2)
    gone, said = threading.Event(), list[str]()

    class Hanging(Shelf):
        def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
            gone.wait(30)
            super().send(hand_over, epoch, step)

    shelf = Hanging()
    mine = render_worker([shelf], Routes())
    mine.delivery.say = said.append
    for epoch in range(waiting):
        mine.put(RenderGroup([job()], epoch, 0))
    mine.close()
    mine.close()
    assert said == [
        "nothing was drawn or delivered for 0 s (a disk or a logger hangs): the run ends without the rest. "
        "What was being handed over counts as sent."
    ]
    (line,) = [line for line in read_ledger(mine.delivery.folder / "media.jsonl") if line.destination == "wandb"]
    assert (line.outcome, line.epoch) == ("unknown", 0)
    gone.set()
    while not mine.ended(waiting):
        time.sleep(0.01)
    mine.delivery.record.close()


def test_the_end_waits_as_long_as_something_moves(
    render_worker: Callable[..., RenderWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aigp_lightning.media.worker.PATIENCE", 0.5)
    shelf = Shelf()

    def slow(masked: frozenset[int]) -> NDArray[np.uint8]:
        time.sleep(0.1)
        return picture(masked)

    mine = render_worker([shelf], Routes())
    for epoch in range(8):
        mine.put(RenderGroup([job(draw=slow)], epoch, 0))
    mine.close()
    assert [epoch for *_, epoch, _ in shelf.got] == list(range(8))


def test_a_full_disk_leaves_the_old_picture(
    render_worker: Callable[..., RenderWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = render_worker([])
    mine.put(RenderGroup([job()], 0, 0))
    mine.close()
    before = (tmp_path / "val_batch0_pred.png").read_bytes()

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    mine = render_worker([])
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        mine.put(RenderGroup([job()], 1, 0))
        mine.close()
    assert (tmp_path / "val_batch0_pred.png").read_bytes() == before
    assert lines(tmp_path)[-1] == ("val_batch0_pred", "file", "failed", 1)
    assert not list(tmp_path.glob(".*"))


def test_loggers_by_their_class(tmp_path: Path) -> None:
    """Derived classes count; CSV needs no pictures; a stranger without `log_image` is told of, once."""
    from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
    from lightning.pytorch.loggers.logger import DummyLogger

    class Mine(TensorBoardLogger):
        pass

    class Plain(Logger):
        name, version = "plain", 0  # type: ignore[assignment]

        def log_metrics(self, metrics: Any, step: int | None = None) -> None: ...
        def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...

    class Pictured(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.got: list[Any] = []

        def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
            self.got.append((key, images, step))

    said: list[str] = []
    pictured = Pictured()
    loggers = [
        Mine(tmp_path),
        TensorBoardLogger("memory://bucket/x"),
        CSVLogger(tmp_path),
        Plain(),
        pictured,
        DummyLogger(),
    ]
    sinks = sinks_of(loggers, said.append)
    assert [(sink.name, sink.destination, sink.remote) for sink in sinks] == [
        ("tensorboard", "tensorboard", False), ("tensorboard:2", "tensorboard", True),
        ("other:Pictured", "other", True),
    ]  # fmt: skip
    assert said == ["Plain gets scalars only: it has no log_image to take pictures with"]
    sinks[-1].send(HandOver([RenderedImage(job("a.jpg"), tmp_path / "a.jpg", b"")]), epoch=4, step=99)
    assert pictured.got == [("a", [str(tmp_path / "a.jpg")], 4)]


def test_tensorboard_gets_the_encoded_bytes(render_worker: Callable[..., RenderWorker], tmp_path: Path) -> None:
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path, name="tensorboard", version="")
    mine = render_worker(sinks_of([logger], print))
    for epoch in range(12):
        shade = np.full((50, 70, 3), epoch, np.uint8)
        mine.put(RenderGroup([job("val_batch0_pred.jpg", draw=lambda masked, shade=shade: shade)], epoch, 100 * epoch))
    mine.close()  # and no more: a run that is killed now has them in its event file
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    images = events.Images("val_batch0_pred")
    assert [image.step for image in images] == list(range(12))
    assert {(image.width, image.height) for image in images} == {(70, 50)}
    told = [line.sha256 for line in read_ledger(tmp_path / "media.jsonl") if line.destination == "tensorboard"]
    assert [sha256(image.encoded_image_string).hexdigest() for image in images] == told
