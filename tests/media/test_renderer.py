"""Rendering both variants writes no file; then one delivery writes, decides, sends and records."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from aigp_lightning.media.budget import Budget
from aigp_lightning.media.delivery import Delivery
from aigp_lightning.media.hand_over import HandOver
from aigp_lightning.media.ledger.ledger import Entry, Ledger, read_ledger
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.renderer import Renderer
from aigp_lightning.media.routing import Routes, Routing
from aigp_lightning.media.types import RenderGroup, RenderJob


class Remote:
    """A remote destination; on each call it notes which files and ledger lines are there already."""

    name, destination, remote, waits = "wandb", "wandb", True, False

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, []  # type: ignore[var-annotated]

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        lines = [(line.key, line.destination, line.outcome) for line in read_ledger(self.folder / "media.jsonl")]
        files = sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.png"))
        self.calls.append(([image.key for image in hand_over.images], files, lines))
        hand_over.took(hand_over.images)


def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
    return np.full((4, 4, 3), 50 if masked else 200, np.uint8)


def job(name: str, *images: str) -> RenderJob:
    return RenderJob("train_batch", name, draw, (images,))


def renderer(folder: Path, withhold: bool = False) -> Renderer:
    routing = Routing(Routes(), [Remote(folder)])
    return Renderer(folder, routing, ImagePatterns("secret.jpg", "--media.private"), withhold)


def shade(data: bytes) -> int:
    return int(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).mean())


def test_both_variants_and_no_file(tmp_path: Path) -> None:
    image = renderer(tmp_path).render(job("train_batch0.png", "secret.jpg"))
    masked = image.variant(remote=True)
    assert (image.path, masked.path) == (tmp_path / "train_batch0.png", tmp_path / "masked" / "train_batch0.png")
    assert (shade(image.data), shade(masked.data)) == (200, 50)
    assert (image.hidden, masked.hidden) == (frozenset(), {0})
    assert image.variant(remote=False) is image
    assert list(tmp_path.iterdir()) == []


def test_without_private_images_there_is_one_variant(tmp_path: Path) -> None:
    image = renderer(tmp_path).render(job("train_batch0.png", "street.jpg"))
    assert image.variant(remote=True) is image


def test_withheld(tmp_path: Path) -> None:
    image = renderer(tmp_path, withhold=True).render(job("train_batch0.png", "secret.jpg"))
    assert (image.reason, image.variant(remote=True).reason) == ("", "private image")


def test_what_was_delivered_before_is_not_rendered(tmp_path: Path) -> None:
    """Only what every destination has: a picture that a logger lacks is drawn a second time."""
    ledger = Ledger(tmp_path / "media.jsonl")
    for key, destinations in {"train_batch0": ("file", "wandb"), "train_batch1": ("file",)}.items():
        for destination in destinations:
            ledger.add(Entry("train_batch", key, f"{key}.png", "0" * 64, 1, 0, 0, [], destination, "sent"))
    jobs = [job(f"train_batch{number}.png", "a.jpg") for number in range(3)]
    due = renderer(tmp_path).render_group(RenderGroup(jobs, epoch=0, step=0), ledger)
    assert [image.key for image in due] == ["train_batch1", "train_batch2"]
    assert len(renderer(tmp_path).render_group(RenderGroup(jobs, epoch=1, step=9), ledger)) == 3


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    budget = Budget(None, 0, print)
    routing = Routing(Routes(), [Remote(tmp_path)])
    return Delivery(tmp_path, Ledger(tmp_path / "media.jsonl"), routing, budget, lambda text: None)


def test_a_group_is_written_and_recorded_before_a_logger_gets_it_at_once(delivery: Delivery, tmp_path: Path) -> None:
    """A run that is killed while a logger takes its time has files and lines of the whole group."""
    group = RenderGroup([job("train_batch0.png", "secret.jpg"), job("train_batch1.png", "b.jpg")], epoch=0, step=3)
    delivery.deliver(renderer(tmp_path).render_group(group, delivery.ledger), group)
    ((keys, files, lines),) = delivery.routing.sinks[0].calls  # type: ignore[attr-defined]
    assert keys == ["train_batch0", "train_batch1"]
    assert files == ["masked/train_batch0.png", "train_batch0.png", "train_batch1.png"]
    assert lines == [
        ("train_batch0", "file", "written"),
        ("train_batch1", "file", "written"),
        ("train_batch0", "wandb", "unknown"),  # until the logger has taken them
        ("train_batch1", "wandb", "unknown"),
    ]
    after = read_ledger(tmp_path / "media.jsonl")
    assert [(line.destination, line.outcome, line.step) for line in after[2:]] == [("wandb", "sent", 3)] * 2


def test_without_its_masked_file_a_picture_is_withheld(delivery: Delivery, tmp_path: Path) -> None:
    (tmp_path / "masked").write_text("a file where the folder should be")
    group = RenderGroup([job("train_batch0.png", "secret.jpg")], epoch=0, step=0)
    delivery.deliver(renderer(tmp_path).render_group(group, delivery.ledger), group)
    assert delivery.routing.sinks[0].calls == []  # type: ignore[attr-defined]
    written, withheld = read_ledger(tmp_path / "media.jsonl")
    assert (written.outcome, withheld.outcome) == ("written", "withheld")
    assert withheld.reason.startswith("private image, and masking it failed: ")
    assert (delivery.status.drawn, delivery.status.withheld, delivery.status.sent) == (1, 1, 0)


def test_an_error_that_names_a_private_image_is_not_repeated(tmp_path: Path) -> None:
    """It is printed, and a logger may record the terminal."""

    def fails(masked: frozenset[int]) -> NDArray[np.uint8]:
        raise OSError("cannot read secret.jpg")

    ledger = Ledger(tmp_path / "media.jsonl")
    pictures = [RenderJob("train_batch", "train_batch0.png", fails, ((name,),)) for name in ("secret.jpg", "b.jpg")]
    secret, plain = renderer(tmp_path).render_group(RenderGroup(pictures, epoch=0, step=0), ledger)
    assert secret.reason == "OSError, which may name a private image"
    assert plain.reason == "cannot read secret.jpg"
