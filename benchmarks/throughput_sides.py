"""The sides that `throughput.py` compares: what each trains with, and what is read off its run."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import REPO, cores, environment, quiet_reference, run, worker
from epoch_clock import Clock

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Side:
    """A way to train.

    Attributes:
        label: for tables.
        ours: by our command line; else by Ultralytics' `YOLO.train`.
        repeat: on one batch in the device's memory, again and again.
        threads: of one process; None: whatever the program chooses; 0: as many as there are cores.
    """

    label: str
    ours: bool
    repeat: bool = False
    threads: int | None = None


SIDES = {
    "ours": Side("ours, as users get it", ours=True),
    "theirs": Side("Ultralytics, as users get it", ours=False),
    "theirs-cores": Side("Ultralytics, a thread for every core", ours=False, threads=0),
    "memory": Side("ours, data in memory", ours=True, repeat=True),
    "ours-thread": Side("ours, one thread", ours=True, threads=1),
    "theirs-thread": Side("Ultralytics, one thread", ours=False, threads=1),
}
COMPARISONS = (
    ("each as its users get it", "ours", "theirs"),
    ("at equal cores", "ours", "theirs-cores"),
    ("at one thread", "ours-thread", "theirs-thread"),
    ("share of the step on data in memory", "ours", "memory"),
)
"""What is compared: in words, the side above and the side below."""


def train(side: Side, spec: dict[str, Any], folder: Path, limit: float | None) -> dict[str, Any]:
    """Train one side in fresh processes.

    Args:
        side: see `SIDES`.
        spec: data, model and settings.
        folder: for its run and logs.
        limit: seconds that it may take.

    Returns:
        `epoch_s`, seconds of every epoch from row to row of `results.csv`, so without the first; `train_s` and
        `cpu_s`, wall and processor seconds of every epoch's training; images, processes and threads.

    Raises:
        SystemExit: it failed, took too long, or trained with another batch than asked for.
    """
    env = environment(folder / "settings", side.threads or cores(), own_threads=side.threads is None)
    env["PYTHONPATH"] = os.pathsep.join((str(HERE), env["PYTHONPATH"]))  # where the callback is found
    if side.ours:
        found = _train_ours(side, spec, env, folder, limit)
    else:
        task = {**spec, "threads": cores() if side.threads == 0 else side.threads, "folder": str(folder)}
        found = worker(str(HERE / "throughput.py"), task, env, folder, "theirs", limit=limit)
    if found["batch"] != spec["batch"]:
        raise SystemExit(f"out of memory: it went down to batch {found['batch']} by itself")
    with next((folder / "runs").glob("**/results.csv")).open(encoding="utf-8", newline="") as file:
        ends = [float(row["time"]) for row in csv.DictReader(file, skipinitialspace=True)]
    return {**found, "epoch_s": [end - start for start, end in pairwise(ends)]}


def our_options(side: Side, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the options of our command line; what they do not say is as users get it."""
    options: dict[str, Any] = {
        "run.root": folder / "runs",
        "run.name": "ours",
        "data.synthetic": "null",
        "model.init_args.weights": "null",
        "data.data_yaml": spec["data"],
        "data.imgsz": spec["imgsz"],
        "data.batch_size": spec["batch"],
        "close_mosaic.epochs": 0,
        "trainer.max_epochs": spec["epochs"],
        "trainer.accelerator": "cpu" if spec["device"] == "cpu" else "gpu",
    }
    if spec["model"]:
        options["model.init_args.variant"] = spec["model"]
    if spec["device"] != "cpu" or side.threads:
        options["trainer.devices"] = 1
    return {**options, **spec.get("options", {})}


def _train_ours(side: Side, spec: dict[str, Any], env: dict[str, str], folder: Path, limit: float | None) -> Any:
    """Train by the command line, with a callback that times the epochs."""
    measured, overlay = folder / "clock.json", folder / "clock.yaml"
    callback = {"class_path": "epoch_clock.EpochClock", "init_args": {"file": str(measured), "repeat": side.repeat}}
    folder.mkdir(parents=True, exist_ok=True)
    overlay.write_text(json.dumps({"trainer": {"callbacks": [callback]}}), encoding="utf-8")  # JSON is YAML
    words = ["--config", str(spec["config"]), "--config", str(overlay)]
    words += [word for key, value in our_options(side, spec, folder).items() for word in (f"--{key}", str(value))]
    run([sys.executable, "-m", "aigp_lightning", "fit", *words], env, folder / "ours.log", limit)
    return json.loads(measured.read_text(encoding="utf-8"))


def train_theirs(spec: dict[str, Any]) -> dict[str, Any]:
    """Train by `YOLO.train`, with its defaults but for the epochs with mosaic; the part of a worker."""
    quiet_reference()
    import torch
    from ultralytics import YOLO

    gpu, clock, kept = spec["device"] != "cpu", Clock(spec["device"] != "cpu"), {}

    def begin(trainer: Any) -> None:
        if spec["threads"]:
            torch.set_num_threads(spec["threads"])  # it has just set them to cores - 1 on a CPU

    def end(trainer: Any) -> None:
        amp = bool(trainer.amp) and gpu
        kept.update(images=len(trainer.train_loader.dataset), workers=trainer.train_loader.num_workers)
        kept.update(batch=int(trainer.batch_size), precision="16-mixed" if amp else "32-true")

    model = YOLO(f"{spec['model']}.yaml")
    model.add_callback("on_pretrain_routine_start", begin)
    model.add_callback("on_train_epoch_start", clock.start)
    model.add_callback("on_train_epoch_end", clock.stop)
    model.add_callback("on_train_end", end)
    settings = {key: spec[key] for key in ("data", "epochs", "imgsz", "batch")}
    place = {"device": "0" if gpu else "cpu", "project": str(Path(spec["folder"]) / "runs"), "name": "theirs"}
    model.train(**settings, **place, close_mosaic=0)
    threads = torch.get_num_threads()
    return {"train_s": clock.seconds, "cpu_s": clock.cpu_seconds, "processes": 1, "threads": threads, **kept}


def default_config() -> Path:
    """Return our configuration of a detector."""
    return REPO / "configs" / "detector.yaml"


class Budget:
    """The seconds that a whole measurement may take; what does not fit in is left out.

    Args:
        seconds: all of them; None: as many as it takes.
    """

    def __init__(self, seconds: float | None) -> None:
        self.end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Return the seconds left, at least 0; None where there is no limit."""
        return None if self.end is None else max(self.end - time.monotonic(), 0.0)
