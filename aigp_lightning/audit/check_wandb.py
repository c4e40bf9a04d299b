"""Comparison of W&B's run files and its local mirror of uploaded files with the ledger."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from aigp_lightning.audit.compare import compare
from aigp_lightning.audit.findings import Audit, Finding, LoggedPicture
from aigp_lightning.audit.side_channels import side_channels
from aigp_lightning.logfiles.wandb_run import MEDIA, WandbMedia, WandbRun, read_wandb_run, wandb_folders
from aigp_lightning.media.ledger import Line

NAME = "wandb"
MIRRORED = re.compile(r"media/[^/]+/(?P<key>.+)_\d+_[0-9a-f]{20}\.\w+")
LISTED, UNLISTED = "listed for upload", "not listed for upload"


def check_wandb(result: Audit, lines: Sequence[Line]) -> None:
    """Add the numbers and differences of W&B's folders to an audit.

    Args:
        result: the audit.
        lines: of the ledger.
    """
    runs = [read_wandb_run(folder) for folder in wandb_folders(result.run)]
    if not runs and not any(line.destination == NAME for line in lines):
        return
    named: list[LoggedPicture] = []
    orphans: list[LoggedPicture] = []
    for run in runs:
        name = _name(result.run, run.file)
        result.findings += [Finding("damaged", NAME, name, text) for text in run.damage]
        if not run.ended and not run.damage:
            result.notes.append(f"{name} has no end: the run was killed, or still runs.")
        rows, rest = _pictures(result, run)
        named, orphans = named + rows, orphans + rest
    tally = result.tally(NAME)
    tally.found = len(named) + len(orphans)
    tally.scalars = f"{sum(len(run.history) for run in runs)} rows"
    findings, lost = compare(NAME, lines, named)
    result.findings += findings + _without_row(lines, lost, orphans, bool(runs))
    result.side_channels = side_channels(runs) if runs else []


def _pictures(result: Audit, run: WandbRun) -> tuple[list[LoggedPicture], list[LoggedPicture]]:
    """Return the pictures that rows name, and the media files in the mirror that no row names."""
    mirror = {path: run.mirror / path for path in run.mirrored() if path.startswith(MEDIA)}
    rows = [_row(result, run, media, mirror.get(media.path)) for media in run.media]
    rest = sorted(set(mirror) - {media.path for media in run.media})
    return rows, [_orphan(result.run, mirror[path], path, path in run.files) for path in rest]


def _row(result: Audit, run: WandbRun, media: WandbMedia, path: Path | None) -> LoggedPicture:
    """Return the picture of a row; add a finding if its bytes in the mirror are not the row's."""
    file = _name(result.run, run.mirror / media.path)
    digest, size = media.sha256, media.size
    if path is None:
        message = f"row {media.row} of {run.file.name} names it, but W&B's folder does not have it."
        result.findings.append(Finding("missing", NAME, file, message, media.epoch))
    else:
        data = path.read_bytes()
        found = sha256(data).hexdigest()
        if digest and found != digest:
            message = f"it was changed: SHA-256 {found[:12]}… in W&B's folder, {digest[:12]}… in row {media.row}."
            result.findings.append(Finding("changed", NAME, file, message, media.epoch))
        digest, size = digest or found, size or len(data)
    return LoggedPicture(media.key, media.epoch, digest, size, file, f"row {media.row}")


def _orphan(run: Path, path: Path, relative: str, listed: bool) -> LoggedPicture:
    match = MIRRORED.fullmatch(relative)
    data = path.read_bytes()
    key = match["key"] if match else relative
    return LoggedPicture(
        key, None, sha256(data).hexdigest(), len(data), _name(run, path), LISTED if listed else UNLISTED
    )


def _without_row(
    lines: Sequence[Line], lost: Sequence[Line], orphans: list[LoggedPicture], folders: bool
) -> list[Finding]:
    """Return findings about lines without a row and files without one, paired where they are the same picture."""
    findings: list[Finding] = []
    unpaired = list(orphans)
    for line in lost:
        picture = next((one for one in unpaired if (one.key, one.sha256) == (line.key, line.sha256)), None)
        if picture is not None:
            unpaired.remove(picture)
            which = f"{line.file} of epoch {line.epoch} (line {line.number})"
            message = f"{which} is there, {picture.place}, but no row names it."
            findings.append(Finding("misfiled", NAME, picture.file, message, line.epoch, line.number))
        else:
            where = "W&B has neither a row nor a file of it" if folders else "this folder has no W&B run"
            message = f"epoch {line.epoch} was sent (line {line.number}), but {where}."
            findings.append(Finding("missing", NAME, line.file, message, line.epoch, line.number))
    denied = {(x.key, x.sha256): x for x in lines if x.destination == NAME and x.outcome in ("withheld", "failed")}
    for picture in unpaired:
        denial = denied.get((picture.key, picture.sha256))
        if denial is not None:
            said = f"line {denial.number} says {denial.outcome} ({denial.reason})"
            message = f"{said}, but W&B's folder has it, {picture.place}."
            findings.append(Finding("contrary", NAME, picture.file, message, denial.epoch, denial.number))
        else:
            message = f"no row and no line of the ledger names it; it is {picture.place} ({picture.size / 1e6:.2f} MB)."
            findings.append(Finding("unlisted", NAME, picture.file, message))
    return findings


def _name(run: Path, path: Path) -> str:
    return path.relative_to(run).as_posix() if path.is_relative_to(run) else path.as_posix()  # a row may say anything
