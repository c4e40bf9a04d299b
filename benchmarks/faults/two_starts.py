"""Start a run, start it a second time in the same folder at a random moment, and compare with one that ran alone.

Small runs of the gate detector with TensorBoard and W&B (offline), by the command line; the second start is a program
of its own. Moments are spread over the whole length of a run: before its folder is there, while it trains, in its last
second. Ways in turn: both starts with `--run.resume always`; the second with `--ckpt_path last`; the second with the
path of the checkpoint. One of the two must make the run; the other ends with status 2 and one line, unless the first
had ended before. Weights, `results.csv`, ledger, TensorBoard, W&B and files must be those of a run that was alone, and
`audit` clean. Prints a table and what is wrong; the exit status is 1 if anything is.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import environment, machine, synthetic

from faults.compare_runs import differences
from faults.starts import LIMIT, NAME, Start, finish, launch

ALWAYS = ("--run.resume", "always")
WAYS = ("always", "last", "file")
EARLY = ("no run named", "there is no such file")
"""What a second start may say that comes before the first has a run to go on with."""


@dataclass(frozen=True)
class Row:
    """A pair of starts and what came of it."""

    number: int
    way: str
    offset: float
    first: str
    second: str


def main() -> int:
    """Run the benchmark; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20, help="how many pairs of starts")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--way", choices=WAYS, help="how the second starts; default: in turn")
    parser.add_argument("--folder", type=Path, help="where to; default: a temporary folder, removed if all is well")
    parser.add_argument("--fork", action="store_true", help="fork starts from a process that has done the imports")
    options = parser.parse_args()
    if options.fork:
        os.environ.update(environment(Path(tempfile.gettempdir()) / "two_starts_settings", 1))  # before imports
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="two_starts_"))).resolve()
    print(machine(1))
    data = folder / "data" / "data.yaml"
    if not data.is_file():
        data = synthetic(data.parent, 24, 10, (96, 64))
    finish(launch(data, folder / "warm", "last", True, fork=options.fork))
    began = time.monotonic()
    finish(launch(data, folder / "alone", "last", True, fork=options.fork))
    length = time.monotonic() - began
    chance = random.Random(options.seed)
    rows, wrong = [], []
    for number in range(1, options.pairs + 1):
        way = options.way or WAYS[(number - 1) % len(WAYS)]
        offset = length * (number - 1 + chance.random()) / options.pairs
        row, problems = one_pair(data, folder, number, way, offset, options.fork)
        rows.append(row)
        wrong += [f"pair {number}: {problem}" for problem in problems]
        print(f"pair {number} ({way}, after {offset:.2f} of {length:.2f} s): {row.first}; {row.second}", flush=True)
        print("\n".join(problems), end="\n" if problems else "", flush=True)
    print(table(rows))
    print(
        f"\n{len(rows)} pairs, a run of {length:.1f} s. Wrong: "
        + ("nothing." if not wrong else "\n" + "\n".join(wrong))
    )
    if not wrong and options.folder is None:
        shutil.rmtree(folder)
    elif wrong:
        print(f"everything is in {folder}")
    return int(bool(wrong))


def one_pair(data: Path, folder: Path, number: int, way: str, offset: float, fork: bool) -> tuple[Row, list[str]]:
    """Start twice, wait for both; returns what came of it, and what is wrong."""
    root = folder / f"pair{number}"
    last = root / "detect" / NAME / "weights" / "last.ckpt"
    second_words = {"always": ALWAYS, "last": ("--ckpt_path", "last"), "file": ("--ckpt_path", last)}[way]
    first = launch(data, root, "last", True, fork=fork, more=ALWAYS if way == "always" else ())
    time.sleep(offset)
    over = first.process.poll() is not None
    second = launch(data, root, "last", True, fork=fork, more=second_words)
    told, wrong = [], []
    for start in (first, second):
        start.process.wait(timeout=LIMIT)
        time.sleep(0.2)
        what, problems = judged(start, early=start is second and not over)
        told.append(what)
        wrong += problems
    if [start.process.returncode for start in (first, second)] == [2, 2]:
        wrong.append("both were refused")
    wrong += differences(folder / "alone" / "detect", root / "detect", NAME)
    if wrong:
        (root / "output.txt").write_text("".join([*first.lines, "---- second\n", *second.lines]), encoding="utf-8")
    return Row(number, way, offset, *told), wrong


def judged(start: Start, early: bool) -> tuple[str, list[str]]:
    """Return in words how a start ended, and what is wrong with that.

    Args:
        start: it has ended.
        early: whether it may have come before the run that it asks for.
    """
    text, status = "".join(start.lines), start.process.returncode
    errors = [line.strip() for line in start.lines if line.startswith("error: ")]
    if status == 0 and not errors:
        return "trained" if "epoch 1/" in text or "epoch 2/" in text else "found it finished, or went on", []
    if status == 2 and len(errors) == 1 and "Traceback" not in text:
        if "is in use: process " in errors[0]:
            return f"refused: {errors[0].partition(': process ')[2].partition(' writes')[0]}", []
        if early and any(words in errors[0] for words in EARLY):
            return "refused: no run yet", []
    return f"status {status}", [f"unexpected status {status}: {''.join(start.lines[-12:])}"]


def table(rows: list[Row]) -> str:
    """Return the pairs as a Markdown table."""
    lines = ["| pair | second start by | after | first | second |", "|---|---|---|---|---|"]
    lines += [f"| {row.number} | {row.way} | {row.offset:.2f} s | {row.first} | {row.second} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
