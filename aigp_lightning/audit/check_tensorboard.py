"""TensorBoard's event files against the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from aigp_lightning.audit.compare import compare
from aigp_lightning.audit.findings import Audit, Finding, Handed
from aigp_lightning.logfiles.event_file import read_event_file
from aigp_lightning.media.ledger import Line

NAME = "tensorboard"


def event_files(run: Path) -> list[Path]:
    """Every event file of a run, oldest first; W&B's copies are W&B's."""
    return sorted(
        path
        for path in run.rglob("events.out.tfevents.*")
        if path.is_file() and path.relative_to(run).parts[0] != "wandb"
    )


def check_tensorboard(result: Audit, lines: Sequence[Line]) -> None:
    """Add what the event files show to an audit."""
    paths = event_files(result.run)
    if not paths and not any(line.destination == NAME for line in lines):
        return
    handed: list[Handed] = []
    scalars: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for path in paths:
        name = path.relative_to(result.run).as_posix()
        found = read_event_file(path)
        result.findings += [Finding("damaged", NAME, name, text) for text in found.damage]
        handed += [Handed(image.tag, image.step, image.sha256, image.size, name, "event") for image in found.images]
        scalars, other = scalars + found.scalars, other + found.other
    tally = result.tally(NAME)
    tally.found = len(handed)
    tally.scalars = f"{sum(scalars.values())} values of {len(scalars)} scalars"
    if other:
        result.notes.append(f"TensorBoard's event files also have: {', '.join(sorted(other))}.")
    findings, lost = compare(NAME, lines, handed)
    where = "none of the event files has it" if paths else "this folder has no event files"
    for line in lost:
        message = f"epoch {line.epoch} was sent (line {line.number}), but {where}."
        findings.append(Finding("missing", NAME, line.file, message, line.epoch, line.number))
    result.findings += findings
