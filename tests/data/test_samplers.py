"""Which image goes where: every one once, the same for any number of processes and workers, anew in every epoch."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter

import numpy as np
import pytest

from aigp_lightning.data.requests import TrainRequest
from aigp_lightning.data.samplers import POOL_BATCHES, EvalBatchSampler, TrainBatchSampler


def shapes_of(count: int) -> list[tuple[int, int]]:
    sizes = np.random.default_rng(count).integers(40, 200, (count, 2))
    return [(int(height), int(width)) for height, width in sizes]


def train(**changes: object) -> TrainBatchSampler:
    settings = {"images": 23, "batch_size": 4, "seed": 0, "rank": 0, "world_size": 1, "workers": 0, "mosaic": 1.0}
    return TrainBatchSampler(**{**settings, **changes})  # type: ignore[arg-type]


def drawn(batches: TrainBatchSampler, epoch: int = 0) -> list[list[TrainRequest]]:
    batches.set_epoch(epoch)
    return list(batches)


def order(batches: TrainBatchSampler, epoch: int = 0) -> list[int]:
    return [request.index for batch in drawn(batches, epoch) for request in batch]


@pytest.mark.parametrize("rect", [True, False])
@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("images", [1, 2, 11, 16, 17])
def test_validation_counts_every_image_once(images: int, world: int, rect: bool) -> None:
    shapes = shapes_of(images)
    ranks = [list(EvalBatchSampler(shapes, 8, 96, rect=rect, rank=rank, world_size=world)) for rank in range(world)]
    assert len({len(batches) for batches in ranks}) == 1, "every process runs the same number of steps"
    requests = [request for batches in ranks for batch in batches for request in batch]
    assert sorted(request.index for request in requests) == list(range(images))
    alone = {request.index: request.shape for batch in EvalBatchSampler(shapes, 8, 96, rect=rect) for request in batch}
    assert {request.index: request.shape for request in requests} == alone, "letterboxes do not depend on the processes"
    for step in zip(*ranks, strict=True):
        sizes = [len(batch) for batch in step]
        assert max(sizes) - min(sizes) <= 1
        assert len({request.shape for batch in step for request in batch}) == 1


def test_rectangles_hold_their_images() -> None:
    """Sides are multiples of the stride with half a stride to spare, as Ultralytics' BaseDataset.set_rectangle."""
    shapes = shapes_of(21)
    for batch in EvalBatchSampler(shapes, 8, 96):
        for request in batch:
            height, width = shapes[request.index]
            gain = 96 / max(height, width)
            assert request.shape[0] >= height * gain - 1e-6
            assert request.shape[1] >= width * gain - 1e-6
            assert request.shape[0] % 32 == request.shape[1] % 32 == 0
    landscape = EvalBatchSampler([(50, 100)] * 3, 8, 96)
    assert landscape.shapes == [(64, 128)]  # ceil(48 / 32 + 0.5) and ceil(96 / 32 + 0.5) strides


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("images", [1, 5, 23, 24])
def test_training_covers_every_image_on_equal_shares(images: int, world: int) -> None:
    ranks = [train(images=images, rank=rank, world_size=world) for rank in range(world)]
    shares = [order(batches, epoch=3) for batches in ranks]
    assert {len(share) for share in shares} == {-(-images // world)}
    assert {len(batches) for batches in ranks} == {len(drawn(ranks[0], 3))}
    counts = Counter(itertools.chain(*shares))
    assert set(counts) == set(range(images))
    assert sum(counts.values()) - images < world, "only as many repeats as equal shares need"


def test_order_is_free_of_workers_and_differs_by_epoch_and_seed() -> None:
    first = order(train())
    assert all(order(train(workers=workers)) == first for workers in (1, 2, 5))
    assert order(train(), epoch=1) != first
    assert order(train(seed=1)) != first
    assert drawn(train(workers=2), 7) == drawn(train(workers=2), 7)
    later = train(workers=2)
    drawn(later, 0)
    assert drawn(later, 7) == drawn(train(workers=2), 7), "an epoch does not depend on those before it"


def test_ranks_get_other_images_and_other_seeds() -> None:
    """Two processes split the images, and do not augment alike."""
    one, two = (drawn(train(images=24, rank=rank, world_size=2)) for rank in range(2))
    indices = [{request.index for batch in batches for request in batch} for batches in (one, two)]
    assert not indices[0] & indices[1]
    assert len(indices[0] | indices[1]) == 24
    seeds = [{request.seed for batch in batches for request in batch} for batches in (one, two)]
    assert not seeds[0] & seeds[1]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_partners_are_the_workers_own_recent_images(workers: int) -> None:
    lanes = max(workers, 1)
    recent: list[list[int]] = [[] for _ in range(lanes)]
    for number, batch in enumerate(drawn(train(images=200, workers=workers))):
        lane = recent[number % lanes]
        lane.extend(request.index for request in batch)
        allowed = set(lane[-POOL_BATCHES * 4 :])
        assert all(len(request.partners) == 3 and allowed.issuperset(request.partners) for request in batch)


def test_mosaic_probability_is_a_share() -> None:
    mixed = [bool(request.partners) for batch in drawn(train(images=4000, mosaic=0.5)) for request in batch]
    assert np.mean(mixed) == pytest.approx(0.5, abs=0.03)  # 3.8 standard deviations


def test_closing_mosaic_leaves_order_and_seeds_alone() -> None:
    closed = train()
    closed.mosaic_open = False
    requests = [request for batch in drawn(closed) for request in batch]
    assert not any(request.partners for request in requests)
    twins = [request for batch in drawn(train()) for request in batch]
    assert [(r.index, r.seed) for r in requests] == [(r.index, r.seed) for r in twins]


def test_samplers_pickle_for_spawned_processes() -> None:
    batches = pickle.loads(pickle.dumps(train(workers=2)))
    assert drawn(batches, 4) == drawn(train(workers=2), 4)
