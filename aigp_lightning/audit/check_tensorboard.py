"""Comparison of TensorBoard's event files with the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aigp_lightning.audit.compare import compare
from aigp_lightning.audit.findings import Audit, Finding, LoggedPicture
from aigp_lightning.logfiles.event_file import event_files, read_event_file
from aigp_lightning.media.ledger import Line

NAME = "tensorboard"


def check_tensorboard(result: Audit, lines: Sequence[Line]) -> None:
    """Add the numbers and differences of the event files to an audit.

    Args:
        result: the audit.
        lines: of the ledger.
    """
    paths = event_files(result.run)
    if not paths and not any(line.destination == NAME for line in lines):
        return
    pictures: list[LoggedPicture] = []
    scalars: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for path in paths:
        name = path.relative_to(result.run).as_posix()
        content = read_event_file(path)
        result.findings += [Finding("damaged", NAME, name, text) for text in content.damage]
        pictures += [
            LoggedPicture(image.tag, image.step, image.sha256, image.size, name, "event") for image in content.images
        ]
        scalars, other = scalars + content.scalars, other + content.other
    tally = result.tally(NAME)
    tally.found = len(pictures)
    tally.scalars = f"{sum(scalars.values())} values of {len(scalars)} scalars"
    if other:
        result.notes.append(f"TensorBoard's event files also have: {', '.join(sorted(other))}.")
    findings, lost = compare(NAME, lines, pictures)
    where = "none of the event files has it" if paths else "this folder has no event files"
    for line in lost:
        message = f"epoch {line.epoch} was sent (line {line.number}), but {where}."
        findings.append(Finding("missing", NAME, line.file, message, line.epoch, line.number))
    result.findings += findings
