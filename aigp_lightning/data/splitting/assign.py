"""Assigns every picture to a split, or to none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aigp_lightning.data.leaks.frame_names import recordings
from aigp_lightning.data.leaks.frame_runs import FrameRun, chance_bar, frame_runs
from aigp_lightning.data.leaks.near_duplicates import Comparable, near_pairs, prepare
from aigp_lightning.data.leaks.thumbnails import read_thumbnails, thumbnail_folders
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.splitting.balance import Floats, choose, deal, histograms
from aigp_lightning.data.splitting.blocks import (
    PER_GAP,
    UNUSED,
    Cutting,
    Ids,
    fewest_without,
    layouts,
    numbered,
    table_of,
    whole_options,
)
from aigp_lightning.data.splitting.groups import alike_groups, groups_of
from aigp_lightning.data.splitting.options import SplitOptions
from aigp_lightning.errors import ConfigError

CLOSE = 0.35
"""Tolerance, as a part of a split's share, within which its number of pictures is near enough to what was asked for."""
CLEANINGS = 20
"""Times that near neighbours are looked for and taken out, at most."""


@dataclass(frozen=True)
class Assigned:
    """Outcome of a split.

    Attributes:
        sides: int64 (n,) split of each picture, by its place among the splits asked for; -1: none.
        told: lines about how it came about.
    """

    sides: Ids
    told: list[str]


def assign(
    records: Sequence[ImageRecord], root: str, options: SplitOptions, *, workers: int = 8, progress: bool = False
) -> Assigned:
    """Assign pictures to splits, as the options say.

    Args:
        records: n pictures with their labels.
        root: folder of the data set.
        options: of the split.
        workers: threads.
        progress: show a progress bar.

    Raises:
        ConfigError: there are too few pictures, groups or recordings for the splits.
    """
    shares = np.array(list(options.shares().values()))
    if len(records) < len(shares):
        what = "1 picture is" if len(records) == 1 else f"{len(records)} pictures are"
        raise ConfigError(f"{what} too few for {len(shares)} splits.")
    files, table = [record.im_file for record in records], histograms(records)
    if options.by == "random":
        found = Assigned(_filled(deal(table, shares, options.seed), len(shares)), [])
    elif options.by == "group":
        groups = groups_of(files, root, options)
        parts = numbered(groups)
        chosen = choose([whole_options(table[each], len(shares)) for each in parts], shares, options.seed)
        found = Assigned(np.array(chosen, np.int64)[groups], [f"{len(parts)} groups by {options.group}"])
    else:
        thumbnails, readable = read_thumbnails(files, thumbnail_folders(files), workers=workers, progress=progress)
        found = _blocks(files, table, root, prepare(thumbnails, readable), options)
    counts = np.bincount(found.sides[found.sides != UNUSED], minlength=len(shares))
    if (counts == 0).any():
        empty = list(options.shares())[int(counts.argmin())]
        raise ConfigError(f"--by {options.by}: no picture is left for {empty}; {_advice(options)}.")
    return found


def _advice(options: SplitOptions) -> str:
    """Return what else may be asked for."""
    if options.by != "block":
        return "ask for fewer splits or larger shares"
    return "most pictures show nearly the same view; add pictures of another place, give --gap, or use --by group"


def _filled(sides: Ids, count: int) -> Ids:
    """Give each split a picture, where a small share of few pictures has left one without."""
    for split in range(count):
        if not (sides == split).any():
            sides[np.flatnonzero(sides == np.bincount(sides).argmax())[0]] = split
    return sides


def _blocks(
    files: Sequence[str], table: Floats, root: str, pictures: Comparable, options: SplitOptions
) -> Assigned:  # fmt: skip
    """Cut long recordings, keep short ones and pictures that look alike whole, deal the others."""
    found = recordings(files, root)
    runs = frame_runs(pictures, found, chance_bar(pictures, found))
    of_runs = np.concatenate([np.zeros(0, np.int64), *(run.recording.places for run in runs)])
    single = np.setdiff1d(np.arange(len(files)), of_runs)
    alike = [single[places] for places in numbered(alike_groups(pictures.part(single)))]
    best: tuple[float, Assigned] | None = None
    for per_gap in PER_GAP:
        made = _with_blocks(table, runs, alike, per_gap, options)
        gaps, cleaned = int((made.sides == UNUSED).sum()), _without_neighbours(made.sides, pictures)
        if gaps or cleaned:
            made.told.append(
                f"in no split: {gaps} frames in gaps, {cleaned} more that show nearly the view of a picture in another "
                "split"
            )
        off = _off(made.sides, np.array(list(options.shares().values())))
        if best is None or off < best[0]:
            best = off, made
        if off <= CLOSE or not runs:
            break
    assert best is not None
    return best[1]


def _off(sides: Ids, shares: Floats) -> float:
    """Return by how much the split that is furthest from its share is off, as a part of that share."""
    counts = np.bincount(sides[sides != UNUSED], minlength=len(shares))
    return float((np.abs(counts / max(counts.sum(), 1) - shares) / shares).max())


def _with_blocks(
    table: Floats, runs: Sequence[FrameRun], alike: Sequence[Ids], per_gap: float, options: SplitOptions
) -> Assigned:
    """Assign runs, groups that look alike and single pictures, with blocks of a least length.

    Args:
        table: (n, F) histograms.
        runs: recordings.
        alike: groups of the other pictures that look alike, mostly of one.
        per_gap: gaps that a block is long at least.
        options: of the split.
    """
    gap, shares = options.gap_in(), np.array(list(options.shares().values()))
    cutting = Cutting(shares, gap and gap[0], bool(gap and gap[1]), options.seed)
    ways = [layouts(run, cutting, number, per_gap) for number, run in enumerate(runs)]
    cut = [(run.recording.places, way) for run, way in zip(runs, ways, strict=True) if way]
    whole = [run.recording.places for run, way in zip(runs, ways, strict=True) if not way]
    whole += [places for places in alike if len(places) > 1]
    dealt = np.array([places[0] for places in alike if len(places) == 1], np.int64)
    sides = np.full(len(table), UNUSED, np.int64)
    sides[dealt] = deal(table[dealt], shares, options.seed)
    parts = [np.stack([table_of(each, table[places], len(shares)) for each in way]) for places, way in cut]
    parts += [whole_options(table[places], len(shares)) for places in whole]
    chosen = choose(parts, shares, options.seed, table_of(sides[dealt], table[dealt], len(shares)))
    for (places, way), option in zip(cut, chosen, strict=False):
        sides[places] = way[option]
    for places, option in zip(whole, chosen[len(cut) :], strict=True):
        sides[places] = option
    told = (
        f"{len(cut)} recording{'s' * (len(cut) != 1)} cut into blocks, {len(whole)} group{'s' * (len(whole) != 1)} of "
        f"pictures kept together, {len(dealt)} single picture{'s' * (len(dealt) != 1)}"
    )
    return Assigned(sides, [told])


def _without_neighbours(sides: Ids, pictures: Comparable) -> int:
    """Take out few pictures so that none is left with a near neighbour in another split; returns their number."""
    gone = 0
    for _ in range(CLEANINGS):
        found = []
        for split in range(1, int(sides.max()) + 1):
            ours, others = np.flatnonzero(sides == split), np.flatnonzero((sides != split) & (sides != UNUSED))
            pairs, _ = near_pairs(pictures.part(ours), pictures.part(others))
            found.append(np.column_stack([ours[pairs[:, 0]], others[pairs[:, 1]]]))
        worst = fewest_without(np.concatenate(found), sides) if found else np.zeros(0, np.int64)
        if not len(worst):
            break
        sides[worst] = UNUSED
        gone += len(worst)
    return gone


def default_out(folder: Path, options: SplitOptions, yaml: Path | None) -> Path:
    """Return the `data.yaml` to write where no other is named.

    Args:
        folder: of the data set.
        options: of the split.
        yaml: the one that was read, which stays as it is.
    """
    return folder / "data.yaml" if yaml is None else yaml.with_name(f"data-{options.by}.yaml")
