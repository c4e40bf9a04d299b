"""Models are timed in turns, as often as the time allows."""

from __future__ import annotations

import time

import numpy as np

from aigp_lightning.evaluation.latency import IN_TURN, LEAST, MOST, WARM_UP, Turns, sum_up, time_in_turns


def test_calls_take_turns() -> None:
    order: list[str] = []

    def call(name: str) -> tuple[float, float]:
        order.append(name)
        return 0.001, 0.002

    one, other = time_in_turns([lambda: call("A"), lambda: call("B")], Turns(seconds=0.0))
    assert one.shape == other.shape == (LEAST, 2)
    warm, timed = order[: 2 * WARM_UP], order[2 * WARM_UP :]
    assert warm == ["A"] * WARM_UP + ["B"] * WARM_UP
    assert timed == (["A"] * IN_TURN + ["B"] * IN_TURN) * (LEAST // IN_TURN)


def test_they_end() -> None:
    assert len(time_in_turns([lambda: (0.0, 0.0)], Turns(seconds=60.0))[0]) == MOST
    start = time.perf_counter()

    def slow() -> tuple[float, float]:
        time.sleep(0.002)
        return 0.0, 0.002

    assert LEAST <= len(time_in_turns([slow], Turns(seconds=0.05))[0]) < MOST
    assert time.perf_counter() - start < 2


def test_percentiles_are_of_the_whole() -> None:
    times = np.array([[0.001, number / 1000] for number in range(1, 101)])
    found = sum_up(times, 640, "CPU")
    assert (found.median, found.resizing, found.model, found.calls) == (51.5, 1.0, 50.5, 100)
    assert found.p95 == 96.05
