"""One Markdown table of what `gpu.sh` has measured: the ratios of every part, and what was left out.

python benchmarks/gpu_table.py gpu-results
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGETS = {
    ("yolo11n", "each as its users get it"): "1.8",
    ("yolo11x", "each as its users get it"): "1.25",
    ("yolo11n", "share of the step on data in memory"): "0.90",
}
"""By model and comparison."""
TIMES = {"epoch_s": "whole epochs", "train_s": "training alone"}


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
        for key, value in ratios(found):
            yield key, f"{value:.2f}", ""


def ratios(found: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the ratios in a JSON, by their names.

    Args:
        found: the JSON, or a part of it.
        path: where that part is.
    """
    items = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in items:
        name = f"{path} {key}".strip()
        if isinstance(value, int | float) and "ratio" in str(key):
            yield name, float(value)
        elif isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            yield from ratios(value, name)


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
