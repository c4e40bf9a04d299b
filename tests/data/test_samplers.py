"""Which image goes where: every one once, the same for any number of processes and workers, anew in every epoch."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.requests import Mixing, TrainRequest
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


EVERYTHING = Mixing(mosaic=0.5, mixup=0.4, cutmix=0.3, pasted=0.2)


def others(request: TrainRequest) -> list[TrainRequest]:
    """The samples that are mixed into one, at any depth."""
    direct = [other for other in (request.pasted, request.mixup, request.cutmix) if other is not None]
    return direct + [deeper for other in direct for deeper in others(other)]


def test_mixing_leaves_the_samples_themselves_alone() -> None:
    """Index, seed and mosaic are those of a run without; with all chances at 0 nothing is drawn at all."""
    plain = [request for batch in drawn(train()) for request in batch]
    mixed = [request for batch in drawn(train(mixing=EVERYTHING)) for request in batch]
    assert [(r.index, r.seed, r.partners) for r in plain] == [(r.index, r.seed, r.partners) for r in mixed]
    assert any(others(request) for request in mixed)
    assert drawn(train(mixing=Mixing(mosaic=1.0))) == drawn(train())


def test_mixing_happens_as_often_as_asked_for_and_each_by_itself() -> None:
    requests = [request for batch in drawn(train(images=6000, mixing=EVERYTHING)) for request in batch]
    chances = {"mixup": 0.4, "cutmix": 0.3, "pasted": 0.2}
    hits = np.array([[getattr(request, name) is not None for name in chances] for request in requests])
    np.testing.assert_allclose(hits.mean(0), list(chances.values()), atol=0.025)  # four standard deviations
    assert np.abs(np.corrcoef(hits.T) - np.eye(3)).max() < 0.06
    further = [other for request in requests for other in (request.mixup, request.cutmix) if other is not None]
    assert np.mean([bool(other.partners) for other in further]) == pytest.approx(0.5, abs=0.04), "with its own mosaic"
    assert np.mean([other.pasted is not None for other in further]) == pytest.approx(0.2, abs=0.04)
    assert all(other.mixup is None and other.cutmix is None for other in further), "one is mixed, not mixed again"
    pasted = [request.pasted for request in requests if request.pasted is not None]
    assert all(not others(other) for other in pasted)
    seeds = [each.seed for request in requests for each in (request, *others(request))]
    assert len(set(seeds)) > 0.999 * len(seeds)


@pytest.mark.parametrize("workers", [0, 3])
def test_what_is_mixed_in_was_lately_decoded_by_the_same_worker(workers: int) -> None:
    lanes = max(workers, 1)
    recent: list[list[int]] = [[] for _ in range(lanes)]
    for number, batch in enumerate(drawn(train(images=200, workers=workers, mixing=EVERYTHING))):
        lane = recent[number % lanes]
        lane.extend(request.index for request in batch)
        allowed = set(lane[-POOL_BATCHES * 4 :])
        for request in batch:
            for other in others(request):
                assert allowed.issuperset((other.index, *other.partners))


def test_mixing_depends_on_seed_epoch_and_rank_alone() -> None:
    later = train(mixing=EVERYTHING)
    drawn(later, 0)
    assert drawn(later, 7) == drawn(train(mixing=EVERYTHING), 7), "an epoch does not depend on those before it"
    assert drawn(pickle.loads(pickle.dumps(later)), 7) == drawn(later, 7)
    for changes in ({"seed": 1}, {"rank": 1, "world_size": 2}):
        ours, theirs = (
            [other.seed for batch in drawn(batches, 7) for request in batch for other in others(request)]
            for batches in (later, train(mixing=EVERYTHING, **changes))
        )
        assert not set(ours) & set(theirs)


def test_mixing_ends_with_the_mosaics() -> None:
    for mixing in (EVERYTHING, Mixing(paste_own=True)):
        batches = train(mixing=mixing)
        assert any(others(r) or r.paste_own for batch in drawn(batches) for r in batch)
        batches.mosaic_open = False
        closed = [request for batch in drawn(batches) for request in batch]
        assert not any(others(request) or request.paste_own or request.partners for request in closed)


def test_chances_are_those_of_the_options() -> None:
    config = AugmentConfig(mosaic=0.9, mixup=0.1, cutmix=0.2, copy_paste=0.3)
    assert Mixing.of(config) == Mixing(0.9, 0.1, 0.2, 0.0, paste_own=True)
    assert Mixing.of(replace(config, copy_paste_mode="mixup")) == Mixing(0.9, 0.1, 0.2, 0.3)
    assert not Mixing.of(AugmentConfig())
    assert AugmentConfig().mixing == ("mosaic",)
    assert replace(config, mosaic=0.0).mixing == ("mixup", "cutmix", "copy_paste")
