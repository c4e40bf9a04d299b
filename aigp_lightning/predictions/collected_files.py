"""The lists of collected pictures, and contact sheets on which the user looks at them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.data_yaml import DataSpec
from aigp_lightning.data.images import read_image
from aigp_lightning.data.video import VideoReader
from aigp_lightning.data.yaml_document import Document
from aigp_lightning.errors import DataError, printable
from aigp_lightning.files import write_atomic
from aigp_lightning.media.encode import encode
from aigp_lightning.media.plots.mosaic import Cell, draw_mosaic
from aigp_lightning.predictions.collect import (
    EMPTY,
    FRAMES,
    LABELLED,
    LEFT_OUT,
    LISTED,
    SHEET,
    STATED,
    SUFFIX,
    UNLABELLED,
    CollectOptions,
)
from aigp_lightning.predictions.held_out import HeldOut, hold_out
from aigp_lightning.terminal.output import print_line

Found = dict[str, Any]
"""What `judge` returns of a picture."""
MOST_CELLS, CELL = 30, 320
"""Pictures of a contact sheet, the surest false alarms first; and their longest side, pixels."""
BACKGROUNDS = "label them; or, where a folder or video has no object at all, say so with --output.collect_backgrounds"
WORDS = {
    LABELLED: "with labels, and something that is not among them",
    EMPTY: "labelled as empty",
    STATED: "that you say are without objects",
}


def save_frame(options: CollectOptions, name: str, frame: int, image: NDArray[np.uint8]) -> str:
    """Save a frame of a video as a picture; returns its absolute path.

    Args:
        options: where pictures are collected.
        name: of the video's output.
        frame: its number, from 0.
        image: (H, W, 3) uint8 RGB.

    Raises:
        OSError: it cannot be written.
    """
    path = options.beside(FRAMES).absolute() / f"{name}_{frame}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, encode(image, ".jpg"), sync=False)
    return str(path)


def write_collected(
    options: CollectOptions, found: Sequence[Found], names: Mapping[int, str], held_out: HeldOut
) -> None:
    """Write lists and contact sheets, and print what there is to do with them.

    Args:
        options: where to.
        found: in all pictures, in their order.
        names: class names by id.
        held_out: pictures that measure; none of them gets into the list.

    Raises:
        OSError: a file cannot be written.
    """
    collected = hold_out(found, held_out.splits)
    listed = [each for each in collected if each["kind"] in LISTED]
    others = [each for each in collected if each["kind"] not in LISTED]
    if listed:
        _write(options.target, [each["path"] for each in listed])
        sheet = _sheet(options.beside(SHEET), listed, names)
        counts = [f"{sum(each['kind'] == kind for each in listed)} {words}" for kind, words in WORDS.items()
                  if any(each["kind"] == kind for each in listed)]  # fmt: skip
        print_line(
            f"collected {len(listed)} pictures in {options.target}: {', '.join(counts)}",
            f"look at {sheet} before you train on them: where a box is on a real object, its label is missing",
            *([_not_held_out(held_out)] if held_out.unknown else []),
            *_advice(options.target, held_out.data_set),
        )
    else:
        print_line(f"collected no picture: {options.target} is not written")
    path = options.beside(f"{LEFT_OUT}{SUFFIX}")
    if not others:  # those of an earlier run, which collected nothing
        path.unlink(missing_ok=True)
        options.beside(f"{LEFT_OUT}{SHEET}").unlink(missing_ok=True)
    else:
        _write(path, [f"{_shown(each)}\t{each['why']}" for each in others])
        sheet = _sheet(options.beside(f"{LEFT_OUT}{SHEET}"), others, names)
        print_line(
            f"{len(others)} more are not in it, each with the reason in {path} ({sheet})",
            *([BACKGROUNDS] if any(each["kind"] == UNLABELLED for each in others) else []),
        )


def _advice(target: Path, data_set: DataSpec | None) -> list[str]:
    """Return the lines of a data.yaml that train on the list too, with what stands there now where that is known."""
    added = str(target.absolute())
    if data_set is None:
        return ["to train on them too, add this line to the list of `train` in data.yaml:", f"    - {_entry(added)}"]
    written = Document(data_set.file).values.get("train")
    there = [str(each) for each in written] if isinstance(written, list) else [str(written)]
    entries = [f"    - {_entry(each)}" for each in dict.fromkeys((*there, added))]
    return [f"to train on them too, in {data_set.file}:", "  train:", *entries]


def _entry(path: str) -> str:
    """Write a path as YAML does, in quotes where it needs them."""
    import yaml

    written: str = yaml.safe_dump(path, default_flow_style=True, width=10**6, allow_unicode=True)
    return written.split("\n", maxsplit=1)[0]


def _not_held_out(held_out: HeldOut) -> str:
    """Say of which validation and test splits pictures may be in the list."""
    known = held_out.data_set
    rest = "--data.data_yaml names it" if known is None else f"those of {known.file} are left out"
    return f"pictures of the model's own validation and test splits may be among them, since {held_out.unknown}; {rest}"


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


def _shown(each: Found) -> str:
    return str(each["path"]) if each["frame"] is None else f"{each['path']}#{each['frame']}"


def _sheet(path: Path, collected: Sequence[Found], names: Mapping[int, str]) -> str:
    """Draw a contact sheet, the surest first; returns its path, or that there is none."""
    cells: list[Cell] = []
    for each in sorted(collected, key=lambda one: -max(one["scores"])):
        if len(cells) == MOST_CELLS:
            break
        if (cell := _cell(each)) is not None:
            cells.append(cell)
    if not cells:
        return "no picture of them can be read any more, and no contact sheet was drawn;"
    write_atomic(path, encode(draw_mosaic(cells, names), ".jpg"))
    return str(path)


def _cell(each: Found) -> Cell | None:
    """Return a picture, made small, with what is found in it and not labelled; None if it cannot be read."""
    import cv2

    try:
        image = _read(each)
    except (DataError, OSError):
        return None
    if image is None:
        return None
    height, width = image.shape[:2]
    scale = min(CELL / max(height, width), 1.0)
    small = cv2.resize(
        image, (max(round(width * scale), 1), max(round(height * scale), 1)), interpolation=cv2.INTER_AREA
    )
    boxes = np.array(each["boxes"], np.float64) * scale
    caption = printable(os.path.basename(_shown(each)))
    return Cell(np.asarray(small, np.uint8), boxes, np.array(each["labels"]), np.array(each["scores"]), caption=caption)


def _read(each: Found) -> NDArray[np.uint8] | None:
    if each["frame"] is None:
        return read_image(each["path"])
    reader = VideoReader(each["path"])
    try:
        return reader.frame(each["frame"])
    finally:
        reader.close()
