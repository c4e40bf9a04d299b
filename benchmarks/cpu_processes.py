"""A training step on a CPU: processes against threads, float32 against bfloat16, alone and beside a busy core.

Every row trains YOLO11n on random pictures in memory, the same batch shared out to its processes, which exchange their
gradients as a run's do. Idle threads sleep (`OMP_WAIT_POLICY=PASSIVE`), as the package has them. The numbers in
`aigp_lightning/run/cpu_processes.py` come from here.

    python benchmarks/cpu_processes.py
    python benchmarks/cpu_processes.py --bfloat16 --neighbours 1
    python benchmarks/cpu_processes.py --imgsz 640 --batch 8 --steps 4
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from common import add_result_options, cores, environment, machine, run_benchmark, worker

BUSY = "while True: pass"
"""A program that keeps a core at work."""


def train(spec: dict[str, Any]) -> dict[str, Any] | None:
    """Train on one batch again and again, beside the other processes; return the seconds of every step."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    from aigp_lightning.modules.detector import DetectorModule

    torch.set_num_threads(spec["threads"])
    torch.manual_seed(0)
    module = DetectorModule(spec["variant"])
    module.set_network(module.build_network({0: "gate"}))
    images = spec["batch"] // spec["processes"]
    batch = module.example_batch(images=images, imgsz=spec["imgsz"], crowd=3, device=torch.device("cpu"))
    network: Any = module.network.train()
    forward: Any = network
    if spec["processes"] > 1:
        dist.init_process_group("gloo")
        forward = DistributedDataParallel(network, gradient_as_bucket_view=True, bucket_cap_mb=512)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    seconds = []
    for _ in range(spec["warmup"] + spec["steps"]):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=spec["bfloat16"]):
            loss, _items = network.loss(batch, forward(batch["img"]))
        loss.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    first = spec["processes"] == 1 or dist.get_rank() == 0
    if spec["processes"] > 1:
        dist.destroy_process_group()
    return {"seconds": seconds[spec["warmup"] :]} if first else None


def ways(most: int, bfloat16: bool) -> list[dict[str, Any]]:
    """Return the rows: one thread first, which the others are held against."""
    rows = [{"processes": 1, "threads": 1}, {"processes": 1, "threads": most}, {"processes": most, "threads": 1}]
    kinds = (False, True) if bfloat16 else (False,)
    return [{**row, "bfloat16": kind} for kind in kinds for row in rows]


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Time every way in turn, in so many rounds; return seconds a step of each."""
    env = {**environment(folder / "settings"), "OMP_WAIT_POLICY": "PASSIVE"}
    shape = {key: getattr(args, key) for key in ("variant", "imgsz", "batch", "steps", "warmup")}
    found: dict[str, list[float]] = {}
    rows = ways(args.processes, args.bfloat16)
    for round_number in range(args.rounds):
        for number, row in enumerate(rows):
            busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(args.neighbours)]
            try:
                done = worker(
                    __file__, {**shape, **row}, env, folder, f"{round_number}-{number}", int(row["processes"])
                )
            finally:
                for process in busy:
                    process.kill()
                    process.wait()
            found.setdefault(str(number), []).append(median(done["seconds"]))
    seconds = [{**row, "seconds": found[str(number)]} for number, row in enumerate(rows)]
    return {"machine": machine(None), **shape, "neighbours": args.neighbours, "rows": seconds}


def print_table(result: dict[str, Any]) -> None:
    """Print the result as a Markdown table."""
    beside = f", beside {result['neighbours']} busy processes" if result["neighbours"] else ""
    print(f"\n{result['machine']}")
    print(f"{result['variant']}, {result['imgsz']} px, {result['batch']} images a step{beside}\n")
    print("| processes | threads of each | precision | ms a step, median of rounds | against one thread |")
    print("|---|---|---|---|---|")
    base = median(result["rows"][0]["seconds"])
    for row in result["rows"]:
        mine = median(row["seconds"])
        kind = "bfloat16" if row["bfloat16"] else "float32"
        print(f"| {row['processes']} | {row['threads']} | {kind} | {1000 * mine:.0f} | {base / mine:.2f}× |")


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=max(cores(), 2), help="the most; the batch must divide by it")
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--batch", type=int, default=16, help="images a step, over all processes")
    parser.add_argument("--variant", default="yolo11n")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=3, help="first steps thrown away")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="also in bfloat16")
    parser.add_argument("--neighbours", type=int, default=0, help="busy processes of something else beside it")
    add_result_options(parser)
    args = parser.parse_args()
    if args.worker is None and args.batch % args.processes:
        parser.error(f"--batch {args.batch} must divide by --processes {args.processes}")
    return args


def main() -> None:
    """Measure, print, write."""
    run_benchmark(parse(), train, measure, print_table)


if __name__ == "__main__":
    main()
