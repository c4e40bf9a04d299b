"""W&B's folders on this machine: `wandb/run-…` or `wandb/offline-run-…`, one for each start of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from aigp_lightning.logfiles.paths import is_dir, is_file, is_link, listing, resolved, walk

OWN_FOLDERS = ("wandb", ".wandb")
"""The second where a folder of this name was there."""
FILE, LINK, UNREADABLE = "file", "link", "folder that cannot be read"
OFFLINE = "offline-"
"""Beginning of the names of folders of starts that were recorded offline."""
FOLDER = re.compile(r"(offline-)?run-\d{8}_\d{6}-.+")


def wandb_folders(run: Path, run_id: str | None = None) -> list[Path]:
    """Find W&B's folders of a run, one for each start, oldest first; `latest-run` is only a link to one of them.

    Args:
        run: the run folder, or wherever else W&B's own folder lies.
        run_id: only folders of this W&B run.
    """
    found = (path for name in OWN_FOLDERS for path in wandb_folders_in(run / name, run_id))
    return sorted(found, key=wandb_order)


def wandb_folders_in(place: Path, run_id: str | None = None) -> list[Path]:
    """Find the folders of runs in W&B's own folder, oldest first.

    Args:
        place: that folder, usually called `wandb`.
        run_id: only folders of this W&B run.
    """
    folders = (path for path in listing(place, "*run-*") if is_dir(path) and not is_link(path))
    return sorted((path for path in folders if run_id is None or is_of_run(path, run_id)), key=wandb_order)


def is_of_run(path: Path, run_id: str) -> bool:
    """True if a folder's name is one that W&B gives to a start of a run; it numbers two starts within a second.

    Args:
        path: the folder.
        run_id: W&B's id of the run.

    Example:
        >>> is_of_run(Path("wandb/offline-run-20250101_120000-a1b2-1"), "a1b2")
        True
    """
    return re.fullmatch(rf".*run-.*-{re.escape(run_id)}(-\d+)?", path.name, re.DOTALL) is not None


def all_wandb_folders(run: Path) -> list[Path]:
    """Find W&B's folders at any depth below a folder, oldest first; of those that are links, what they lead to."""
    found, links = [run] if _has_run_file(run) else [], []
    for place, names, _ in walk(run):
        here = [name for name in names if is_wandb_folder(Path(place, name))]
        found += [Path(place, name) for name in here]
        links += [Path(place, name) for name in names if is_link(Path(place, name))]
        names[:] = [name for name in names if name not in here]
    known = {path.name for path in found}  # of a copied run, `latest-run` may lead to the same folder of the first one
    targets = {target for path in links if is_wandb_folder(target := resolved(path))}
    return sorted([*found, *(path for path in targets if path.name not in known)], key=wandb_order)


def is_wandb_folder(path: Path) -> bool:
    """True if a folder is one that W&B makes for the start of a run, or holds a run file of W&B's."""
    if is_link(path) or not is_dir(path):
        return False
    inside = path.parent.name in OWN_FOLDERS and "run-" in path.name
    return inside or FOLDER.fullmatch(path.name) is not None or _has_run_file(path)


def _has_run_file(path: Path) -> bool:
    return any(is_file(file) for file in listing(path, "*.wandb"))


def waits_for_sync(path: Path) -> bool:
    """True if a start of a run was recorded offline, and `wandb sync` has not sent it: it leaves a file that says so.

    Args:
        path: one of W&B's folders, which is there.
    """
    return path.name.startswith(OFFLINE) and not any(is_file(file) for file in listing(path, "*.wandb.synced"))


def wandb_order(path: Path) -> tuple[str, str]:
    """Return what W&B's folders are sorted by: the moment in their names."""
    return path.name.partition("run-")[2], str(path)


def mirror_entries(mirror: Path) -> Iterator[tuple[str, str]]:
    """List everything in a mirror of uploaded files but folders.

    Args:
        mirror: the folder `files` of one of W&B's folders.

    Returns:
        For each its name, relative to the mirror, and what it is: `file`, `link`, `device` or a folder that cannot be
        read.
    """
    unread: list[tuple[Path, str]] = []
    for place, folders, files in walk(mirror, unread):
        for name in sorted([*files, *(name for name in folders if is_link(Path(place, name)))]):
            path = Path(place, name)
            yield path.relative_to(mirror).as_posix(), _what(path)
    for path, _ in unread:
        if path != mirror or is_dir(mirror):
            yield path.relative_to(mirror).as_posix(), UNREADABLE


def _what(path: Path) -> str:
    if is_link(path):
        return LINK
    return FILE if is_file(path) else "device"
