"""The `bench` verb's work: latency of files in turns, with the parts of a call apart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aigp_lightning.deploy.bench_models import BenchedModel, open_benched, shown_path
from aigp_lightning.deploy.bench_options import PERCENTILES, BenchOptions, least_runs
from aigp_lightning.deploy.bench_pictures import Picture, data_set_of, pictures_for
from aigp_lightning.deploy.bench_pose import pose_solving
from aigp_lightning.errors import UserError, first_line
from aigp_lightning.evaluation.latency import IN_TURN, Turns, time_in_turns
from aigp_lightning.evaluation.timed_models import PARTS
from aigp_lightning.run.provenance import hardware
from aigp_lightning.terminal.progress import progress_bar

POSE = "pose"
VERSIONS = ("torch", "onnxruntime", "openvino", "tensorrt", "numpy", "opencv-python-headless")
"""Packages whose versions are kept with the figures."""
DIGITS = 4


@dataclass(frozen=True)
class Measured:
    """The figures of one file.

    Attributes:
        model: the file.
        times: (n, 4) seconds of the timed calls, by part: the input, the network, what it found, the pose.
        batch: pictures of a call.
    """

    model: BenchedModel
    times: np.ndarray
    batch: int

    def latency(self, percentile: str) -> float | None:
        """Return milliseconds of a whole call; None where too few were timed to tell.

        Args:
            percentile: `p50`, `p95` or `p99`.
        """
        if len(self.times) < least_runs(percentile):
            return None
        return float(np.percentile(self.times.sum(1), PERCENTILES[percentile])) * 1e3

    def parts(self) -> dict[str, float]:
        """Return the median milliseconds of each part; that of the pose over the calls that had to do with one."""
        found = dict(zip(PARTS, np.median(self.times, axis=0).tolist(), strict=False))
        if self.model.poses and (posed := self.times[self.times[:, -1] > 0, -1]).size:
            found[POSE] = float(np.median(posed))
        return {name: value * 1e3 for name, value in found.items()}

    @property
    def pictures_per_second(self) -> float:
        """Pictures by the time of all timed calls."""
        return self.batch * len(self.times) / float(self.times.sum())

    @property
    def objects(self) -> float:
        """Objects found in a picture, on average."""
        return self.model.objects / self.model.pictures

    def is_over(self, options: BenchOptions) -> bool:
        """True if the percentile that counts is over the budget, or was not measured.

        Args:
            options: with the budget.
        """
        if options.budget_ms is None:
            return False
        value = self.latency(options.budget_at)
        return value is None or value > options.budget_ms

    def is_within(self, options: BenchOptions) -> bool:
        """True if there is no budget, or the percentile is within it and what follows a detection was timed too.

        Args:
            options: with the budget.
        """
        return options.budget_ms is None or not (self.is_over(options) or self.not_timed)

    @property
    def not_timed(self) -> str:
        """Say what was not timed since no object was found; empty where one was."""
        if self.model.objects:
            return ""
        parts = "post-processing and poses were" if self.model.solving is not None else "post-processing was"
        return f"no object was found, so that {parts} not timed: --data.source PATH names pictures with some"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: milliseconds, None for what was not measured."""
        model, whole = self.model, self.times.sum(1) * 1e3
        latency = {name: self.latency(name) for name in PERCENTILES}
        latency |= {"mean": float(whole.mean()), "least": float(whole.min()), "most": float(whole.max())}
        return {
            "file": str(model.path), "format": model.path.suffix[1:], "provider": model.provider,
            "device": model.device, "threads": model.threads, "precision": model.precision,
            "imgsz": list(model.timed.shape), "batch": self.batch, "one_by_one": model.singly, "calls": len(whole),
            "load_ms": _rounded(model.load_ms), "first_call_ms": _rounded(model.first_ms),
            "latency_ms": {name: _rounded(value) for name, value in latency.items()},
            "parts_ms": {name: _rounded(value) for name, value in self.parts().items()},
            "pictures_per_second": _rounded(self.pictures_per_second),
            "objects_per_picture": _rounded(self.objects),
            "poses_per_picture": _rounded(model.poses / model.pictures) if model.solving is not None else None,
            "conf": model.timed.module.predict_conf, "notes": list(model.notes),
        }  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """What a bench has found.

    Attributes:
        measured: of each file that could be.
        failed: why the others could not, by path.
        pictures: what they were timed on, in words.
    """

    measured: list[Measured]
    failed: dict[str, str]
    pictures: str

    def as_dict(self, options: BenchOptions) -> dict[str, Any]:
        """Return plain values for JSON.

        Args:
            options: that it was measured by.
        """
        files = [each.as_dict() for each in self.measured]
        for each, file in zip(self.measured, files, strict=True):
            decided = options.budget_ms is not None and (each.is_over(options) or not each.not_timed)
            file["over_budget"] = each.is_over(options) if decided else None
        return {
            "pictures": self.pictures,
            "budget_ms": options.budget_ms,
            "budget_at": options.budget_at if options.budget_ms is not None else None,
            "warm_up": options.warm_up,
            "calls_in_turn": IN_TURN,
            "files": files,
            "failed": [{"file": file, "why": why} for file, why in self.failed.items()],
            "hardware": hardware(),
            "versions": _versions(),
        }


def bench(files: Sequence[Path], options: BenchOptions, progress: bool = True) -> Bench:
    """Measure files in turns on the same pictures.

    A file that cannot be opened, or fails on the first picture, is left out, with the reason.

    Args:
        files: checkpoints, weights files and exported files.
        options: checked.
        progress: show a progress bar.

    Raises:
        DataError: the source has no picture.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    opened: list[BenchedModel] = []
    failed: dict[str, str] = {}
    for path in files:
        try:
            opened.append(open_benched(path, options))
        except Exception as error:  # whatever a runtime raises: the other files are still measured
            failed[shown_path(path)] = _reason(error)
    data_sets = [named for each in opened if (named := data_set_of(each.data)) is not None]
    pictures, told = pictures_for(options.source, data_sets)
    ready = []
    for each in opened:
        try:
            _begin(each, pictures, options.batch)
            ready.append(each)
        except Exception as error:
            failed[shown_path(each.path)] = _reason(error)
    calls = [each.calls_on(pictures, options.batch) for each in ready]
    turns = Turns(options.warm_up, options.least, options.most, options.seconds)
    with progress_bar("measuring", len(calls) * options.most, progress and options.seconds is None) as advance:
        times = time_in_turns(calls, turns, advance) if calls else []
    measured = [Measured(each, taken, options.batch) for each, taken in zip(ready, times, strict=True)]
    return Bench(measured, failed, told)


def _begin(model: BenchedModel, pictures: Sequence[Picture], batch: int) -> None:
    """Make a model ready for its pictures, and time its first call."""
    shapes = [(picture.shape[0], picture.shape[1]) for picture in pictures]
    model.solving, note = pose_solving(model.timed.module, model.thresholds, shapes)
    model.notes += [note] if note else []
    if model.singly and batch > 1:
        model.notes.append(f"takes one picture at a time: the network runs {batch} times a call")
    start = time.perf_counter()
    model.calls_on(pictures, batch)()
    model.first_ms = (time.perf_counter() - start) * 1e3
    model.pictures = model.objects = model.poses = 0


def _reason(error: Exception) -> str:
    return first_line(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
