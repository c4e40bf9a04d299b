"""Tables of an evaluation for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from aigp_lightning.policy.episodes import Summary, wilson_interval


def tables(title: str, summary: Summary) -> Iterator[Table]:
    """Yield the tables of an evaluation; rows that the environment does not report are left out.

    Args:
        title: of the first table.
        summary: of the episodes.
    """
    table = Table("", "value", title=title, title_justify="left")
    for name, value in _rows(summary):
        table.add_row(name, value)
    yield table
    if summary.gate_attempts:
        yield _gates(summary)
    if summary.causes:
        causes = Table("ended by", "episodes", "share")
        for cause, count in summary.causes.items():
            causes.add_row(cause, str(count), f"{count / summary.episodes:.1%}")
        yield causes


def _rows(summary: Summary) -> Iterator[tuple[str, str]]:
    yield "episodes", str(summary.episodes)
    if summary.success is not None and summary.interval is not None:
        yield "success", f"{summary.success:.1%}"
        yield "  95 % interval", "{:.1%} to {:.1%}".format(*summary.interval)
    for name, value, unit in (
        ("race, mean of the finished", summary.race_seconds, " s"), ("best lap", summary.best_lap, " s"),
        ("lap, mean of the episodes' best", summary.mean_lap, " s"), ("gates passed, mean", summary.gates, ""),
    ):  # fmt: skip
        if value is not None:
            yield name, f"{value:.2f}{unit}"
    if summary.pass_rate is not None:
        yield "gates passed, of those attempted", f"{summary.pass_rate:.1%}"
    yield "return, mean ± deviation", f"{summary.reward:.2f} ± {summary.reward_std:.2f}"
    yield "steps, mean", f"{summary.length:.1f}"


def _gates(summary: Summary) -> Table:
    table = Table("gate", "attempts", "passed", "95 % interval")
    for gate, (rate, attempts) in enumerate(zip(summary.gate_rates, summary.gate_attempts, strict=True)):
        if rate is None:
            table.add_row(str(gate), "0", "–", "–")
            continue
        low, high = wilson_interval(round(rate * attempts), attempts)
        table.add_row(str(gate), str(attempts), f"{rate:.1%}", f"{low:.1%} to {high:.1%}")
    return table
