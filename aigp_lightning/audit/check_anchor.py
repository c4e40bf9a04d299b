"""Comparison of a ledger with what was kept of it elsewhere: in checkpoints, in W&B's summary, in a file, on paper."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aigp_lightning.audit.findings import Audit, Finding
from aigp_lightning.checkpoints.load import read_ledger_anchor
from aigp_lightning.checkpoints.paths import BEST, LAST
from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.logfiles.paths import is_file
from aigp_lightning.logfiles.wandb_run import WandbRun
from aigp_lightning.media.ledger.anchor import HEAD, LINES, Anchor, anchor_of, differing_totals, parse_anchor
from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Lines

SHORTEST = 12
DIGITS = re.compile(rf"[0-9a-f]{{{SHORTEST},64}}")
SHOWN = 12


def check_checkpoints(result: Audit) -> None:
    """Compare the anchors in the run's checkpoints with its ledger, which goes on from there.

    Args:
        result: the audit; differences are added.
    """
    for path in (LAST, BEST):
        if not is_file(result.run / path):
            continue
        try:
            content = read_ledger_anchor(result.run / path)
        except WeightsError as error:
            result.notes.append(f"Which ledger {path.as_posix()} knows is not known: {error}")
            continue
        if content is not None:
            check_kept(result, path.as_posix(), content)


def check_summaries(result: Audit, runs: Sequence[WandbRun]) -> None:
    """Compare the anchors in W&B's summaries with the ledger.

    Args:
        result: the audit; differences are added.
        runs: W&B's folders of the run.
    """
    for run in runs:
        if HEAD in run.summary or LINES in run.summary:
            name = f"W&B's summary in {run.folder.name}"
            check_kept(result, name, {"head": run.summary.get(HEAD), "lines": run.summary.get(LINES)})


def check_kept(result: Audit, place: str, content: Any) -> None:
    """Compare an anchor that was kept while the run went on: the ledger must have been so, and may have grown.

    Args:
        result: the audit; a difference, or that there is none, is added.
        place: where it was kept, for the finding.
        content: head and lines as plain values, as they stand there.
    """
    anchor = parse_anchor(content)
    if anchor is None:
        _add(result, place, "what it says of the ledger is none of what a run writes.")
        return
    if not anchor.lines:
        return  # every ledger begins so
    before, lines = len(result.findings), result.ledger
    if not isinstance(lines, Lines):
        _add(result, place, f"it knows a ledger of {anchor.lines} lines, and there is no {LEDGER_FILE}.")
    elif (count := len(lines.heads) - 1) < anchor.lines:
        _add(
            result, place, f"it knows {anchor.lines} lines of the ledger, which has {count}: lines were removed.", count
        )
    elif lines.heads[anchor.lines] != anchor.head:
        message = (
            f"it knows line {anchor.lines} by the hash {_short(anchor.head)}, and the ledger's has "
            f"{_short(lines.heads[anchor.lines])}: this line, or one before it, was changed."
        )
        _add(result, place, message, anchor.lines)
    elif anchor.totals is not None:
        for sentence in differing_totals(anchor_of(lines, anchor.lines).totals or {}, anchor.totals):
            _add(result, place, f"totals of the first {anchor.lines} lines differ from what it says: {sentence}.")
    if len(result.findings) == before:
        result.anchors[place] = anchor.lines


def check_head(result: Audit, wanted: str) -> None:
    """Check that the ledger's head is one that was noted elsewhere.

    Args:
        result: the audit; a difference is added.
        wanted: the hash, or its first digits, at least 12.

    Raises:
        ConfigError: it is no hash, or fits several lines.
    """
    digits = wanted.strip().lower()
    if not DIGITS.fullmatch(digits):
        raise ConfigError(f"--head {wanted}: give the head's 64 hexadecimal digits, or at least its first {SHORTEST}.")
    lines = result.ledger
    if not isinstance(lines, Lines):
        _add(result, LEDGER_FILE, f"there is no ledger, and its head was to be {_short(digits)}.")
        return
    places = [number for number, head in enumerate(lines.heads) if head.startswith(digits)]
    if len(places) > 1:
        raise ConfigError(f"--head {wanted} fits lines {', '.join(map(str, places))}: give more of its digits.")
    if places and places[0] == len(lines.heads) - 1:
        result.notes.append(f"The head is the one that was asked for: {lines.heads[-1]}, {places[0]} lines.")
    else:
        _add(result, LEDGER_FILE, _elsewhere(lines, _short(digits), places), *places)


def check_expected(result: Audit, path: Path) -> None:
    """Compare the ledger with what an earlier audit wrote.

    Args:
        result: the audit; differences are added, a line each.
        path: what `audit --json` wrote, or the anchor in it alone.

    Raises:
        ConfigError: it is no such file.
    """
    expected = _read_expected(path)
    lines = result.ledger
    if not isinstance(lines, Lines):
        if expected is not None:
            _add(result, LEDGER_FILE, f"there is no ledger, and {path} has one of {expected.lines} lines.")
        return
    found = anchor_of(lines)
    if expected is None:
        _add(result, LEDGER_FILE, f"it has {found.lines} lines, and {path} says that there is no ledger.")
        return
    before = len(result.findings)
    if found.head != expected.head:
        known = lines.heads[expected.lines : expected.lines + 1] == [expected.head]
        message = _elsewhere(lines, _short(expected.head), [expected.lines] if known else [])
        if not known and found.lines != expected.lines:
            message = f"{message[:-1]}; it has {found.lines} lines, {path} {expected.lines}."
        _add(result, LEDGER_FILE, message)
    elif found.lines != expected.lines:
        _add(result, LEDGER_FILE, f"it has {found.lines} lines, {path} {expected.lines}.")
    for sentence in differing_totals(found.totals or {}, expected.totals or {}) if expected.totals is not None else ():
        _add(result, LEDGER_FILE, f"totals differ from {path}: {sentence}.")
    if len(result.findings) == before:
        result.notes.append(f"Head and totals are those of {path}: {found.head}, {found.lines} lines.")


def _read_expected(path: Path) -> Anchor | None:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"--expect {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and "anchor" in content:
        content = content["anchor"]
        if content is None:
            return None
    anchor = parse_anchor(content)
    if anchor is None:
        raise ConfigError(f"--expect {path} is not what `audit --json FILE` of this version writes.")
    return anchor


def _elsewhere(lines: Lines, head: str, places: Sequence[int]) -> str:
    """Say where a head that is not the ledger's stands."""
    count = len(lines.heads) - 1
    if not places:
        now = _short(lines.heads[-1])
        return f"its head is {now}; {head} is the hash of no line: this is another ledger, or it was rewritten."
    return f"{head} is its head after line {places[0]} of {count}: {count - places[0]} lines were added since."


def _short(head: str) -> str:
    return f"{head[:SHOWN]}…"


def _add(result: Audit, place: str, message: str, line: int | None = None) -> None:
    result.findings.append(Finding("anchor", "ledger", place, message, line=line or None))
