"""Side channels of W&B, data that are neither scalars nor pictures, compared with what the run had switched on.

The channels' names are those of the `wandb` options where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aigp_lightning.audit.findings import Finding, SideChannel
from aigp_lightning.audit.wandb_parts import ENTITY, Part, parts_of
from aigp_lightning.logfiles.folders import configured_loggers
from aigp_lightning.logfiles.wandb_run import WandbRun

SWITCHES: dict[str, str | None] = {
    **{"weights": "weights", "artifacts": None, "code": "code", "patch": "git", "git": "git", "command": "command"},
    **{"console": "console", "system_metrics": "system_metrics", "requirements": "requirements", "host": "host"},
    **{"user": None, "machine": "machine", "metadata": None, "config": "config", "notes": "notes", "values": None},
    **{"event files": None, "other records": None, "other files": None},
}
"""Channels, each with its switch in the group `wandb`; None if no option opens it."""
DEFAULT = frozenset({"config"})
FROM_ENVIRONMENT = frozenset({"weights", "notes"})
"""Switches that a variable may have put on, of which `config.yaml` knows nothing: `WANDB_LOG_MODEL`, `WANDB_NOTES` …"""
LONGEST = 300
"""Characters of a part that a finding names at most."""
NOTES = ("notes", "tags", "group", "job_type")
"""Options of the logger itself, by which a user adds to the run's record."""


def side_channels(runs: Sequence[WandbRun], switched: Sequence[frozenset[str] | None] = ()) -> list[SideChannel]:
    """List the data sent to W&B beside scalars and pictures, over all starts of a run.

    Args:
        runs: the contents of each of its W&B folders.
        switched: what was on in each of them; None where that is not known.
    """
    rows: dict[str, list[Part]] = {name: [] for name in SWITCHES}
    for run in runs:
        for part in parts_of(run, runs):
            if part.detail not in (known.detail for known in rows[part.channel][-1:]):
                rows[part.channel].append(part)
    channels = []
    for name, parts in rows.items():
        details = ", ".join(dict.fromkeys(part.detail for part in parts))
        size = sum(part.size for part in parts)
        on, owners = is_on(name, switched), _owners(runs) if name == "notes" else []
        if owners:  # no option has to be on for it: the run has to go somewhere
            details, on = ", ".join([*owners, *([details] if parts else [])]), on if parts else None
        channels.append(SideChannel(name, bool(parts or owners), details, size, on))
    telemetry = "versions, platform, features of W&B in use; W&B has no switch for it"
    return [*channels, SideChannel("telemetry", True, telemetry)]


def _owners(runs: Sequence[WandbRun]) -> list[str]:
    """Name the teams or users whose project the runs are in, as their records say it."""
    return list(dict.fromkeys(f"{ENTITY} {run.labels[ENTITY]}" for run in runs if ENTITY in run.labels))


def is_on(channel: str, switched: Sequence[frozenset[str] | None]) -> bool | None:
    """Return whether any start had a channel on; None if it has no switch, or no start's switches are known."""
    known = [on for on in switched if on is not None]
    return None if SWITCHES[channel] is None or not known else any(SWITCHES[channel] in on for on in known)


def find_closed_channels(
    run: WandbRun, on: frozenset[str] | None, destination: str, file: str, starts: Sequence[WandbRun]
) -> list[Finding]:
    """Find what is in a W&B folder though its channel was not switched on.

    Args:
        run: the folder's contents.
        on: switches that were on; None if that is not known: then what is off by default needs a reason.
        destination: the logger's name in the ledger.
        file: name of the run file.
        starts: contents of the folders of all starts.
    """
    findings = []
    folder = file.rpartition("/")[0]
    for part in parts_of(run, starts):
        switch = SWITCHES[part.channel]
        is_open = switch is not None and switch in (DEFAULT if on is None else on)
        if is_open and part.ours:
            continue
        where = f"{folder}/files/{part.file}" if part.file else file
        what = f"{part.channel}: {part.detail[:LONGEST]}" + (f" ({part.size / 1e6:.2f} MB)" if part.size else "")
        if switch is None or is_open:
            findings.append(Finding("unasked", destination, where, f"{what}; no option asks for it."))
        else:
            how = "nothing says that it was switched on" if on is None else "it was switched off"
            option = f"the logger's {switch}" if switch == "notes" else f"wandb.{switch}"
            findings.append(Finding("switched off", destination, where, f"{what}; {how} ({option})."))
    return _shortened(findings)


def _shortened(findings: list[Finding]) -> list[Finding]:
    """Put findings about one channel of one run file into one: a configuration has a hundred settings."""
    kept: dict[tuple[str, str, str], Finding] = {}
    more: dict[tuple[str, str, str], int] = {}
    for finding in findings:
        channel = finding.message.partition(":")[0]
        key = (finding.what, finding.file, channel) if channel in ("config", "machine") else (finding.message, "", "")
        if kept.setdefault(key, finding) is not finding:
            more[key] = more.get(key, 0) + 1
    return [_with_more(finding, more.get(key, 0)) for key, finding in kept.items()]


def _with_more(finding: Finding, more: int) -> Finding:
    if not more:
        return finding
    begin, _, end = finding.message.rpartition("; ")
    return Finding(finding.what, finding.destination, finding.file, f"{begin} and {more} more; {end}")


def switches_of(config: Mapping[str, Any] | None) -> frozenset[str] | None:
    """Return the switches that a run's configuration has on; None where there is no configuration.

    Args:
        config: as `read_config` returns it. What a variable of the environment asked for is not in it.
    """
    if config is None:
        return None
    group = config.get("wandb")
    options = group if isinstance(group, dict) else {}
    names = {switch for switch in SWITCHES.values() if switch is not None}
    on = {name for name in names if options.get(name, name in DEFAULT) is True}
    for entry in configured_loggers(config):
        given: dict[str, Any] = {}
        for part in ("init_args", "dict_kwargs"):
            given.update(entry[part] if isinstance(entry.get(part), dict) else {})
        if "WandbLogger" in str(entry.get("class_path")):
            on |= {"weights"} if given.get("log_model") else set()
            on |= {"notes"} if any(given.get(name) for name in NOTES) else set()
    return frozenset(on)
