"""Accuracy with each option that Ultralytics has too: our trainer against its own, same settings, several seeds.

Runs `accuracy.py` once for each option, all else at small sizes, and prints a row for each: mean mAP50-95 of both
sides, the difference, and the spread of the seeds. What is measured already in the folder is not measured again.

    python benchmarks/options_accuracy.py --seeds 0 1 2
    python benchmarks/options_accuracy.py --only mixup rect --epochs 12
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import cores, machine, synthetic

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Option:
    """An option, as settings of Ultralytics', and the task on which it is tried."""

    settings: str = ""
    task: str = "detect"


OPTIONS = {
    "(defaults)": Option(),
    "perspective": Option("perspective=0.0005 degrees=15"),
    "mixup": Option("mixup=0.5"),
    "cutmix": Option("cutmix=0.5"),
    "copy_paste": Option("copy_paste=0.5", "segment"),
    "copy_paste_mode": Option("copy_paste=0.5 copy_paste_mode=mixup", "segment"),
    "bgr": Option("bgr=0.5"),
    "multi_scale": Option("multi_scale=0.5"),
    "rect": Option("rect=true"),
    "fraction": Option("fraction=0.5"),
    "classes": Option("classes=[0,2]", "obstacle"),
    "freeze": Option("freeze=5"),
    "(segment)": Option("", "segment"),
}


def measure(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run `accuracy.py` with one option; returns its verdicts."""
    option = OPTIONS[name]
    folder, found = args.folder / name.strip("()"), args.folder / f"{name.strip('()')}.json"
    data = args.folder / "data" / option.task / "data.yaml"
    if not data.is_file():
        synthetic(data.parent, args.images, max(args.images // 4, 4), task=option.task)
    words = [sys.executable, HERE / "accuracy.py", "--task", option.task, "--json", found, "--folder", folder]
    words += ["--data", data]
    for key in ("imgsz", "epochs", "batch", "nbs", "warmup_epochs", "close_mosaic", "workers", "threads"):
        words += [f"--{key.replace('_', '-')}", getattr(args, key)]
    words += ["--ours-devices", 1, "--ours-precision", "32-true", "--seeds", *args.seeds]
    words += ["--augment", *option.settings.split()] if option.settings else []
    subprocess.run([str(word) for word in words], check=True)
    verdicts: list[dict[str, Any]] = json.loads(found.read_text(encoding="utf-8"))["verdicts"]
    return verdicts


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(OPTIONS), default=list(OPTIONS), help="options to measure")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=128, help="training pictures")
    parser.add_argument("--imgsz", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--nbs", type=int, default=8)
    parser.add_argument("--warmup-epochs", type=float, default=1.0)
    parser.add_argument("--close-mosaic", type=int, default=4)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--folder", type=Path, default=Path("runs") / "options-accuracy")
    args = parser.parse_args()
    args.folder = args.folder.resolve()
    return args


def main() -> None:
    """Measure, and print a row an option."""
    args = parse()
    rows = [(name, verdict) for name in args.only for verdict in measure(name, args)]
    settings = f"{args.epochs} epochs, {args.images} pictures, {args.imgsz} px, seeds {args.seeds}"
    print(f"\n{machine(args.threads)}\n{settings}\n")
    print("| option | settings | score | ours | Ultralytics | difference | spread | no lower |\n" + "|---" * 8 + "|")
    for name, verdict in rows:
        mean = verdict["mean"]
        print(
            f"| {name} | {OPTIONS[name].settings or '–'} | {verdict['score']} | {mean['ours']:.4f} | "
            f"{mean['ultralytics']:.4f} | {verdict['difference']:+.4f} | {verdict['spread']:.4f} | "
            f"{'yes' if verdict['ours_no_lower'] else 'NO'} |"
        )


if __name__ == "__main__":
    main()
