"""Everything that is printed goes through here: no name of others controls the terminal, and no print ends a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import printable
from aigp_lightning.terminal.narrow import as_lines, fits
from aigp_lightning.terminal.safe_stream import SafeStream, harmless
from aigp_lightning.terminal.streams import PATIENCE, WAIT_FOR_READER, protect_streams, restore_streams, safe_streams

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

UNPRINTED = "unprinted.txt"
"""File in the run folder with the lines that could not be printed; there is none if all were."""
NO_PROGRESS, AT_MOST = 3.0, 20.0
"""Seconds that a program's end waits for a reader: without any progress, and altogether."""


def print_line(*lines: object, err: bool = False) -> None:
    r"""Print each argument as one line, whatever is in it.

    Args:
        *lines: texts.
        err: on stderr.

    Example:
        >>> print_line("gate", "a\nb\x1b[31m")
        gate
        a\nb\x1b[31m
    """
    _write("".join(f"{printable(line)}\n" for line in lines), err)


def print_text(text: str, err: bool = False) -> None:
    r"""Print a text of one or more lines.

    Args:
        text: without the last line's end.
        err: on stderr.

    Example:
        >>> print_text("a\nb\x07")
        a
        b\x07
    """
    _write(f"{printable(text, lines=True)}\n", err)


def _write(text: str, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except UnicodeEncodeError:
        _write(text.encode("ascii", "backslashreplace").decode("ascii"), err)
    except (OSError, ValueError):  # a program of the user's that runs ours, and has not protected its streams
        pass


def console() -> Console:
    """Return a Rich console for stdout that prints texts as they are: no markup, no emoji, no control characters.

    Example:
        >>> console().print("[/bold] :smile:")
        [/bold] :smile:
    """
    from rich.console import Console

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> Any:  # type: ignore[override]
            return super().render_str(printable(text, lines=True), **options)

    return PlainConsole(markup=False, emoji=False, highlight=False)


def print_tables(*tables: RenderableType, on: Console | None = None) -> None:
    """Print tables of Rich's. One that the terminal is too narrow for loses nothing: its rows are printed as lists.

    Args:
        *tables: of Rich's.
        on: from `console`; a new one by default.

    Example:
        >>> from rich.console import Console
        >>> from rich.table import Table
        >>> table = Table("file", "megabytes")
        >>> table.add_row("results.png", "1.5")
        >>> print_tables(table, on=Console(width=18))
        file: results.png
          megabytes: 1.5
    """
    from rich.table import Table

    screen = on or console()
    for table in tables:
        if isinstance(table, Table) and not fits(table, screen):
            for line in as_lines(table):
                screen.print(line)
        else:
            screen.print(table)


def has_live_terminal() -> bool:
    """True if stdout is a terminal on which a live view can be drawn."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


@contextmanager
def protected_output(wait_for_reader: bool) -> Iterator[list[SafeStream]]:
    """Keep closed, full and unread streams from raising; yields the streams.

    Args:
        wait_for_reader: what is printed is the result; else a reader that takes nothing holds up nobody.
    """
    made = protect_streams(WAIT_FOR_READER if wait_for_reader else PATIENCE)
    streams = safe_streams()
    try:
        yield streams
    finally:
        for stream in streams:
            stream.flush()
            if not wait_for_reader:
                stream.delivery.drain(NO_PROGRESS, AT_MOST)
        _tell_losses(streams, wait_for_reader)
        restore_streams(made)


def lost_result(streams: list[SafeStream]) -> str:
    """Return why the end of what was printed on stdout is lost; empty if it is not, or if the reader had enough."""
    if not streams:
        return ""
    streams[0].flush()
    delivery = streams[0].delivery
    return delivery.why if delivery.lost and not delivery.broken else ""


def keep_unprinted(folder: Path) -> None:
    """Let lines that cannot be printed be written to a file in the run folder, when the program ends.

    Args:
        folder: of the run.
    """
    for stream in safe_streams():
        stream.unprinted = folder / UNPRINTED


def _tell_losses(streams: list[SafeStream], wait_for_reader: bool) -> None:
    """Write what could not be printed to the run folder, and say so on the stream that works."""
    lost = [stream for stream in streams if stream.delivery.lost]
    file = next((stream.unprinted for stream in lost if stream.unprinted is not None), None)
    if not lost or wait_for_reader:
        return
    written = ""
    if file is not None and file.parent.is_dir():
        try:
            texts = (stream.delivery.lost_bytes().decode(stream.encoding, "replace") for stream in lost)
            with file.open("a", encoding="utf-8") as target:
                target.writelines(harmless(text, terminal=False) for text in texts)
            written = f"; they are in {file}"
        except OSError as error:
            written = f"; nor to {file}: {error.strerror}"
    for stream in lost:
        name, delivery = "stdout" if stream is streams[0] else "stderr", stream.delivery
        told = f"note: {delivery.lost_lines} lines could not be written to {name} ({delivery.why}){written}"
        for other in streams:
            if other not in lost:
                other.write(f"{printable(told)}\n")
                other.flush()
