"""One Markdown table of what `gpu.sh` has measured: the ratios of every part, and what was left out.

python benchmarks/gpu_table.py gpu-results
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

TARGETS = {
    ("yolo11n", "each as its users get it"): "1.8",
    ("yolo11x", "each as its users get it"): "1.25",
    ("rf-detr-nano", "against the package's own trainer"): "1.0",
    ("yolo11n", "share of the step on data in memory"): "0.90",
    ("validation", "loop, seconds: Ultralytics / ours"): "3 (1.5 on a CPU)",
}
"""By model, or part, and what is compared."""
SPAN = 3
TIMES = {"epoch_s": "whole epochs", "train_s": "training alone", "cpu_s": "its processor time"}


def rows(name: str, found: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what was measured, its figure and its target.

    Args:
        name: of the part.
        found: the part's JSON; of a script that is not known here every number whose name says that it is a ratio.
    """
    if name.startswith("throughput"):
        for each in found["ratios"]:
            target = TARGETS.get((found["model"], each["comparison"]), "")
            what = f"batch {each['batch']}, {each['comparison']}, {TIMES[each['time']]}"
            yield what, f"{each['ratio']:.2f}", target
        for each in found["failed"]:
            yield f"batch {each['batch']}, {each['side']}", each["reason"], ""
    elif name.startswith("where"):
        for part, times in found["parts"].items():
            total = sum(wall for wall, _ in times["stages"].values())
            first = sorted(times["stages"].items(), key=lambda item: -item[1][0])[:3]
            words = ", ".join(f"{stage} {100 * wall / total:.0f} %" for stage, (wall, _) in first)
            yield f"batch {found['batch']}, {part}: {words}", f"{total:.3f} ms an image", ""
    else:
        for key, figure in (*ratios(found), *times_of_sides(found)):
            yield key, figure, TARGETS.get((name, key), "")


def ratios(found: Any, path: str = "", inside: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the ratios in a JSON, by their names; three numbers are a median and its range.

    Args:
        found: the JSON, or a part of it.
        path: where that part is.
        inside: it is below a key that says that it holds ratios.
    """
    items = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in items:
        name, within = f"{path} {key}".strip(), inside or "ratio" in str(key)
        if isinstance(value, int | float):
            if within:
                yield name, f"{value:.2f}"
        elif isinstance(value, list) and value and all(isinstance(each, int | float) for each in value):
            if within and len(value) == SPAN and "by_round" not in name:
                yield name, f"{value[0]:.2f} ({value[1]:.2f} to {value[2]:.2f})"
        elif isinstance(value, dict | list):
            yield from ratios(value, name, within)


def times_of_sides(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield how many times as long Ultralytics takes, for each kind of seconds that both sides have lists of.

    Args:
        found: the JSON; what has `ours` and `ultralytics` in it is looked at.
    """
    for key, sides in found.items():
        if not isinstance(sides, dict) or not {"ours", "ultralytics"} <= sides.keys():
            continue
        ours, theirs = sides["ours"], sides["ultralytics"]
        for kind in ours if isinstance(ours, dict) else ():
            if "seconds" in kind and isinstance(ours[kind], list) and ours[kind]:
                yield f"{key}, {kind}: Ultralytics / ours", f"{median(theirs[kind]) / median(ours[kind]):.2f}"


def table(folder: Path) -> str:
    """Return the table of a folder's results.

    Args:
        folder: with `parts.tsv` and a JSON for each part that was done.
    """
    lines, machines = ["| part | what | figure | target |", "|---|---|---|---|"], []
    for line in (folder / "parts.tsv").read_text(encoding="utf-8").splitlines():
        name, status, seconds = line.split("\t")
        file = folder / f"{name}.json"
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
            machines.append(found.get("machine", ""))
            lines += [f"| {name} | {what} | {figure} | {target} |" for what, figure, target in rows(name, found)]
        lines.append(f"| {name} | {status} | {seconds} s | |")
    return "\n".join([*list(dict.fromkeys(filter(None, machines)))[:1], "", *lines])


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
