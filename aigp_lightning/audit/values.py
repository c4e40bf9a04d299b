"""Values in W&B's rows, summary and configuration that are neither figures nor pictures of the ledger."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import isclose, isnan
from typing import Any

from aigp_lightning.audit.picture_values import HASH, is_number, odd_name, odd_own, odd_picture
from aigp_lightning.logfiles.wandb_run import WandbRun

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,31}")
"""A setting in one plain word. A path has more than that, and so has a sentence."""
LEDGER = "ledger/"
"""Beginning of the names that the summary has of the ledger's own figures, its hash among them."""
LONGEST_LIST = 16
MACHINE = {"os", "python", "processors", "architecture", "gpus"}
SUMMARY_OWN = {"_wandb", "_step", "_runtime", "_timestamp"}
"""Keys that W&B adds to a run's summary by itself."""
LOAD = re.compile(r"(.*\.)?on_\w+_(start|end)\W.+|(.*[/.])?cpu(_vm|_swap)?_percent")
"""Names of scalars that are samples of the system, as Lightning's `DeviceStatsMonitor` has them: class, hook, value."""
DEEPEST = 20


def odd_values(run: WandbRun) -> Iterator[tuple[str, str]]:
    """Find values that are neither figures nor pictures.

    Args:
        run: one W&B folder.

    Returns:
        Where each is (rows, summary or config), with its name, and what is wrong with it; each name once.
    """
    seen: dict[str, str] = {}
    for place, row in [*(("rows", row) for row in run.history), ("summary", run.summary)]:
        for key, problem in odd_figures(row):
            seen.setdefault(f"{place}: {key}", problem)
    seen.update({f"metrics: {name}": problem for name in run.metrics if (problem := odd_name(name))})
    config = {key: value for key, value in run.config.items() if key not in ("command", "machine")}
    seen.update({f"config: {key}": problem for key, problem in odd_settings(config)})
    machine = run.config.get("machine", {})
    extra = sorted(set(machine) - MACHINE) if isinstance(machine, dict) else ["machine"]
    seen.update({f"config: machine.{key}": "is no part of it" for key in extra})
    seen.update({f"config: _wandb.{key}": problem for key, problem in odd_own(run.own_config, run.metrics)})
    yield from sorted(seen.items())


def odd_figures(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find in a row, or in a summary, what is neither a figure nor a picture; yields names and problems."""
    for key, value in row.items():
        if key.startswith(LEDGER) and isinstance(value, str) and HASH.fullmatch(value):
            continue
        if problem := odd_name(key) or _odd_figure(key, value):
            yield key, problem


def odd_summary(content: Mapping[str, Any], runs: Sequence[WandbRun], ended: bool) -> Iterator[tuple[str, str]]:
    """Find in the summary that W&B made of its records what is in none of them; yields names and problems.

    Args:
        content: of the file.
        runs: all starts of the run: a resumed one has the summary of those before.
        ended: the run file is whole; of a run that was killed, its last rows may be missing, so only names count.
    """
    yield from odd_figures(content)
    for key, value in content.items():
        if key in SUMMARY_OWN:
            continue
        known = [row[key] for run in runs for row in (*run.history, run.summary) if key in row]
        if not known:
            yield key, "is in no record of the run's"
        elif ended and not any(_is_same(value, each) for each in reversed(known)):
            yield key, "has a value that is in no record of the run's"


def samples_of_the_system(run: WandbRun) -> Counter[str]:
    """Count the values of each scalar that says what the machine does, not how the model learns."""
    return Counter(key for row in run.history for key in row if LOAD.fullmatch(key))


def _is_same(one: Any, other: Any) -> bool:
    """True if two values are the same once each was written as JSON and read back; NaN is NaN."""
    if is_number(one) and is_number(other):
        return isclose(one, other, rel_tol=1e-12) or (isnan(one) and isnan(other))
    return bool(one == other)


def odd_settings(config: Mapping[str, Any], before: str = "", deep: int = 0) -> Iterator[tuple[str, str]]:
    """Find in a configuration what is neither a number nor a plain word; yields names and problems."""
    for key, value in config.items():
        name = f"{before}{key}"
        if problem := odd_name(str(key)):
            yield name, problem
        elif isinstance(value, Mapping):
            if deep > DEEPEST:
                yield name, "is nested too deep"
            else:
                yield from odd_settings(value, f"{name}.", deep + 1)
        elif isinstance(value, list):
            if len(value) > LONGEST_LIST or not all(item is None or is_number(item, True) for item in value):
                yield name, "is a list of more than a few numbers"
        elif not (value is None or is_number(value, True) or (isinstance(value, str) and WORD.fullmatch(value))):
            yield name, "is neither a number nor one plain word"


def _odd_figure(key: str, value: Any) -> str:
    if value is None or is_number(value):
        return ""
    if not isinstance(value, Mapping):
        return "is neither a figure nor a picture"
    if key == "_wandb":
        return "" if set(value) <= {"runtime"} and all(map(is_number, value.values())) else "has more than a duration"
    return odd_picture(value)
