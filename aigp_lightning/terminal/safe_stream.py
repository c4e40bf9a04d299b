"""A text stream that never raises for what it cannot write, and passes on none of a terminal's commands but colours."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any, TextIO

from aigp_lightning.errors import UNPRINTABLE, escape
from aigp_lightning.terminal.delivery import Delivery

LONG = 1 << 14
"""Characters without a line's end that are written all the same."""
STYLE = re.compile(r"\x1b\[(?:[0-9;:]*m|[0-9;]*[ABCDEFGK]|\?25[hl])")
"""Colours, and the cursor's movements of a live view: all of a terminal's commands that Rich, tqdm and wandb need."""
LINE_ENDS = "\n\r\t"


class SafeStream(io.TextIOBase):
    """A text stream in place of stdout or stderr.

    Args:
        stream: the one that it stands for.
        raw: its bytes, unbuffered; None writes text to the stream itself, as to one that captures output.
        patience: seconds to wait for a reader, of `raw` alone; None for ever.

    Attributes:
        stream: the one that it stands for.
        delivery: of the bytes, with what could not be written.
        unprinted: file for that; None where there is none yet.
    """

    def __init__(self, stream: TextIO, raw: Any = None, patience: float | None = None) -> None:
        self.stream = stream
        self.delivery = Delivery(raw if raw is not None else _TextSink(stream), patience if raw is not None else None)
        self._has_bytes, self._part = raw is not None, ""
        self.unprinted: Path | None = None

    def write(self, text: str) -> int:
        """Write a text; never raises for what the stream does not take."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        whole = self._part + harmless(text, self.isatty())
        if self._has_bytes and not any(end in text for end in "\n\r") and len(whole) < LONG:
            self._part = whole
            return len(text)
        self._part = ""
        self._send(whole)
        return len(text)

    def flush(self) -> None:
        """Write what has no line's end yet."""
        whole, self._part = self._part, ""
        self._send(whole)

    def _send(self, text: str) -> None:
        if not text:
            return
        if self._has_bytes and os.name == "nt":
            text = text.replace("\n", "\r\n")
        self.delivery.put(text.encode(self.encoding, "backslashreplace"))

    # ---- what programs ask of a stream ------------------------------------------------------------------------------

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's encoding; what it has no bytes for is written as its escape."""
        return str(getattr(self.stream, "encoding", None) or "utf-8")

    @property
    def errors(self) -> str:  # type: ignore[override]
        """The treatment of what the encoding lacks."""
        return "backslashreplace"

    @property
    def buffer(self) -> io.RawIOBase:
        """A stream of bytes, which end up in this one."""
        return _Bytes(self)

    @property
    def name(self) -> Any:
        """The stream's name."""
        return getattr(self.stream, "name", "")

    @property
    def line_buffering(self) -> bool:
        """True if every line is written at once."""
        return True

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self.stream.fileno()

    def isatty(self) -> bool:
        """True if the stream is a terminal, and not gone."""
        try:
            return self.stream.isatty()
        except (OSError, ValueError):
            return False

    def writable(self) -> bool:
        """True if it takes text: always."""
        return True

    def reconfigure(self, **options: Any) -> None:
        """Pass new options on to the stream: its encoding counts."""
        reconfigure = getattr(self.stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(**options)

    def close(self) -> None:
        """Flush; the stream itself stays open."""
        self.flush()


class _Bytes(io.RawIOBase):
    """The bytes' side of a `SafeStream`."""

    def __init__(self, text: SafeStream) -> None:
        self._text = text

    def write(self, data: Any) -> int:
        given = bytes(data)
        self._text.write(given.decode(self._text.encoding, "backslashreplace"))
        return len(given)

    def flush(self) -> None:
        self._text.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._text.fileno()

    def isatty(self) -> bool:
        return self._text.isatty()


class _TextSink:
    """Takes bytes for a stream that has none."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        given = bytes(data)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(given.decode(encoding, "backslashreplace"))
        self._stream.flush()
        return len(given)


def harmless(text: str, terminal: bool) -> str:
    r"""Escape what would control a terminal; colours and movements of the cursor stay on one, and go elsewhere.

    Args:
        text: one or more lines.
        terminal: whether it goes to one.

    Example:
        >>> harmless("gate \x1b[31mred\x1b]0;title\x07\n", terminal=False)
        'gate red\\x1b]0;title\\x07\n'
        >>> harmless("\x1b[31mred", terminal=True) == "\x1b[31mred"
        True
    """
    if not UNPRINTABLE.search(text):
        return text
    parts, end = [], 0
    for found in STYLE.finditer(text):
        parts += [_escape_all(text[end : found.start()]), found[0] if terminal else ""]
        end = found.end()
    return "".join([*parts, _escape_all(text[end:])])


def _escape_all(text: str) -> str:
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] in LINE_ENDS else escape(found[0]), text)
