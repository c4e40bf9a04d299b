"""Images a second on 1, 2, … processes, and how much of the further ones is gained.

Every process trains YOLO11n on synthetic gates, `--batch` images a step each, so that the global batch grows with their
number. Without `--processes`: on a CPU 1 and 2, on a machine with GPUs 1, 2, 4, … up to all. Epochs are timed from
start to end, on the first process, after the gradients of the last step were exchanged; the first one is thrown away.

    python benchmarks/ddp/scaling.py
    python benchmarks/ddp/scaling.py --batch 64 --imgsz 640 --images 4096      # on a GPU server
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import add_result_options, cores, environment, machine, run_benchmark, synthetic, worker


def train(spec: dict[str, Any]) -> dict[str, Any] | None:
    """Train in this process and those beside it; return the seconds of every epoch in the first one."""
    import lightning.pytorch as pl
    import torch

    from aigp_lightning.callbacks.ema import EMA
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.detector import DetectorModule

    gpu, seconds = spec["device"] == "cuda", []

    class Timer(pl.Callback):
        def on_train_epoch_start(self, *_: Any) -> None:
            self.start = time.perf_counter()

        def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            if gpu:
                torch.cuda.synchronize()
            trainer.strategy.barrier()
            seconds.append(time.perf_counter() - self.start)

    pl.seed_everything(0, verbose=False)
    n = spec["processes"]
    trainer = pl.Trainer(
        max_epochs=spec["epochs"], accelerator="gpu" if gpu else "cpu", devices=n, logger=False,
        strategy="ddp" if n > 1 else "auto", precision="16-mixed" if gpu else "32-true", limit_val_batches=0,
        use_distributed_sampler=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[Timer(), EMA()], default_root_dir=spec["folder"],
        sync_batchnorm=spec["sync_batchnorm"] and n > 1,
    )  # fmt: skip
    data = YoloDataModule(spec["data"], imgsz=spec["imgsz"], batch_size=spec["batch"] * n, workers=spec["workers"])
    trainer.fit(DetectorModule(variant=spec["variant"]), datamodule=data)
    return {"seconds": seconds, "images": data.train_images} if trainer.is_global_zero else None


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train on every number of processes; return images a second of each."""
    data = args.data or synthetic(folder / "gates", args.images, 1, tuple(args.picture))
    keys = ("imgsz", "batch", "epochs", "workers", "device", "variant", "sync_batchnorm")
    spec = {**{key: getattr(args, key) for key in keys}, "data": str(data), "folder": str(folder / "runs")}
    rates: dict[int, list[float]] = {}
    for processes in args.processes:
        threads = max(cores() // processes, 1)
        env = environment(folder / "settings", threads)
        done = worker(__file__, {**spec, "processes": processes}, env, folder, str(processes), processes)
        rates[processes] = [done["images"] / seconds for seconds in done["seconds"][args.warmup :]]
        print(f"{processes} processes: {median(rates[processes]):.1f} images/s", flush=True)
    first = args.processes[0]
    alone = median(rates[first]) / first
    return {
        "machine": machine(None, args.device),
        **{key: spec[key] for key in keys},
        "images": done["images"],
        "images_per_s": rates,
        "efficiency": {n: median(values) / n / alone for n, values in rates.items()},
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the result as a Markdown table."""
    print(f"\n{result['machine']}")
    print(f"{result['variant']}, {result['imgsz']} px, {result['batch']} images a step and process\n")
    print("| processes | threads of each | batch | images/s, median | min to max | speed-up | efficiency |")
    print("|---|---|---|---|---|---|---|")
    for n, values in result["images_per_s"].items():
        share = result["efficiency"][n]
        spread = f"{min(values):.1f} to {max(values):.1f}"
        threads = max(cores() // n, 1)
        print(
            f"| {n} | {threads} | {n * result['batch']} | {median(values):.1f} | {spread} | {share * n:.2f} "
            f"| {100 * share:.0f} % |"
        )
    if result["device"] == "cpu":
        print(
            f"\nAll processes share {cores()} cores, and one alone uses them all: more can gain little here. The "
            "figures show what the exchange costs; what GPUs gain is measured on GPUs, by this script as it is."
        )


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--processes", type=int, nargs="+", help="numbers of processes; efficiency is against the first"
    )
    parser.add_argument("--data", type=Path, help="a data.yaml; without it a synthetic set is made in a temp folder")
    parser.add_argument("--images", type=int, default=128, help="training pictures of the synthetic set")
    parser.add_argument("--picture", type=int, nargs=2, default=[640, 360], help="their width and height, pixels")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8, help="images a step and process")
    parser.add_argument("--variant", default="yolo11n")
    parser.add_argument("--epochs", type=int, default=4, help="of every run, the thrown-away ones included")
    parser.add_argument("--warmup", type=int, default=1, help="first epochs thrown away")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="without it: GPUs where there are any")
    parser.add_argument(
        "--workers", type=int, default=8, help="loaders of each process, at most its share of the cores"
    )
    parser.add_argument("--sync-batchnorm", action="store_true", help="batch norms over all processes (GPUs only)")
    add_result_options(parser)
    args = parser.parse_args()
    if args.worker is None:
        import torch

        gpus = torch.cuda.device_count()
        args.device = args.device or ("cuda" if gpus else "cpu")
        powers = [2**power for power in range(gpus.bit_length()) if 2**power < gpus]
        args.processes = args.processes or ([*powers, gpus] if args.device == "cuda" else [1, 2])
        if args.epochs <= args.warmup:
            parser.error("--epochs must be more than --warmup")
    return args


def main() -> None:
    """Measure, print, write."""
    run_benchmark(parse(), train, measure, print_table)


if __name__ == "__main__":
    main()
