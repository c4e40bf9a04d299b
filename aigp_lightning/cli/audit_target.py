"""The folder that `audit` or `report` is given: a run's, or a line that says which runs may have been meant."""

from __future__ import annotations

import time
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from aigp_lightning.errors import DataError
from aigp_lightning.files import shell_quoted
from aigp_lightning.logfiles.event_file import EVENT_FILES
from aigp_lightning.logfiles.paths import is_dir, is_file, listing, resolved, walk
from aigp_lightning.logfiles.run_config import CONFIG_FILE
from aigp_lightning.logfiles.wandb_places import OWN_FOLDERS, is_wandb_folder
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, read_ledger
from aigp_lightning.run.folder import IMAGE_RESULTS, PICTURES
from aigp_lightning.run.marker import RUN_FILE, is_run_folder

DEEP = 3
"""Folders below the one that was given in which runs are looked for: `runs/detect/gates`."""
ABOVE = 6
"""Folders above the one that was given that may be the run's."""
LISTED = 20
"""Runs that are listed at most, the newest first."""
LEFT_BY_RUNS = (IMAGE_RESULTS, "results.csv", *PICTURES)
"""Files, one of which a run's folder has if it has no other mark."""
WEIGHTS = "weights"
COMMAND = "python -m aigp_lightning"
ASKED = {"audit": "Audit one of them"}
"""The sentence before a list of runs, by verb."""


def check_run_folder(path: Path, verb: str = "audit") -> None:
    """Refuse what is no run's folder, and name the runs that may have been meant; other folders may be old runs'.

    Args:
        path: as it was typed.
        verb: that it was given to.

    Raises:
        DataError: there is nothing of the name, it is a file, empty, a part of a run, or a folder of runs.
    """
    if not is_dir(path):
        if is_file(path):
            around = next(_runs_around(path), None)
            raise DataError(f"{path} is a file, and no run's folder{_instead(around, verb)}")
        raise DataError(f"{path}: there is no such folder{_instead(_alike(path), verb)}")
    if _is_run(path):
        return
    if (around := next(_runs_around(path), None)) is not None:
        raise DataError(f"{path} is a part of a run{_instead(around, verb)}")
    if runs := list(_runs_below(path)):
        raise DataError(_list_runs(path, runs, verb))
    if not listing(path, "*"):
        raise DataError(f"{path} is empty, so there is nothing to {verb}. `{verb}` takes the folder of a run.")


def _is_run(path: Path) -> bool:
    return is_file(path / LEDGER_FILE) or is_file(path / RUN_FILE) or is_run_folder(path)


def has_parts_of_a_run(path: Path) -> bool:
    """True if a folder holds something such as runs leave, of whatever version.

    Args:
        path: a folder.
    """
    if _is_run(path) or is_file(path / CONFIG_FILE) or listing(path / WEIGHTS, "*"):
        return True
    near = [path, *(each for each in listing(path, "*") if is_dir(each))]
    near += [each for name in OWN_FOLDERS for each in listing(path / name, "*") if is_dir(each)]
    return any(is_wandb_folder(each) or listing(each, EVENT_FILES) for each in near) or any(
        is_file(each) for pattern in LEFT_BY_RUNS for each in listing(path, pattern)
    )


def _runs_around(path: Path) -> Iterator[Path]:
    above = [*path.parents, *resolved(path).parents[:ABOVE]]  # as it was typed first
    yield from (folder for folder in above if _is_run(folder))


def _runs_below(path: Path) -> Iterator[Path]:
    for place, names, _ in walk(path):
        runs = [name for name in names if _is_run(place / name)]
        yield from (place / name for name in runs)
        deeper = len(place.relative_to(path).parts) + 1 < DEEP
        names[:] = [name for name in names if deeper and name not in runs and not name.startswith(".")]


def _alike(path: Path) -> Path | None:
    """Return the run beside a name that is not there which is most like it."""
    names = [folder.name for folder in listing(path.parent, "*") if is_dir(folder)]
    found = get_close_matches(path.name, names, 1)
    return path.parent / found[0] if found else None


def _instead(run: Path | None, verb: str) -> str:
    if run is None:
        return "; a run's is such as runs/detect/gates."
    return f". Did you mean {COMMAND} {verb} {shell_quoted(run)}"


def _list_runs(path: Path, runs: list[Path], verb: str) -> str:
    newest = sorted(runs, key=_written, reverse=True)
    more = len(runs) - LISTED
    rows = [f"  {COMMAND} {verb} {shell_quoted(run)}   ({_about(run)})" for run in newest[:LISTED]]
    rows += [f"  … and {more} more"] if more > 0 else []
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    return "\n".join([f"{path} is no run's folder; it holds {count}. {ASKED.get(verb, 'Choose one of them')}:", *rows])


def _written(run: Path) -> float:
    times = [path.stat().st_mtime for path in (run / LEDGER_FILE, run / RUN_FILE) if is_file(path)]
    return max(times, default=0.0)


def _about(run: Path) -> str:
    """Return how many pictures a run has drawn, and when it was last written to."""
    pictures = "no ledger"
    if is_file(run / LEDGER_FILE):
        try:
            count = sum(line.outcome == "written" and line.is_picture for line in read_ledger(run / LEDGER_FILE))
            pictures = f"{count} picture{'s' * (count != 1)}"
        except OSError as error:
            pictures = f"a ledger that cannot be read: {error.strerror}"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(_written(run)))
    return f"{pictures}, last written {when}" if _written(run) else pictures
