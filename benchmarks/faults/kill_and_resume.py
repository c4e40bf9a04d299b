"""Kill a real run at random points, resume it until it ends, and compare it with one that never stopped.

Small runs of the gate detector with TensorBoard and W&B (offline), by the command line. Each is stopped several times:
by SIGKILL of the process alone or of its whole group, by SIGTERM, or by Ctrl-C, during start, training, validation, the
writing of checkpoints, closing pictures. It is resumed by `--ckpt_path last`, by itself as SLURM starts it again, or
under torchrun. At its end weights, `results.csv`, ledger, TensorBoard, W&B and the files must be those of the run that
never stopped, and `audit` clean. Prints a table and what was lost; the exit status is 1 if anything was.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import environment, machine, synthetic

from faults.compare_runs import differences
from faults.starts import LIMIT, NAME, Start, alive, finish, launch

PHASES = ("start", "batch", "validation", "epoch end", "next epoch", "closing", "best")
"""`epoch end`: checkpoints are written; `next epoch`: they are moved into place; `best`: the run is over and the best
epoch is being validated."""
SIGNALS = {"KILL": signal.SIGKILL, "KILL group": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
STATUS = {"TERM": 143, "INT": 130}
WAYS = ("last", "slurm", "torchrun")
TOO_LATE = "too late"


@dataclass(frozen=True)
class Point:
    """A point at which a run is killed.

    Attributes:
        phase: of `PHASES`.
        skip: how often the phase is let pass first.
        delay: seconds after it begins.
        sign: of `SIGNALS`.
    """

    phase: str
    skip: int
    delay: float
    sign: str


@dataclass
class Row:
    """A kill and what came of it."""

    run: int
    way: str
    point: Point
    reached: str = ""
    status: str = ""


def main() -> int:
    """Run the benchmark; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how many in all")
    parser.add_argument("--per-run", type=int, default=4, help="kills of one run at most")
    parser.add_argument("--seed", type=int, default=0, help="of the points")
    parser.add_argument("--way", choices=WAYS, help="how every run is resumed; default: in turn")
    parser.add_argument(
        "--folder", type=Path, help="where to; default: a temporary folder, removed when nothing is lost"
    )
    parser.add_argument("--fork", action="store_true", help="fork starts from a process that has done the imports")
    options = parser.parse_args()
    if options.fork:
        os.environ.update(environment(Path(tempfile.gettempdir()) / "kill_and_resume_settings", 1))  # before imports
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="kill_and_resume_"))).resolve()
    print(machine(1))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else in the background runs would ignore it
    data = folder / "data" / "data.yaml"
    if not data.is_file():
        data = synthetic(data.parent, 24, 10, (96, 64))
    began = time.monotonic()
    straight = folder / "straight"
    output = finish(launch(data, straight, "last", True, fork=options.fork))
    assert (straight / "detect" / NAME / "weights" / "best.pt").is_file(), output
    rows, lost = kill_all(data, folder, options)
    print(table(rows))
    print(
        f"\n{len(rows)} kills, {time.monotonic() - began:.0f} s. Lost or doubled: " + ("nothing." if not lost else "")
    )
    print("\n".join(lost))
    if not lost and options.folder is None:
        import shutil

        shutil.rmtree(folder)
    elif lost:
        print(f"everything is in {folder}")
    return int(bool(lost))


def kill_all(data: Path, folder: Path, options: argparse.Namespace) -> tuple[list[Row], list[str]]:
    """Kill runs until there were enough kills; returns the kills, and what differs from the run never stopped."""
    chance = random.Random(options.seed)
    rows: list[Row] = []
    lost: list[str] = []
    run = 0
    while (left := options.kills - len(rows)) > 0:
        run += 1
        how = options.way or WAYS[(run - 1) % len(WAYS)]
        root = folder / f"run{run}"
        hits, output = one_run(data, root, how, chance, run, min(options.per_run, left), options.fork)
        rows += hits
        for row in hits:
            print(f"run {run} ({how}): {row.point.sign} at {row.reached}: {row.status}", flush=True)
        problems = differences(folder / "straight" / "detect", root / "detect", NAME)
        wrong = [f"{row.point.sign} at {row.reached}: {row.status}" for row in hits if "unexpected" in row.status]
        lost += [f"run {run}: {problem}" for problem in problems + wrong]
        if problems:
            (root / "output.txt").write_text(output, encoding="utf-8")
            print("\n".join(problems), flush=True)
    return rows, lost


def one_run(
    data: Path, root: Path, way: str, chance: random.Random, run: int, kills: int, fork: bool
) -> tuple[list[Row], str]:
    """Kill and resume one run until it ends; returns its kills, and all it has printed."""
    hits: list[Row] = []
    output = ""
    if way == "torchrun":  # restarts by itself: one start sees all the kills
        start = launch(data, root, way, True, restarts=kills)
        for _ in range(kills):
            point = choose(chance, torchrun=True)
            row = Row(run, way, point)
            if hit(start, point, row):
                row.status = "restarted by torchrun"
                hits.append(row)
            if row.reached == TOO_LATE:
                break
        return hits, finish(start)
    first = True
    for _ in range(kills):
        start, point = launch(data, root, way, first, fork=fork), choose(chance)
        first, row = False, Row(run, way, point)
        if not hit(start, point, row):
            return hits, output + finish(start)
        output += finish(start, killed=True)
        row.status = judged(start, point)
        hits.append(row)
    while (start := launch(data, root, way, first, fork=fork)).process.wait(timeout=LIMIT) < 0:
        first = False
        outside = signal.Signals(-start.process.returncode).name
        print(f"run {run}: somebody else ended it by {outside}; it goes on", flush=True)
    return hits, output + finish(start)


def choose(chance: random.Random, torchrun: bool = False) -> Point:
    """Return a random point."""
    phase = chance.choices(PHASES, (3, 4, 4, 5, 3, 2, 1))[0]
    skip = chance.randrange(3) if phase in ("batch", "validation", "epoch end", "next epoch") else 0
    delay = chance.uniform(0, 6 if phase == "start" else 0.25)
    sign = "KILL" if torchrun else chance.choices(list(SIGNALS), (4, 4, 2, 2))[0]
    if torchrun and phase == "start":
        phase = "batch"  # torchrun's own start is none of ours
    return Point(phase, skip, delay, sign)


def hit(start: Start, point: Point, row: Row) -> bool:
    """Wait for the point and kill; False if the run has ended before."""
    skip, pid, reached = point.skip, start.process.pid, "start"
    limit = time.monotonic() + LIMIT
    while point.phase != "start":
        mark = start.marks.get(timeout=max(limit - time.monotonic(), 1))
        if mark is None:
            row.reached = TOO_LATE
            return False
        name, epoch, pid = mark
        if name == point.phase:
            reached = f"{name} of epoch {epoch + 1}"
            if skip == 0:
                break
            skip -= 1
    time.sleep(point.delay)
    row.reached = f"{reached} + {point.delay:.2f} s"
    if start.process.poll() is not None:
        row.reached = TOO_LATE
        return False
    try:
        if point.sign in ("KILL group", "INT"):  # Ctrl-C at a terminal reaches all
            os.killpg(start.process.pid, SIGNALS[point.sign])
        else:
            os.kill(pid, SIGNALS[point.sign])
    except ProcessLookupError:
        row.reached = TOO_LATE
        return False
    while point.sign == "KILL" and pid != start.process.pid and alive(pid):
        time.sleep(0.01)
    return True


def judged(start: Start, point: Point) -> str:
    """Return the exit status in words."""
    status, expected = start.process.returncode, STATUS.get(point.sign)
    if expected is None:
        return "killed" if status == -9 else f"unexpected status {status}"
    text = "".join(start.lines)
    if status == expected and "Traceback" not in text and ("To go on" in text or "begins again" in text):
        return f"status {status}, said how to go on"
    early = point.phase == "start"  # before the program has taken over signals, the system's own way
    if early and status in (-SIGNALS[point.sign], expected):
        return f"status {status}, before training"
    return f"unexpected status {status}: {''.join(start.lines[-12:])}"


def table(rows: list[Row]) -> str:
    """Return the kills as a Markdown table."""
    lines = ["| run | resumed by | signal | at | what came of it |", "|---|---|---|---|---|"]
    lines += [f"| {row.run} | {row.way} | {row.point.sign} | {row.reached} | {row.status} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
