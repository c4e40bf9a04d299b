"""Batches of pictures and video frames to predict."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from aigp_lightning.data.sources import SourceDataset


class PredictBatchSampler:
    """Batches that hold every image exactly once, in order, on any number of processes.

    The images of a batch have one shape after resizing. All of a video goes to one process, which can then
    write the drawn video by itself. Every process makes the same number of steps: the last ones may be empty.

    Args:
        dataset: pictures and videos to predict.
        batch_size: most images a batch, in one process.
        rank: number of this process.
        world_size: number of processes.

    Example:
        >>> from aigp_lightning.data.sources import SourceFile
        >>> files = [SourceFile("a.jpg", (360, 640)), SourceFile("b.jpg", (360, 640)), SourceFile("c.jpg", (640, 640))]
        >>> list(PredictBatchSampler(SourceDataset(files, imgsz=640), batch_size=2))
        [[0, 1], [2]]
    """

    def __init__(self, dataset: SourceDataset, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        units = list(_units(dataset, batch_size))
        loads = [0] * world_size
        mine: list[range] = []
        for unit in sorted(units, key=len, reverse=True):  # the longest video first evens the load out best
            least = loads.index(min(loads))
            loads[least] += len(unit)
            if least == rank:
                mine += unit
        self.batches = [list(batch) for batch in sorted(mine, key=lambda batch: batch.start)]
        self.batches += [[] for _ in range(max(loads) - len(self.batches))]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def _units(dataset: SourceDataset, batch_size: int) -> Iterator[list[range]]:
    """Yield the batches that must stay together in one process: all of a video's, or a single one of pictures."""

    def kind(place: int) -> tuple[object, ...]:
        file = dataset.files[place]
        return (place,) if file.frames else dataset.input_shape(file)

    def chop(start: int, stop: int) -> list[range]:
        return [range(low, min(low + batch_size, stop)) for low in range(start, stop, batch_size)]

    for _, run in groupby(range(len(dataset.files)), kind):
        places = list(run)
        batches = chop(dataset.starts[places[0]], dataset.starts[places[-1] + 1])
        if dataset.files[places[0]].frames:
            yield batches
        else:
            yield from ([batch] for batch in batches)
