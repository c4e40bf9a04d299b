"""The processor cores and the memory that a run may use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use (control groups, version 2; version 1 below `cpu` and `memory`)."""

MEMORY_FILES = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
"""Files with a container's limit and with what it uses, bytes."""


def cores(cgroup: Path = CGROUP) -> int:
    """Count the processor cores that this process may use: its affinity, and a container's share of time.

    Args:
        cgroup: folder of the process's control group.

    Example:
        >>> cores() >= 1
        True
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return allowed if quota is None else max(1, min(allowed, round(quota)))


def _quota(cgroup: Path) -> float | None:
    """Return how many cores' time a container may use; None where nothing limits it."""
    with suppress(OSError, ValueError):
        limit, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return None if limit == "max" else int(limit) / int(period)
    with suppress(OSError, ValueError):
        limit_us, period_us = (
            int((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii")) for name in ("quota", "period")
        )
        return limit_us / period_us if limit_us > 0 else None
    return None


def free_memory(cgroup: Path = CGROUP) -> int:
    """Return the bytes of memory that this process may still take: the machine's, or what its container has left.

    Args:
        cgroup: folder of the process's control group.

    Example:
        >>> free_memory() > 0
        True
    """
    import psutil  # type: ignore[import-untyped]

    free = int(psutil.virtual_memory().available)
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # "max" is no number
            left = int((cgroup / limit).read_text(encoding="ascii")) - int((cgroup / used).read_text(encoding="ascii"))
            free = min(free, max(left, 0))
    return free
