"""Side channels of W&B: data that are neither scalars nor pictures.

Their names are those of the `wandb` options where there is one. Everything in W&B's folder or run file counts as sent,
since an offline run can be synced later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from aigp_lightning.audit.findings import SideChannel
from aigp_lightning.logfiles.wandb_run import MEDIA, WandbRun

HIDDEN = ("", "redacted")
COMMAND = ("args", "program", "code_path", "code_path_local", "executable", "root")
PERSON = ("username", "email")
NAMED = (*COMMAND, *PERSON, "host", "git", "writer_id", "started_at")
OWN_KEYS = ("command", "machine")
"""Channels that this project's own logger puts into the run's config, since W&B sends them only together."""
FILES = {
    "weights": r".*\.(ckpt|pt|pth|onnx|safetensors|torchscript)",
    "code": r"code/.*|.*\.(py|ipynb)",
    "patch": r"(.*/)?(diff|upstream_diff).*\.patch",
    "console": r"(.*/)?output.*\.log|logs/.*",
    "requirements": r"requirements\.txt|conda-environment\.yaml",
    "metadata": r"wandb-metadata\.json",
    "config": r"config\.yaml",
    "event files": r".*tfevents.*",
}
"""Patterns of W&B's files, by channel."""
DERIVED = ("wandb-summary.json",)
PLAIN = ("header", "footer", "final", "summary", "telemetry", "metric", "request", "header", "tbrecord")
"""Kinds of records whose contents are reported elsewhere, or empty."""


def side_channels(runs: Sequence[WandbRun]) -> list[SideChannel]:
    """List the data sent to W&B beside scalars and pictures, over all starts of a run.

    Args:
        runs: the contents of each of its W&B folders.
    """
    records: dict[str, Callable[[WandbRun], Iterable[str]]] = {
        "weights": _artifacts,
        "code": lambda run: (),
        "patch": lambda run: (),
        "git": _git,
        "command": lambda run: [*_fields(run.environment, COMMAND), *_fields(run.config, OWN_KEYS[:1])],
        "console": lambda run: [f"{run.console} pieces of output"] if run.console else (),
        "system_metrics": lambda run: [f"{run.stats} samples"] if run.stats else (),
        "requirements": lambda run: (),
        "host": _host,
        "user": lambda run: _fields(run.environment, PERSON),
        "machine": lambda run: [*sorted(set(run.environment) - set(NAMED)), *_keys(run.config.get(OWN_KEYS[1], {}))],
        "metadata": lambda run: (),
        "config": lambda run: _keys({key: value for key, value in run.config.items() if key not in OWN_KEYS}),
        "event files": lambda run: ["TensorBoard sync"] if run.others["tbrecord"] else (),
        "other records": lambda run: [f"{count} {name}" for name, count in run.others.items() if name not in PLAIN],
    }
    files, sizes = _files(runs)
    rows = []
    for name, of in records.items():
        details = [*dict.fromkeys(detail for run in runs for detail in of(run)), *files.pop(name, [])]
        rows.append(SideChannel(name, bool(details), ", ".join(details), sizes.get(name, 0)))
    rest = files.pop("other files", [])
    rows.append(SideChannel("other files", bool(rest), ", ".join(rest), sizes.get("other files", 0)))
    rows.append(SideChannel("telemetry", True, "versions, platform, features of W&B in use; W&B has no switch for it"))
    return rows


def _files(runs: Sequence[WandbRun]) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Return names and bytes of the files that are no media, by channel."""
    names: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for run in runs:
        for file in sorted({*run.mirrored(), *run.files}):
            if file.startswith(MEDIA) or file in DERIVED:
                continue
            channel = next((name for name, form in FILES.items() if re.fullmatch(form, file)), "other files")
            path = run.mirror / file
            size = path.stat().st_size if path.is_file() else 0
            sizes[channel] = sizes.get(channel, 0) + size
            if file not in names.setdefault(channel, []):
                names[channel].append(file)
    return names, sizes


def _artifacts(run: WandbRun) -> Iterator[str]:
    for kind, name, size in run.artifacts:
        yield f"artifact {name} ({kind}, {size / 1e6:.2f} MB)"


def _git(run: WandbRun) -> Iterator[str]:
    yield from (f"{key} {value}" for key, value in run.git.items() if value)
    inner = run.environment.get("git")
    if isinstance(inner, dict):
        yield from (f"{key} {value}" for key, value in inner.items() if value)


def _host(run: WandbRun) -> Iterator[str]:
    yield from (name for name in (run.host, str(run.environment.get("host", ""))) if name not in HIDDEN)


def _fields(content: dict[str, Any], names: Sequence[str]) -> Iterator[str]:
    yield from (f"{name} {content[name]}" for name in names if content.get(name))


def _keys(content: Any, before: str = "") -> Iterator[str]:
    if not isinstance(content, dict):
        yield f"{before}{content}"
        return
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _keys(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"
