"""Batches come in memory that is used again, and never while somebody still holds it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
from typing import Any

import numpy as np
import pytest
import torch

from aigp_lightning.data.items import Item, unlabelled
from aigp_lightning.data.loaders import make_loader
from aigp_lightning.data.lost_files import Lost
from aigp_lightning.data.slots import PER_WORKER, InSlot, Slots

pytestmark = pytest.mark.skipif(multiprocessing.get_start_method() != "fork", reason="workers are not forked")
SHAPE = (16, 32, 3)
BYTES = 2 * 16 * 32 * 3


class Numbered:
    """Images filled with their number, and one that is lost."""

    def __getitems__(self, indices: list[int]) -> list[Item | Lost]:
        return [
            Lost("99.png", "gone")
            if index == 99
            else unlabelled(np.full(SHAPE, index, np.uint8), f"{index}.png", SHAPE[:2], ((1.0, 1.0), (0.0, 0.0)))
            for index in indices
        ]


def loader(batches: list[list[int]], batch_bytes: int = BYTES, workers: int = 2) -> Any:
    return make_loader(Numbered(), batches, workers=workers, seed=0, batch_bytes=batch_bytes)


def values(batch: Any) -> list[int]:
    assert batch["img"].shape[1:] == (3, 16, 32)
    assert batch["img"].dtype == torch.uint8
    assert (batch["img"].flatten(1).float().std(1) == 0).all()
    return batch["img"][:, 0, 0, 0].tolist()


def test_every_batch_has_its_own_pixels() -> None:
    batches = [[number, number + 1] for number in range(0, 60, 2)]
    there = loader(batches)
    for _ in range(2):
        assert [values(batch) for batch in there] == batches


def test_batches_that_are_kept_are_not_written_over() -> None:
    """More than there are slots, as tensors, as views of them and as arrays."""
    batches = [[number, number + 1] for number in range(0, 80, 2)]
    there = loader(batches)
    kept = [(batch["img"], batch["img"][1, 0, 0, :1], batch["img"][0].numpy()) for batch in there]
    assert len(kept) > 2 * PER_WORKER
    views = [(view, array) for _, view, array in kept]
    assert [image[:, 0, 0, 0].tolist() for image, _, _ in kept] == batches
    del kept
    gc.collect()
    assert [values(batch) for batch in there] == batches
    assert [(int(array.max()), int(view)) for view, array in views] == [tuple(batch) for batch in batches]


def test_slots_come_back_and_serve_again() -> None:
    there = loader([[number] for number in range(40)])
    slots = there.multiprocessing_context.slots
    memory = set()
    for batch in there:
        memory.add(batch["img"].data_ptr())
        del batch
    assert len(memory) <= 2 * PER_WORKER
    gc.collect()
    assert slots.free() == 2 * PER_WORKER


@pytest.mark.parametrize("batch_bytes", [1, 0])
def test_larger_batches_go_the_usual_way(batch_bytes: int) -> None:
    assert [values(batch) for batch in loader([[1, 2], [3]], batch_bytes)] == [[1, 2], [3]]


def test_lost_images_are_named_and_a_batch_may_be_empty() -> None:
    full, empty = loader([[1, 99], [99]])
    assert values(full) == [1]
    assert (full["lost"], len(empty["img"]), empty["lost"]) == ([("99.png", "gone")], 0, [("99.png", "gone")])


def test_epoch_that_is_left_early_loses_no_slot() -> None:
    batches = [[number] for number in range(40)]
    there = loader(batches)
    for _ in range(4):
        assert [values(batch) for batch, _ in zip(there, range(3), strict=False)] == batches[:3]
    assert [values(batch) for batch in there] == batches
    gc.collect()
    assert there.multiprocessing_context.slots.free() == 2 * PER_WORKER


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_forked_process_gives_nothing_back() -> None:
    slots = Slots(workers=1, size=BYTES)
    taken = slots.take(0, (1, *SHAPE))
    assert taken is not None
    batch = slots.received({"img": InSlot(taken[0], taken[1].shape)})
    child = os.fork()
    if child == 0:
        del batch
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert slots.free() == PER_WORKER - 1
    del batch
    assert slots.free() == PER_WORKER


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_pinned_batches_are_copies() -> None:
    batches = [[number, number + 1] for number in range(0, 60, 2)]
    there = make_loader(Numbered(), batches, workers=2, seed=0, pin_memory=True, batch_bytes=BYTES)
    kept = list(there)
    assert all(batch["img"].is_pinned() for batch in kept)
    assert [values(batch) for batch in kept] == batches
