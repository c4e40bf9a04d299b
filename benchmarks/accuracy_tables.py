"""Tasks that `accuracy.py` compares, and the verdicts and Markdown tables of its results."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

SIDES = ("ours", "ultralytics")
SETTINGS = ("epochs", "imgsz", "batch", "nbs", "warmup_epochs", "close_mosaic", "device")
CHANGES = ("single_cls", "augment")
"""Settings that are noted only where they are not the defaults."""
AUTO = "auto"
EARLIER = {"task": "detect", "ours_devices": "1", "ours_precision": AUTO}
"""What a run was made with that does not say so, of an earlier version."""


@dataclass(frozen=True)
class Task:
    """A task: its models, its data and its scores.

    Attributes:
        model: the model's name, without `.yaml`.
        config: our YAML for it.
        kind: our folder below `run.root`.
        made: folder of the synthetic data set.
        measured: what has a mAP of its own: the ending of its keys in the JSON, to its place in Ultralytics' metrics.
    """

    model: str
    config: str
    kind: str
    made: str
    measured: dict[str, str]


TASKS = {
    "detect": Task("yolo11n", "detector.yaml", "detect", "gates", {"": "box"}),
    "pose": Task("yolo11n-pose", "pose.yaml", "pose", "gate-corners", {"(B)": "box", "(P)": "pose"}),
    "segment": Task("yolo11n-seg", "segment.yaml", "segment", "gate-masks", {"(B)": "box", "(M)": "seg"}),
    "obstacle": Task("yolo11n", "obstacle.yaml", "detect", "obstacles", {"": "box"}),
}


def keys(task: str) -> list[tuple[str, str]]:
    """Return the names of the task's mAP50 and mAP50-95."""
    return [(f"mAP50{ending}", f"mAP50-95{ending}") for ending in TASKS[task].measured]


def fits(found: dict[str, Any], settings: dict[str, Any]) -> bool:
    """True if a run was made under these settings, and with no others that change what it learns."""
    known = {**EARLIER, **found}
    changed = {key for key in CHANGES if key in known}
    return changed <= settings.keys() and all(key in known and known[key] == value for key, value in settings.items())


def select(runs: list[dict[str, Any]], shown: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the runs of one data set under one setting, by side, in the order of the seeds."""
    chosen = {}
    for side in SIDES:
        other = ("seeds", *([] if side == "ours" else ["ours_devices", "ours_precision"]))
        same = {"side": side, **{key: value for key, value in shown.items() if key not in other}}
        chosen[side] = sorted(
            (r for r in runs if r["seed"] in shown["seeds"] and fits(r, same)), key=lambda r: r["seed"]
        )
    return chosen


def verdict(runs: dict[str, list[dict[str, Any]]], key: str) -> dict[str, Any]:
    """Judge if ours is no lower than theirs within the spread of the seeds.

    The spread is the larger of the two sides' standard deviations over the seeds (0 with one seed).

    Args:
        runs: by side.
        key: the score to go by.
    """
    scores = {side: [r[key] for r in runs[side]] for side in SIDES}
    spread = max(stdev(values) if len(values) > 1 else 0.0 for values in scores.values())
    difference = mean(scores["ours"]) - mean(scores["ultralytics"])
    return {
        "name": runs["ours"][0]["name"],
        "score": key,
        "mean": {side: mean(values) for side, values in scores.items()},
        "difference": difference,
        "spread": spread,
        "ours_no_lower": difference >= -spread,
    }


def print_tables(result: dict[str, Any]) -> None:
    """Print a Markdown table for each of what is measured, and the verdicts."""
    shown = result["shown"][0]
    said = (*SETTINGS, *(key for key in (*CHANGES, "ours_devices", "ours_precision") if key in shown))
    settings = ", ".join(f"{key} {shown[key]}" for key in said)
    print(f"\n{result['machine']}\n{TASKS[shown['task']].model} from scratch, {settings}\n")
    for both in keys(shown["task"]):
        print_table(result, both)
    for found in result["verdicts"]:
        word = "no lower than" if found["ours_no_lower"] else "LOWER than"
        print(
            f"{found['name']}: ours is {word} Ultralytics' within the spread of the seeds "
            f"({found['score']} difference {found['difference']:+.4f}, standard deviation {found['spread']:.4f})"
        )


def print_table(result: dict[str, Any], both: tuple[str, str]) -> None:
    """Print every seed's scores by data set and trainer.

    Args:
        result: all of it.
        both: the keys of mAP50 and mAP50-95.
    """
    seeds = sorted({seed for shown in result["shown"] for seed in shown["seeds"]})
    head = "".join(f" seed {seed}: {' / '.join(both)} |" for seed in seeds)
    print(f"| data set | trainer |{head} mean {both[0]} | mean {both[1]} | spread |")
    print("|---|---|" + "---|" * (len(seeds) + 3))
    for shown in result["shown"]:
        for side, runs in select(result["runs"], shown).items():
            cells = "".join(f" {r[both[0]]:.4f} / {r[both[1]]:.4f} |" for r in runs)
            means = [mean(r[key] for r in runs) for key in both]
            spread = stdev(r[both[1]] for r in runs) if len(runs) > 1 else 0.0
            print(f"| {runs[0]['name']} | {side} |{cells} {means[0]:.4f} | {means[1]:.4f} | {spread:.4f} |")
    print()
