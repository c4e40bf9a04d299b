"""`receipt.json`: what a promoted model is, how it was measured, what it was trained with, and what left the machine.

It is made for an audit by somebody else: hashes of everything that can be checked, and no name of a user or a machine,
no path, no address. `store/receipt_check.py` checks one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.errors import DataError
from aigp_lightning.files import open_regular, write_atomic
from aigp_lightning.logfiles.run_config import read_json
from aigp_lightning.ranges import is_finite_number
from aigp_lightning.store.policy_evaluation import is_policy_run, policy_evaluation
from aigp_lightning.store.public_text import public_values

if TYPE_CHECKING:
    from aigp_lightning.modules.metrics.image_results import ImageResults

VERSION = 1
"""Of the receipt's form."""
CHUNK = 1 << 20
MAY_LACK = (
    *("configuration", "plan", "ledger", "evaluation", "data", "split_leak", "versions", "git", "seeds", "hardware"),
)
"""Parts that runs of earlier versions have not recorded."""
LATER = ("split_leak",)
"""Parts that receipts of earlier versions do not have at all."""
PARTS = (
    *("receipt", "made", "files", "run", "evaluation", "data", "split_leak", "configuration", "plan", "ledger"),
    *("versions", "git", "seeds", "hardware", "started", "earlier_starts", "thresholds", "decision", "not_recorded"),
)
"""All that stand in a receipt."""


@dataclass(frozen=True)
class FileFact:
    """The content of a file, by which it is known again.

    Attributes:
        sha256: of its bytes, hexadecimal.
        bytes: their number.
    """

    sha256: str
    bytes: int


def file_fact(path: Path) -> FileFact:
    """Return hash and size of a file.

    Args:
        path: of a regular file.

    Raises:
        OSError: it cannot be read.
    """
    digest, size = sha256(), 0
    with os.fdopen(open_regular(path), "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileFact(digest.hexdigest(), size)


def build_receipt(
    run: Path,
    files: Mapping[str, FileFact],
    results: ImageResults | None,
    decision: Mapping[str, Any],
    made: datetime | None = None,
) -> dict[str, Any]:
    """Return the content of a receipt, as plain values.

    Args:
        run: the run folder that the files come from.
        files: what is promoted, by the names that the files have beside the receipt.
        results: of the evaluation that counts; None where there is none: the metrics that the run noted then.
        decision: of the gates: rows, versions, the reason of `--force`. Paths in it are reduced to names.
        made: when; None: now.

    Returns:
        `receipt` (its form), `made`, `files`, `run`, `evaluation`, `data`, `split_leak`, `configuration`, `plan`,
        `ledger`, `versions`, `git`, `seeds`, `hardware`, `earlier_starts`, `thresholds`, `decision`, and
        `not_recorded`: which of these are None because the run has not recorded them.
    """
    # imports torch, which a receipt that is only read does not need
    from aigp_lightning.store.run_facts import (
        calibrated_of,
        configuration_of,
        evaluation_of,
        leak_of,
        ledger_of,
        plan_of,
        run_of,
        starts_of,
    )

    policy = is_policy_run(run)
    if policy:
        model_zip = files.get("model.zip")
        evaluation, data = policy_evaluation(run, None if model_zip is None else model_zip.sha256), None
    else:
        evaluation, data = evaluation_of(run, results)
    starts = starts_of(run, policy)
    last = starts[-1] if starts else {}
    content = {
        "receipt": VERSION,
        "made": (made or datetime.now(timezone.utc)).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "files": {name: asdict(fact) for name, fact in files.items()},
        "run": run_of(run, results, policy),
        "evaluation": evaluation,
        "data": data,
        "split_leak": None if policy else leak_of(run),
        "configuration": configuration_of(run),
        "plan": None if policy else plan_of(run),
        "ledger": None if policy else ledger_of(run),
        **{part: last.get(part) for part in ("versions", "git", "seeds", "hardware")},
        "started": last.get("time"),
        "earlier_starts": starts[:-1],
        "thresholds": calibrated_of(run, files[BEST.name].sha256 if BEST.name in files else None),
        "decision": dict(decision),
    }
    content["not_recorded"] = not_recorded(content, policy)
    return {key: public_values(value) for key, value in content.items()}


def not_recorded(content: Mapping[str, Any], policy: bool) -> list[str]:
    """Return the parts of a receipt that its run has not recorded.

    Args:
        content: of the receipt, of which anybody may have written the values.
        policy: whether it is a policy's: its training has no data set and hands over nothing.
    """
    needless = ("plan", "ledger", "data", "split_leak") if policy else ()
    absent = [part for part in LATER if part not in content]
    asked = [part for part in MAY_LACK if part not in needless and part not in absent]
    return [part for part in asked if _is_unknown(part, content.get(part))]


def _is_unknown(part: str, value: object) -> bool:
    """True if a part says nothing: git may say why, where it did not answer in time."""
    return value is None or (part == "git" and isinstance(value, Mapping) and bool(value.get("why")))


def receipt_bytes(receipt: Mapping[str, Any]) -> bytes:
    """Return a receipt as JSON: the same bytes for the same content.

    Args:
        receipt: see `build_receipt`.
    """
    text = json.dumps(receipt, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", errors="backslashreplace")  # half a character, as JSON writes it


def receipt_sha256(receipt: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the file that `write_receipt` writes.

    Args:
        receipt: see `build_receipt`.
    """
    return sha256(receipt_bytes(receipt)).hexdigest()


def write_receipt(path: Path, receipt: Mapping[str, Any]) -> str:
    """Write a receipt atomically.

    Args:
        path: of the file.
        receipt: see `build_receipt`.

    Returns:
        The SHA-256 of the file.

    Raises:
        OSError: it cannot be written.
    """
    write_atomic(path, receipt_bytes(receipt), own=True)
    return receipt_sha256(receipt)


def read_receipt(path: Path) -> dict[str, Any]:
    """Read a receipt.

    Args:
        path: the file.

    Returns:
        Its content; `files` and the parts that are there have the form of `build_receipt`.

    Raises:
        DataError: it is missing, or no receipt.
    """
    content, problem = read_json(path)
    if problem:
        raise DataError(f"{path} {problem}: no receipt can be read there.")
    if not isinstance(content, dict) or content.get("receipt") != VERSION:
        raise DataError(f"{path} is no receipt of version {VERSION}.")
    files = content.get("files")
    if not isinstance(files, dict) or not all(map(_is_fact, files.values())):
        raise DataError(f"{path} is no receipt: it names no files with their hashes.")
    for part in (*MAY_LACK, "run", "thresholds", "decision"):
        if not isinstance(content.get(part), dict | None):
            raise DataError(f"{path} is no receipt: its part {part!r} has another form.")
    return content


def _is_fact(value: object) -> bool:
    """True if a value is hash and size of a file."""
    if not isinstance(value, dict) or not isinstance(value.get("sha256"), str):
        return False
    size = value.get("bytes")
    return type(size) is int and is_finite_number(size)


def texts_of(value: Any) -> Iterator[str]:
    """Yield all texts in plain values, names of keys too.

    Args:
        value: such as a receipt.
    """
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield str(key)
            yield from texts_of(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_of(each)
    elif isinstance(value, str):
        yield value
