"""Validation, from the loader to the table and as typed: ours against Ultralytics' validator, in the same run.

Both validate the same `.pt` on the same pictures at the same image size and in groups of the same number, with the same
number of threads; what both find is printed beside the times. Three tables:

- from the loader to the table: a process validates several times, the first is thrown away, the processes alternate;
- the whole command as a user types it (`validate`, and `YOLO(…).val(…)` in a script), fresh processes, alternating;
- milliseconds an image of our parts, one after the other, in one process.

On a CPU Ultralytics loads pictures in the validating process, by its own choice; ours uses `--workers`.

    python benchmarks/validation.py --device cpu --threads 1 --imgsz 320 --images 121 --json validation.json
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from common import (
    REPO,
    absolute_yaml,
    add_result_options,
    environment,
    machine,
    quiet_reference,
    run,
    run_benchmark,
    synthetic,
    worker,
)
from epoch_clock import Clock

METRICS = ("metrics/mAP50(B)", "metrics/mAP50-95(B)")
SIDES = ("ours", "ultralytics")
KINDS = ("seconds", "cpu_seconds")
PARTS = ("load", "to the device", "forward", "loss", "NMS", "match and AP")


def validate_ours(spec: dict[str, Any]) -> dict[str, Any]:
    """Validate `spec["passes"]` times by Lightning; returns the times of each, and what the last found."""
    import lightning.pytorch as pl

    clock = Clock(spec["device"] != "cpu")

    class Timer(pl.Callback):
        on_validation_start = clock.start
        on_validation_end = clock.stop

    trainer, data, module = _ours(spec, Timer())
    for _ in range(spec["passes"]):
        trainer.validate(module, datamodule=data, verbose=False)
    found = {key: float(trainer.callback_metrics[key]) for key in METRICS}
    return {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds, "images": module.table[0]["images"], **found}


def _ours(spec: dict[str, Any], *callbacks: Any) -> tuple[Any, Any, Any]:
    import lightning.pytorch as pl

    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.detector import DetectorModule

    trainer = pl.Trainer(
        accelerator="cpu" if spec["device"] == "cpu" else "gpu", devices=1, logger=False, callbacks=[*callbacks],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, default_root_dir=spec["folder"],
    )  # fmt: skip
    data = YoloDataModule(  # validates twice as many at a time as it trains on
        spec["data"], imgsz=spec["imgsz"], batch_size=spec["batch"] // 2, workers=spec["workers"]
    )
    return trainer, data, DetectorModule(weights=spec["weights"])


def validate_theirs(spec: dict[str, Any]) -> dict[str, Any]:
    """Do the same by Ultralytics' validator."""
    quiet_reference()
    from ultralytics import YOLO

    clock, model = Clock(spec["device"] != "cpu"), YOLO(spec["weights"])
    model.add_callback("on_val_start", clock.start)
    model.add_callback("on_val_end", clock.stop)
    for _ in range(spec["passes"]):
        done = model.val(**_their_options(spec), project=spec["folder"], verbose=False)
    found = {key: float(done.results_dict[key]) for key in METRICS}
    return {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds, **found}


def _their_options(spec: dict[str, Any]) -> dict[str, Any]:
    same = {key: spec[key] for key in ("data", "imgsz", "batch", "workers", "device")}
    return {**same, "plots": False, "save_json": False}


def time_parts(spec: dict[str, Any]) -> dict[str, float]:
    """Return milliseconds an image of each of our parts, the least of the passes; processor time on a CPU."""
    import torch

    trainer, data, module = _ours({**spec, "workers": 0})
    trainer.validate(module, datamodule=data, verbose=False)  # builds the network, and warms up
    module.to(torch.device("cpu" if spec["device"] == "cpu" else "cuda")).eval()
    passes = [_parts_of_pass(module, data) for _ in range(spec["passes"])]
    return {part: min(spent[part] for spent in passes) for part in PARTS}


def _parts_of_pass(module: Any, data: Any) -> dict[str, float]:
    import torch

    from aigp_lightning.modules.yolo.loss import noted_divisors

    spent, images, device = dict.fromkeys(PARTS, 0.0), 0, module.device

    def timed(part: str, call: Callable[..., Any], *given: Any) -> Any:
        start = _now(device)
        done = call(*given)
        spent[part] += _now(device) - start
        return done

    batches, metrics, network = iter(data.val_dataloader()), module.build_metrics().to(device), module.network
    with torch.inference_mode():
        while (loaded := timed("load", next, batches, None)) is not None:
            batch = timed("to the device", _moved, module, loaded)
            raw = timed("forward", module.inference.fused.of(network), batch["img"])
            with noted_divisors(network):
                timed("loss", network.loss, batch, raw)
            found = timed("NMS", module.decode, raw, module.conf)
            timed("match and AP", metrics.update, found, batch)
            images += len(batch["img"])
        timed("match and AP", metrics.compute)
    return {part: 1000 * seconds / images for part, seconds in spent.items()}


def _moved(module: Any, batch: dict[str, Any]) -> dict[str, Any]:
    import torch

    moved = {key: value.to(module.device) if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
    done: dict[str, Any] = module.preprocess_batch(moved)
    return done


def _now(device: Any) -> float:
    import torch

    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def commands(spec: dict[str, Any]) -> dict[str, list[str]]:
    """Return what a user types, for each side."""
    device = ["cpu", "1"] if spec["device"] == "cpu" else ["gpu", "1"]
    ours = [
        *(sys.executable, "-m", "aigp_lightning", "validate", "--config", str(REPO / "configs" / "detector.yaml")),
        *("--model.weights", spec["weights"], "--data.data_yaml", spec["data"], "--data.imgsz", str(spec["imgsz"])),
        *("--data.batch_size", str(spec["batch"] // 2), "--data.workers", str(spec["workers"])),
        *("--trainer.accelerator", device[0], "--trainer.devices", device[1]),
    ]
    script = f"from ultralytics import YOLO; YOLO({spec['weights']!r}).val(**{_their_options(spec)!r})"
    return {"ours": ours, "ultralytics": [sys.executable, "-c", script]}


def time_command(command: list[str], env: dict[str, str], log: Path) -> dict[str, float]:
    """Run a command; returns its wall seconds, and processor seconds with those of its own processes."""
    before, start = os.times(), time.perf_counter()
    run(command, env, log)
    after, seconds = os.times(), time.perf_counter() - start
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": seconds, "cpu_seconds": used}


def compare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure both sides `--rounds` times, each way; returns the times, their ratios and what both found."""
    env = environment(folder / "settings", args.threads)
    source = args.data or synthetic(folder / "data", args.train, args.images, tuple(args.picture), "obstacle")
    spec = {key: getattr(args, key) for key in ("imgsz", "batch", "workers", "device", "passes")}
    spec |= {"data": str(absolute_yaml(source, folder / "both.yaml")), "folder": str(folder / "runs")}
    spec |= {"weights": str(args.weights.resolve() if args.weights else train(spec, args.epochs, env, folder))}
    loops: dict[str, dict[str, list[float]]] = {side: {kind: [] for kind in KINDS} for side in SIDES}
    typed: dict[str, dict[str, list[float]]] = {side: {kind: [] for kind in KINDS} for side in SIDES}
    found: dict[str, Any] = {}
    for number in range(args.rounds):
        for side in SIDES if number % 2 else tuple(reversed(SIDES)):
            found[side] = worker(__file__, {**spec, "side": side}, env, folder, f"{number}-{side}")
            times = time_command(commands(spec)[side], env, folder / f"typed-{number}-{side}.log")
            for kind in KINDS:
                loops[side][kind] += found[side][kind][1:]
                typed[side][kind].append(times[kind])
    parts = worker(__file__, {**spec, "side": "parts"}, env, folder, "parts")
    return {
        "machine": machine(args.threads, args.device), "images": found["ours"]["images"], "imgsz": args.imgsz,
        "loop": loops, "command": typed, "parts_ms": parts,
        "found": {side: {key: found[side][key] for key in METRICS} for side in SIDES},
    }  # fmt: skip


def train(spec: dict[str, Any], epochs: int, env: dict[str, str], folder: Path) -> Path:
    """Train a YOLO11n for a few epochs by the quick recipe, so that there is something to find; returns its `.pt`."""
    configs = [word for name in ("obstacle", "quick") for word in ("--config", str(REPO / "configs" / f"{name}.yaml"))]
    words = ["--data.data_yaml", spec["data"], "--trainer.max_epochs", str(epochs), "--run.root", str(folder / "fit")]
    accelerator = "cpu" if spec["device"] == "cpu" else "gpu"
    command = [sys.executable, "-m", "aigp_lightning", "fit", *configs, *words, "--run.name", "short"]
    run([*command, "--trainer.accelerator", accelerator, "--trainer.devices", "1"], env, folder / "fit.log")
    return folder / "fit" / "detect" / "short" / "weights" / "best.pt"


def work(spec: dict[str, Any]) -> dict[str, Any]:
    """Do the part of a process that `spec` names."""
    sides = {"ours": validate_ours, "ultralytics": validate_theirs, "parts": time_parts}
    return sides[spec["side"]](spec)


def print_tables(result: dict[str, Any]) -> None:
    """Print Markdown: medians, and ratios of medians, over 1 where ours is faster."""
    print(f"\n{result['machine']}; {result['images']} pictures at {result['imgsz']} px\n")
    print("| seconds | ours | Ultralytics | ratio Ultralytics / ours |")
    print("|---|---|---|---|")
    for name, way in (("from loader to table", "loop"), ("the whole command", "command")):
        for kind, label in zip(KINDS, ("wall", "processor"), strict=True):
            ours, theirs = (median(result[way][side][kind]) for side in SIDES)
            print(f"| {name}, {label} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.2f} |")
    print("\n| found | " + " | ".join(METRICS) + " |")
    print("|---|---|---|")
    for side in SIDES:
        print(f"| {side} | " + " | ".join(f"{result['found'][side][key]:.5f}" for key in METRICS) + " |")
    print("\n| our part | ms an image |")
    print("|---|---|")
    for part, value in result["parts_ms"].items():
        print(f"| {part} | {value:.2f} |")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data.yaml, whose validation split is used; default: drawn ones")
    parser.add_argument("--weights", type=Path, help="a .pt of its classes; default: a YOLO11n trained for --epochs")
    parser.add_argument("--device", default="cpu", help="cpu, or the number of a GPU")
    parser.add_argument("--threads", type=int, help="of PyTorch, for both; default: as many as cores")
    for option, default in (("imgsz", 320), ("batch", 16), ("images", 121), ("train", 128), ("epochs", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--picture", type=int, nargs=2, default=(640, 360), help="width and height of drawn pictures")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="processes of each side, each way")
    parser.add_argument("--passes", type=int, default=3, help="validations of a process; the first does not count")
    add_result_options(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        run_benchmark(parse(), work, compare, print_tables)
    except subprocess.SubprocessError as error:
        raise SystemExit(str(error)) from error
