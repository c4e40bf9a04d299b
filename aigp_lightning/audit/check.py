"""The audit of a run: ledger, files and loggers compared with each other."""

from __future__ import annotations

import csv
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from aigp_lightning.audit.check_anchor import check_checkpoints
from aigp_lightning.audit.check_mlflow import check_mlflow
from aigp_lightning.audit.check_signatures import check_signatures
from aigp_lightning.audit.check_tensorboard import check_tensorboard
from aigp_lightning.audit.check_wandb import check_wandb
from aigp_lightning.audit.compare import UNKNOWN
from aigp_lightning.audit.digest import UNREADABLE, digest_of, shortened
from aigp_lightning.audit.findings import LARGEST, Audit, Finding
from aigp_lightning.audit.places import MASKED, relative
from aigp_lightning.errors import DataError, UserError, first_line
from aigp_lightning.logfiles.event_file import event_files
from aigp_lightning.logfiles.folders import configured_loggers, logger_folders
from aigp_lightning.logfiles.paths import is_dir, is_file, reason_of, resolved, walk
from aigp_lightning.logfiles.run_config import read_config
from aigp_lightning.logfiles.wandb_places import all_wandb_folders, is_wandb_folder
from aigp_lightning.media.ledger.ledger import BOXES_FILE, LEDGER_FILE, Line, Lines, read_ledger

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PICTURES = (".jpg", ".jpeg", ".png")
HISTORY = re.compile(r"history/epoch(\d+)/(.+)")
RUN_FILES = (LEDGER_FILE, "config.yaml", "results.csv")
KNOWN = ("TensorBoardLogger", "CSVLogger", "WandbLogger", "MLFlowLogger")
"""Ends of the names of those loggers whose files are read back."""
MOMENT = 0.05
"""Seconds after which a ledger that seems to be damaged is read once more: a run may be replacing its last lines."""


def audit(run: Path, key: Ed25519PublicKey | None = None) -> Audit:
    """Audit a run.

    Args:
        run: its folder.
        key: the public key of whoever is to have signed the ledger; None takes the one that its signatures name.

    Returns:
        Numbers by destination, and every difference.

    Raises:
        DataError: there is no such run, or a part of it cannot be audited; it names the part.
    """
    if not is_dir(run):
        raise DataError(f"{run}: there is no such folder. `audit` takes a run's, such as runs/detect/gates.")
    if not any(is_file(run / name) for name in RUN_FILES) and not all_wandb_folders(run) and not event_files(run):
        raise DataError(f"{run} is not a run's folder: it has no {LEDGER_FILE}, no config.yaml and no logger's files.")
    result = Audit(run, None)
    lines: list[Line] = []
    parts: dict[str, Callable[[], None]] = {
        f"the ledger, {LEDGER_FILE},": lambda: lines.extend(_read_ledger(result)),
        "what the run counted": lambda: _count_lines(result, lines),
        "the pictures in the run folder": lambda: _check_files(result, lines),
        "TensorBoard's event files": lambda: check_tensorboard(result, lines),
        "MLflow's artifacts": lambda: check_mlflow(result, lines),
        "W&B's folders": lambda: check_wandb(result, lines),
        "what the checkpoints know of the ledger": lambda: check_checkpoints(result),
        "the signatures": lambda: check_signatures(result, key),
    }
    for name, check in parts.items():
        try:
            check()
        except (UserError, MemoryError):
            raise
        except Exception as error:  # whoever wrote the files may have thought of what we did not
            raise DataError(f"{run}: {name} cannot be audited: {type(error).__name__}: {first_line(error)}") from error
    config, _ = read_config(run)
    for path in (str(entry.get("class_path")) for entry in configured_loggers(config)):
        if not path.endswith(KNOWN):
            result.beside_left.append(f"perhaps what {path.rpartition('.')[2]} got, which can't be read back here")
    for name in sorted(name for name in result.tallies if name.startswith("other")):
        result.notes.append(f"What {name.partition(':')[2]} has can't be read back here; the numbers are the ledger's.")
    return result


def _read_ledger(result: Audit) -> Sequence[Line]:
    path = result.run / LEDGER_FILE
    if not is_file(path):
        result.notes.append(f"This run has no {LEDGER_FILE}: pictures were switched off, or the ledger was removed.")
        return ()
    lines: Lines = read_ledger(path)
    if lines.problems:
        time.sleep(MOMENT)
        lines = read_ledger(path)
    result.ledger = lines
    result.findings += [Finding("chain", "ledger", LEDGER_FILE, problem) for problem in lines.problems]
    return lines


def _count_lines(result: Audit, lines: Sequence[Line]) -> None:
    result.tally("file").scalars = ", ".join(_csv_rows(result.run))
    result.settled = _settled(lines)
    for line in lines:
        tally = result.tally(line.destination)
        if line.number in result.settled:
            continue  # a resumed run found it with the logger, and says so in a line of its own
        count = not line.file.endswith(BOXES_FILE)  # which goes with its picture
        if line.outcome in ("written", "sent"):
            tally.handed += count
            tally.bytes += min(max(line.bytes, 0), LARGEST)
        elif line.outcome == "withheld":
            tally.withheld += count
        elif line.outcome == UNKNOWN:
            tally.unknown += count
            tally.bytes += min(max(line.bytes, 0), LARGEST)
        else:
            tally.failed += count


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
    inside = (place / "metrics.csv" for place, _, files in walk(run) if "metrics.csv" in files)
    found = {resolved(path): path for path in chain(inside, elsewhere)}
    for path in (run / "results.csv", *found.values()):
        if is_file(path):
            try:
                with path.open(newline="", encoding="utf-8", errors="replace") as file:
                    yield f"{_rows(file)} rows in {relative(run, path)}"
            except OSError as error:
                yield f"{relative(run, path)}, which {UNREADABLE} ({reason_of(error)})"


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
    result.findings += _unread_folders(result.run)
    for file, line in expected.items():
        path = on_disk.get(file, result.run / file)
        if _leads_out(file) or not is_file(path):
            message = f"it was written in epoch {line.epoch} (line {line.number}) and is not there any more."
            result.findings.append(Finding("missing", "file", file, message, line.epoch, line.number))
        elif (digest := digest_of(path)).startswith(UNREADABLE):
            message = f"it {digest}: whether it is what line {line.number} says is unknown."
            result.findings.append(Finding("damaged", "file", file, message, line.epoch, line.number))
        elif digest != line.sha256:
            message = f"it was changed: {_digests(digest, line)}."
            result.findings.append(Finding("changed", "file", file, message, line.epoch, line.number))
    for file in sorted(set(on_disk) - set(expected)):
        message = "the ledger does not know this picture."
        result.findings.append(Finding("unlisted", "file", file, message))
    result.findings += _find_other_bytes(lines)
    result.tally("file").found = sum(not file.endswith(BOXES_FILE) for file in on_disk)


def _leads_out(file: str) -> bool:
    """True if a name in the ledger is none of a file in the run folder: what it names elsewhere is not read."""
    path = PurePosixPath(file)
    return path.is_absolute() or ".." in path.parts or Path(file).is_absolute()


def _unread_folders(run: Path) -> Iterator[Finding]:
    """Find folders that cannot be read; those in W&B's own are told with W&B's."""
    unread: list[tuple[Path, str]] = []
    for place, names, _ in walk(run, unread):
        names[:] = [name for name in names if not is_wandb_folder(place / name)]
    for place, reason in unread:
        message = f"this folder cannot be read ({reason}): what is in it was not compared."
        yield Finding("damaged", "file", relative(run, place), message)


def _pictures(run: Path) -> Iterator[Path]:
    for folder, deep in ((run, False), (run / MASKED, True), (run / "history", True)):
        for place, names, files in walk(folder):
            names[:] = names if deep else []
            for path in (place / name for name in files):
                if path.name.lower().endswith((*PICTURES, BOXES_FILE.lower())) and is_file(path):
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
    return f"SHA-256 {shortened(digest)} on disk, {line.sha256[:12]}… in line {line.number} of the ledger"
