"""Time that is not training: the command line's start, imports, the first step, the scan of a data set, checkpoints.

Every command is a fresh process. The empty LightningCLI is three lines: an import, and `LightningCLI()` with nothing
configured. Processor time is what a busy machine leaves comparable; wall time says more on a quiet one. The targets:
`--help` imports no torch and answers in 0.1 s, `fit --help` takes at most 1.1 times the empty one's, 100,000 pictures
are scanned in 20 s and recalled in 2 s on two cores. What a checkpoint costs the training thread is compared with
writing both of an epoch's at once, as without a thread for it.

    python benchmarks/startup.py --json startup.json
    python benchmarks/startup.py --device cuda --parts first checkpoint
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from common import environment, machine, synthetic, write_json

EMPTY = "from lightning.pytorch.cli import LightningCLI\n\nLightningCLI()\n"
HEAVY = ("torch", "lightning", "ultralytics", "cv2", "albumentations", "jsonargparse", "numpy")
PACKAGE = [sys.executable, "-m", "aigp_lightning"]
PARTS = ("help", "first", "scan", "checkpoint")
SHOWN = 8
"""Packages whose import times are printed."""


def import_times(command: list[str], env: dict[str, str]) -> dict[str, float]:
    """Return the seconds that each package's own files take when a call imports them, the longest first."""
    command = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8", check=False)
    found: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        if line.startswith("import time:") and (parts := line[12:].split("|"))[0].strip().isdigit():
            found[parts[2].strip().split(".")[0]] += int(parts[0])
    return {name: took / 1e6 for name, took in found.most_common()}


def measure_help(args: argparse.Namespace, env: dict[str, str], folder: Path) -> dict[str, Any]:
    """Time `--help`, `fit --help`, a misspelt option, an empty LightningCLI and Python itself, in alternating order."""
    empty = folder / "empty.py"
    empty.write_text(EMPTY, encoding="utf-8")
    commands = {
        "aigp_lightning --help": [*PACKAGE, "--help"],
        "aigp_lightning fit --trainer.max_epoch 3 (misspelt)": [*PACKAGE, "fit", "--trainer.max_epoch", "3"],
        "aigp_lightning fit --help": [*PACKAGE, "fit", "--help"],
        "empty LightningCLI, fit --help": [sys.executable, str(empty), "fit", "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(-args.warmup, args.rounds):
        for name in commands if number % 2 else reversed(commands):
            start = time.perf_counter()
            subprocess.run(commands[name], env=env, capture_output=True, check="misspelt" not in name)
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
    pairs = zip(seconds["aigp_lightning fit --help"], seconds["empty LightningCLI, fit --help"], strict=True)
    ratios = [ours / theirs for ours, theirs in pairs]
    imported = import_times(commands["aigp_lightning --help"], env)
    return {
        "seconds": seconds,
        "median": {name: median(values) for name, values in seconds.items()},
        "ratio": median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "heavy_imports_of_help": [name for name in HEAVY if name in imported],
    }


def measure_first(args: argparse.Namespace, env: dict[str, str], folder: Path) -> dict[str, Any]:
    """Time `fit` to its first step and `validate` to its first batch, and what is imported until then."""
    data = synthetic(folder / "gates", train=32, val=16, imgsz=(160, 90))
    out = folder / "first.json"
    options = [
        *("--data.data_yaml", data, "--data.imgsz", 160, "--data.batch_size", 8, "--data.workers", 0),
        *("--trainer.accelerator", args.device, "--trainer.devices", 1, "--run.root", folder / "runs"),
    ]
    stop = ["--trainer.callbacks+=first_step.FirstStep", "--trainer.callbacks.file", out]
    short = ["--trainer.max_epochs", 1, "--trainer.limit_train_batches", 1, "--trainer.limit_val_batches", 1]
    subprocess.run(_words("fit", *options, *short, "--run.name", "made"), env=env, capture_output=True, check=True)
    made = next((folder / "runs").rglob("made")) / "weights" / "last.ckpt"
    commands = {
        "fit, to its first step": _words("fit", *options, *stop),
        "validate, to its first batch": _words("validate", "--ckpt_path", made, *options, *stop),
    }
    env = {**env, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), env["PYTHONPATH"]])}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (*commands, "import lightning.pytorch")}
    lightning = "import time, lightning.pytorch; print(time.process_time())"
    for _ in range(args.rounds):
        for name, command in commands.items():
            out.unlink(missing_ok=True)
            subprocess.run(command, env=env, capture_output=True, check=True)
            found[name].append(json.loads(out.read_text(encoding="utf-8")))
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", lightning], env=env, capture_output=True, text=True, check=True)
        found["import lightning.pytorch"].append({"wall": time.perf_counter() - start, "cpu": float(done.stdout)})
    middle = {name: {key: median(row[key] for row in rows) for key in ("wall", "cpu")} for name, rows in found.items()}
    return {"median": middle, "imports": import_times(commands["fit, to its first step"], env)}


def _words(*words: object) -> list[str]:
    return [*PACKAGE, *map(str, words)]


def measure_scan(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Time the scan of many tiny pictures with three boxes each: cold, and recalled."""
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.scan import scan_split

    source = synthetic(folder / "few", train=8, val=1, imgsz=(64, 64)).parent
    pictures = [path.read_bytes() for path in sorted((source / "images" / "train").iterdir())]
    for name in ("images", "labels"):
        (folder / "many" / name).mkdir(parents=True)
    for number in range(args.images):
        (folder / "many" / "images" / f"{number}.jpg").write_bytes(pictures[number % len(pictures)])
        rows = (f"0 0.{3 + at}{number % 1000:03} 0.5 0.1 0.2" for at in range(3))
        (folder / "many" / "labels" / f"{number}.txt").write_text("\n".join(rows), encoding="utf-8")
    (folder / "many" / "data.yaml").write_text("train: images\nval: images\nnames: [gate]\n", encoding="utf-8")
    spec = read_data_yaml(folder / "many" / "data.yaml")
    time.sleep(2.5)  # files that have just changed would be known by their contents, too
    rows_of: dict[str, Any] = {}
    for name in ("cold", "recalled"):
        wall, cpu = time.perf_counter(), time.process_time()
        result = scan_split(spec, "train", progress=False)
        rows_of[name] = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        assert (len(result.records), result.from_cache) == (args.images, name == "recalled")
    return {"images": args.images, **rows_of}


def measure_checkpoint(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Time an epoch's two checkpoints of YOLO11n on the training thread: written there, and beside it."""
    import torch

    from aigp_lightning.checkpoints.io import AtomicCheckpointIO  # first: it keeps Ultralytics off the network

    from ultralytics.nn.tasks import DetectionModel  # isort: skip

    module = DetectionModel("yolo11n.yaml", nc=1, verbose=False).to(args.device)
    optimizer = torch.optim.AdamW(module.parameters())
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state = module.state_dict()
    current = {name: value.clone() for name, value in state.items()}
    content = {"state_dict": state, "current_model_state": current, "optimizer_states": [optimizer.state_dict()]}
    store = AtomicCheckpointIO()
    found: dict[str, list[dict[str, float]]] = {"at once": [], "beside": []}

    def save() -> dict[str, float]:
        wall, cpu = time.perf_counter(), time.thread_time()
        for name in ("best.ckpt", "last.ckpt"):
            store.save_checkpoint(content, folder / name)
        return {"wall": time.perf_counter() - wall, "cpu": time.thread_time() - cpu}

    for _ in range(args.rounds):
        found["at once"].append(save())
        store.hold()
        with store.of_epoch():
            found["beside"].append(save())
        store.commit()
        store.discard()
    store.teardown()
    size = (folder / "last.ckpt").stat().st_size / 1e6
    middle = {name: {key: median(row[key] for row in rows) for key in ("wall", "cpu")} for name, rows in found.items()}
    return {"megabytes": size, **middle}


def print_table(result: dict[str, Any]) -> None:
    """Print the result as Markdown tables."""
    print(result["machine"])
    if (found := result.get("help")) is not None:
        print("\n| command | seconds, median | min to max |\n|---|---|---|")
        for name, values in found["seconds"].items():
            print(f"| {name} | {found['median'][name]:.3f} | {min(values):.3f} to {max(values):.3f} |")
        low, high = found["ratio_range"]
        print(
            f"\nfit --help, ours / empty: {found['ratio']:.2f} (by round {low:.2f} to {high:.2f}; target: at most 1.1)"
        )
        print(f"heavy packages that --help imports: {', '.join(found['heavy_imports_of_help']) or 'none'}")
    if (found := result.get("first")) is not None:
        print("\n| from the start of the process | seconds | of processor time |\n|---|---|---|")
        for name, row in found["median"].items():
            print(f"| {name} | {row['wall']:.2f} | {row['cpu']:.2f} |")
        longest = list(found["imports"].items())[:SHOWN]
        print("\nimports of fit, seconds in a package's own files:", ", ".join(f"{k} {v:.2f}" for k, v in longest))
    if (found := result.get("scan")) is not None:
        print(f"\n| scan of {found['images']} pictures | seconds | of processor time |\n|---|---|---|")
        for name in ("cold", "recalled"):
            print(f"| {name} | {found[name]['wall']:.2f} | {found[name]['cpu']:.2f} |")
    if (found := result.get("checkpoint")) is not None:
        megabytes = f"{found['megabytes']:.0f} MB"
        print(f"\n| an epoch's two checkpoints of {megabytes}, training thread | milliseconds | of processor time |")
        print("|---|---|---|")
        for name in ("at once", "beside"):
            print(f"| {name} | {1000 * found[name]['wall']:.0f} | {1000 * found[name]['cpu']:.0f} |")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1, help="calls of the part `help` that are not counted")
    parser.add_argument("--images", type=int, default=10_000, help="of the scan")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(device=args.device), "rounds": args.rounds}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temp:
        folder = Path(temp)
        env = environment(folder / "settings")
        if "help" in args.parts:
            result["help"] = measure_help(args, env, folder)
        if "first" in args.parts:
            result["first"] = measure_first(args, env, folder)
        if "scan" in args.parts:
            result["scan"] = measure_scan(args, folder)
        if "checkpoint" in args.parts:
            result["checkpoint"] = measure_checkpoint(args, folder)
    print_table(result)
    if args.json:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
