"""Several processes go on together or stop together."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from aigp_lightning.errors import DataError, UserError

Counts = Mapping[str, Mapping[str, int]]


def agree(failure: UserError | None, counts: Counts) -> None:
    """Compare what every process found in the data set. All processes call it.

    One that failed, or has other data, would leave the others waiting for it.

    Args:
        failure: what is wrong here.
        counts: totals of every split that is used.

    Raises:
        UserError: the first process's failure, else another's; or the machines have different data.
    """
    import torch.distributed as dist

    mine = failure, dict(counts), platform.node()
    reports: list[Any] = [mine]
    if dist.is_available() and dist.is_initialized():
        reports *= dist.get_world_size()
        dist.all_gather_object(reports, mine)
    judge(reports)


def judge(reports: list[tuple[UserError | None, Counts, str]]) -> None:
    """Raise what all processes have to know.

    Args:
        reports: of every process: what is wrong, what it found, and on which machine.

    Raises:
        UserError: see `agree`.
    """
    first = reports[0][2]
    for failure, _, node in reports:
        if failure is not None:
            raise _shared(failure if node == first else type(failure)(f"on {node}: {failure}"))
    for rank, (_, found, node) in enumerate(reports):
        for split, totals in reports[0][1].items():
            if found[split] != totals:
                text = f"'{split}' has {_said(totals)} on {first}, {_said(found[split])} on {node} (process {rank})"
                raise _shared(
                    DataError(f"the machines have different data: {text}. Give all the same files, or a shared folder.")
                )


def _shared(error: UserError) -> UserError:
    error.shared = True
    return error


def _said(totals: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in totals.items())
