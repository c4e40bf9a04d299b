"""The audit of a run: ledger, files and loggers compared with each other."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.audit.check_anchor import check_checkpoints
from aigp_lightning.audit.check_signatures import check_signatures
from aigp_lightning.audit.check_tensorboard import check_tensorboard
from aigp_lightning.audit.check_wandb import check_wandb
from aigp_lightning.audit.compare import UNKNOWN
from aigp_lightning.audit.digest import digest_of
from aigp_lightning.audit.findings import Audit, Finding
from aigp_lightning.errors import DataError
from aigp_lightning.logfiles.event_file import event_files
from aigp_lightning.logfiles.folders import logger_folders
from aigp_lightning.logfiles.wandb_places import all_wandb_folders
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Line, read_ledger

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PICTURES = (".jpg", ".jpeg", ".png")
MASKED = "masked/"
HISTORY = re.compile(r"history/epoch(\d+)/(.+)")
RUN_FILES = (LEDGER_FILE, "config.yaml", "results.csv")


def audit(run: Path, key: Ed25519PublicKey | None = None) -> Audit:
    """Audit a run.

    Args:
        run: its folder.
        key: the public key of whoever is to have signed the ledger; None takes the one that its signatures name.

    Returns:
        Numbers by destination, and every difference.

    Raises:
        DataError: there is no such run.
    """
    path = run / LEDGER_FILE
    if not run.is_dir():
        raise DataError(f"{run}: there is no such folder. `audit` takes a run's, such as runs/detect/gates.")
    if not any((run / name).exists() for name in RUN_FILES) and not all_wandb_folders(run) and not event_files(run):
        raise DataError(f"{run} is not a run's folder: it has no {LEDGER_FILE}, no config.yaml and no logger's files.")
    result = Audit(run, None)
    lines: Sequence[Line] = ()
    if path.is_file():
        lines = result.ledger = read_ledger(path)
        result.findings += [Finding("chain", "ledger", LEDGER_FILE, problem) for problem in lines.problems]
    else:
        result.notes.append(f"This run has no {LEDGER_FILE}: pictures were switched off, or the ledger was removed.")
    _count_lines(result, lines)
    _check_files(result, lines)
    check_tensorboard(result, lines)
    check_wandb(result, lines)
    check_checkpoints(result)
    check_signatures(result, key)
    for name in sorted(name for name in result.tallies if name.startswith("other")):
        result.notes.append(f"What {name.partition(':')[2]} has can't be read back here; the numbers are the ledger's.")
    return result


def _count_lines(result: Audit, lines: Sequence[Line]) -> None:
    result.tally("file").scalars = ", ".join(_csv_rows(result.run))
    settled = _settled(lines)
    for line in lines:
        tally = result.tally(line.destination)
        if line.outcome == UNKNOWN and line.number in settled:
            continue  # a resumed run found it with the logger, and says so in a line of its own
        if line.outcome in ("written", "sent"):
            tally.handed += 1
            tally.bytes += line.bytes
        elif line.outcome == "withheld":
            tally.withheld += 1
        elif line.outcome == UNKNOWN:
            tally.unknown += 1
            tally.bytes += line.bytes
        else:
            tally.failed += 1


def _settled(lines: Sequence[Line]) -> set[int]:
    """Return the lines of unknown outcome of which a later line says that the picture was sent."""
    sent: Counter[tuple[str, str, int, str]] = Counter()
    settled: set[int] = set()
    for line in reversed(lines):
        which = (line.destination, line.key, line.epoch, line.sha256)
        if line.outcome == UNKNOWN and sent[which] > 0:
            settled.add(line.number)
        sent[which] += (line.outcome == "sent") - (line.number in settled)
    return settled


def _csv_rows(run: Path) -> Iterator[str]:
    elsewhere = (each.folder / "metrics.csv" for each in logger_folders(run, "csv") if each.folder is not None)
    found = {path.resolve(): path for path in chain(sorted(run.rglob("metrics.csv")), elsewhere)}
    for path in (run / "results.csv", *found.values()):
        if path.is_file():
            with path.open(newline="", encoding="utf-8", errors="replace") as file:
                name = path.relative_to(run).as_posix() if path.is_relative_to(run) else path.as_posix()
                yield f"{_rows(file)} rows in {name}"


def _rows(file: Iterable[str]) -> int:
    """Count the rows below the heading, up to one that cannot be read."""
    rows = 0
    try:
        for _ in csv.reader(file):
            rows += 1
    except csv.Error:  # a cell of more than 128 KiB
        pass
    return max(rows - 1, 0)


def _check_files(result: Audit, lines: Sequence[Line]) -> None:
    """Compare the pictures in the run folder with the ledger, both ways."""
    on_disk = {path.relative_to(result.run).as_posix(): path for path in _pictures(result.run)}
    expected = _expected_files(lines, on_disk)
    for file, line in expected.items():
        path = on_disk.get(file, result.run / file)
        if not path.is_file():
            message = f"it was written in epoch {line.epoch} (line {line.number}) and is not there any more."
            result.findings.append(Finding("missing", "file", file, message, line.epoch, line.number))
        elif (digest := digest_of(path)) != line.sha256:
            message = f"it was changed: {_digests(digest, line)}."
            result.findings.append(Finding("changed", "file", file, message, line.epoch, line.number))
    for file in sorted(set(on_disk) - set(expected)):
        message = "the ledger does not know this picture."
        result.findings.append(Finding("unlisted", "file", file, message))
    result.findings += _find_other_bytes(lines)
    result.tally("file").found = len(on_disk)


def _pictures(run: Path) -> Iterator[Path]:
    for folder, deep in ((run, False), (run / MASKED, True), (run / "history", True)):
        for path in sorted(folder.rglob("*") if deep else folder.glob("*")):
            if path.suffix.lower() in PICTURES and path.is_file():
                yield path


def _expected_files(lines: Sequence[Line], on_disk: dict[str, Path]) -> dict[str, Line]:
    """Return for each file the last line that wrote it; and for each epoch's copy its line, where copies were kept."""
    expected: dict[str, Line] = {}
    kept = sorted({int(match[1]) for file in on_disk if (match := HISTORY.fullmatch(file))})
    for line in lines:
        if line.file.startswith(MASKED) or (line.destination == "file" and line.outcome == "written"):
            expected[line.file] = line
            copy = f"history/epoch{line.epoch:04d}/{line.file}"
            if line.destination == "file" and kept and kept[0] <= line.epoch <= kept[-1]:
                expected[copy] = line
    return expected


def _find_other_bytes(lines: Sequence[Line]) -> Iterator[Finding]:
    """Find pictures sent to a logger whose bytes were never those of their file."""
    written = {(line.file, line.sha256) for line in lines if line.destination == "file" and line.outcome == "written"}
    for line in lines:
        if (
            line.outcome in ("sent", UNKNOWN)
            and not line.file.startswith(MASKED)
            and (line.file, line.sha256) not in written
        ):
            message = f"line {line.number} says that other bytes than the file's were sent to {line.destination}."
            yield Finding("unlisted", line.destination, line.file, message, line.epoch, line.number)


def _digests(digest: str, line: Line) -> str:
    return f"SHA-256 {digest[:12]}… on disk, {line.sha256[:12]}… in line {line.number} of the ledger"
