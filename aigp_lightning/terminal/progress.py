"""A progress bar for work of a known length, where a terminal is there to show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from aigp_lightning.terminal.output import console

Bar = AbstractContextManager[Callable[[int], None]]
"""A progress bar that is not begun yet."""


@contextmanager
def progress_bar(title: str, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a progress bar that is gone afterwards; yields a function by which it goes on.

    Args:
        title: left of the bar.
        total: steps until the end.
        shown: whether to show it; on what is no terminal it never is.

    Example:
        >>> with progress_bar("reading", total=2) as advance:
        ...     advance(2)
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = console()
    if not shown or not screen.is_interactive:  # there it would only print an empty line
        yield lambda steps: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, console=screen) as bar:
        task = bar.add_task(title, total=total)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def byte_bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show how many bytes have come, with their pace; yields a function that is told how many, and of how many.

    Args:
        title: left of the bar.

    Example:
        >>> with byte_bar("best.pt") as progress:
        ...     progress(100, 200)
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    screen = console()
    if not screen.is_interactive:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), transient=True, console=screen) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
