"""The processes of one run: which of them is the first, and what happens when one is gone."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aigp_lightning.checkpoints.paths import resume_hint
from aigp_lightning.errors import RunError, UserError
from aigp_lightning.terminal.output import print_line

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""Variables by which launchers number the processes; the first that is set counts, as in Lightning."""
PERIOD = 2.0
"""Seconds between two looks at the parent."""


def rank() -> int:
    """Return the number of this process in the run, as far as is known; 0 for the first."""
    from lightning_utilities.core.rank_zero import rank_zero_only

    known = getattr(rank_zero_only, "rank", None)  # Lightning's trainer sets it, and before that its import
    return next((int(os.environ[key]) for key in RANKS if key in os.environ), 0) if known is None else int(known)


def first_process() -> bool:
    """True if this is the run's first process: the one that chooses the folder, writes and prints."""
    env = os.environ
    node = env.get("NODE_RANK", env.get("GROUP_RANK", "0"))  # with Lightning's own launcher on every machine
    return rank() == 0 and ("RANK" in env or node == "0")


@contextmanager
def explain_lost_processes(folder: Path | None = None) -> Iterator[None]:
    """Turn a failed exchange with other processes into an error of one line, and mark errors that they do not share.

    Args:
        folder: of the run.

    Raises:
        RunError: an exchange with another process failed.
    """
    try:
        yield
    except UserError as error:
        if "shared" not in vars(error) and _exchanging():
            error.shared = False  # after the start, processes fail for reasons of their own
        raise
    except RuntimeError as error:
        if not _exchanging() or not _exchange_failed(error):
            raise
        raise RunError(
            f"another process of this run is gone, or did not answer in time ({_reason(error)}). Its own output says "
            "why; without any it was killed, often because memory ran out. Processes that are only slow need a longer "
            f"--ddp.timeout. What was saved is whole.{resume_hint(folder)}"
        ) from error


def _exchanging() -> bool:
    """True if this process exchanges tensors with others."""
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized()


def _exchange_failed(error: RuntimeError) -> bool:
    """True if an exchange between processes failed, rather than this process."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or any(word in str(error) for word in ("gloo", "NCCL", "closed by peer"))


def _reason(error: RuntimeError) -> str:
    """Return the first sentence of torch's message, without its source file."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[[^\]]*\]\s*", "", text).split(". ")[0].rstrip(".")


def exit_with_parent(parent: int, rank: int) -> None:
    """Wait until the process that started this one is gone, then end this one at once.

    Args:
        parent: process number of the one that started this one.
        rank: of this process, for the message.
    """
    while os.getppid() == parent:
        time.sleep(PERIOD)
    print_line(f"error: process {rank}: the first process is gone; this one ends too.", err=True)
    os._exit(1)  # other threads may wait for it for ever
