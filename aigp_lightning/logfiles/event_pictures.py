"""The pictures of an event file, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from aigp_lightning.logfiles.event_file import FOOTER, HEADER, event_records, pictures_in


@dataclass(frozen=True)
class EventPicture:
    """A picture in an event file.

    Attributes:
        path: the file.
        at: byte at which its record begins.
        length: of the record's content, bytes.
        tag: its name.
        step: its place on the slider.
        sha256: of the encoded bytes, hexadecimal.
        size: of the encoded bytes.
    """

    path: Path
    at: int
    length: int
    tag: str
    step: int
    sha256: str
    size: int

    def read(self) -> bytes:
        """Read its bytes.

        Raises:
            OSError: the file cannot be read, or has changed since.
        """
        with self.path.open("rb") as file:
            file.seek(self.at + HEADER)
            record = file.read(self.length)
        for _, data in _pictures(record)[1]:
            if sha256(data).hexdigest() == self.sha256:
                return data
        raise OSError(None, "it has changed while it was read", str(self.path))


def find_event_pictures(path: Path, damage: list[str]) -> Iterator[EventPicture]:
    """Yield the pictures of an event file, in order; of damaged records those that can be made out.

    Args:
        path: the file.
        damage: gets what cannot be read, a sentence each.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        for record in event_records(file, damage):
            at = file.tell() - FOOTER - len(record) - HEADER
            step, pictures = _pictures(record)
            for tag, data in pictures:
                yield EventPicture(path, at, len(record), tag, step, sha256(data).hexdigest(), len(data))


def _pictures(record: bytes) -> tuple[int, list[tuple[str, bytes]]]:
    """Return the step of an event, and its pictures with their tags."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    try:
        event = Event.FromString(record)
    except DecodeError:
        return 0, []
    values: list[Any] = [value for value in event.summary.value if value.WhichOneof("value") in ("image", "tensor")]
    return event.step, [(value.tag, data) for value in values for data in pictures_in(value)]
