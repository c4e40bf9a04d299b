"""Start-up time of the command line: our `--help` and `fit --help` against an empty LightningCLI's `fit --help`.

Every call is a fresh process, in alternating order. The empty one is three lines: an import, and `LightningCLI()` with
nothing configured, which takes any model and any data module by class path. Nothing is asserted. The targets: `--help`
imports no torch and answers at once (0.1 s and less), `fit --help` takes at most 1.1 times the empty one's.

    python benchmarks/cli_start.py --json start.json
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from common import environment, machine, write_json

EMPTY = "from lightning.pytorch.cli import LightningCLI\n\nLightningCLI()\n"
HEAVY = ("torch", "lightning", "ultralytics", "cv2", "albumentations", "jsonargparse", "numpy")


def imported(command: list[str], env: dict[str, str]) -> list[str]:
    """Return the heavy packages that a call imports, by Python's own list of import times."""
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], env=env, capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    names = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}
    return [name for name in HEAVY if name in names]


def measure(rounds: int, warmup: int, folder: Path) -> dict[str, Any]:
    """Time every command `rounds` times, after `warmup` calls each that fill the file cache.

    Returns:
        Seconds of every call, medians, and the ratio of the two `fit --help`.
    """
    empty = folder / "empty.py"
    empty.write_text(EMPTY, encoding="utf-8")
    package = [sys.executable, "-m", "aigp_lightning"]
    commands = {
        "aigp_lightning --help": [*package, "--help"],
        "aigp_lightning fit --help": [*package, "fit", "--help"],
        "empty LightningCLI, fit --help": [sys.executable, str(empty), "fit", "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    env = environment(folder / "settings")
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(-warmup, rounds):
        for name in commands if number % 2 else reversed(commands):
            start = time.perf_counter()
            subprocess.run(commands[name], env=env, capture_output=True, check=True)
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
    middle = {name: median(values) for name, values in seconds.items()}
    pairs = zip(seconds["aigp_lightning fit --help"], seconds["empty LightningCLI, fit --help"], strict=True)
    ratios = [ours / theirs for ours, theirs in pairs]
    return {
        "machine": machine(),
        "rounds": rounds,
        "seconds": seconds,
        "median": middle,
        "ratio": median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "heavy_imports_of_help": imported(commands["aigp_lightning --help"], env),
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the result as a Markdown table."""
    print(f"{result['machine']}\n\n| command | seconds, median | min to max |\n|---|---|---|")
    for name, values in result["seconds"].items():
        print(f"| {name} | {result['median'][name]:.3f} | {min(values):.3f} to {max(values):.3f} |")
    low, high = result["ratio_range"]
    print(f"\nfit --help, ours / empty: {result['ratio']:.2f} (by round {low:.2f} to {high:.2f}; target: at most 1.1)")
    print(f"heavy packages that --help imports: {', '.join(result['heavy_imports_of_help']) or 'none'}")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--warmup", type=int, default=1, help="calls that are not counted")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temp:
        result = measure(args.rounds, args.warmup, Path(temp))
    print_table(result)
    if args.json:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
