"""The cost of a run's pictures: the quick recipe with three validation mosaics every epoch, against none at all.

Both sides are whole `fit` commands in fresh processes, one at a time and in alternating order, from the same data set,
which is made beforehand: start-up, training, validation, checkpoints, TensorBoard, and all pictures drawn, encoded,
written and sent before the process ends. The sides differ in `--media.routes.everything` alone.

Whole runs differ by more than pictures cost on a machine that others use too. So the threads that draw and that write
TensorBoard's file are measured as well: their processor seconds, as a share of the run's wall time, are what they could
at most have held it up if nothing ran beside anything. Target: at most 2 %, and at most 1.02 times the wall time.

    python benchmarks/media_cost.py --rounds 3 --json cost.json
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

from common import REPO, add_result_options, cores, environment, machine, run_benchmark, synthetic, worker

SIDES = {"pictures": "[file,tensorboard]", "none": "[]"}


def fit(spec: dict[str, Any]) -> dict[str, Any]:
    """Run `fit` in this process; return wall and processor seconds, and those of the pictures' threads."""
    start = time.perf_counter()
    from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread

    from aigp_lightning.cli.main import main as run_verb
    from aigp_lightning.media.worker import RenderWorker

    seconds: dict[str, float] = {"drawing": 0.0, "tensorboard": 0.0}

    def clocked(kind: type, method: str, name: str) -> None:
        original = getattr(kind, method)

        def run(self: Any) -> None:
            original(self)
            seconds[name] += time.thread_time()

        setattr(kind, method, run)

    clocked(RenderWorker, "_run", "drawing")
    clocked(_AsyncWriterThread, "run", "tensorboard")
    status = run_verb(spec["words"])
    if status:
        raise SystemExit(status)
    wall, used = time.perf_counter() - start, os.times()
    processor = used.user + used.system + used.children_user + used.children_system
    return {"wall": wall, "processor": processor, **seconds}


def timed(side: str, args: argparse.Namespace, data: Path, env: dict[str, str], folder: Path, number: int) -> Any:
    """Run `fit` once in a fresh process; add the number of the ledger's lines."""
    configs, name = REPO / "configs", f"{side}-{number}"
    words = ["fit", "--config", configs / "detector.yaml", "--config", configs / "quick.yaml", "--run.name", name]
    words += ["--data.data_yaml", data, "--run.root", folder, "--trainer.max_epochs", args.epochs]
    words += ["--media.val_batches", 3, "--media.routes.everything", SIDES[side], *args.options.split()]
    found = worker(__file__, {"words": [str(word) for word in words]}, env, folder, name)
    ledger = (folder / "detect" / name / "media.jsonl").read_text(encoding="utf-8").splitlines()
    return {**found, "lines": len(ledger)}


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run both sides `--rounds` times, after one short run that fills the file cache."""
    data = args.data or synthetic(folder / "gates", args.images, args.images // 4)
    env = environment(folder / "settings", args.threads)
    warm = argparse.Namespace(**{**vars(args), "epochs": 1})
    timed("pictures", warm, data, env, folder / "warm", 0)
    seen: dict[str, list[Any]] = {side: [] for side in SIDES}
    for number in range(args.rounds):
        for side in SIDES if number % 2 else reversed(SIDES):
            seen[side].append(timed(side, args, data, env, folder / "runs", number))
            last = seen[side][-1]
            print(f"round {number + 1}/{args.rounds}  {side:<9} {last['wall']:.1f} s wall, "
                  f"{last['processor']:.1f} s processor, {last['drawing']:.1f} s drawing, "
                  f"{last['tensorboard']:.1f} s TensorBoard, {last['lines']} ledger lines", flush=True)  # fmt: skip
    if seen["none"][0]["lines"] or not seen["pictures"][0]["lines"]:
        raise SystemExit("one side drew what it should not, or the other nothing")
    pairs = list(zip(seen["pictures"], seen["none"], strict=True))
    return {
        "machine": machine(args.threads),
        **{key: getattr(args, key) for key in ("epochs", "rounds", "images")},
        "seen": seen,
        "ratio": median(one["wall"] / other["wall"] for one, other in pairs),
        "ratio_by_round": [one["wall"] / other["wall"] for one, other in pairs],
        "share": median((one["drawing"] + one["tensorboard"]) / one["wall"] for one, _ in pairs),
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the result as a Markdown table."""
    print(f"\n{result['machine']}\nquick recipe, {result['epochs']} epochs, {result['images']} images\n")
    print("| run | wall s, median | min to max | drawing, s | TensorBoard's thread, s | ledger lines |")
    print("|---|---|---|---|---|---|")
    for side, runs in result["seen"].items():
        walls = [one["wall"] for one in runs]
        drawing, board = (median(one[name] for one in runs) for name in ("drawing", "tensorboard"))
        span = f"{min(walls):.1f} to {max(walls):.1f}"
        print(f"| {side} | {median(walls):.1f} | {span} | {drawing:.1f} | {board:.1f} | {runs[0]['lines']} |")
    low, high = min(result["ratio_by_round"]), max(result["ratio_by_round"])
    rounds = f"(by round {low:.3f} to {high:.3f}; target: at most 1.02)"
    print(f"\nwith pictures / without: {result['ratio']:.3f} wall {rounds}")
    print(f"the pictures' threads: {result['share']:.2%} of the wall time in processor seconds (target: at most 2 %)")


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data.yaml; without it a synthetic set is made in a temp folder")
    parser.add_argument("--images", type=int, default=384, help="training pictures of the synthetic set")
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=cores(), help="of PyTorch")
    parser.add_argument("--options", default="", help="further options of both runs, e.g. '--data.imgsz 64'")
    add_result_options(parser)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    run_benchmark(parse(), fit, measure, print_table)


if __name__ == "__main__":
    main()
