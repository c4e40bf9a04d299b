"""Comparison of MLflow's artifacts on this disk with the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aigp_lightning.audit.check_anchor import check_kept
from aigp_lightning.audit.compare import compare
from aigp_lightning.audit.findings import Audit, Finding, LoggedPicture
from aigp_lightning.audit.places import Place, group_places, note_missing, relative
from aigp_lightning.logfiles.folders import logger_folders
from aigp_lightning.logfiles.mlflow_store import read_stored_run
from aigp_lightning.media.ledger.anchor import HEAD, LINES
from aigp_lightning.media.ledger.ledger import Line

NAME = "mlflow"
SHOWN = 12
"""Names of artifacts that are no pictures that a note has at most."""


def check_mlflow(result: Audit, lines: Sequence[Line]) -> None:
    """Add the numbers and differences of MLflow's artifacts to an audit; a note says which cannot be read back.

    Args:
        result: the audit.
        lines: of the ledger.
    """
    folders = logger_folders(result.run, NAME)
    note_missing(result, NAME)
    elsewhere = {each.destination: each.server for each in folders if "://" in each.server}
    result.beside_left += [
        f"scalars and the run's public options, with {destination} at {server}"
        for destination, server in elsewhere.items()
    ]
    unread = {each.destination for each in folders if each.folder is None}
    places = [Place(each.destination, each.folder) for each in folders if each.folder is not None and each.is_there]
    for destinations, paths in group_places(NAME, places, folders, lines):
        if paths or not unread >= set(destinations):
            _check(result, lines, destinations, list(dict.fromkeys(paths)))


def _check(result: Audit, lines: Sequence[Line], destinations: Sequence[str], paths: Sequence[Path]) -> None:
    name, pictures = destinations[0], list[LoggedPicture]()
    values: dict[str, int] = {}
    for path in paths:
        run, place = read_stored_run(path), relative(result.run, path)
        for file, why in run.damage:
            message = f"it cannot be read ({why}): whether it is what was sent is not known."
            result.findings.append(Finding("damaged", name, f"{place}/{file}", message))
        pictures += [
            LoggedPicture(each.key, each.epoch, each.sha256, each.size, relative(result.run, each.path), "artifact")
            for each in run.pictures
        ]
        for scalar, count in run.values.items():
            values[scalar] = values.get(scalar, 0) + count
        if run.others:
            more = f" and {len(run.others) - SHOWN} more" if len(run.others) > SHOWN else ""
            result.notes.append(f"{name}: other artifacts are {', '.join(run.others[:SHOWN])}{more}.")
        if HEAD in run.tags or LINES in run.tags:
            number = run.tags.get(LINES, "")
            kept = {"head": run.tags.get(HEAD), "lines": int(number) if number.isdecimal() else number}
            check_kept(result, f"the tags of the MLflow run in {place}", kept)
    tally = result.tally(name)
    tally.found = len(pictures)
    tally.scalars = f"{sum(values.values())} values of {len(values)} scalars" if values else ""
    findings, lost = compare(destinations, lines, pictures)
    where = "no artifact is that picture" if paths else "this folder has no artifacts of MLflow's"
    for line in lost:
        message = f"epoch {line.epoch} was sent (line {line.number}), but {where}."
        findings.append(Finding("missing", name, line.file, message, line.epoch, line.number))
    result.findings += findings
