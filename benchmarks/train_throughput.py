"""Images per second of training epochs: our trainer against Ultralytics' own, in the same run.

Both train YOLO11n from scratch on the same files, at the same image size, batch, optimizer settings (auto, nominal
batch 64), augmentations (the common defaults, mosaic always open) and number of threads, without validation, plots,
loggers and checkpoints. Mixed precision is off on a CPU and on on a GPU, for both. Every run is a fresh process, one at
a time, the sides in alternating order; the first epochs of each are thrown away. An epoch is timed from its start to
its end by each trainer's own callbacks. On a CPU Ultralytics loads images in the training process, by its own choice;
ours uses `--workers`. Ultralytics may choose its fastest kernels (deterministic=False, which is not its default).

    python benchmarks/train_throughput.py --json throughput.json
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

from common import (
    absolute_yaml,
    add_result_options,
    cores,
    environment,
    machine,
    quiet_reference,
    run_benchmark,
    synthetic,
    worker,
)

SIDES = ("ours", "ultralytics")


class Clock:
    """A stopwatch of epochs: wall seconds, and processor seconds of this process and its loader's workers."""

    def __init__(self, device: str) -> None:
        self.gpu, self._start, self._busy = device != "cpu", 0.0, 0.0
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []

    def _now(self) -> tuple[float, float]:
        import psutil  # comes with Ultralytics

        if self.gpu:
            import torch

            torch.cuda.synchronize()
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        return time.perf_counter(), sum(sum(process.cpu_times()[:2]) for process in family)

    def start(self, *_: Any) -> None:
        """Start timing an epoch."""
        self._start, self._busy = self._now()

    def stop(self, *_: Any) -> None:
        """Note the time of the epoch."""
        now, busy = self._now()
        self.seconds.append(now - self._start)
        self.cpu_seconds.append(busy - self._busy)


def train_ours(spec: dict[str, Any]) -> dict[str, Any]:
    """Train with Lightning: our defaults, by the Python API."""
    import lightning.pytorch as pl
    import torch

    from aigp_lightning.callbacks.ema import EMA
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.detector import DetectorModule

    clock, gpu = Clock(spec["device"]), spec["device"] != "cpu"

    class Timer(pl.Callback):
        on_train_epoch_start = clock.start
        on_train_epoch_end = clock.stop

    pl.seed_everything(0, verbose=False)
    trainer = pl.Trainer(
        max_epochs=spec["epochs"], accelerator="gpu" if gpu else "cpu", devices=1, logger=False,
        precision="16-mixed" if gpu else "32-true", limit_val_batches=0, use_distributed_sampler=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[Timer(), EMA()], default_root_dir=spec["folder"],
    )  # fmt: skip
    data = YoloDataModule(spec["data"], imgsz=spec["imgsz"], batch_size=spec["batch"], workers=spec["workers"])
    trainer.fit(DetectorModule(variant="yolo11n"), datamodule=data)
    workers = data.train_dataloader().num_workers
    times = {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds}
    return {**times, "images": data.train_images, "workers": workers, "threads": torch.get_num_threads()}


def train_theirs(spec: dict[str, Any]) -> dict[str, Any]:
    """Train with Ultralytics' DetectionTrainer."""
    quiet_reference()
    import torch
    from ultralytics.models.yolo.detect import DetectionTrainer

    gpu = spec["device"] != "cpu"
    clock = Clock(spec["device"])
    settings = {
        **{"model": "yolo11n.yaml", "data": spec["data"], "epochs": spec["epochs"], "batch": spec["batch"]},
        **{"imgsz": spec["imgsz"], "workers": spec["workers"], "device": "0" if gpu else "cpu", "amp": gpu},
        **{"project": spec["folder"], "name": "ultralytics", "plots": False, "val": False, "save": False},
        **{"close_mosaic": 0, "verbose": False, "deterministic": False, "pretrained": False},
    }
    trainer = DetectionTrainer(overrides=settings)
    trainer.add_callback("on_train_epoch_start", clock.start)
    trainer.add_callback("on_train_epoch_end", clock.stop)
    trainer.final_eval = lambda: None  # the last epoch would be validated even with val=False
    trainer.validate = lambda: ({}, 0.0)
    if not spec["own_threads"]:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # it has just set them to cores - 1 on a CPU
    trainer.train()
    return {
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
        "images": len(trainer.train_loader.dataset),
        "workers": trainer.train_loader.num_workers,
        "threads": torch.get_num_threads(),
    }


def train(spec: dict[str, Any]) -> dict[str, Any]:
    """Train the side that `spec` names."""
    return train_ours(spec) if spec["side"] == "ours" else train_theirs(spec)


def compare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run both sides `--rounds` times.

    Returns:
        Per side every epoch's images per second and their median; the ratio of the medians, and of every round.
    """
    source = args.data or synthetic(folder / "gates", args.images, 1, tuple(args.picture))
    data = absolute_yaml(source, folder / "both.yaml")
    spec = {key: getattr(args, key) for key in ("imgsz", "batch", "epochs", "workers", "device", "own_threads")}
    spec |= {"data": str(data), "folder": str(folder / "runs")}
    env = environment(folder / "settings", args.threads)
    speed: dict[str, list[float]] = {side: [] for side in SIDES}
    work: dict[str, list[float]] = {side: [] for side in SIDES}
    rounds: list[float] = []
    seen: dict[str, Any] = {}
    for number in range(args.rounds):
        middle = {}
        for side in SIDES if number % 2 else reversed(SIDES):
            done = worker(__file__, {**spec, "side": side}, env, folder, f"{number}-{side}")
            found = [done["images"] / seconds for seconds in done["seconds"][args.warmup :]]
            speed[side] += found
            work[side] += [1000 * seconds / done["images"] for seconds in done["cpu_seconds"][args.warmup :]]
            middle[side], seen[side] = median(found), {key: done[key] for key in ("images", "workers", "threads")}
            print(f"round {number + 1}/{args.rounds}  {side:<12} {middle[side]:.1f} images/s", flush=True)
        rounds.append(middle["ours"] / middle["ultralytics"])
    if len({seen[side]["images"] for side in SIDES}) != 1:
        raise SystemExit(f"the sides trained on different numbers of images: {seen}")
    return {
        "machine": machine(args.threads, args.device),
        **{key: getattr(args, key) for key in ("imgsz", "batch", "epochs", "warmup", "rounds")},
        "images": seen["ours"]["images"],
        "workers": {side: seen[side]["workers"] for side in SIDES},
        "threads": {side: seen[side]["threads"] for side in SIDES},
        "images_per_s": speed,
        "cpu_ms_per_image": work,
        "median": {side: median(values) for side, values in speed.items()},
        "ratio": median(speed["ours"]) / median(speed["ultralytics"]),
        "ratio_by_round": rounds,
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the result as a Markdown table."""
    print(f"\n{result['machine']}\nYOLO11n, {result['imgsz']} px, batch {result['batch']}, {result['images']} images\n")
    print(
        "| trainer | images/s, median | min to max | epochs timed | threads | loader workers | processor ms an image |"
    )
    print("|---|---|---|---|---|---|---|")
    for side in SIDES:
        values = result["images_per_s"][side]
        span = f"{min(values):.1f} to {max(values):.1f}"
        row = f"| {side} | {result['median'][side]:.1f} | {span} | {len(values)} | "
        row += f"{result['threads'][side]} | {result['workers'][side]} |"
        print(f"{row} {median(result['cpu_ms_per_image'][side]):.0f} |")
    low, high = min(result["ratio_by_round"]), max(result["ratio_by_round"])
    print(f"\nratio ours / ultralytics: {result['ratio']:.2f} (by round {low:.2f} to {high:.2f}; target on a CPU: 1.3)")


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data.yaml; without it a synthetic set is made in a temp folder")
    parser.add_argument("--images", type=int, default=192, help="training pictures of the synthetic set")
    parser.add_argument("--picture", type=int, nargs=2, default=[640, 360], help="their width and height, pixels")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=4, help="of every run, the thrown-away ones included")
    parser.add_argument("--warmup", type=int, default=1, help="first epochs thrown away")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workers", type=int, default=8, help="ours is capped at the cores, theirs is 0 on a CPU")
    parser.add_argument("--threads", type=int, default=cores(), help="of PyTorch, for both")
    parser.add_argument(
        "--own-threads",
        action="store_true",
        help="let Ultralytics take the threads that it chooses on a CPU: cores - 1",
    )
    add_result_options(parser)
    args = parser.parse_args()
    if args.worker is None and args.epochs <= args.warmup:
        parser.error("--epochs must be more than --warmup")
    return args


def main() -> None:
    """Compare, print, write."""
    run_benchmark(parse(), train, compare, print_table)


if __name__ == "__main__":
    main()
