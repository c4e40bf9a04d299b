"""Is a validation the same on 1, 2 and 3 processes? Prints a table of differences; none but rounding may be seen.

The same weights are validated on the same odd number of pictures, by Lightning with gloo on the CPU, in processes that
torchrun starts. Pictures do not divide by the processes, and in the last step one of them may have none. A keypoint
model is taken, since it has all there is to compare: boxes, classes, corners, gates, confusion matrix, curves, losses.

With the default batch no process gets a single picture where another has several: PyTorch's convolutions round single
pictures differently, and where two confidences differ by rounding alone, so may the order of two boxes and with it a
step of a curve. `--batch 2` shows that.

    python benchmarks/ddp/equality.py
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from case import IMGSZ, build
from common import add_result_options, environment, machine, run_benchmark, worker

TOLERANCE = 1e-5
"""Largest difference that counts as rounding: a convolution rounds differently for batches of another size."""


def validate(spec: dict[str, Any]) -> dict[str, dict[str, Any]] | None:
    """Validate in this process and those beside it; return every figure of the validation in the first one."""
    import lightning.pytorch as pl

    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.metrics.gate_camera import GateCamera
    from aigp_lightning.modules.pose import PoseModule

    several = {"strategy": "ddp"} if spec["processes"] > 1 else {}
    trainer = pl.Trainer(
        accelerator="cpu", devices=spec["processes"], logger=False, use_distributed_sampler=False,
        enable_progress_bar=False, default_root_dir=spec["folder"], **several,
    )  # fmt: skip
    camera = GateCamera(width=96, height=64, fx=80, fy=80, cx=48, cy=32)  # of a third of the pictures
    module = PoseModule(weights=spec["weights"], conf=0.01, camera=camera)
    data = YoloDataModule(spec["data"], imgsz=IMGSZ, batch_size=spec["batch"], workers=0)
    trainer.validate(module, data, verbose=False)
    logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
    return figures(module, logged) if trainer.is_global_zero else None


def figures(module: Any, logged: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Return the figures of a validation by group and name; values are numbers or lists of them."""
    metrics = module.metrics
    report = metrics.report

    def some(*words: str) -> dict[str, float]:
        return {key: value for key, value in logged.items() if any(word in key for word in words)}

    return {
        "pictures counted": {"images": metrics.counted},
        "boxes: precision, recall, mAP": some("(B)"),
        "keypoints: precision, recall, mAP": some("(P)"),
        "fitness": some("fitness"),
        "table by class": {
            f"{row['class']}, {key}": value for row in module.table for key, value in row.items() if key != "class"
        },
        "confusion matrix": {"counts": metrics.confusion.ravel().tolist()},
        "curves": {
            f"{curves.prefix} {name}": getattr(curves, name).ravel().tolist()
            for curves in metrics.curves() for name in ("precision", "recall", "f1", "pr", "ap50")
        },
        "corners and gates: errors": some("corners/", "gate/"),
        "corner report by distance": {
            f"{row['band']}, {key}": value
            for row in report.bands() for key, value in row.items() if key != "band" and value is not None
        },
        "validation losses": some("val/"),
    }  # fmt: skip


def difference(one: Any, other: Any) -> float:
    """Return the largest difference of two figures, relative for those above 1; infinite if one has more numbers."""
    ours, theirs = (value if isinstance(value, list) else [value] for value in (one, other))
    if len(ours) != len(theirs):
        return float("inf")
    return max((abs(a - b) / max(1.0, abs(a)) for a, b in zip(ours, theirs, strict=True)), default=0.0)


def compare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Validate on every number of processes; return figures of the first, and differences of the others."""
    weights, data = build(folder, args.images, 2 * args.batch)
    spec = {"weights": str(weights), "data": str(data), "folder": str(folder), "batch": args.batch}
    env = environment(folder / "settings", 1)
    found = {}
    for processes in args.processes:
        part = {**spec, "processes": processes}
        found[processes] = worker(__file__, part, env, folder, str(processes), processes)
    base = found[args.processes[0]]
    differences = {
        group: {
            str(n): max(
                (difference(base[group][key], found[n][group].get(key, [])) for key in base[group]), default=0.0
            )
            for n in args.processes[1:]
        }
        for group in base
    }
    return {
        "machine": machine(1),
        "images": args.images,
        "batch": args.batch,
        "figures": base,
        "differences": differences,
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the differences as a Markdown table."""
    others = list(next(iter(result["differences"].values())))
    print(f"\n{result['machine']}\n{result['images']} pictures, groups of {2 * result['batch']}\n")
    print("| figure | numbers | 1 process, for instance | " + " | ".join(f"{n} processes" for n in others) + " |")
    print("|---|---|---|" + "---|" * len(others))
    for group, rows in result["differences"].items():
        values = result["figures"][group]
        count = sum(len(value) if isinstance(value, list) else 1 for value in values.values())
        key = next(iter(values), "-")
        shown = values.get(key, "-")
        shown = f"{len(shown)} numbers" if isinstance(shown, list) else f"{shown:.6g}"
        print(f"| {group} | {count} | {key}: {shown} | " + " | ".join(_format(rows[n]) for n in others) + " |")
    worst = max(value for rows in result["differences"].values() for value in rows.values())
    print(f"\nlargest difference: {worst:.2g} (rounding is up to {TOLERANCE:g})")


def _format(value: float) -> str:
    return "identical" if value == 0 else f"{value:.1e}"


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[1, 2, 3], help="the first is what others are held against"
    )
    parser.add_argument("--images", type=int, default=37, help="pictures that are validated")
    parser.add_argument("--batch", type=int, default=6, help="--data.batch_size; validation takes twice as many")
    add_result_options(parser)
    return parser.parse_args()


def main() -> None:
    """Compare, print, write; the exit status is 1 if anything differs by more than rounding."""
    result = run_benchmark(parse(), validate, compare, print_table)
    worst = max((value for rows in result.get("differences", {}).values() for value in rows.values()), default=0.0)
    sys.exit(int(worst > TOLERANCE))


if __name__ == "__main__":
    main()
