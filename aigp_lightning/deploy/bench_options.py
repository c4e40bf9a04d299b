"""Options of the `bench` verb, as plain data: refusing a wrong one imports nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT, COUNT_OR_NONE, POSITIVE, Range, check_range

PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}
"""Percentiles of latency that are told."""
RUNS = 100
"""Timed calls of each file where nobody says another number: from so many on, p99 is told."""
MANY = 100_000
"""Timed calls of each file at most, where only their time is limited."""
DEVICES = ("auto", "cpu", "gpu")
LARGEST_SIDE = 16384


def least_runs(percentile: str) -> int:
    """Return the calls from which on a percentile is told: with fewer it would be the slowest call of all.

    Args:
        percentile: one of `PERCENTILES`.

    Example:
        >>> [least_runs(each) for each in PERCENTILES]
        [2, 20, 100]
    """
    return math.ceil(100 / (100 - PERCENTILES[percentile]))


@dataclass(frozen=True)
class BenchOptions:
    """What is measured, and how.

    Attributes:
        source: pictures or videos; None: of the validation split of a model's run, or a drawn one.
        imgsz: side of the network's input, pixels; None: each file's own.
        batch: pictures of a call.
        threads: each file computes with; None: as many as its runtime chooses.
        device: `auto` takes a GPU where there is one.
        warm_up: calls of each file before any is timed.
        runs: timed calls of each file; None: `RUNS`, or as many as go into `seconds`.
        seconds: after which no further round of calls begins.
        budget_ms: milliseconds that a call may take; None: no limit.
        budget_at: the percentile that is held against it.

    Example:
        >>> BenchOptions(runs=300).most, BenchOptions(seconds=10.0).most, BenchOptions().least
        (300, 100000, 100)
    """

    source: str | None = None
    imgsz: int | None = None
    batch: int = 1
    threads: int | None = None
    device: str = "auto"
    warm_up: int = 10
    runs: int | None = None
    seconds: float | None = None
    budget_ms: float | None = None
    budget_at: str = "p95"

    @property
    def most(self) -> int:
        """Timed calls of each file, at most."""
        return self.runs or (RUNS if self.seconds is None else MANY)

    @property
    def least(self) -> int:
        """Timed calls of each file, however long they take."""
        needed = least_runs(self.budget_at if self.budget_ms is not None else "p95")
        return self.most if self.seconds is None else min(self.most, needed)

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: a number is out of range, or the budget is to be held against what is not measured.
        """
        for option, value, allowed in (
            ("--imgsz", self.imgsz, Range(1, LARGEST_SIDE)), ("--batch", self.batch, COUNT),
            ("--threads", self.threads, COUNT), ("--warm_up", self.warm_up, COUNT_OR_NONE),
            ("--runs", self.runs, COUNT), ("--seconds", self.seconds, POSITIVE),
            ("--budget-ms", self.budget_ms, POSITIVE),
        ):  # fmt: skip
            check_range(option, value, allowed)
        if self.budget_ms is not None and self.most < (needed := least_runs(self.budget_at)):
            raise ConfigError(
                f"--runs {self.most}: {self.budget_at}, which --budget-ms is held against, needs {needed} calls. Take "
                "--runs more, or --budget_at another."
            )
