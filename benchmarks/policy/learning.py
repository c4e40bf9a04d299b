"""Does PPO learn to race? Success of trained policies over several seeds, on starts that no choice was made by.

Each seed is `ppo fit` with `configs/policy.yaml` and the task's overlay, ended by the first evaluation that
is good enough (256 episodes of a fixed seed), then `ppo evaluate` of the best model on 256 episodes with other starts
and, for generated tracks, other tracks. The success rates in the table are those of the second. Beside them flies the
hand-written follower.

    python benchmarks/policy/learning.py --task closed --out output/learning
    python benchmarks/policy/learning.py --task random --seeds 0 1 2 --out output/learning
    python benchmarks/policy/learning.py --task camera --seeds 0 --out output/learning

Seeds whose result lies in the output folder are not trained again; a training that was interrupted is begun anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import REPO, machine, write_json

CONFIG = REPO / "configs" / "policy.yaml"
NEEDED = 0.90
EPISODES = 256
STARTS = 77_000  # seed of the starts that the table is about; evaluations during training have another


@dataclass(frozen=True)
class Task:
    """A task to learn.

    Args:
        title: heading of its table.
        overlay: configuration on top of `CONFIG`.
        steps: budget, environment steps.
        seeds: that are to succeed.
        enough: success rate of an evaluation that ends the training.
        judged: whether `NEEDED` is asked of it, or it is only reported.
    """

    title: str
    overlay: str | None
    steps: int
    seeds: tuple[int, ...]
    enough: float
    judged: bool = True

    @property
    def options(self) -> list[str]:
        """Configurations, for the command line."""
        overlay = [] if self.overlay is None else ["--config", str(CONFIG.parent / self.overlay)]
        return ["--config", str(CONFIG), *overlay]


TASKS = {
    "closed": Task("The built-in closed track, three laps", None, 6_000_000, (0, 1, 2, 3, 4), 0.97),
    "random": Task("Unseen generated tracks", "policy-random.yaml", 20_000_000, (0, 1, 2), 0.94),
    "camera": Task(
        "The built-in closed track, three laps, with the camera's view and noise",
        "policy-camera.yaml",
        6_000_000,
        (0,),
        0.95,
        judged=False,
    ),
}


def ppo(verb: str, *options: str, log: Path) -> None:
    """Run `python -m aigp_lightning ppo VERB`, its output in `log`.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", "aigp_lightning", "ppo", verb, *options]
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, cwd=REPO, check=False)
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(command)}\n(whole output: {log})")


def fit(task: Task, seed: int, folder: Path) -> dict[str, Any]:
    """Train one seed; returns how long it took."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started = time.time()
    options = [*task.options, "--seed", str(seed), "--output", str(folder / "run"), "--progress", "false"]
    options += ["--total_timesteps", str(task.steps)]
    options += ["--early_stop.success", str(task.enough), "--early_stop.evaluations", "1"]
    ppo("fit", *options, log=folder / "fit.log")
    return {"seconds": time.time() - started}


def learn(task: Task, seed: int, folder: Path) -> dict[str, Any]:
    """Train one seed and evaluate it; return the result."""
    trained = cached(folder / "trained.json", lambda: fit(task, seed, folder))
    run, verdict = folder / "run", folder / "verdict"
    options = ["--model", str(run / "best"), "--episodes", str(EPISODES), "--starts", str(STARTS)]
    ppo("evaluate", *options, "--out", str(verdict), "--trajectories", "4", log=folder / "evaluate.log")
    found = json.loads((verdict / "evaluation.json").read_text(encoding="utf-8"))
    with (run / "evaluations.csv").open(newline="", encoding="utf-8") as file:
        history = [{key: row[key] for key in ("steps", "success", "pass_rate")} for row in csv.DictReader(file)]
    return {"seed": seed, **trained, "history": history, **found}


def follow(task: Task, folder: Path) -> dict[str, Any]:
    """Evaluate the hand-written follower on the same episodes; it uses the true state, so noise does not affect it."""
    verdict = folder / "follower"
    options = [*task.options, "--policy", "follower", "--episodes", str(EPISODES)]
    folder.mkdir(parents=True, exist_ok=True)
    ppo("evaluate", *options, "--starts", str(STARTS), "--out", str(verdict), log=folder / "follower.log")
    found: dict[str, Any] = json.loads((verdict / "evaluation.json").read_text(encoding="utf-8"))
    return found


def cached(file: Path, make: Any) -> dict[str, Any]:
    """Return the contents of `file`; if there is none, write it with the result of `make`."""
    if not file.is_file():
        write_json(file, make())
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def row(name: str, found: dict[str, Any]) -> str:
    """Return a row of the table."""
    low, high = found["interval"]
    causes = ", ".join(f"{cause} {count}" for cause, count in found["causes"].items())
    steps = f"{found['steps'] / 1e6:.2f}M" if found.get("steps") else "-"
    minutes = f"{found['seconds'] / 60:.1f}" if "seconds" in found else "-"
    lap = f"{found['mean_lap']:.2f} s" if found["mean_lap"] else "-"
    race = f"{found['race_seconds']:.1f} s" if found["race_seconds"] else "-"
    return (
        f"| {name} | {steps} | {minutes} | {found['success']:.3f} ({low:.3f}–{high:.3f}) | {found['pass_rate']:.4f} "
        f"| {race} | {lap} | {causes} |"
    )


def gates(found: dict[str, Any]) -> str:
    """Pass rates by gate."""
    return ", ".join(
        f"{gate['gate']}: {gate['pass_rate']:.3f}" for gate in found["gates_by_number"] if gate["pass_rate"] is not None
    )


def main() -> int:
    """Print the table of a task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, default="closed")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: those that the task is judged by")
    parser.add_argument("--out", type=Path, default=Path("output/learning"), help="results and run folders")
    parser.add_argument("--json", type=Path, help="write everything measured")
    args = parser.parse_args()
    task, folder = TASKS[args.task], args.out.resolve() / args.task
    results = [
        cached(folder / f"seed{seed}.json", lambda seed=seed: learn(task, seed, folder / f"seed{seed}"))
        for seed in args.seeds or task.seeds
    ]
    baseline = cached(folder / "follower.json", lambda: follow(task, folder))
    print(f"{machine(1)}\n\n## {task.title}\n")
    print("| | steps of the best | minutes | success (95 %) | pass rate per gate | race | lap | ends |")
    print("|---|---|---|---|---|---|---|---|")
    for found in results:
        print(row(f"seed {found['seed']}", found))
    print(row("follower", baseline))
    print("\nPass rate by gate: " + "; ".join(f"seed {found['seed']}: {gates(found)}" for found in results))
    passed = sum(found["success"] >= NEEDED for found in results)
    if task.judged:
        print(f"\n{passed} of {len(results)} seeds with at least {NEEDED:.0%}, within {task.steps / 1e6:.0f}M steps.")
    if args.json:
        write_json(args.json, {"task": args.task, "results": results, "follower": baseline})
    return 0 if passed == len(results) or not task.judged else 1


if __name__ == "__main__":
    raise SystemExit(main())
