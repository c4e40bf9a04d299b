"""Comparison of W&B's run files and its local mirror of uploaded files with the ledger and the configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from aigp_lightning.audit.check_anchor import check_summaries
from aigp_lightning.audit.check_channels import check_channels
from aigp_lightning.audit.check_waiting import find_waiting
from aigp_lightning.audit.compare import UNKNOWN, compare
from aigp_lightning.audit.digest import UNREADABLE, digest_of, shortened
from aigp_lightning.audit.findings import Audit, Finding, FindingKind, LoggedPicture
from aigp_lightning.audit.places import Place, group_places, note_missing, relative
from aigp_lightning.logfiles.folders import find_wandb_folders, logger_folders
from aigp_lightning.logfiles.paths import reason_of, size_of
from aigp_lightning.logfiles.wandb_run import MEDIA, WandbMedia, WandbRun, read_wandb_run
from aigp_lightning.media.ledger.ledger import BOXES_FILE, Line

NAME = "wandb"
MIRRORED = re.compile(r"media/(?:metadata/)?[^/]+/(?P<key>.+)_\d+_(?P<digest>[0-9a-f]{20})(?P<boxes>\.boxes2D)?\.\w+")
DIGEST = 20
"""Digits of the SHA-256 that are part of a media file's name."""
LISTED, UNLISTED = "listed for upload", "not listed for upload"


def check_wandb(result: Audit, lines: Sequence[Line]) -> None:
    """Add the numbers and differences of W&B's folders to an audit.

    Args:
        result: the audit.
        lines: of the ledger.
    """
    folders = find_wandb_folders(result.run)
    note_missing(result, NAME)
    places = [Place(destination, folder) for destination, folder in folders]
    groups = group_places(NAME, places, logger_folders(result.run, NAME), lines)
    runs: dict[Path, WandbRun] = {folder: _read(folder) for _, folder in folders}
    check_channels(result, folders, runs)
    check_summaries(result, list(runs.values()))
    for destinations, paths in groups:
        _check_pictures(result, lines, destinations, [runs[path] for path in paths])
        find_waiting(result, lines, destinations, [runs[path] for path in paths])


def _read(folder: Path) -> WandbRun:
    try:
        return read_wandb_run(folder)
    except OSError as error:
        return WandbRun(folder, damage=[f"the run file {UNREADABLE} ({reason_of(error)})."])


def _check_pictures(
    result: Audit, lines: Sequence[Line], destinations: Sequence[str], runs: Sequence[WandbRun]
) -> None:
    """Compare the pictures of W&B folders with the ledger."""
    named: list[LoggedPicture] = []
    orphans: list[LoggedPicture] = []
    left = [line for line in lines if line.destination in destinations and line.outcome in ("sent", UNKNOWN)]
    known = {(line.key, line.sha256[:DIGEST]) for line in left}
    for run in runs:
        name = relative(result.run, run.file)
        result.findings += [Finding("damaged", destinations[0], name, text) for text in run.damage]
        if not run.ended and not run.damage:
            result.notes.append(f"{name} has no end: the run was killed, or still runs.")
        rows, rest = _pictures(result, run, destinations[0], known)
        named, orphans = named + rows, orphans + rest
    tally = result.tally(destinations[0])
    tally.found = sum(not picture.file.endswith(BOXES_FILE) for picture in (*named, *orphans))
    tally.scalars = f"{sum(len(run.history) for run in runs)} rows"
    findings, lost = compare(destinations, lines, named)
    result.findings += findings + _without_row(destinations, lines, lost, orphans, bool(runs))


def _pictures(
    result: Audit, run: WandbRun, name: str, known: set[tuple[str, str]]
) -> tuple[list[LoggedPicture], list[LoggedPicture]]:
    """Return the pictures that rows name, and the media files in the mirror that no row names.

    Args:
        result: takes the differences.
        run: the folder's contents.
        name: of the logger in the ledger.
        known: key and beginning of the SHA-256 of the pictures that the ledger says it has, or may have.
    """
    mirror = {path: run.mirror / path for path in run.mirrored() if path.startswith(MEDIA)}
    rows = [_row(result, run, media, mirror.get(media.path), name) for media in run.media]
    named = {media.path for media in run.media}
    rest = [_orphan(result.run, mirror[path], path, path in run.files, known) for path in sorted(set(mirror) - named)]
    gone = {path for path in run.files if path.startswith(MEDIA)} - named - set(mirror)
    for path in sorted(gone):
        match = MIRRORED.fullmatch(path)
        if match is not None and (_key(match, known), match["digest"]) in known:
            continue  # a kill came before its row, and the resumed run has removed the copy
        message = "no row names it; it is listed for upload, and W&B's folder does not have it any more."
        result.findings.append(Finding("unlisted", name, relative(result.run, run.mirror / path), message))
    return rows, rest


def _row(result: Audit, run: WandbRun, media: WandbMedia, path: Path | None, name: str) -> LoggedPicture:
    """Return the picture of a row; add a finding if its bytes in the mirror are not the row's."""
    file = relative(result.run, run.mirror / media.path)
    digest, size = media.sha256, media.size
    if path is None:
        message = f"row {media.row} of {run.file.name} names it, but W&B's folder does not have it."
        result.findings.append(Finding("missing", name, file, message, media.epoch))
    else:
        found = digest_of(path)
        if digest and found != digest:
            message = f"it was changed: SHA-256 {shortened(found)} in W&B's folder, {digest[:12]}… in row {media.row}."
            what: FindingKind = "damaged" if found.startswith(UNREADABLE) else "changed"
            result.findings.append(Finding(what, name, file, message, media.epoch))
        digest, size = digest or found, size or size_of(path)
    return LoggedPicture(media.key, media.epoch, digest, size, file, f"row {media.row}")


def _orphan(run: Path, path: Path, name: str, listed: bool, known: set[tuple[str, str]]) -> LoggedPicture:
    match = MIRRORED.fullmatch(name)
    key, place = _key(match, known) if match else name, LISTED if listed else UNLISTED
    return LoggedPicture(key, None, digest_of(path), size_of(path), relative(run, path), place)


def _key(match: re.Match[str], known: set[tuple[str, str]]) -> str:
    """Return the key of a file of the mirror; that of boxes, of which the name says only the picture, by its hash."""
    mine = (key for key, digest in known if match["boxes"] and digest == match["digest"])
    return next((key for key in mine if key.startswith(f"{match['key']}.")), match["key"])


def _without_row(
    destinations: Sequence[str],
    lines: Sequence[Line],
    lost: Sequence[Line],
    orphans: list[LoggedPicture],
    folders: bool,
) -> list[Finding]:
    """Return findings about lines without a row and files without one, paired where they are the same picture."""
    findings: list[Finding] = []
    unpaired, name = list(orphans), destinations[0]
    for line in lost:
        picture = next((one for one in unpaired if (one.key, one.sha256) == (line.key, line.sha256)), None)
        if picture is not None:
            unpaired.remove(picture)
            which = f"{line.file} of epoch {line.epoch} (line {line.number})"
            message = f"{which} is there, {picture.place}, but no row names it."
            findings.append(Finding("misfiled", name, picture.file, message, line.epoch, line.number))
        else:
            where = "W&B has neither a row nor a file of it" if folders else "this folder has no W&B run"
            message = f"epoch {line.epoch} was sent (line {line.number}), but {where}."
            findings.append(Finding("missing", name, line.file, message, line.epoch, line.number))
    return findings + list(_orphans(destinations, lines, unpaired))


def _orphans(destinations: Sequence[str], lines: Sequence[Line], orphans: Sequence[LoggedPicture]) -> list[Finding]:
    """Return findings about files that no row names, unless nobody can tell whether their pictures were taken."""
    mine, name, findings = [line for line in lines if line.destination in destinations], destinations[0], []
    denied = {(x.key, x.sha256): x for x in mine if x.outcome in ("withheld", "failed")}
    unknown = {(x.key, x.sha256) for x in mine if x.outcome == UNKNOWN}
    for picture in orphans:
        denial = denied.get((picture.key, picture.sha256))
        if (picture.key, picture.sha256) in unknown:
            continue
        if denial is not None:
            said = f"line {denial.number} says {denial.outcome} ({denial.reason})"
            message = f"{said}, but W&B's folder has it, {picture.place}."
            findings.append(Finding("contrary", name, picture.file, message, denial.epoch, denial.number))
        else:
            message = f"no row and no line of the ledger names it; it is {picture.place} ({picture.size / 1e6:.2f} MB)."
            findings.append(Finding("unlisted", name, picture.file, message))
    return findings
