"""An evaluation as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from aigp_lightning.policy.episodes import Summary, wilson


def tables(title: str, found: Summary) -> Iterator[Table]:
    """What episodes come to; what the environment says nothing about is left out.

    Args:
        title: over the first table.
        found: the summed-up episodes.
    """
    table = Table("", "value", title=title, title_justify="left")
    for name, value in _rows(found):
        table.add_row(name, value)
    yield table
    if found.gate_attempts:
        yield _gates(found)
    if found.causes:
        causes = Table("ended by", "episodes", "share")
        for cause, count in found.causes.items():
            causes.add_row(cause, str(count), f"{count / found.episodes:.1%}")
        yield causes


def _rows(found: Summary) -> Iterator[tuple[str, str]]:
    yield "episodes", str(found.episodes)
    if found.success is not None and found.interval is not None:
        yield "success", f"{found.success:.1%}"
        yield "  95 % interval", "{:.1%} to {:.1%}".format(*found.interval)
    for name, value, unit in (
        ("race, mean of the finished", found.race_seconds, " s"), ("best lap", found.best_lap, " s"),
        ("lap, mean of the episodes' best", found.mean_lap, " s"), ("gates passed, mean", found.gates, ""),
    ):  # fmt: skip
        if value is not None:
            yield name, f"{value:.2f}{unit}"
    if found.pass_rate is not None:
        yield "gates passed, of those attempted", f"{found.pass_rate:.1%}"
    yield "return, mean ± deviation", f"{found.reward:.2f} ± {found.reward_std:.2f}"
    yield "steps, mean", f"{found.length:.1f}"


def _gates(found: Summary) -> Table:
    table = Table("gate", "attempts", "passed", "95 % interval")
    for gate, (rate, attempts) in enumerate(zip(found.gate_rates, found.gate_attempts, strict=True)):
        if rate is None:
            table.add_row(str(gate), "0", "–", "–")
            continue
        low, high = wilson(round(rate * attempts), attempts)
        table.add_row(str(gate), str(attempts), f"{rate:.1%}", f"{low:.1%} to {high:.1%}")
    return table
