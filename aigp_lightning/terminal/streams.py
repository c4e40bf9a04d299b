"""Stand-ins for stdout and stderr: what is printed raises nothing, controls no terminal, and holds up no training.

A stream may be closed, full, without a reader or read by nobody, and a terminal may be gone. None of that is a reason
for a run to end or to wait: what cannot be written is counted and kept, to be told where something still works.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from typing import Any

from aigp_lightning.terminal.safe_stream import SafeStream

PATIENCE = 0.5
"""Seconds that a training waits for a reader who takes nothing; after that, lines are queued."""
WAIT_FOR_READER = None
"""The patience of a verb whose result is what it prints: it waits as long as the reader does."""


def protect_streams(patience: float | None) -> list[SafeStream]:
    """Put a `SafeStream` in the place of stdout and of stderr, or set the patience of those that are there.

    Args:
        patience: seconds to wait for a reader; None for ever.

    Returns:
        Those that are new; `restore_streams` takes them.
    """
    open_missing_descriptors()
    made = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, SafeStream):
            stream.delivery.patience = patience
            continue
        own = getattr(sys, f"__{name}__")
        if stream is None:  # closed when the program began, or a program without a console
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  until the process ends
        raw = _raw(stream) if stream is own else None
        if raw is not None:
            _open_pipe_again(raw)
        safe = SafeStream(stream, raw, patience)
        setattr(sys, name, safe)
        redirect_handlers({stream: safe})
        made.append(safe)
    return made


def restore_streams(made: Iterable[SafeStream]) -> None:
    """Put the streams back that `protect_streams` replaced, where nobody else has replaced them since."""
    for safe in made:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is safe:
                setattr(sys, name, safe.stream)
        redirect_handlers({safe: safe.stream})


def redirect_handlers(streams: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """Make log handlers of these streams write to their substitutes.

    Args:
        streams: the substitute of each stream.

    Returns:
        The handlers that were changed, with the stream that each had before.
    """
    logging = sys.modules.get("logging")
    if logging is None:
        return []
    loggers = [logging.root, *logging.Logger.manager.loggerDict.values()]
    handlers = {handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers}
    changed = []
    for handler in handlers:
        stream = getattr(handler, "stream", None)
        if isinstance(handler, logging.StreamHandler) and stream in streams and streams[stream] is not stream:
            handler.setStream(streams[stream])
            changed.append((handler, stream))
    return changed


def _raw(stream: Any) -> Any:
    """Return the unbuffered bytes of one of the process's own streams; None if somebody watches what is written."""
    buffer = getattr(stream, "buffer", None)
    if buffer is None or "write" in vars(stream):
        return None
    try:
        stream.flush()
    except (OSError, ValueError):
        return None
    return getattr(buffer, "raw", buffer)


def _open_pipe_again(raw: Any) -> None:
    """Let no write to a pipe wait, also not of a library in C; other programs that write to it wait as before.

    The flag for that belongs to what was opened, which the shell and others share: so the pipe is opened again.
    """
    try:
        number = raw.fileno()
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            opened = os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
            os.dup2(opened, number)
            os.close(opened)
    except (OSError, ValueError, AttributeError):  # no Linux, no reader, no right to
        pass


def open_missing_descriptors() -> None:
    """Open descriptors 0, 1 and 2 where they are closed, on nothing.

    Else the next file that is opened gets such a number, and what a library prints goes into it: into a checkpoint.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)


def safe_streams() -> list[SafeStream]:
    """Return stdout and stderr, those of them that are protected."""
    streams = (getattr(each, "rich_proxied_file", each) for each in (sys.stdout, sys.stderr))
    return [stream for stream in streams if isinstance(stream, SafeStream)]
