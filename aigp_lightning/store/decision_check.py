"""Checks a receipt against itself, its decision against its gates, and both against the journal of the store."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import is_finite_number
from aigp_lightning.store.checks import Checked, differing, group_of
from aigp_lightning.store.gates import DEFAULT_GATE, judge, parse_gate
from aigp_lightning.store.journal import Line, read_journal
from aigp_lightning.store.model_files import version_id
from aigp_lightning.store.places import JOURNAL, VERSION, VERSIONS
from aigp_lightning.store.public_text import public_values
from aigp_lightning.store.receipt import LATER, PARTS, FileFact, file_fact, not_recorded

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
DECISION = {"name", "version", "latest", "passed", "gates", "notes", "forced"}
ROW = {"gate", "metric", "candidate", "latest", "difference", "interval", "passed", "message"}
NEARLY = 1e-3
"""Part of a metric by which the gates' figure of it may differ: it is computed anew for the comparison."""
POLICY = "policy"


def check_form(receipt: Mapping[str, Any]) -> Iterator[Checked]:
    """Yield what a receipt says against itself; nothing where it does not.

    Args:
        receipt: that was read.
    """
    if lacking := [part for part in PARTS if part not in receipt and part not in LATER]:
        yield Checked("parts", "wrong", f"the receipt lacks {', '.join(lacking)}")
    if strange := sorted(str(part) for part in receipt if part not in PARTS):
        yield Checked("parts", "wrong", f"{', '.join(strange)}: a receipt has no such part")
    if not receipt["files"]:
        yield Checked("files", "wrong", "the receipt names no file, so it is of no model")
    for part in ("made", "started"):
        value = receipt.get(part)
        if not (value is None and part == "started") and not (isinstance(value, str) and TIME.fullmatch(value)):
            yield Checked(part, "wrong", "is no time")
    if receipt.get("not_recorded") != not_recorded(receipt, group_of(receipt.get("run")).get("task") == POLICY):
        yield Checked("not_recorded", "wrong", "other parts are empty than it names")
    yield from (Checked("decision", "wrong", message) for message in _decision_problems(receipt))


def _decision_problems(receipt: Mapping[str, Any]) -> Iterator[str]:
    decision = group_of(receipt.get("decision"))
    if set(decision) != DECISION:
        yield f"it has {', '.join(sorted(map(str, decision))) or 'nothing'}, and not {', '.join(sorted(DECISION))}"
        return
    facts = {str(name): FileFact(fact["sha256"], fact["bytes"]) for name, fact in receipt["files"].items()}
    if decision["version"] != version_id(facts):
        yield f"the files are those of version {version_id(facts)}, and it is on another one"
    latest, forced, passed, rows = (decision[key] for key in ("latest", "forced", "passed", "gates"))
    if not isinstance(decision["name"], str) or not _is_text(latest, VERSION) or not _is_text(forced):
        yield "name, latest or forced is no text"
    if not isinstance(decision["notes"], list) or not all(isinstance(note, str) for note in decision["notes"]):
        yield "notes are no texts"
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and set(row) == ROW for row in rows):
        yield "it has no gates"
        return
    if passed is not all(row["passed"] is True for row in rows):
        yield "passed is not what the gates come to"
    if passed is not True and not (isinstance(forced, str) and forced.strip()):
        yield "the gates were not passed, and it gives no reason for which it was promoted all the same"
    metrics = group_of(group_of(receipt.get("evaluation")).get("metrics"))
    for number, row in enumerate(rows, 1):
        if wrong := _row_problem(row, latest, metrics):
            yield f"gate {number}: {wrong}"


def _is_text(value: object, form: re.Pattern[str] | None = None) -> bool:
    """True if a value is a text, of that form where one is asked for, or None."""
    return value is None or (isinstance(value, str) and (form is None or form.fullmatch(value) is not None))


@dataclass(frozen=True)
class _Compared:
    candidate: float
    other: float
    value: float
    low: float
    high: float


def _row_problem(row: Mapping[str, Any], latest: object, metrics: Mapping[str, Any]) -> str:
    """Say in what a gate's row contradicts itself or the metrics, by judging it again; empty where it does not."""
    gate, metric, interval = row["gate"], row["metric"], row["interval"]
    values = [row["candidate"], row["latest"], row["difference"], *(interval if isinstance(interval, list) else [])]
    known = all(value is None or is_finite_number(value) for value in values)
    if not isinstance(gate, str) or not isinstance(metric, str) or not known:
        return "it has another form"
    if interval is not None and not _is_interval(values[3:]):
        return "its interval is none"
    if metric and not _near(row["candidate"], metrics.get(metric)):
        return f"the evaluation has another {metric}"
    numbers = [math.nan if value is None else float(value) for value in values]
    found = {} if interval is None else {metric: _Compared(*numbers)}
    before = None if latest is None else {metric: row["latest"]}
    try:
        gates = [] if gate == DEFAULT_GATE else [parse_gate(gate)]
        (again,) = judge(gates, {metric: row["candidate"]}, before, found).rows
    except (ConfigError, ValueError):
        return "it cannot be read"
    return f"its {', '.join(wrong)} is not what it comes to" if (wrong := differing(row, again)) else ""


def _is_interval(ends: list[Any]) -> bool:
    return len(ends) == len(("low", "high")) and (None in ends or ends[0] <= ends[1])


def _near(one: object, other: object) -> bool:
    if is_finite_number(one) and is_finite_number(other):
        return math.isclose(one, other, rel_tol=NEARLY, abs_tol=NEARLY)
    return one is None and other is None


def check_journal(path: Path, receipt: Mapping[str, Any]) -> Iterator[Checked]:
    """Check a receipt that lies in a store against the journal, which has its hash; the strongest of all checks.

    Args:
        path: of the receipt.
        receipt: its content.
    """
    folder = path.resolve().parent
    if folder.parent.name != VERSIONS or not VERSION.fullmatch(folder.name):
        text = "the receipt lies in no store, whose journal has its SHA-256 and the gates"
        yield Checked("journal", "missing", text)
        return
    try:
        journal = read_journal(folder.parent.parent / JOURNAL)
    except OSError as error:
        yield Checked("journal", "wrong", f"{JOURNAL} of the store cannot be read ({error.strerror})")
        return
    if journal.problems:
        number, message = journal.problems[0]
        yield Checked("journal", "wrong", f"line {number} of {JOURNAL}: {message}")
    line = next((each for each in reversed(journal.lines)
                 if each.event == "promoted" and each.version == folder.name), None)  # fmt: skip
    if line is None:
        yield Checked("journal", "wrong", f"{JOURNAL} of the store says nothing of version {folder.name}")
        return
    if file_fact(path).sha256 == line.receipt:
        yield Checked("journal", "right", f"line {line.n + 1} of the store's {JOURNAL} has the receipt's SHA-256")
        return
    yield Checked("journal", "wrong", f"the receipt was changed: {JOURNAL} of the store has another SHA-256 of it")
    yield _against(line, group_of(receipt.get("decision")))


def _against(line: Line, decision: Mapping[str, Any]) -> Checked:
    """Compare the decision with what the journal says of it, to tell where a changed receipt was changed."""
    said = {key: decision.get(key) for key in ("name", "version", "gates")} | {"forced": decision.get("forced") or ""}
    found = {"name": line.name, "version": line.version, "gates": list(line.gates), "forced": line.reason}
    wrong = differing(said, public_values(found))
    text = f"{', '.join(wrong)}: not what {JOURNAL} of the store says" if wrong else f"as in {JOURNAL} of the store"
    return Checked("decision in the journal", "wrong" if wrong else "right", text)
