"""Tells what the splits of a data set have in common: in `lint`, at the start of `fit`, and in a run's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, cast, runtime_checkable

from aigp_lightning.data.leaks.leak_cache import keep, leak_key, recall
from aigp_lightning.data.leaks.split_leaks import FRAME, IDENTICAL, SplitLeak, find_leaks
from aigp_lightning.data.leaks.thumbnails import thumbnail_folders
from aigp_lightning.errors import DataError, printable, warn_user

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec
    from aigp_lightning.data.records import ScanResult

SHOWN = 5
"""Pairs of pictures that are printed."""
CUTS_SHOWN = 3
LEAK = "split_leak"
"""Key of the figures in `run.json`, and their part of a receipt."""


class LeakFigures(TypedDict):
    """Figures of a measured leak, as a run keeps them.

    Attributes:
        limit: share that was allowed.
        split: the one that was measured.
        other: the one in which near neighbours were looked for.
        pictures: number of the split's pictures.
        near: number of those with a near neighbour.
        share: of these, 0 to 1.
        cut_recordings: recordings of which neighbouring frames are in both.
    """

    limit: float
    split: str
    other: str
    pictures: int
    near: int
    share: float
    cut_recordings: int


@runtime_checkable
class MeasuresLeak(Protocol):
    """A datamodule that measures its validation split against its training split.

    Attributes:
        leak: what it found; None where it was not measured.
    """

    leak: LeakFigures | None


def leak_lines(leak: SplitLeak, limit: float, source: str = "DATA_YAML") -> list[str]:
    r"""Tell how many pictures of a split have a near neighbour in another, of which kinds, and the worst pairs.

    Args:
        leak: the outcome for two splits.
        limit: share that is allowed.
        source: the data set, for the command that mends it.

    Returns:
        Lines; the first alone where no picture has one.

    Example:
        >>> from aigp_lightning.data.leaks.split_leaks import NearPair
        >>> pairs = [NearPair("val/7.jpg", "train/8.jpg", "neighbouring frame", 0.93)]
        >>> print(*leak_lines(SplitLeak("val", "train", 2, pairs, ["flight_*"]), 0.05), sep="\n")
        1 of 2 val pictures (50.0 %) has a near neighbour in train, over the limit of 5 %
          1 neighbouring frame; the split cuts 1 recording: flight_*
            val/7.jpg shows what train/8.jpg does (correlation 0.93)
          mend it with: python -m aigp_lightning split DATA_YAML --by block
    """
    over = leak.leaks(limit)
    lines = [leak.sentence() + (f", over the limit of {percent(limit)}" if over else "")]
    if not leak.pairs:
        return lines
    kinds = [f"{count} {_plural(kind, count)}" for kind, count in leak.kinds.items()]
    lines.append(f"  {', '.join(kinds)}{_cuts(leak.cut)}")
    for pair in leak.pairs[:SHOWN]:
        what = "is the same file as" if pair.kind == IDENTICAL else "shows what"
        end = "" if pair.kind == IDENTICAL else f" does (correlation {pair.alike:.2f})"
        lines.append(f"    {printable(pair.file)} {what} {printable(pair.other)}{end}")
    if len(leak.pairs) > SHOWN:
        lines.append(f"    … and {len(leak.pairs) - SHOWN} more")
    return [*lines, f"  mend it with: python -m aigp_lightning split {source} --by block"] if over else lines


def _plural(kind: str, count: int) -> str:
    """Write a kind of near neighbours for their number."""
    words = {"copy": "copies", FRAME: "neighbouring frames"}
    return words.get(kind, kind) if count != 1 else kind


def _cuts(cut: Sequence[str]) -> str:
    """Name the recordings that a split cuts."""
    if not cut:
        return ""
    named = ", ".join(map(printable, cut[:CUTS_SHOWN]))
    more = f" and {len(cut) - CUTS_SHOWN} more" if len(cut) > CUTS_SHOWN else ""
    return f"; the split cuts {len(cut)} recording{'s' * (len(cut) != 1)}: {named}{more}"


def percent(share: float) -> str:
    """Write a share.

    Example:
        >>> percent(0.05), percent(0.125)
        ('5 %', '12.5 %')
    """
    return f"{100 * share:.3g} %"


def figures(leak: SplitLeak, limit: float) -> LeakFigures:
    """Return what stays of the measurement with a run; no name of a file is in it.

    Args:
        leak: the outcome for two splits.
        limit: share that is allowed.
    """
    return LeakFigures(
        limit=limit, split=leak.split, other=leak.other, pictures=leak.pictures, near=len(leak.pairs),
        share=round(leak.share, 6), cut_recordings=len(leak.cut),
    )  # fmt: skip


def leak_warning(found: LeakFigures | None) -> str:
    """Return the warning about a split that leaks; empty where it does not, or was not measured.

    Args:
        found: of the run.

    Example:
        >>> found = LeakFigures(
        ...     limit=0.05, split="val", other="train", pictures=4, near=3, share=0.75, cut_recordings=1
        ... )
        >>> leak_warning(found)
        '3 of 4 val pictures (75 %) have a near neighbour in train, over the limit of 5 %: the metrics are too good'
    """
    if found is None or found["share"] <= found["limit"]:
        return ""
    return (
        f"{found['near']} of {found['pictures']} {found['split']} pictures ({percent(found['share'])}) have a near "
        f"neighbour in {found['other']}, over the limit of {percent(found['limit'])}: the metrics are too good"
    )


def _figures(kept: Mapping[str, Any] | None, limit: float) -> LeakFigures | None:
    """Return figures that were kept, with the limit of now; None where they are none."""
    kinds = {"split": str, "other": str, "pictures": int, "near": int, "share": float, "cut_recordings": int}
    if kept is None or not all(type(kept.get(name)) is kind for name, kind in kinds.items()):
        return None
    return cast("LeakFigures", {"limit": limit, **{name: kept[name] for name in kinds}})


def measure_leak(
    scans: Mapping[str, ScanResult],
    spec: DataSpec,
    limit: float,
    folder: Path,
    *,
    strict: bool = False,
    workers: int = 8,
    progress: bool = False,
) -> LeakFigures:
    """Measure a run's validation split against its training split, and warn if it leaks.

    What was found is kept beside the labels until a picture changes.

    Args:
        scans: of `train` and `val`.
        spec: the data set.
        limit: share that is allowed.
        folder: the run folder.
        strict: a split that leaks is an error.
        workers: threads.
        progress: show a progress bar.

    Raises:
        DataError: `strict` is set, and the split leaks.
    """
    files = {split: [record.im_file for record in scan.records] for split, scan in scans.items()}
    places = thumbnail_folders([file for split in files.values() for file in split], folder)
    key = leak_key(files, str(spec.root), workers)
    known = _figures(recall(places, key), limit)
    if known is None:
        [leak] = find_leaks(files, str(spec.root), folder=folder, workers=workers, progress=progress)
        keep(places, key, figures(leak, limit))
    found = figures(leak, limit) if known is None else known
    if text := leak_warning(found):
        mend = f"see --data.leak_limit; `split {spec.file} --by block` mends it, `lint {spec.file}` names them"
        if strict:
            raise DataError(f"{spec.file}: strict is set and {text}; {mend}")
        warn_user(f"{text}; {mend}.")
    return found
