"""Training images a second, end to end: ours against Ultralytics, and against our own step on data in memory.

Ours is `python -m aigp_lightning fit --config configs/detector.yaml`, theirs `YOLO(...).train(...)`; both from random
weights on the same files, with the same model, image size, batch and number of epochs, mosaic always open, and
everything else as users of each get it: processes, threads, loaders, precision, validation, checkpoints, pictures and
logs. On a CPU Ultralytics is measured a second time with a thread for every core, since it takes one less by itself.
And ours once more on one batch that is on the device already, again and again: no trainer of this network, in this
precision and on these processes, can be faster than that.

Every run is in fresh processes, one after the other, the order turned from round to round. Two times are taken: that
of whole epochs, from row to row of each side's `results.csv`, with validation and all that belongs to an epoch; and
that of the training alone, by callbacks, from an epoch's start to the end of its last batch. The first epoch is
dropped. On a busy machine the column of processor time helps, though it counts threads that spin while they wait.

    python benchmarks/throughput.py --imgsz 320 --batch 16 --json throughput.json
    python benchmarks/throughput.py --model yolo11x --imgsz 640 --batch 16 64 --device 0 --images 1024 --rounds 1
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from common import absolute_yaml, add_result_options, machine, repeated, run_benchmark, synthetic
from throughput_sides import COMPARISONS, SIDES, Budget, default_config, train, train_theirs

DRAWN = 96
"""Pictures that are drawn; more are the same ones under other names."""
TIMES = ("epoch_s", "train_s")


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run every side with every batch, `--rounds` times; a side that fails is noted and not tried again.

    Returns:
        Settings, the runs as they were measured, what failed, and the ratios.
    """
    budget, runs, failed = Budget(args.seconds), [], []
    spec = {key: getattr(args, key) for key in ("model", "config", "imgsz", "epochs", "device")}
    spec |= {"data": str(absolute_yaml(args.data or _made(args, folder), folder / "both.yaml"))}
    for batch in args.batch:
        for number in range(args.rounds):
            for name in args.sides if number % 2 == 0 else reversed(args.sides):
                known = {"batch": batch, "side": name}
                if any(known.items() <= each.items() for each in failed):
                    continue
                if (left := budget.left()) == 0:
                    failed.append({**known, "reason": f"not begun: the {args.seconds:g} s are over"})
                    continue
                place = folder / f"{batch}-{number}-{name}"
                try:
                    found = train(SIDES[name], {**spec, "batch": batch}, place, left)
                except SystemExit as error:
                    failed.append({**known, "reason": reason(error, place)})
                    print(f"batch {batch}  {SIDES[name].label}: {failed[-1]['reason']}", flush=True)
                    continue
                runs.append({**known, "round": number, **found})
                rate = median(rates(runs[-1], "train_s", args.warmup))
                print(f"batch {batch}  round {number + 1}/{args.rounds}  {SIDES[name].label}: {rate:.1f}", flush=True)
    settings = {key: getattr(args, key) for key in ("model", "imgsz", "epochs", "warmup", "rounds", "device", "batch")}
    result = {"machine": machine(None, args.device), **settings, "runs": runs, "failed": failed}
    return {**result, "ratios": ratios(runs, args.batch, args.warmup)}


def _made(args: argparse.Namespace, folder: Path) -> Path:
    drawn = synthetic(folder / "drawn", min(args.images, DRAWN), min(args.val, DRAWN), tuple(args.picture))
    return drawn if args.images <= DRAWN else repeated(drawn, folder / "repeated", args.images)


def reason(error: SystemExit, folder: Path) -> str:
    """Return in a few words why a run failed."""
    logs = [file.read_text(encoding="utf-8", errors="replace") for file in folder.glob("*.log")]
    if any("out of memory" in text.lower() for text in (*logs, str(error))):
        return "out of memory"
    return str(error).splitlines()[0].split(": ")[0]


def rates(run: dict[str, Any], key: str, warmup: int) -> list[float]:
    """Return the images a second of a run's epochs, the first ones dropped.

    Args:
        run: as measured.
        key: which time: `epoch_s` begins with the second epoch, `train_s` with the first.
        warmup: epochs to drop.
    """
    times = run[key][warmup - 1 :] if key == "epoch_s" else run[key][warmup:]
    return [run["images"] / seconds for seconds in times]


def ratios(
    runs: list[dict[str, Any]],
    batches: list[int],
    warmup: int,
    comparisons: Sequence[tuple[str, str, str]] = COMPARISONS,
    times: Sequence[str] = TIMES,
) -> list[dict[str, Any]]:
    """Compare the medians of the sides, for every batch, by every time.

    Args:
        runs: as measured.
        batches: sizes of batches.
        warmup: epochs to drop.
        comparisons: in words, the side above and the side below.
        times: which ones, see `rates`.

    Returns:
        For each: batch, comparison, time, ratio of the medians over all rounds, and the ratios of the rounds.
    """
    found = []
    for batch in batches:
        for words, above, below in comparisons:
            pair = [[r for r in runs if r["batch"] == batch and r["side"] == side] for side in (above, below)]
            if not all(pair):
                continue
            for key in times if below != "memory" else TIMES[1:]:
                both = [median(rate for r in side for rate in rates(r, key, warmup)) for side in pair]
                middles = [{r["round"]: median(rates(r, key, warmup)) for r in side} for side in pair]
                rounds = [middles[0][n] / middles[1][n] for n in sorted(middles[0].keys() & middles[1].keys())]
                entry = {"batch": batch, "comparison": words, "time": key}
                found.append({**entry, "ratio": both[0] / both[1], "by_round": rounds})
    return found


def print_table(result: dict[str, Any]) -> None:
    """Print the results as Markdown tables."""
    print(f"\n{result['machine']}\n{result['model'] or 'the model of --config'}, {result['imgsz']} px\n")
    print("| batch | | images/s, whole epochs | images/s, training alone | min to max | processes × threads |", end="")
    print(" loaders of each | precision | processor ms an image |\n|---|---|---|---|---|---|---|---|---|")
    for batch in result["batch"]:
        for name, side in SIDES.items():
            runs = [r for r in result["runs"] if (r["batch"], r["side"]) == (batch, name)]
            if runs:
                print(_row(batch, side.label, runs, result["warmup"]))
    for each in result["failed"]:
        print(f"| {each['batch']} | {SIDES[each['side']].label} | {each['reason']} | | | | | | |")
    print("\n| batch | ratio | whole epochs (by round) | training alone (by round) |\n|---|---|---|---|")
    for batch, words in dict.fromkeys((r["batch"], r["comparison"]) for r in result["ratios"]):
        same = {r["time"]: r for r in result["ratios"] if (r["batch"], r["comparison"]) == (batch, words)}
        print(f"| {batch} | {words} | {_span(same.get(TIMES[0]))} | {_span(same.get(TIMES[1]))} |")


def _row(batch: int, label: str, runs: list[dict[str, Any]], warmup: int) -> str:
    whole, alone = ([rate for r in runs for rate in rates(r, key, warmup)] for key in TIMES)
    busy = median(1000 * seconds / r["images"] for r in runs for seconds in r["cpu_s"][warmup:])
    last = runs[-1]
    row = f"| {batch} | {label} | {median(whole):.1f} | {median(alone):.1f} | {min(alone):.1f} to {max(alone):.1f} |"
    return f"{row} {last['processes']} × {last['threads']} | {last['workers']} | {last['precision']} | {busy:.1f} |"


def _span(found: dict[str, Any] | None) -> str:
    if found is None:
        return "–"
    low, high = min(found["by_round"]), max(found["by_round"])
    return f"{found['ratio']:.2f} ({low:.2f} to {high:.2f})"


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data.yaml; without it a synthetic set is made in a temp folder")
    parser.add_argument("--images", type=int, default=192, help="training pictures of the synthetic set")
    parser.add_argument("--val", type=int, default=32, help="its validation pictures")
    parser.add_argument("--picture", type=int, nargs=2, default=[640, 360], help="their width and height, pixels")
    parser.add_argument("--model", default="yolo11n", help="a YAML's name, without its ending")
    parser.add_argument("--config", type=Path, default=default_config(), help="configuration of ours")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--epochs", type=int, default=4, help="of every run, the thrown-away ones included")
    parser.add_argument("--warmup", type=int, default=1, help="first epochs thrown away")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu, or 0: the first GPU")
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), help="what is measured; see the tables")
    parser.add_argument("--seconds", type=float, help="time for all; what does not fit in is left out")
    add_result_options(parser)
    args = parser.parse_args()
    args.device = "0" if args.device == "cuda" else args.device
    args.config = str(args.config.resolve())
    args.sides = args.sides or ["ours", "theirs", *(["theirs-cores"] if args.device == "cpu" else []), "memory"]
    if args.worker is None and not 0 < args.warmup < args.epochs:
        parser.error("--warmup must be 1 or more, and --epochs more than that")
    return args


def main() -> None:
    """Compare, print, write."""
    run_benchmark(parse(), train_theirs, measure, print_table)


if __name__ == "__main__":
    main()
