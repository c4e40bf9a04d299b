"""The folders in which a run's loggers keep their files, inside the run folder or elsewhere.

`fit` notes them in `run.json` when its loggers are open: a row for each logger, and for each W&B folder, that any start
of the run had. Folders inside the run folder are noted relative to it, so that a run may be moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigp_lightning.logfiles.event_file import EVENT_FILES, event_files
from aigp_lightning.logfiles.paths import is_dir, is_file, is_link, listing, resolved
from aigp_lightning.logfiles.run_config import read_config, read_run_json
from aigp_lightning.logfiles.wandb_places import (
    OWN_FOLDERS,
    all_wandb_folders,
    is_of_run,
    is_wandb_folder,
    wandb_folders_in,
    wandb_order,
)

LOGGERS = "loggers"
"""Key in `run.json`."""
RUN_ID = re.compile(r"wandb_run_id(:\d+)?")
"""Keys in `run.json` for the id of each W&B logger's run."""
PLACEHOLDER = re.compile(r"\{(run_folder|run_name|wandb_project)\}")
REMOTE = "://"


@dataclass(frozen=True)
class LoggerFolder:
    """A logger's folder.

    Attributes:
        destination: name of the logger in the ledger.
        place: of its files: a folder, or the address of a bucket.
        folder: the same as a path; None for a bucket.
        run_id: of the W&B or MLflow run; empty for other loggers.
        channels: what was switched on for W&B beside scalars and pictures; None if that was not noted.
        others: names of event files in it that other runs had made before.
        noted: whether the run noted it; else it is a guess from the configuration.
        server: where MLflow keeps the run whose artifacts are in the folder; empty for other loggers.
    """

    destination: str
    place: str
    folder: Path | None
    run_id: str = ""
    channels: frozenset[str] | None = None
    others: frozenset[str] = frozenset()
    noted: bool = True
    server: str = ""

    @property
    def kind(self) -> str:
        """Kind of logger: `tensorboard`, `wandb`, `mlflow`, `other` or `csv`."""
        return self.destination.partition(":")[0]

    @property
    def is_there(self) -> bool:
        """True if the folder can be read here."""
        return self.folder is not None and is_dir(self.folder)


def logger_folders(run: Path, kind: str = "") -> list[LoggerFolder]:
    """List the folders of a run's loggers; of a run that did not note them, those that its configuration names.

    Args:
        run: the run folder.
        kind: only folders of this kind of logger.
    """
    rows = read_run_json(run).get(LOGGERS)
    found = [_noted(run, row) for row in rows] if isinstance(rows, list) else list(_configured(run))
    return [each for each in found if each is not None and kind in ("", each.kind)]


def wandb_ids(run: Path) -> dict[str, str]:
    """Return the id of each W&B run that belongs to a run, with the name of its logger in the ledger."""
    known = read_run_json(run)
    ids = {
        str(value): "wandb" + str(match[1] or "")
        for key, value in known.items()
        if (match := RUN_ID.fullmatch(key)) and isinstance(value, str) and value
    }
    noted = {each.run_id: each.destination for each in logger_folders(run, "wandb") if each.run_id}
    return {**ids, **noted}


def find_event_files(run: Path) -> list[tuple[str, Path]]:
    """Find TensorBoard's event files of a run wherever they lie, each with the name of its logger.

    Those in the run folder that no logger claims count as the first one's.
    """
    claims = [each for each in logger_folders(run, "tensorboard") if each.folder is not None]
    files = {resolved(path): path for path in event_files(run)}
    for each in claims:
        for path in listing(each.folder, EVENT_FILES) if each.folder is not None else ():
            if is_file(path) and path.name not in each.others:
                files.setdefault(resolved(path), path)
    folders = {resolved(each.folder): each.destination for each in reversed(claims) if each.folder is not None}
    return [(_owner(real, folders), path) for real, path in sorted(files.items())]


def find_wandb_folders(run: Path) -> list[tuple[str, Path]]:
    """Find W&B's folders of a run wherever they lie, oldest first, each with the name of its logger.

    Elsewhere, where other runs may have theirs too, only those with an id of this run's.
    """
    claims, ids = logger_folders(run, "wandb"), wandb_ids(run)
    names = {resolved(each.folder): each.destination for each in claims if each.folder is not None}
    found = {resolved(path): path for path in all_wandb_folders(run)}
    for each in claims:
        if each.folder is None:
            continue
        above = [each.folder.parent, *(each.folder / name for name in OWN_FOLDERS)]
        around = [path for place in above if each.run_id for path in wandb_folders_in(place, each.run_id)]
        for path in (resolved(each.folder) if is_link(each.folder) else each.folder, *around):
            if is_wandb_folder(path):
                found.setdefault(resolved(path), path)
    rows = [(names.get(real) or _by_id(path, ids), path) for real, path in found.items()]
    return sorted(rows, key=lambda row: wandb_order(row[1]))


def followed_event_files(run: Path) -> list[Path]:
    """Find TensorBoard's event files of a run wherever they lie."""
    return [path for _, path in find_event_files(run)]


def followed_wandb_folders(run: Path, run_id: str | None = None) -> list[Path]:
    """Find W&B's folders of a run wherever they lie, oldest first.

    Args:
        run: the run folder.
        run_id: only folders of this W&B run.
    """
    return [path for _, path in find_wandb_folders(run) if run_id is None or is_of_run(path, run_id)]


def _owner(path: Path, folders: dict[Path, str]) -> str:
    return next((folders[parent] for parent in path.parents if parent in folders), "tensorboard")


def _by_id(path: Path, ids: dict[str, str]) -> str:
    return next((destination for run_id, destination in ids.items() if is_of_run(path, run_id)), "wandb")


def _noted(run: Path, row: Any) -> LoggerFolder | None:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("destination", "folder")):
        return None
    place, channels = row["folder"], row.get("channels")
    on = frozenset(map(str, channels)) if isinstance(channels, list) else None
    others = row.get("others")
    names = frozenset(map(str, others)) if isinstance(others, list) else frozenset()
    run_id, server = str(row.get("id") or ""), str(row.get("server") or "")
    return LoggerFolder(row["destination"], place, _path(run, place), run_id, on, names, server=server)


def _path(run: Path, place: str) -> Path | None:
    try:
        return None if REMOTE in place or "\0" in place else run / Path(place).expanduser()
    except RuntimeError:  # a home folder that is not known here
        return None


# ---- runs that did not note them -------------------------------------------------------------------------------------


def _configured(run: Path) -> Iterator[LoggerFolder]:
    config, _ = read_config(run)
    wandb_id = str(read_run_json(run).get("wandb_run_id") or "")
    for entry in configured_loggers(config):
        options, name = {**_dict(entry, "init_args"), **_dict(entry, "dict_kwargs")}, str(entry.get("class_path"))
        words = {"run_folder": str(run), "run_name": run.name, "wandb_project": ""}
        place = PLACEHOLDER.sub(lambda found: words[found[1]], str(options.get("save_dir") or options.get("dir") or ""))  # noqa: B023
        folder = _path(Path.cwd(), place)  # if it is relative, to where the run was started: perhaps here
        if folder is None or not place:
            continue
        if "WandbLogger" in name and wandb_id:
            yield LoggerFolder("wandb", str(folder), folder, wandb_id, noted=False)
        elif "TensorBoardLogger" in name:
            version = options.get("version")
            last = version if isinstance(version, str) else "version_0" if version is None else f"version_{version}"
            parts = [str(part) for part in (options.get("name"), last, options.get("sub_dir")) if part]
            yield LoggerFolder("tensorboard", str(folder), folder.joinpath(*parts), noted=False)


def configured_loggers(config: Any) -> list[dict[str, Any]]:
    """Return the entries of `trainer.logger` in a configuration; none where it has none."""
    loggers = _dict(config, "trainer").get("logger")
    entries = loggers if isinstance(loggers, list) else [loggers]
    return [entry for entry in entries if isinstance(entry, dict)]


def _dict(content: Any, key: str) -> dict[str, Any]:
    inner = content.get(key) if isinstance(content, dict) else None
    return inner if isinstance(inner, dict) else {}
