"""Comparison of what W&B got beside scalars and pictures with what the run had switched on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aigp_lightning.audit.findings import Audit, Finding
from aigp_lightning.audit.places import relative
from aigp_lightning.audit.side_channels import find_closed_channels, settings_of, side_channels, switches_of
from aigp_lightning.logfiles.folders import logger_folders, wandb_ids
from aigp_lightning.logfiles.run_config import CONFIG_FILE, RUN_FILE, read_config
from aigp_lightning.logfiles.wandb_run import WandbRun

NAME = "wandb"


def check_channels(result: Audit, folders: Sequence[tuple[str, Path]], runs: Mapping[Path, WandbRun]) -> None:
    """Add the side channels of W&B to an audit, and what is in them that was not switched on.

    Args:
        result: the audit.
        folders: of W&B, each with the name of its logger in the ledger.
        runs: their contents.
    """
    if not folders:
        return
    config, problem = read_config(result.run)
    noted = {x.folder.resolve(): x for x in logger_folders(result.run, NAME) if x.folder is not None}
    ids, settings = wandb_ids(result.run), settings_of(list(runs.values()))
    if not ids:
        result.notes.append(f"{RUN_FILE} names no W&B run: whether W&B's folders are this run's is unknown.")
    switched: list[frozenset[str] | None] = []
    for destination, folder in folders:
        run, entry = runs[folder], noted.get(folder.resolve())
        on = entry.channels if entry is not None and entry.channels is not None else switches_of(config)
        if on is None:
            known = "what is off by default must not be there"
            result.notes.append(f"{CONFIG_FILE} {problem}: what {folder.name} had switched on is unknown; {known}.")
        if ids and run.begun and run.run_id not in ids:
            message = f"it is of the W&B run {run.run_id}, not of this run's ({', '.join(sorted(ids))})."
            result.findings.append(Finding("stranger", destination, relative(result.run, folder), message))
            on = frozenset()
        result.findings += _further_files(result.run, run, destination)
        result.findings += find_closed_channels(run, on, destination, relative(result.run, run.file), settings)
        switched.append(on)
    result.side_channels = side_channels(list(runs.values()), switched)
    online = [folder.name for _, folder in folders if not folder.name.startswith("offline-")]
    if online:
        result.notes.append(
            f"{', '.join(online)}: an online run keeps no record of the artifacts it uploads, so whether weights or "
            "other artifacts went can't be read back here."
        )


def _further_files(place: Path, run: WandbRun, destination: str) -> Iterator[Finding]:
    for file in run.run_files():
        if file != run.file:
            message = "a second run file, which is not read; `wandb sync` may send it."
            yield Finding("stranger", destination, relative(place, file), message)
