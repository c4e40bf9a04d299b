"""The contents of a TensorBoard event file: every picture, and how much else.

TensorBoard's own reader stops at the first damaged record without a word, and its accumulator drops pictures.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from aigp_lightning.logfiles.crc32c import masked_crc32c
from aigp_lightning.logfiles.paths import is_file, listing, walk
from aigp_lightning.logfiles.wandb_places import is_wandb_folder

EVENT_FILES = "events.out.tfevents.*"
WRITER = re.compile(r"events\.out\.tfevents\.\d+\.(?P<host>.+)\.(?P<pid>[1-9]\d*)\.\d+")
"""Names that TensorBoard's writer gives: with the moment, the machine, the process and a number."""
HEADER, FOOTER = 12, 4
EPOCH = "epoch"
"""Metric of Lightning's that says which epoch the others are of."""
LARGEST = 1 << 28
"""Bytes of a record that is read; a picture has a few millions."""


@dataclass(frozen=True)
class EventImage:
    """A picture in an event file.

    Attributes:
        tag: its name.
        step: its place on the slider.
        sha256: of the encoded bytes, hexadecimal.
        size: of the encoded bytes.
    """

    tag: str
    step: int
    sha256: str
    size: int


@dataclass
class EventFile:
    """Contents of an event file.

    Attributes:
        path: the file.
        images: every picture, in order.
        scalars: number of values by tag.
        points: number of values by tag and step.
        epochs: values of the scalar `epoch`, each with its step.
        other: number of anything else, by kind and tag: texts, hyper-parameters, graphs, histograms, audio, meshes.
        damage: what cannot be read, a sentence each.
    """

    path: Path
    images: list[EventImage] = field(default_factory=list)
    scalars: Counter[str] = field(default_factory=Counter)
    points: Counter[tuple[str, int]] = field(default_factory=Counter)
    epochs: set[tuple[int, float]] = field(default_factory=set)
    other: Counter[str] = field(default_factory=Counter)
    damage: list[str] = field(default_factory=list)
    _plugins: dict[str, str] = field(default_factory=dict)


def event_files(run: Path) -> list[Path]:
    """Find every event file below a folder, oldest first; copies that W&B keeps in its own folders are left out."""
    found: list[Path] = []
    for place, folders, _ in walk(run):
        folders[:] = [name for name in folders if not is_wandb_folder(place / name)]
        found += [path for path in listing(place, EVENT_FILES) if is_file(path)]
    return sorted(found)


def read_event_file(path: Path) -> EventFile:
    """Read an event file to its end, damaged records included where they can be made out.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    found = EventFile(path)
    with path.open("rb") as file:
        for record in event_records(file, found.damage):
            try:
                event = Event.FromString(record)
            except DecodeError:
                found.damage.append("a record is not an event.")
                continue
            for value in event.summary.value:
                _add(found, value, event.step)
            for name in ("graph_def", "log_message", "session_log", "tagged_run_metadata", "meta_graph_def"):
                found.other[name] += event.HasField(name)
    found.other += Counter()  # drops the zeros
    return found


def written_here(folder: Path) -> list[Path]:
    """Find the event files that this process has opened below a folder, and in which it has recorded nothing."""
    mine = []
    for path in event_files(folder):
        name = WRITER.fullmatch(path.name)
        if name is not None and name["host"] == socket.gethostname() and int(name["pid"]) == os.getpid():
            found = read_event_file(path)
            if not (found.images or found.scalars or found.other or found.damage):
                mine.append(path)
    return mine


def event_cut(path: Path) -> int | None:
    """Find where the last record of a file begins if it was cut off; None if the file ends with a complete one.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
    """
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while len(header := file.read(HEADER)) == HEADER:
            length, check = struct.unpack("<QI", header)
            if check != masked_crc32c(header[:8]):
                return None  # damaged, which is something else
            if at + HEADER + length + FOOTER > size:
                return at
            at = file.seek(at + HEADER + length + FOOTER)
    return at if header else None


def is_being_written(path: Path) -> bool:
    """True if another process may still be writing an event file; its name says on which machine, and which process.

    Args:
        path: the file.
    """
    name = WRITER.fullmatch(path.name)
    if name is None or name["host"] != socket.gethostname() or os.name != "posix":
        return True
    if int(name["pid"]) == os.getpid():
        return False
    try:
        os.kill(int(name["pid"]), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's, or no number of a process
        return True
    return True


def event_records(file: BinaryIO, damage: list[str]) -> Iterator[bytes]:
    """Read TFRecord frames: length (8 bytes), its masked CRC-32C, data, its masked CRC-32C.

    Args:
        file: at the beginning of one. While a record is looked at, it is at that record's end.
        damage: gets what cannot be read, a sentence each.
    """
    size = os.fstat(file.fileno()).st_size
    while header := file.read(HEADER):
        at = file.tell() - len(header)
        if len(header) < HEADER:
            damage.append(_cut(at))
            return
        length, check = struct.unpack("<QI", header)
        if check != masked_crc32c(header[:8]):
            damage.append(f"the length of the record at byte {at} is damaged; nothing after it can be read.")
            return
        if at + HEADER + length + FOOTER > size:
            damage.append(_cut(at))
            return
        if length > LARGEST:
            damage.append(f"the record at byte {at} has {length} bytes, more than are read.")
            file.seek(length + FOOTER, os.SEEK_CUR)
            continue
        data, footer = file.read(length), file.read(FOOTER)
        if len(footer) < FOOTER:
            damage.append(_cut(at))
            return
        if struct.unpack("<I", footer)[0] != masked_crc32c(data):
            damage.append(f"the record at byte {at} ({length} bytes) was changed: its checksum differs.")
        yield data


def _cut(at: int) -> str:
    return f"it ends within the record at byte {at}: the run was killed while writing it, or the file was cut."


def _add(found: EventFile, value: Any, step: int) -> None:
    tag: str = value.tag
    plugin = value.metadata.plugin_data.plugin_name or found._plugins.get(tag, "")
    found._plugins[tag] = plugin
    what = value.WhichOneof("value")
    if what == "image" or (plugin == "images" and what == "tensor"):
        pictures = pictures_in(value)
    elif what == "simple_value" or plugin == "scalars":
        found.scalars[tag] += 1
        found.points[tag, step] += 1
        if tag == EPOCH and what == "simple_value":
            found.epochs.add((step, value.simple_value))
        return
    else:
        found.other[f"{plugin or what or 'empty'} {tag}".strip()] += 1
        return
    found.images += [EventImage(tag, step, sha256(picture).hexdigest(), len(picture)) for picture in pictures]


def pictures_in(value: Any) -> list[bytes]:
    """Return the encoded pictures of a value that has some.

    Args:
        value: of a summary.
    """
    if value.WhichOneof("value") == "image":
        return [value.image.encoded_image_string]
    return list(value.tensor.string_val)[2:]  # after width and height
