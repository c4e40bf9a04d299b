"""The ledger of a run as a report shows it: what was sent where."""

from __future__ import annotations

from collections import Counter
from typing import Any

from aigp_lightning.media.ledger.counts import settled
from aigp_lightning.media.ledger.lines import Line
from aigp_lightning.report.folder import RunFacts
from aigp_lightning.report.options import without_places

OUTCOMES = ("sent", "withheld", "failed", "unknown")
MOST_ROWS = 20_000


def ledger_of(facts: RunFacts) -> dict[str, Any] | None:
    """Sum up a ledger by destination, and list its lines.

    Args:
        facts: of the run; gets a warning where lines are left out.

    Returns:
        See `payload.py`; None where there is no ledger.
    """
    lines = facts.lines
    if lines is None:
        return None
    by_name: dict[str, list[Line]] = {}
    for line in settled(lines):
        by_name.setdefault(line.destination, []).append(line)
    if len(lines) > MOST_ROWS:
        facts.warnings.append(f"The ledger has {len(lines)} lines; the last {MOST_ROWS} are listed.")
    problems = [without_places(problem) for problem in lines.problems]
    return {
        "head": lines.heads[-1],
        "lines": len(lines),
        "problems": problems,
        "destinations": [_sum_up(name, some) for name, some in sorted(by_name.items())],
        "rows": [_row(line) for line in lines[-MOST_ROWS:]],
    }


def _sum_up(name: str, lines: list[Line]) -> dict[str, Any]:
    counts: Counter[str] = Counter(
        "sent" if line.outcome == "written" else line.outcome for line in lines if line.is_picture
    )
    taken = sum(line.bytes for line in lines if line.outcome in ("written", "sent", "unknown"))
    remote = any(line.is_remote for line in lines)
    return {
        "destination": name,
        "remote": remote,
        **{outcome: counts[outcome] for outcome in OUTCOMES},
        "bytes": taken,
    }


def _row(line: Line) -> list[Any]:
    reason = without_places(line.reason)
    return [line.time, line.epoch + 1, line.key, line.destination, line.outcome, line.bytes, line.sha256, reason]
