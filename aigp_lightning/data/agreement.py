"""Agreement of several processes on their data: they all continue, or all stop with the same error."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from typing import Any

from aigp_lightning.errors import DataError, UserError

Counts = Mapping[str, Mapping[str, int]]
"""Totals of a split by their names, by split."""


def agree(failure: UserError | None, count: Callable[[], Counts]) -> None:
    """Compare what every process found in the data set. All processes call it.

    One that failed, or has other data, would leave the others waiting for it.

    Args:
        failure: what is known to be wrong in this process; then nothing is counted.
        count: returns the totals of every split that is used, or raises what is wrong with one.

    Raises:
        UserError: the first process's failure, else another's; or the machines have different data.

    Example:
        >>> agree(None, lambda: {"train": {"images": 4}})  # a single process agrees with itself
        >>> try:
        ...     agree(DataError("no usable image"), dict)
        ... except DataError as error:
        ...     print(error, error.shared)
        no usable image True
    """
    import torch.distributed as dist

    counts: Counts = {}
    if failure is None:
        try:
            counts = count()
        except UserError as error:
            failure = error
    mine = failure, dict(counts), platform.node()
    reports: list[Any] = [mine]
    if dist.is_available() and dist.is_initialized():
        reports *= dist.get_world_size()
        dist.all_gather_object(reports, mine)
    judge(reports)


def judge(reports: list[tuple[UserError | None, Counts, str]]) -> None:
    """Raise the same error in all processes, if one failed or has other data.

    Args:
        reports: of every process: its failure or None, its totals, and the name of its machine.

    Raises:
        UserError: see `agree`.

    Example:
        >>> try:
        ...     judge([(None, {"val": {"images": 4}}, "a"), (None, {"val": {"images": 3}}, "b")])
        ... except DataError as error:
        ...     print(str(error).partition(". ")[0])
        the machines have different data: 'val' has 4 images on a, 3 images on b (process 1)
    """
    first = reports[0][2]
    for failure, _, node in reports:
        if failure is not None:
            raise _shared(failure if node == first else type(failure)(f"on {node}: {failure}"))
    for rank, (_, found, node) in enumerate(reports):
        for split, totals in reports[0][1].items():
            if found[split] != totals:
                text = f"'{split}' has {_listed(totals)} on {first}, {_listed(found[split])} on {node} (process {rank})"
                raise _shared(
                    DataError(f"the machines have different data: {text}. Give all the same files, or a shared folder.")
                )


def _shared(error: UserError) -> UserError:
    """Mark an error as one that all processes raise."""
    error.shared = True
    return error


def _listed(totals: Mapping[str, int]) -> str:
    """Write totals with their names."""
    return ", ".join(f"{count} {name}" for name, count in totals.items())
