"""Training images a second of RF-DETR: ours against the package's own trainer.

Ours is `python -m aigp_lightning fit --config configs/rfdetr.yaml`; theirs is what `RFDETR.train` puts together: the
package's module, datamodule and `build_trainer`, with its own defaults (EMA, clipping, COCO evaluation, checkpoints,
CSV and TensorBoard). Both from random weights on the same files, with the same variant, image size, sizes drawn for
each batch, batch, loading processes, threads, precision and number of epochs, in one process each.

Every run is in fresh processes, one after the other, the order turned from round to round. Three times are taken: of
whole epochs, with validation and all that belongs to one; of the training alone, from an epoch's start to the end of
its last batch; and the processor time of the latter, which is what counts beside other work. The first epoch is
dropped.

The package's trainer needs `pip install "rfdetr[train]"`, or at least pytorch_lightning and hotcoco beside our extra.

    python benchmarks/rfdetr_throughput.py --threads 1 --json rfdetr.json
    python benchmarks/rfdetr_throughput.py --device 0 --imgsz 384 --batch 16 --images 512 --picture 1280 720 --workers 8
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from common import (
    REPO,
    add_result_options,
    cores,
    environment,
    machine,
    repeated,
    run_benchmark,
    split_folders,
    synthetic,
    worker,
)
from epoch_clock import Clock
from throughput import DRAWN, TIMES, rates, ratios, reason
from throughput_sides import Budget, Side, train

LABELS = {"ours": "ours", "theirs": "the package's own trainer"}
COMPARISONS = (("against the package's own trainer", "ours", "theirs"),)
PACKAGES = ("torch", "lightning", "rfdetr")
TINY = {"groups": 2, "queries": 30, "decoder_layers": 1}
"""The smallest network there is, for trying the script."""
THEIR_NAMES = {"groups": ("group_detr",), "queries": ("num_queries", "num_select"), "decoder_layers": ("dec_layers",)}
"""Names of our options of the network in the package's settings."""


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train both sides `--rounds` times; a side that fails is noted and not tried again.

    Returns:
        Settings, the runs as they were measured, what failed, and the ratios.
    """
    budget, runs, failed = Budget(args.seconds), [], []
    drawn = synthetic(folder / "drawn", min(args.images, DRAWN), args.val, tuple(args.picture))
    source = drawn if args.images <= DRAWN else repeated(drawn, folder / "repeated", args.images)
    data = split_folders(source, folder / "both")
    keys = ("variant", "tiny", "multi_scale", "imgsz", "batch", "epochs", "workers", "threads", "device")
    spec = {**{key: getattr(args, key) for key in keys}, "data": str(data), "config": str(args.config)}
    for number in range(args.rounds):
        for name in LABELS if number % 2 == 0 else reversed(LABELS):
            if any(each["side"] == name for each in failed):
                continue
            if (left := budget.left()) == 0:
                failed.append({"batch": args.batch, "side": name, "reason": f"not begun: {args.seconds:g} s are over"})
                continue
            place = folder / f"{number}-{name}"
            try:
                found = SIDES[name](spec, place, left)
            except SystemExit as error:
                failed.append({"batch": args.batch, "side": name, "reason": reason(error, place)})
                print(f"{LABELS[name]}: {failed[-1]['reason']}", flush=True)
                continue
            runs.append({"batch": args.batch, "side": name, "round": number, **found})
            rate = median(rates(runs[-1], "train_s", args.warmup))
            print(f"round {number + 1}/{args.rounds}  {LABELS[name]}: {rate:.2f} images/s", flush=True)
    settings = {key: getattr(args, key) for key in (*keys, "rounds", "warmup", "images", "picture")}
    compared = ratios(runs, [args.batch], args.warmup, COMPARISONS, (*TIMES, "cpu_s"))
    about = {"machine": machine(args.threads, args.device, PACKAGES), "model": f"rf-detr-{args.variant}", **settings}
    return {**about, "runs": runs, "failed": failed, "ratios": compared}


def train_ours(spec: dict[str, Any], folder: Path, limit: float | None) -> dict[str, Any]:
    """Train by our command line; see `throughput_sides.train`."""
    model = {"multi_scale": spec["multi_scale"], **(TINY if spec["tiny"] else {})}
    options = {f"model.init_args.{key}": value for key, value in model.items()}
    options |= {"data.workers": spec["workers"], "trainer.devices": 1}
    if spec["device"] == "cpu":  # the package's trainer computes in float32 there
        options["trainer.precision"] = "32-true"
    task = {**spec, "model": spec["variant"], "options": options}
    return train(Side("", ours=True, threads=spec["threads"]), task, folder, limit)


def start_theirs(spec: dict[str, Any], folder: Path, limit: float | None) -> dict[str, Any]:
    """Train by the package's own trainer in a fresh process; see `train_theirs`."""
    env = environment(folder / "settings", spec["threads"] or cores(), own_threads=spec["threads"] is None)
    env |= {"HF_HUB_OFFLINE": "1"}
    return worker(str(Path(__file__).resolve()), {**spec, "folder": str(folder)}, env, folder, "theirs", limit=limit)


SIDES = {"ours": train_ours, "theirs": start_theirs}


def train_theirs(spec: dict[str, Any]) -> dict[str, Any]:
    """Train by the package's own trainer with its own defaults; the part of a worker.

    Returns:
        `epoch_s`, seconds from one epoch's end to the next one's; `train_s` and `cpu_s`, wall and processor seconds of
        every epoch's training; images, processes and threads.
    """
    import time

    import torch
    from pytorch_lightning import Callback
    from rfdetr.training import RFDETRDataModule, RFDETRModelModule, build_trainer

    gpu, ends, kept = spec["device"] != "cpu", [], {}
    clock = Clock(gpu)

    class Timed(Callback):
        def on_train_epoch_start(self, *_: Any) -> None:
            clock.start()

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.is_last_batch:
                clock.stop()

        def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
            ends.append(time.perf_counter())
            loader = trainer.train_dataloader
            kept.update(images=len(loader) * loader.batch_size, workers=loader.num_workers, batch=loader.batch_size)
            kept.update(precision=str(trainer.precision), processes=trainer.world_size)

    model, settings = their_settings(spec)
    trainer = build_trainer(settings, model, accelerator="gpu" if gpu else "cpu")
    trainer.callbacks.append(Timed())
    trainer.fit(RFDETRModelModule(model, settings), datamodule=RFDETRDataModule(model, settings))
    times = {"train_s": clock.seconds, "cpu_s": clock.cpu_seconds, "threads": torch.get_num_threads()}
    return {**times, "epoch_s": [end - start for start, end in pairwise(ends)], **kept}


def their_settings(spec: dict[str, Any]) -> tuple[Any, Any]:
    """Return the package's settings of the network and of the training."""
    from rfdetr import config

    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.modules.rfdetr.variants import variant_of

    shape = {name: value for key, value in TINY.items() for name in THEIR_NAMES[key]} if spec["tiny"] else {}
    model = getattr(config, variant_of(spec["variant"]).config)(
        num_classes=len(read_data_yaml(spec["data"]).names), resolution=spec["imgsz"], pretrain_weights=None,
        positional_encoding_size=spec["imgsz"] // variant_of(spec["variant"]).patch,
        device="cpu" if spec["device"] == "cpu" else "cuda", **shape,
    )  # fmt: skip
    training = config.TrainConfig(
        dataset_file="yolo", dataset_dir=str(Path(spec["data"]).parent), output_dir=str(Path(spec["folder"]) / "runs"),
        epochs=spec["epochs"], batch_size=spec["batch"], num_workers=spec["workers"], eval_backend="hotcoco",
        multi_scale=spec["multi_scale"] != "off", expanded_scales=spec["multi_scale"] == "expanded",
    )  # fmt: skip
    return model, training


def print_table(result: dict[str, Any]) -> None:
    """Print the results as Markdown tables."""
    size = f"{result['imgsz']} px, {result['multi_scale']} sizes, batch {result['batch']}"
    print(f"\n{result['machine']}\n{result['model']}{', tiny' if result['tiny'] else ''}, {size}\n")
    print("| | images/s, whole epochs | images/s, training alone | min to max | threads | loaders |", end="")
    print(" precision | processor ms an image |\n|---|---|---|---|---|---|---|---|")
    for name, label in LABELS.items():
        runs = [run for run in result["runs"] if run["side"] == name]
        if runs:
            print(_row(label, runs, result["warmup"]))
    for each in result["failed"]:
        print(f"| {LABELS[each['side']]} | {each['reason']} | | | | | | |")
    words = {"epoch_s": "whole epochs", "train_s": "training alone", "cpu_s": "processor time of it"}
    print("\n| ours / the package's own trainer | ratio | by round |\n|---|---|---|")
    for each in result["ratios"]:
        rounds = ", ".join(f"{ratio:.2f}" for ratio in each["by_round"])
        print(f"| {words[each['time']]} | {median(each['by_round']):.2f} | {rounds} |")


def _row(label: str, runs: list[dict[str, Any]], warmup: int) -> str:
    whole, alone, busy = ([rate for run in runs for rate in rates(run, key, warmup)] for key in (*TIMES, "cpu_s"))
    row = f"| {label} | {median(whole):.2f} | {median(alone):.2f} | {min(alone):.2f} to {max(alone):.2f} |"
    last = runs[-1]
    return f"{row} {last['threads']} | {last['workers']} | {last['precision']} | {1000 / median(busy):.1f} |"


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=48, help="training pictures: drawn, and repeated from 96 on")
    parser.add_argument("--val", type=int, default=8, help="validation pictures")
    parser.add_argument("--picture", type=int, nargs=2, default=[640, 360], help="their width and height, pixels")
    parser.add_argument("--variant", default="nano", choices=("nano", "small", "medium", "large"))
    parser.add_argument("--tiny", action="store_true", help="one decoder layer, two groups of 30 queries")
    parser.add_argument("--config", type=Path, default=REPO / "configs" / "rfdetr.yaml", help="configuration of ours")
    parser.add_argument("--multi-scale", default="expanded", choices=("off", "normal", "expanded"))
    parser.add_argument("--imgsz", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1, help="loading processes of each side")
    parser.add_argument("--threads", type=int, help="of each side; by default the cores on a CPU, theirs on a GPU")
    parser.add_argument("--epochs", type=int, default=3, help="of every run, the thrown-away ones included")
    parser.add_argument("--warmup", type=int, default=1, help="first epochs thrown away")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu, or 0: the first GPU")
    parser.add_argument("--seconds", type=float, help="time for all; what does not fit in is left out")
    add_result_options(parser)
    args = parser.parse_args()
    args.device = "0" if args.device == "cuda" else args.device
    args.threads = args.threads or (cores() if args.device == "cpu" else None)
    args.config = args.config.resolve()
    if args.worker is None:
        if not 0 < args.warmup < args.epochs:
            parser.error("--warmup must be 1 or more, and --epochs more than that")
        if args.images % args.batch or args.images < 5 * args.batch:  # the package repeats pictures then
            parser.error("--images must be a multiple of --batch, and five times as many or more")
    return args


def main() -> None:
    """Compare, print, write."""
    run_benchmark(parse(), train_theirs, measure, print_table)


if __name__ == "__main__":
    main()
