"""Comparison of what W&B got beside scalars and pictures with what the run had switched on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aigp_lightning.audit.findings import Audit, Finding
from aigp_lightning.audit.places import relative
from aigp_lightning.audit.side_channels import (
    FROM_ENVIRONMENT,
    find_closed_channels,
    side_channels,
    switches_of,
)
from aigp_lightning.logfiles.folders import LoggerFolder, configured_loggers, logger_folders, wandb_ids
from aigp_lightning.logfiles.paths import resolved
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
    noted = {resolved(x.folder): x for x in logger_folders(result.run, NAME) if x.folder is not None}
    contrary = _contrary_switches(result, config, list(noted.values()))
    ids, starts = wandb_ids(result.run), list(runs.values())
    if not ids:
        result.notes.append(f"{RUN_FILE} names no W&B run: whether W&B's folders are this run's is unknown.")
    switched: list[frozenset[str] | None] = []
    for destination, folder in folders:
        run, entry = runs[folder], noted.get(resolved(folder))
        on = switches_of(config)
        if entry is not None and entry.channels is not None:
            on = entry.channels - contrary.get(entry.place, frozenset())
        if on is None:
            known = "what is off by default must not be there"
            result.notes.append(f"{CONFIG_FILE} {problem}: what {folder.name} had switched on is unknown; {known}.")
        elif config is None:
            result.notes.append(f"{CONFIG_FILE} {problem}: what {folder.name} had switched on, only {RUN_FILE} says.")
        if ids and run.begun and run.run_id not in ids:
            message = f"it is of the W&B run {run.run_id}, not of this run's ({', '.join(sorted(ids))})."
            result.findings.append(Finding("stranger", destination, relative(result.run, folder), message))
            on = frozenset()
        result.findings += _further_files(result.run, run, destination)
        result.findings += find_closed_channels(run, on, destination, relative(result.run, run.file), starts)
        switched.append(on)
    result.side_channels = side_channels(starts, switched)
    online = [folder.name for _, folder in folders if not folder.name.startswith("offline-")]
    if online:
        result.notes.append(
            f"{', '.join(online)}: an online run keeps no record of the artifacts it uploads, so whether weights or "
            "other artifacts went can't be read back here."
        )


def _contrary_switches(
    result: Audit, config: Mapping[str, Any] | None, entries: Sequence[LoggerFolder]
) -> dict[str, frozenset[str]]:
    """Compare the switches that `run.json` notes with those of `config.yaml`, which is the last start's.

    Args:
        result: takes the differences. Of earlier starts, whose switches may have been others, it takes notes.
        config: of the run; None if it cannot be read.
        entries: W&B's in `run.json`, oldest first.

    Returns:
        By folder the switches that `run.json` has on, and the last start's configuration off.
    """
    known, contrary = switches_of(config), dict[str, frozenset[str]]()
    last = {entry.destination: entry for entry in entries if entry.noted and entry.channels is not None}
    if known is None:
        return contrary
    names_wandb = any("WandbLogger" in str(entry.get("class_path")) for entry in configured_loggers(config))
    for entry in entries:
        odd = frozenset() if entry.channels is None else entry.channels - known - FROM_ENVIRONMENT
        which = ", ".join(f"wandb.{name}" for name in sorted(odd))
        if odd and names_wandb and entry is last.get(entry.destination):
            contrary[entry.place] = odd
            message = f"it says that {which} was on in {entry.place}, and {CONFIG_FILE} says off."
            result.findings.append(Finding("contrary", entry.destination, RUN_FILE, message))
        elif odd:
            result.notes.append(
                f"{RUN_FILE} says that {which} was on in {entry.place}; {CONFIG_FILE}, of a later start, has it off."
            )
    return contrary


def _further_files(place: Path, run: WandbRun, destination: str) -> Iterator[Finding]:
    for file in run.run_files():
        if file != run.file:
            message = "a second run file, which is not read; `wandb sync` may send it."
            yield Finding("stranger", destination, relative(place, file), message)
