"""Foretells, picture by picture, which of them `media.max_mb` would hold back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from aigp_lightning.media.budget import Budget
from aigp_lightning.media.routing import CLOSING, PER_EPOCH
from aigp_lightning.plan.planned import Forecast, HeldBack, PlannedFile


def hold_back(forecast: Forecast, max_mb: float | None, reserve: Mapping[str, int]) -> tuple[list[HeldBack], list[str]]:
    """Send a forecast's pictures past a budget in the order in which the run would.

    Args:
        forecast: of the run.
        max_mb: the limit, 10⁶ bytes; None: no limit.
        reserve: for each closing kind, the number of remote destinations that get it.

    Returns:
        The pictures that would be held back, and what the run would say when it steps down.
    """
    said: list[str] = []
    budget = Budget(max_mb, forecast.left_bytes, said.append)
    budget.reserve_for(reserve)
    denied: dict[tuple[str, str], list[tuple[int, int]]] = {}
    given = {(name, file.file) for file in forecast.files if file.once for name in file.known}
    sinks = [sink for sink in forecast.routing.sinks if sink.remote]
    for epoch, files, validations in _moments(forecast):
        sizes, once = _mosaics(forecast, files, given)
        budget.allocate(sizes, validations, once)
        for sink in sinks:
            for file in files:
                key, size = file.file.rpartition(".")[0], file.remote_bytes
                if sink.name not in file.destinations or not size or forecast.earlier.counts.has(sink.name, key, epoch):
                    continue
                if file.once and (sink.name, file.file) in given:
                    continue
                if budget.admits(file.kind, size, file.mosaic):
                    budget.sent += size
                    given.add((sink.name, file.file))
                else:
                    denied.setdefault((sink.name, file.kind), []).append((epoch, size))
    rows = [
        HeldBack(name, kind, len(pictures), sum(size for _, size in pictures), tuple(sorted({x for x, _ in pictures})))
        for (name, kind), pictures in denied.items()
    ]
    return rows, said


def _moments(forecast: Forecast) -> Iterator[tuple[int, Sequence[PlannedFile], int]]:
    """Yield what the run delivers together: epoch, files, and validations with pictures from there on."""
    files, epochs = forecast.files, forecast.epochs
    start = [file for file in files if file.kind not in (*PER_EPOCH, *CLOSING)]
    yield 0, [file for file in start if file.kind != "train_batch"], len(epochs)
    for file in start:
        if file.kind == "train_batch":
            yield 0, [file], len(epochs)
    validation = [file for file in files if file.kind in PER_EPOCH]
    for number, epoch in enumerate(epochs):
        yield epoch, validation, len(epochs) - number
    yield forecast.last_epoch, [file for file in files if file.kind in CLOSING], 1


def _mosaics(
    forecast: Forecast, files: Sequence[PlannedFile], given: Collection[tuple[str, str]]
) -> tuple[dict[int, int], dict[int, int]]:
    """Return the bytes of each validation mosaic for all remote destinations together.

    Args:
        forecast: of the run.
        files: of one moment.
        given: loggers and files of which they have the bytes.

    Returns:
        What goes in every epoch to come, and what goes only now.
    """
    sizes: dict[int, int] = {}
    once: dict[int, int] = {}
    for file in files:
        if file.kind in PER_EPOCH and file.remote_bytes:
            sinks = [sink.name for sink in forecast.routing.recipients(file.kind) if sink.remote]
            size = file.remote_bytes * sum(not file.once or (name, file.file) not in given for name in sinks)
            sizes[file.mosaic] = sizes.get(file.mosaic, 0) + size * (not file.once)
            once[file.mosaic] = once.get(file.mosaic, 0) + size * file.once
    return sizes, once
