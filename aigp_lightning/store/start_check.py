"""Checks what a receipt says of its run and of the run's starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.data.leaks.leak_report import LEAK
from aigp_lightning.logfiles.run_config import CONFIG_FILE, RUN_FILE, read_config
from aigp_lightning.modules.thresholds import NAME as THRESHOLDS_FILE
from aigp_lightning.modules.thresholds import thresholds_of
from aigp_lightning.run.folder import EARLIER_CONFIG
from aigp_lightning.run.marker import is_run_folder
from aigp_lightning.run.provenance import MOST_STARTS
from aigp_lightning.store.checks import Checked, check_hash, compared, differing, group_of
from aigp_lightning.store.policy_evaluation import is_policy_run
from aigp_lightning.store.public_text import public_values
from aigp_lightning.store.run_facts import (
    RESULTS_CSV,
    VERSIONS_FILE,
    calibrated_of,
    leak_of,
    run_of,
    starts_of,
    weights_of_thresholds,
)

STARTED = {"versions": "versions", "git": "git", "seeds": "seeds", "hardware": "hardware", "started": "time"}
"""Parts of a receipt, and their names in what a run records of a start."""


def is_run(folder: Path) -> bool:
    """True if a folder is that of a run.

    Args:
        folder: that was given as one.
    """
    return any((folder / name).is_file() for name in (CONFIG_FILE, BEST)) or is_policy_run(folder) or (
        is_run_folder(folder))  # fmt: skip


def check_run(receipt: Mapping[str, Any], run: Path, model: Path | None) -> Iterator[Checked]:
    """Check name, task, family, epochs and best epoch.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
        model: a checkpoint with the content of the one that was promoted; None: it is not there any more.
    """
    said, policy = group_of(receipt.get("run")), is_policy_run(run)
    found: dict[str, Any] = public_values(run_of(run, None, policy, model))
    if said.get("name") in _names(run):
        found["name"] = said.get("name")
    if policy:
        yield compared("run", said, found, "the run folder")
        return
    if model is None:
        yield Checked("task, family and best epoch", "missing", "the checkpoint of the receipt is not there any more")
        found |= {key: said.get(key) for key in ("task", "family", "best_epoch")}
    last, epochs = found["epochs"], said.get("epochs")
    if last is None:
        yield Checked("epochs", "missing", f"{RESULTS_CSV} is not there, or has none")
        found["epochs"] = epochs
    elif has_gone_on(receipt, run) and type(epochs) is int and (found["best_epoch"] or 1) <= epochs <= last:
        found["epochs"] = epochs
    yield compared("run", said, found, "the run folder")


def _names(run: Path) -> list[str]:
    """Return the names that a run's folder may have had: that of its configuration, with or without a number."""
    config, _ = read_config(run)
    given = group_of((config or {}).get("run")).get("name")
    folder = run.resolve().name
    return [str(given), folder] if given and re.fullmatch(rf"{re.escape(str(given))}(-\d+)?", folder) else [folder]


def has_gone_on(receipt: Mapping[str, Any], run: Path) -> bool:
    """True if a run was started again since its receipt was made.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
    """
    found = public_values(starts_of(run, is_policy_run(run)))
    place = _place(receipt, found)
    return place is not None and place < len(found) - 1


def _place(receipt: Mapping[str, Any], found: list[Mapping[str, Any]]) -> int | None:
    """Return which of a run's starts is the last one of a receipt: that of its time, of several the same one."""
    last = {key: receipt.get(part) for part, key in STARTED.items()}
    places = [number for number, start in enumerate(found) if start.get("time") == last["time"]]
    same = [number for number in places if not differing(last, {key: found[number].get(key) for key in last})]
    return max(same or places, default=None)


def _said_starts(receipt: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    earlier = receipt.get("earlier_starts")
    last = {key: receipt.get(part) for part, key in STARTED.items()}
    known = any(value is not None for value in last.values())
    return [*map(group_of, earlier if isinstance(earlier, list) else []), *([last] if known else [])]


def check_starts(receipt: Mapping[str, Any], run: Path, is_same: bool) -> Iterator[Checked]:
    """Check with what the run was started: a run that went on has more starts by now.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
        is_same: whether the model of the run is still the one of the receipt; a policy's run knows its last start only.
    """
    policy = is_policy_run(run)
    source, found = VERSIONS_FILE if policy else RUN_FILE, public_values(starts_of(run, policy))
    if policy and not is_same:
        yield Checked("start", "missing", "the run went on, and knows its last start only")
        return
    if not (run / source).is_file():
        yield Checked("start", "missing", f"{source} is not there")
        return
    time = receipt.get("started")
    place = _place(receipt, found)
    if place is None and (found or _said_starts(receipt)):
        yield Checked("started", "wrong", f"{source} knows no start at {time}")
        return
    last = found[place] if place is not None else {}
    for part, key in STARTED.items():
        if receipt.get(part) is not None or last.get(key) is not None:
            yield compared(part, receipt.get(part), last.get(key), source)
    earlier = receipt.get("earlier_starts")
    if len(found) >= MOST_STARTS and isinstance(earlier, list):  # those between the first and the last are forgotten
        lost = [start for start in earlier if start not in found]
        if lost and len(earlier) <= MOST_STARTS and differing(earlier[:1], found[:1]) == []:
            yield Checked("some earlier starts", "missing", f"{source} keeps {MOST_STARTS} starts")
            return
    yield compared("earlier_starts", earlier, found[:place] if place else [], source)


def check_thresholds(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    """Check the calibrated thresholds with those that the run has of the same weights.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
    """
    model = group_of(group_of(receipt.get("files")).get(BEST.name)).get("sha256")
    said, found = receipt.get("thresholds"), calibrated_of(run, model)
    if said is None:
        if found is not None:
            text = f"the run has {THRESHOLDS_FILE} now, and the receipt none: they were calibrated since, or left out"
            yield Checked("thresholds", "missing", text)
        return
    if found is None:
        yield Checked("thresholds", "wrong", f"the run has no {THRESHOLDS_FILE} of these weights that can be read")
        return
    place = thresholds_of(run / BEST) or run / THRESHOLDS_FILE
    content = check_hash(THRESHOLDS_FILE, place, group_of(said).get("sha256"))
    yield content if content.outcome != "right" else compared(
        THRESHOLDS_FILE, said, public_values(found), THRESHOLDS_FILE)  # fmt: skip


def check_leak(receipt: Mapping[str, Any], run: Path) -> Iterator[Checked]:
    """Check what the splits of the run had in common; a run that went on has measured it again.

    Args:
        receipt: see `build_receipt`.
        run: the run folder.
    """
    said, found = receipt.get(LEAK), public_values(leak_of(run))
    if said is None and found is None:
        return
    if found is None:
        yield Checked(LEAK, "wrong", f"{RUN_FILE} of the run knows of no such measurement")
        return
    same = compared(LEAK, said, found, RUN_FILE)
    if same.outcome == "wrong" and has_gone_on(receipt, run):
        same = Checked(LEAK, "missing", "the run went on, and has measured its splits again")
    if same.outcome == "wrong" and said is None:
        same = Checked(LEAK, "wrong", f"the receipt has none, and {RUN_FILE} of the run has one")
    yield same


def check_own_thresholds(receipt: Mapping[str, Any]) -> Iterator[Checked]:
    """Check the calibrated thresholds with the files that the receipt names: only what is wrong is told.

    Args:
        receipt: see `build_receipt`.
    """
    said, files = group_of(receipt.get("thresholds")), group_of(receipt.get("files"))
    model, file = (group_of(files.get(name)).get("sha256") for name in (BEST.name, THRESHOLDS_FILE))
    weights = weights_of_thresholds(said.get("content"))
    if None not in (weights, model) and weights != model:
        yield Checked("thresholds", "wrong", f"they were calibrated for other weights than those of {BEST.name}")
    if file is not None and said.get("sha256") != file:
        yield Checked("thresholds", "wrong", f"another {THRESHOLDS_FILE} is among the files than the one that is told")


def check_earlier(said: Mapping[str, Any], run: Path, gone_on: bool) -> Iterator[Checked]:
    """Check that the receipt names the configurations that were in effect earlier, and none beside.

    Args:
        said: the receipt's part `configuration`.
        run: the run folder.
        gone_on: whether the run was started again since.
    """
    there = {path.name for path in run.glob(EARLIER_CONFIG)}
    named = set(group_of(said.get("earlier")))
    if not isinstance(said.get("earlier"), Mapping) or said.get("file") != CONFIG_FILE:
        yield Checked("configuration", "wrong", "has another form")
    elif strange := sorted(name for name in map(str, named) if not Path(name).match(EARLIER_CONFIG)):
        yield Checked("configuration", "wrong", f"{', '.join(strange)}: no name of an earlier configuration")
    elif left_out := sorted(there - named):
        text = f"{', '.join(left_out)} came since, or was left out of the receipt"
        yield Checked("earlier configurations", "missing" if gone_on else "wrong", text)
