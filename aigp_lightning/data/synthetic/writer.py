"""Writes a synthetic data set: many processes draw, and the folder appears when all of it is there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from aigp_lightning.data.synthetic.description import data_yaml
from aigp_lightning.data.synthetic.options import MakeDataOptions
from aigp_lightning.data.synthetic.record import HEADER
from aigp_lightning.data.synthetic.workers import run_jobs
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.paths import expand_home
from aigp_lightning.terminal.output import console

OWN = re.compile(
    r"data\.yaml|images/(train|val|test|(flight|empty)_\d{3,})/\d{6,}\.jpg"
    r"|labels/(train|val|test|(flight|empty)_\d{3,})/\d{6,}\.txt"
    r"|truth/(flight|empty)_\d{3,}\.jsonl"
    r"|(.*/)?[^/]*(\.aigp-cache\.npz|\.aigp-pictures|\.cache)"
)
"""Files of a data set that may be replaced: those written here, caches of scans, ours and Ultralytics', and of
pictures."""
CHUNK, FRAMES_CHUNK = 8, 25
"""Pictures, and frames of one flight, that a process draws before it is asked for more."""


def make_data(options: MakeDataOptions, progress: bool = True) -> Path:
    """Draw and write a synthetic data set.

    Args:
        options: task, numbers of pictures, and the folder to write.
        progress: show a progress bar.

    Returns:
        The path of data.yaml.

    Raises:
        ConfigError: where an option makes no sense or the folder cannot be written.
        DataError: where something is in the way, or drawing or writing failed.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp(dir=".") + "/gates"
        >>> options = MakeDataOptions(folder, train=2, val=1, test=0, imgsz=(64, 64), workers=1)
        >>> file = make_data(options, progress=False)
        >>> sorted(path.name for path in file.parent.rglob("*.jpg"))
        ['000000.jpg', '000000.jpg', '000001.jpg']
    """
    options.check()
    target = Path(expand_home(options.out)).absolute()
    _refuse_taken(target, options.force)
    partial = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        for name in {name for names in options.flights().values() for name in names} or options.counts():
            (partial / "images" / name).mkdir(parents=True)
            (partial / "labels" / name).mkdir(parents=True)
        if options.sequences:
            (partial / "truth").mkdir()
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ConfigError(f"make-data: cannot write in {target.parent}: {error}; choose another folder") from error
    try:
        with _bar(options.total(), progress) as advance:
            _draw_all(options, partial, advance)
        (partial / "data.yaml").write_bytes(data_yaml(options).encode())
        _put(partial, target, options.force)
    except OSError as error:
        raise DataError(f"make-data: cannot write {target}: {error}; nothing was left behind") from error
    except BrokenProcessPool as error:
        raise DataError(
            "make-data: a drawing process died; try workers=1 (it may have run out of memory, or the calling script "
            'lacks an `if __name__ == "__main__":` guard)'
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target / "data.yaml"


def _refuse_taken(target: Path, force: bool) -> None:
    """Raise unless the target is free, empty, or a data set of ours that may be replaced."""
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise DataError(f"make-data: {target} is a file; choose another folder with out")
    if not any(target.iterdir()):
        return
    if not force:
        raise DataError(f"make-data: {target} is there already; set force to replace it, or choose another out")
    mark = target / "data.yaml"
    try:
        ours = mark.read_text(encoding="utf-8").startswith(HEADER)
    except (OSError, UnicodeDecodeError):
        ours = False
    if not ours:
        raise DataError(
            f"make-data: {target} was not written by make-data, so force does not replace it; "
            "remove it yourself or choose another out"
        )
    if (foreign := _foreign_file(target)) is not None:
        raise DataError(
            f"make-data: {foreign} was not written by make-data, and force would remove it with {target}; "
            "move it away or choose another out"
        )


def _foreign_file(target: Path) -> Path | None:
    """Return a file or link in a data set that make-data has not written, nor reading the set for training."""
    for folder, folders, files in os.walk(target):
        for name in (*files, *(name for name in folders if os.path.islink(os.path.join(folder, name)))):
            path = Path(folder, name)
            if OWN.fullmatch(path.relative_to(target).as_posix()) is None:
                return path
    return None


def _put(partial: Path, target: Path, force: bool) -> None:
    """Move the finished folder into place, an older one out of the way first and back if that fails.

    Without `force` there is at most an empty folder in the way: where somebody else was faster, theirs stays.
    """
    _refuse_taken(target, force)
    target = target.resolve()
    old = partial.with_suffix(".old")
    if target.exists() and not force:
        target.rmdir()
    elif target.exists():
        target.rename(old)
    try:
        partial.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _draw_all(options: MakeDataOptions, folder: Path, advance: Callable[[int], None]) -> None:
    """Draw every picture into the folder, in this process or in several."""
    if options.sequences:
        _draw_flights(options, folder, advance)
        return
    counts = options.counts()
    jobs = [(split, start, min(start + CHUNK, n)) for split, n in counts.items() for start in range(0, n, CHUNK)]
    for _, count in run_jobs(draw_chunk, [(options, folder, *job) for job in jobs], options.workers):
        advance(count)


def _draw_flights(options: MakeDataOptions, folder: Path, advance: Callable[[int], None]) -> None:
    """Draw the frames of every flight, and write its truth in their order."""
    names = sorted({name for flights in options.flights().values() for name in flights})
    starts = range(0, options.frames, FRAMES_CHUNK)
    jobs = [(name, start, min(start + FRAMES_CHUNK, options.frames)) for name in names for start in starts]
    lines: dict[int, list[str]] = {}
    for number, truth in run_jobs(draw_frames, [(options, folder, *job) for job in jobs], options.workers):
        lines[number] = truth
        advance(len(truth))
    for name in names:
        chunks = (lines[number] for number, job in enumerate(jobs) if job[0] == name)
        text = "".join(f"{line}\n" for chunk in chunks for line in chunk)
        (folder / "truth" / f"{name}.jsonl").write_bytes(text.encode())


def draw_chunk(options: MakeDataOptions, folder: Path, split: str, start: int, stop: int) -> int:
    """Draw and write pictures `start` up to, not including, `stop` of a split; return how many that is.

    Example:
        >>> import tempfile
        >>> options = MakeDataOptions(imgsz=(64, 64))
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = Path(name)
        ...     for kind in ("images", "labels"):
        ...         (folder / kind / "val").mkdir(parents=True)
        ...     draw_chunk(options, folder, "val", 0, 1)
        ...     sorted(file.name for file in folder.rglob("*.*"))
        1
        ['000000.jpg', '000000.txt']
    """
    from aigp_lightning.data.synthetic.draw import draw

    for index in range(start, stop):
        _write(folder, split, index, *draw(options, split, index))
    return stop - start


def draw_frames(options: MakeDataOptions, folder: Path, flight: str, start: int, stop: int) -> list[str]:
    """Draw and write frames `start` up to, not including, `stop` of a flight; return their lines of truth."""
    from aigp_lightning.data.synthetic.flight_frames import draw_frame

    truth = []
    for index in range(start, stop):
        data, labels, line = draw_frame(options, flight, index)
        _write(folder, flight, index, data, labels)
        truth.append(line)
    return truth


def _write(folder: Path, name: str, index: int, data: bytes, lines: list[str]) -> None:
    """Write a picture and its labels."""
    (folder / "images" / name / f"{index:06d}.jpg").write_bytes(data)
    text = "".join(f"{line}\n" for line in lines)
    (folder / "labels" / name / f"{index:06d}.txt").write_bytes(text.encode())


@contextlib.contextmanager
def _bar(total: int, show: bool) -> Iterator[Callable[[int], None]]:
    """Show progress; yields the function that moves it on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("make-data"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not show, console=console()) as bar:
        task = bar.add_task("make-data", total=total)

        def advance(count: int) -> None:
            bar.advance(task, count)

        yield advance
