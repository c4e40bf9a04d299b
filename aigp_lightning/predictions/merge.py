"""Names the output files, and merges the parts of several processes into one JSON."""

from __future__ import annotations

import heapq
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import printable
from aigp_lightning.paths import MOST_NAME, short_name
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    from aigp_lightning.data.sources import SourceFile

log = logging.getLogger(__name__)
JSON_FILE = "predictions.json"
UNREADABLE_FILE = "unreadable.txt"
SHOWN, SHOWN_BYTES = 5, 60


def output_names(files: Sequence[SourceFile]) -> dict[str, str]:
    """Name the output of each file: its stem, or where stems clash, that and the folders in which the files differ.

    What still clashes, as `a.jpg` and `a.png` do, gets a number. Upper and lower case clash, as they do on Windows,
    and so do `clip_1.jpg` and frame 1 of `clip.mp4`. Long names are cut, see `short_name`.

    Returns:
        Names without suffix, by path; `/` between folders.

    Example:
        >>> from aigp_lightning.data.sources import SourceFile
        >>> output_names([SourceFile("/in/left/a.png", (9, 9), 0), SourceFile("/in/right/a.png", (9, 9), 0)])
        {'/in/left/a.png': 'left/a', '/in/right/a.png': 'right/a'}
    """
    paths = [os.path.abspath(file.path) for file in files]
    names = [Path(path).stem for path in paths]
    if len({name.casefold() for name in names}) < len(names):
        try:
            common = os.path.commonpath([os.path.dirname(path) for path in paths])
            names = [Path(os.path.relpath(path, common)).with_suffix("").as_posix() for path in paths]
        except ValueError:  # several drives have nothing in common
            pass
    names = ["/".join(map(short_name, name.split("/"))) for name in names]
    pictures = (name.casefold() for name, file in zip(names, files, strict=True) if not file.frames)
    numbered = {re.sub(r"_\d+$", "", name) for name in pictures if re.search(r"_\d+$", name)}
    taken: set[str] = set()
    for place, name in enumerate(names):
        reserved = taken | numbered if files[place].frames else taken
        number, candidate = 1, name
        while candidate.casefold() in reserved:
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate.casefold())
        names[place] = candidate
    return {file.path: name for file, name in zip(files, names, strict=True)}


def cut_names(outputs: Mapping[str, str], classes: Iterable[str]) -> str:
    """Say in a line which names are too long for files, and were cut; an empty text if none is.

    Args:
        outputs: of `output_names`.
        classes: names of the classes that get folders.
    """
    files = [path for path in outputs if short_name(Path(path).stem) != Path(path).stem]
    cut = [*map(os.path.basename, files), *(name for name in classes if short_name(name) != name)]
    if not cut:
        return ""
    return (
        f"{len(cut)} names of pictures or classes have over {MOST_NAME} bytes; files and folders named after them end "
        f"in `~` and a hash: {', '.join(printable(short_name(name, SHOWN_BYTES)) for name in cut[:SHOWN])}"
    )


def part_file(folder: Path, rank: int) -> Path:
    """Return the file in which a process keeps what it found until all are done."""
    return folder / f"predictions.rank{rank}.jsonl"


def finish(folder: Path, world_size: int, unreadable: Mapping[str, str], save_json: bool) -> list[dict[str, Any]]:
    """Merge the processes' parts into `predictions.json`, list what could not be read, and print a summary.

    Args:
        folder: of the predictions.
        world_size: number of processes.
        unreadable: what is wrong with files that were set aside at the start, by path.
        save_json: keep the JSON.

    Returns:
        What was collected, picture by picture; see `judge`.
    """
    collected: list[dict[str, Any]] = []
    parts = [path for path in (part_file(folder, rank) for rank in range(world_size)) if path.exists()]
    problems = [f"{printable(path)}: {what}" for path, what in unreadable.items()]
    counts = {"pictures": 0, "frames": 0, "detections": 0}
    lines = heapq.merge(*map(_lines, parts), key=lambda line: int(line["index"]))
    entries = _counted(lines, counts, problems, collected)
    if save_json:
        _write_json(folder / JSON_FILE, entries)
    else:
        for _ in entries:
            pass
    for part in parts:
        part.unlink()
    listed = folder / UNREADABLE_FILE
    listed.unlink(missing_ok=True)
    what = f"{counts['pictures']} pictures" + (f" and {counts['frames']} video frames" if counts["frames"] else "")
    print_line(f"predicted {what}: {counts['detections']} detections, in {folder}")
    if problems:
        listed.write_text("\n".join(problems) + "\n", encoding="utf-8", errors="backslashreplace")
        shown = "".join(f"\n  {printable(problem)}" for problem in problems[:SHOWN])
        log.warning("%d could not be read or drawn, listed in %s:%s", len(problems), printable(str(listed)), shown)
    return collected


def _lines(part: Path) -> Iterator[dict[str, Any]]:
    with part.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _counted(
    lines: Iterator[dict[str, Any]], counts: dict[str, int], problems: list[str], collected: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Pass on the entries, keep count of them, and keep what was collected."""
    for line in lines:
        if line.get("collected") is not None:
            collected.append(line["collected"])
        if "problem" in line:
            problems.append(line["problem"])
        if "entry" in line:
            entry = line["entry"]
            counts["frames" if "frame" in entry else "pictures"] += 1
            counts["detections"] += len(entry["detections"])
            yield entry


def _write_json(path: Path, entries: Iterator[dict[str, Any]]) -> None:
    """Write a list of entries, one a line, without holding them all; names that are no text come out escaped."""
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("[")
        for number, entry in enumerate(entries):
            file.write((",\n" if number else "\n") + json.dumps(entry, ensure_ascii=False))
        file.write("\n]\n")
