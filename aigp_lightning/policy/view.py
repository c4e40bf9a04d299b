"""The view of a policy's training: numbers in, lines of text out; no model, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.text import Text

from aigp_lightning.errors import printable
from aigp_lightning.policy.episodes import Summary
from aigp_lightning.terminal.view import MARGIN, WIDEST, bar_line, duration, fill, number

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

LABEL = 12
CURVE = 30
"""Columns of a curve at most."""
BAR = 24
"""Columns of a bar of 100 %."""
BLOCKS, MARKS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
"""Characters of a curve from low to high, on terminals with block characters and without."""
GATES = 40
"""Gates whose pass rates are shown at most."""
LEARNING = {
    "train/approx_kl": "KL", "train/clip_fraction": "clip fraction", "train/entropy": "entropy",
    "train/explained_variance": "explained variance", "train/std": "std", "train/learning_rate": "learning rate",
}  # fmt: skip
"""SB3's names of an update's scalars, and the names that are shown."""


@dataclass
class PolicyView:
    """The state of a training as the dashboard shows it, a renderable of Rich; rows without values are left out.

    Args:
        steps: environment steps done.
        total: of the whole training.
        elapsed: seconds.
        left: seconds; None when not known.
        speed: environment steps a second, without evaluations.
        shares: of rollouts and updates in the time of training.
        episodes: number of episodes that have ended.
        summary: of the last episodes.
        history: by `return`, `length` and `success`, one value an update.
        best_lap: of the training, seconds.
        learning: SB3's scalars by name.
        last: step and summary of the last evaluation.
        best: step and summary of the best evaluation.
        output: folder of the run.
    """

    steps: int
    total: int
    elapsed: float = 0.0
    left: float | None = None
    speed: float | None = None
    shares: tuple[float, float] | None = None
    episodes: int = 0
    summary: Summary = field(default_factory=Summary)
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    best_lap: float | None = None
    learning: Mapping[str, float] = field(default_factory=dict)
    last: tuple[int, Summary] | None = None
    best: tuple[int, Summary] | None = None
    output: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the lines, in the width and the characters that the terminal has."""
        plain = options.ascii_only or options.legacy_windows
        for line in self._lines(min(options.max_width, WIDEST) - 2 * MARGIN, plain):
            line.no_wrap, line.overflow = True, "crop"
            yield Text(" " * MARGIN, no_wrap=True, overflow="crop").append_text(line)

    def _lines(self, width: int, plain: bool) -> Iterator[Text]:
        note = "" if self.left is None else f"{duration(self.left)} left"
        yield bar_line("steps", self.steps, self.total, note, width, plain)
        yield from fill(self._speed(), width)
        yield Text()
        yield from self._curves(width, plain)
        yield from self._race(width, plain)
        values = [(name, self._learning_value(key)) for key, name in LEARNING.items()]
        yield from fill([f"{name} {number(value)}" for name, value in values if value is not None], width)
        for label, evaluation in (("last", self.last), ("best", self.best)):
            if evaluation is not None:
                yield _row(f"{label} eval", f"{evaluation[0]:,} steps: {describe(evaluation[1])}")
        if self.output:
            yield Text(printable(self.output), style="dim")

    def _speed(self) -> list[str]:
        parts = [f"{self.speed:,.0f} steps/s"] if self.speed else []
        if self.shares is not None:
            parts.append("rollout {:.0%}, update {:.0%}".format(*self.shares))
        return [*parts, f"{self.episodes:,} episodes", f"{duration(self.elapsed)} elapsed"]

    def _learning_value(self, key: str) -> float | None:
        if key == "train/entropy":  # SB3 logs its negative, as a loss
            loss = self.learning.get("train/entropy_loss")
            return None if loss is None else -loss
        return self.learning.get(key)

    def _curves(self, width: int, plain: bool) -> Iterator[Text]:
        for name, values in self.history.items():
            if values:
                room = max(0, min(CURVE, width - LABEL - 12))
                yield _row(name, f"{number(values[-1]):>10}  ").append(curve(values, room, plain), style="cyan")

    def _race(self, width: int, plain: bool) -> Iterator[Text]:
        summary = self.summary
        if summary.pass_rate is not None:
            yield _row("gates", f"{summary.pass_rate:.3f} of the attempts passed; by gate:")
            rates = [
                f"{gate} {'-' if rate is None else f'{rate:.2f}'}"
                for gate, rate in enumerate(summary.gate_rates[:GATES])
            ]
            for line in fill(rates, width - LABEL):
                yield Text(" " * LABEL).append_text(line)
        times = [f"best lap {self.best_lap:.2f} s"] if self.best_lap is not None else []
        times += [f"race {summary.race_seconds:.2f} s"] if summary.race_seconds is not None else []
        if times:
            yield _row("times", ", ".join(times))
        for place, (cause, count) in enumerate(summary.causes.items()):
            share = count / summary.episodes
            row = _row("" if place else "ended by", f"{printable(cause):<12}")
            style = "green" if cause == "finish" else "red"
            yield row.append(("=" if plain else "━") * round(share * BAR), style=style).append(f" {share:.0%}")
        yield Text()


def curve(values: Sequence[float], width: int, plain: bool) -> str:
    """Draw values as a line of characters from low to high; means where there are more values than columns.

    Args:
        values: over time.
        width: columns at most.
        plain: without block characters.

    Example:
        >>> curve([0, 1, 2, 3], width=4, plain=True)
        '_:+#'
    """
    heights, count = MARKS if plain else BLOCKS, min(width, len(values))
    edges = [place * len(values) // count for place in range(count + 1)] if count else []
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means, default=0.0), max(means, default=0.0)
    scale = (len(heights) - 1) / (high - low) if high > low else 0.0
    return "".join(heights[round((mean - low) * scale)] for mean in means)


def describe(summary: Summary) -> str:
    """Return an evaluation in a line of text."""
    parts = []
    if summary.success is not None and summary.interval is not None:
        parts.append("success {:.1%} (95 %: {:.1%} to {:.1%})".format(summary.success, *summary.interval))
    parts += [f"race {summary.race_seconds:.2f} s"] if summary.race_seconds is not None else []
    parts += [f"best lap {summary.best_lap:.2f} s"] if summary.best_lap is not None else []
    parts += [f"gates {summary.pass_rate:.1%}"] if summary.pass_rate is not None else []
    return ", ".join([*parts, f"return {number(summary.reward)}", f"{summary.episodes} episodes"])


def _row(label: str, text: str) -> Text:
    return Text().append(f"{label:<{LABEL}}", style="dim").append(text)
