"""Comparison of two runs' results: weights, rows, ledger, event files, W&B, files."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Hashable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

SAME = (
    *("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "aigp"),
    *("random_state", "pending_gradients", "epoch", "global_step"),
)
"""Parts of a checkpoint that must be equal bit for bit."""
SHOWN = 6


def differences(straight: Path, stopped: Path, name: str) -> list[str]:
    """List what a stopped and resumed run lacks or has twice, a sentence each.

    Args:
        straight: folder of the runs of the one that never stopped.
        stopped: the same of the one that was.
        name: of both.
    """
    others = sorted(path.name for path in stopped.iterdir() if path.name != name)
    found = [f"more than one run folder: {', '.join(others)}"] if others else []
    ours, theirs = stopped / name, straight / name
    found += _weights(ours, theirs)
    readers = {"results.csv": _results, "ledger": _ledger, "TensorBoard": _tensorboard, "W&B": _wandb, "files": _files}
    for what, read in readers.items():
        found += _compare(what, Counter(read(ours)), Counter(read(theirs)))
    return found + _audit(ours) + _identity(ours)


def _compare(what: str, ours: Counter[Hashable], theirs: Counter[Hashable]) -> list[str]:
    lacking, more = theirs - ours, ours - theirs
    found = []
    for how, rows in (("lost", lacking), ("too much or other", more)):
        if rows:
            found.append(f"{what}: {how}: {rows.total()}: {', '.join(map(str, list(rows)[:SHOWN]))}")
    return found


def _weights(ours: Path, theirs: Path) -> list[str]:
    import torch

    found = []
    for file in ("last.ckpt", "best.ckpt"):
        one, two = (torch.load(run / "weights" / file, map_location="cpu", weights_only=True) for run in (ours, theirs))
        for part in SAME:
            found += [f"{file}: {name} differs" for name in _unequal(one.get(part), two.get(part), part)][:SHOWN]
        for part in ("EMA", "EarlyStopping", "ModelCheckpoint"):
            found += [f"{file}: {name} differs" for name in _unequal(*(_state(x, part) for x in (one, two)), part)]
    return found


def _state(checkpoint: dict[str, Any], callback: str) -> Any:
    """Return a callback's state without its folder, and without a score that Lightning never reads back."""
    states = [state for key, state in checkpoint["callbacks"].items() if key.startswith(callback)]
    return [{key: value for key, value in state.items() if not _is_left_out(key)} for state in states]


def _is_left_out(key: str) -> bool:
    return "path" in key or key in ("dirpath", "best_k_models", "current_score")


def _unequal(one: Any, two: Any, where: str) -> Iterator[str]:
    """Return the names of values that are not equal bit for bit."""
    import torch

    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        for key in one:
            yield from _unequal(one[key], two[key], f"{where}/{key}")
    elif isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)) and len(one) == len(two):
        for index, (a, b) in enumerate(zip(one, two, strict=True)):
            yield from _unequal(a, b, f"{where}/{index}")
    elif isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        if not torch.equal(one, two):
            yield where
    elif type(one) is not type(two) or one != two:
        yield where


def _results(run: Path) -> Iterator[Hashable]:
    with (run / "results.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield tuple((key, value) for key, value in row.items() if key != "time")


def _ledger(run: Path) -> Iterator[Hashable]:
    """Return an entry for each picture, epoch and destination."""
    from aigp_lightning.media.ledger.ledger import read_ledger

    for line in read_ledger(run / "media.jsonl"):
        yield line.key, line.epoch, line.step, line.destination, line.outcome, line.sha256[:12], tuple(line.sources)


def _tensorboard(run: Path) -> Iterator[Hashable]:
    """Return what TensorBoard itself shows."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        yield from ((tag, event.step, event.value) for event in events.Scalars(tag))
    for tag in events.Tags()["images"]:
        yield from ((tag, one.step, sha256(one.encoded_image_string).hexdigest()[:12]) for one in events.Images(tag))


def _wandb(run: Path) -> Iterator[Hashable]:
    """Return the rows of all W&B folders together, as they are synced."""
    from aigp_lightning.logfiles.wandb_run import read_wandb_run, wandb_folders

    for folder in wandb_folders(run):
        content = read_wandb_run(folder)
        yield from ((media.key, media.epoch, media.sha256[:12]) for media in content.media)
        for row in content.history:
            values = {key: value for key, value in row.items() if not key.startswith("_")}
            if not any(isinstance(value, dict) for value in values.values()):  # a row of scalars
                yield tuple(sorted(values.items()))


def _files(run: Path) -> Iterator[Hashable]:
    """Return every file, half-written ones included; pictures by their bytes."""
    for path in sorted(path for path in run.rglob("*") if path.is_file()):
        name = path.relative_to(run).as_posix()
        if not name.startswith(("wandb/", "tensorboard/events")):
            yield name, sha256(path.read_bytes()).hexdigest()[:12] if path.suffix in (".jpg", ".png") else ""


def _audit(run: Path) -> list[str]:
    from aigp_lightning.audit.check import audit

    return [f"audit: {finding.destination} {finding.file}: {finding.message}" for finding in audit(run).findings]


def _identity(run: Path) -> list[str]:
    """Check that all starts belong to one W&B run."""
    from aigp_lightning.logfiles.wandb_run import wandb_folders

    runs = {folder.name.rpartition("-")[2] for folder in wandb_folders(run)}
    return [] if len(runs) == 1 else [f"W&B: {len(runs)} runs"]
