"""A live view at the bottom of a terminal; what is printed meanwhile appears above it."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import TextIO, cast

from rich.console import Console, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.text import Text

from aigp_lightning.errors import printable
from aigp_lightning.terminal.streams import redirect_handlers


class Screen:
    """A view at the bottom of the terminal, from construction until `close` or the end of the process.

    A thread redraws it. What is printed or logged meanwhile appears above it.

    Args:
        console: of the terminal.
        view: returns what is shown; called by the thread.
        rate: redraws a second.
    """

    def __init__(self, console: Console, view: Callable[[], RenderableType], rate: float) -> None:
        self._view = view
        self._streams = sys.stdout, sys.stderr
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=rate, transient=True,
            redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop",
        )  # fmt: skip
        sys.stdout = cast("TextIO", _StreamAboveView(console, sys.stdout))
        if sys.stderr.isatty():  # where errors go to a file, they still do
            sys.stderr = cast("TextIO", _StreamAboveView(console, sys.stderr))
        self._handlers = redirect_handlers(dict(zip(self._streams, (sys.stdout, sys.stderr), strict=True)))
        atexit.register(self.close)
        self._live.start(refresh=True)

    def close(self) -> None:
        """Remove the view, and restore cursor, streams and log handlers."""
        atexit.unregister(self.close)
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            self._live.stop()
        finally:
            sys.stdout, sys.stderr = self._streams
            for handler, stream in self._handlers:
                handler.setStream(stream)

    def _draw(self) -> RenderableType:
        try:
            return self._view()
        except Exception as error:  # a view that fails must not end the thread, far less the run
            return Text(printable(f"dashboard: {type(error).__name__}: {error}"))


class _StreamAboveView(FileProxy):
    """A stream that prints above the live view; in a forked process it writes straight to the terminal."""

    def __init__(self, console: Console, file: TextIO) -> None:
        super().__init__(console, file)
        self._process = os.getpid()

    def write(self, text: str) -> int:
        if os.getpid() != self._process:  # the lock of the view may have been held when the process was forked
            return self.rich_proxied_file.write(text)
        super().write(text)
        return len(text)

    def flush(self) -> None:
        if os.getpid() != self._process:
            self.rich_proxied_file.flush()
        else:
            super().flush()
