"""The dashboard's view: numbers in, lines of text out; no trainer, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.text import Text

from aigp_lightning.errors import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

WIDE = 84
"""Width in columns from which losses and metrics stand side by side."""
WIDEST = 120
"""Columns used at most."""
LABEL, COUNT, NOTE = 7, 10, 16
MARGIN = 1


@dataclass
class View:
    """The state of a training as the dashboard shows it, a renderable of Rich.

    Args:
        epoch: from 1; None shows the bar of a validation alone.
        epochs: of the run; None when it has no set end.
        batch: training batches of the epoch that are done.
        batches: training batches of the epoch; None when not known.
        val: batches done and all batches of the running validation; None when none runs.
        speed: training images a second.
        elapsed: seconds.
        left: seconds to the end of the run.
        losses: name → this epoch's mean in training and the last validation's.
        metrics: name → the last validation's value, the best and its epoch.
        footer: short facts for the last lines.
        pictures: the pictures' line.
    """

    epoch: int | None = None
    epochs: int | None = None
    batch: int = 0
    batches: int | None = None
    val: tuple[int, int | None] | None = None
    speed: float | None = None
    elapsed: float = 0.0
    left: float | None = None
    losses: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    metrics: Mapping[str, tuple[float, float, int]] = field(default_factory=dict)
    footer: Sequence[str] = ()
    pictures: str | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the lines, in the width and the characters that the terminal has."""
        width = options.max_width
        plain = options.ascii_only or options.legacy_windows
        for line in self._lines(min(width, WIDEST) - 2 * MARGIN, plain):
            line.no_wrap, line.overflow = True, "crop"
            yield Text(" " * MARGIN, no_wrap=True, overflow="crop").append_text(line)

    def _lines(self, width: int, plain: bool) -> Iterator[Text]:
        if self.epoch is None:
            if self.val is not None:
                yield bar_line("val", *self.val, "", width, plain)
            return
        part = self.batch / self.batches if self.batches else 0.0
        note = "" if self.left is None else f"{duration(self.left)} left"
        yield bar_line("epoch", self.epoch, self.epochs, note, width, plain, done=self.epoch - 1 + part)
        if self.val is None:
            note = "" if self.speed is None else f"{self.speed:.3g} images/s"
            yield bar_line("train", self.batch, self.batches, note, width, plain)
        else:
            yield bar_line("val", *self.val, "", width, plain)
        yield Text()
        yield from _tables(_loss_table(self.losses), _metric_table(self.metrics, self.epoch), width)
        yield from fill([f"{duration(self.elapsed)} elapsed", *self.footer], width)
        if self.pictures:
            yield Text(printable(self.pictures), style="dim")


def bar_line(
    label: str, at: int, of: int | None, note: str, width: int, plain: bool, done: float | None = None
) -> Text:
    """Draw a progress bar as one line of text.

    Args:
        label: in front.
        at: steps done.
        of: all steps; None when not known, which leaves the bar out.
        note: behind the bar.
        width: of the line, columns.
        plain: without box-drawing characters.
        done: steps done for the bar, where they are not `at`.
    """
    line = Text(f"{label:<{LABEL}}", style="dim")
    line = Text().append_text(line).append(f"{at}/{of}" if of else str(at)).append(" ")
    line.pad_right(max(0, LABEL + COUNT - len(line)))
    room = width - len(line) - len("  100 %  ") - NOTE
    if of and room > 0:
        share = min(1.0, (at if done is None else done) / of)
        filled = int(share * room)
        full, empty = ("=", "-") if plain else ("━", "─")
        line.append(full * filled, style="cyan").append(empty * (room - filled), style="dim")
        line.append(f"  {int(100 * share):3d} %")
    line.append(f"  {note}", style="dim")
    return line


def _loss_table(losses: Mapping[str, tuple[float | None, float | None]]) -> list[Text]:
    rows = [Text(f"{'loss':<12}{'train':>9}{'val':>9}", style="dim")]
    for name, values in losses.items():
        row = Text(f"{printable(name)[:11]:<12}")
        for value in values:
            row.append(f"{number(value):>9}")
        rows.append(row)
    return rows if losses else []


def _metric_table(metrics: Mapping[str, tuple[float, float, int]], epoch: int) -> list[Text]:
    rows = [Text(f"{'metric':<14}{'last':>8}{'best':>9}{'epoch':>7}", style="dim")]
    for name, (last, best, when) in metrics.items():
        row = Text(f"{printable(name)[:13]:<14}{number(last):>8}")
        is_new = when >= epoch - 1  # of this epoch or of the one before, whose validation is the last
        rows.append(row.append(f"{number(best):>9}", style="green" if is_new else "").append(f"{when:>7}", style="dim"))
    return rows if metrics else []


def _tables(left: list[Text], right: list[Text], width: int) -> Iterator[Text]:
    """Yield two tables side by side, or one above the other where the terminal is narrow."""
    if width >= WIDE and left and right:
        gap = max(len(row) for row in left) + 10
        for index in range(max(len(left), len(right))):
            line = left[index].copy() if index < len(left) else Text()
            line.pad_right(gap - len(line))
            yield Text().append_text(line).append_text(right[index] if index < len(right) else Text())
        yield Text()
        return
    for table in (left, right):
        if table:
            yield from table
            yield Text()


def fill(items: Sequence[str], width: int) -> Iterator[Text]:
    """Yield the items in lines of as many as fit the width."""
    line = ""
    for item in map(printable, items):
        if line and len(line) + 3 + len(item) > width:
            yield Text(line, style="dim")
            line = ""
        line = f"{line}   {item}" if line else item
    if line:
        yield Text(line, style="dim")


def number(value: float | None) -> str:
    """Format a value with three decimals, very small and large ones in scientific notation, None as a dash.

    Example:
        >>> number(0.1234), number(1e-5), number(None)
        ('0.123', '1.00e-05', '-')
    """
    if value is None:
        return "-"
    return f"{value:.3f}" if value == 0 or 0.001 <= abs(value) < 10000 else f"{value:.2e}"  # noqa: PLR2004


def duration(seconds: float) -> str:
    """Format seconds in the two largest units.

    Example:
        >>> duration(42), duration(725), duration(11_520)
        ('42 s', '12 min 5 s', '3 h 12 min')
    """
    total = round(seconds)
    for size, unit, small, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if total >= size:
            return f"{total // size} {unit} {total % size // small} {name}"
    return f"{total} s"


def pictures_line(status: Any) -> str | None:
    """Format how many pictures were drawn, sent, withheld and failed; None without a status.

    Args:
        status: has `drawn`, `sent`, `waiting`, `withheld`, `failed`, `pending`, `megabytes` and `waiting_megabytes`;
            None for no line.
    """
    if status is None:
        return None
    parts = [f"{status.drawn} drawn", f"{status.sent} sent ({status.megabytes:.1f} MB)"]
    parts += [f"{status.waiting} to be synced ({status.waiting_megabytes:.1f} MB)"] if status.waiting else []
    parts += [f"{status.withheld} withheld"]
    parts += [f"{status.failed} failed"] if status.failed else []
    parts += [f"{status.pending} to be drawn"] if status.pending else []
    return "pictures: " + ", ".join(parts)
