"""The `split` verb's work: open the pictures, assign them, write the lists, measure what was written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aigp_lightning.data.leaks.leak_report import leak_lines, percent
from aigp_lightning.data.leaks.split_leaks import SplitLeak, find_leaks
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.splitting.assign import assign, default_out
from aigp_lightning.data.splitting.blocks import UNUSED
from aigp_lightning.data.splitting.files import check_free, list_path, write_split
from aigp_lightning.data.splitting.options import SplitOptions
from aigp_lightning.data.splitting.source import open_source
from aigp_lightning.errors import printable
from aigp_lightning.files import shell_quoted
from aigp_lightning.paths import expand_home

FAR_OFF = 0.25
"""Of a share that was asked for: a split that is off by more is told."""
NAMES_SHOWN = 12


@dataclass(frozen=True)
class SplitResult:
    """Outcome of the `split` verb.

    Attributes:
        out: the `data.yaml` that was written.
        counts: pictures by split.
        unused: pictures in no split.
        leaks: what the splits have in common, measured after they were written.
        lines: what there is to tell.
        pose: whether it has keypoints.
    """

    out: Path
    counts: dict[str, int]
    unused: int
    leaks: list[SplitLeak]
    lines: list[str]
    pose: bool = False


def split_data(source: str, options: SplitOptions, *, workers: int = 8, progress: bool = False) -> SplitResult:
    """Split a data set into lists of pictures; nothing is moved or copied.

    Args:
        source: a `data.yaml`, or a folder with pictures.
        options: of the split.
        workers: threads.
        progress: show progress bars.

    Raises:
        ConfigError: an option makes no sense, or the splits cannot be filled.
        DataError: the pictures cannot be used, or the lists cannot be written.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.data.synthetic import MakeDataOptions, make_data
        >>> making = MakeDataOptions(tempfile.mkdtemp(dir="."), train=8, val=2, test=0, imgsz=(64, 64), workers=1)
        >>> result = split_data(str(make_data(making, progress=False)), SplitOptions(by="random", val=0.3), workers=1)
        >>> result.out.name, result.counts
        ('data-random.yaml', {'train': 7, 'val': 3})
    """
    options.check()
    names = list(options.shares())
    folder = Path(os.path.abspath(expand_home(source)))
    if options.out is not None:  # refused before the pictures are read
        check_free(Path(os.path.abspath(expand_home(options.out))), names, options.force)
    opened = open_source(source, workers=workers, progress=progress)
    home = folder if folder.is_dir() else folder.parent
    out = (
        default_out(home, options, opened.yaml)
        if options.out is None
        else Path(os.path.abspath(expand_home(options.out)))
    )
    check_free(out, names, options.force)
    found = assign(opened.records, str(opened.spec.root), options, workers=workers, progress=progress)
    chosen = {name: np.flatnonzero(found.sides == place) for place, name in enumerate(names)}
    files = np.array(opened.files, dtype=object)
    splits = {name: files[places].tolist() for name, places in chosen.items()}
    unused = files[found.sides == UNUSED].tolist()
    written = write_split(out, splits, unused, opened.spec, opened.yaml)
    leaks = find_leaks(splits, str(written.root), workers=workers, progress=progress)
    by_split = {name: [opened.records[place] for place in places] for name, places in chosen.items()}
    lines = [*opened.told, *found.told, *_counts(by_split, opened.spec.names, options, len(unused))]
    for leak in leaks:
        lines += leak_lines(leak, options.leak_limit, shell_quoted(out))[
            : None if leak.leaks(options.leak_limit) else 1
        ]
    if unused:
        lines.append(f"{len(unused)} pictures are in no split: {list_path(out, 'unused')}")
    return SplitResult(
        out,
        {name: len(each) for name, each in splits.items()},
        len(unused),
        leaks,
        lines,
        written.keypoints is not None,
    )


def _counts(
    splits: Mapping[str, Sequence[ImageRecord]], names: Mapping[int, str], options: SplitOptions, unused: int
) -> list[str]:
    """Tell for each split its pictures, objects by class and sizes, and which shares are far from what was asked."""
    total = sum(map(len, splits.values()))
    lines = []
    for split, records in splits.items():
        cls = np.concatenate([np.zeros(0, np.int64), *(record.cls for record in records)])
        boxes = np.concatenate([np.zeros((0, 4)), *(record.bboxes for record in records)])
        counts = np.bincount(cls, minlength=len(names))
        shown = [
            f"{printable(names[number])} {counts[number]}"
            for number in np.argsort(-counts, kind="stable")[:NAMES_SHOWN]
        ]
        more = f" and {len(names) - NAMES_SHOWN} more classes" if len(names) > NAMES_SHOWN else ""
        empty = sum(len(record.cls) == 0 for record in records)
        size = f", median side {np.median(np.sqrt(boxes[:, 2] * boxes[:, 3])):.3f} of the picture" if len(boxes) else ""
        lines.append(
            f"{split}: {len(records)} pictures ({percent(len(records) / total)}), {empty} without an object; "
            f"{', '.join(shown)}{more}{size}"
        )
        asked = options.shares()[split]
        if abs(len(records) / total - asked) > FAR_OFF * asked:
            lines.append(f"  warning: {percent(asked)} was asked for; what must stay together is too large for that")
    return lines
