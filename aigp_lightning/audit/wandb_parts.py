"""Parts of a W&B folder that are neither scalars nor pictures, each with the channel by which it would leave.

What is harmless is listed; everything else is a part of some channel, if only of `other files` or `other records`.
Everything in W&B's folder or run file counts as sent, since an offline run can be synced later.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigp_lightning.audit.picture_values import odd_boxes, odd_own
from aigp_lightning.audit.values import odd_settings, odd_summary, odd_values, samples_of_the_system
from aigp_lightning.files import read_regular
from aigp_lightning.logfiles.paths import size_of
from aigp_lightning.logfiles.run_config import read_json, read_yaml
from aigp_lightning.logfiles.wandb_run import FILE, MEDIA, WandbRun
from aigp_lightning.media.ledger.ledger import BOXES_FILE

HIDDEN = ("", "redacted")
COMMAND = ("args", "program", "code_path", "code_path_local", "executable", "root")
PERSON = ("username", "email")
NAMED = (*COMMAND, *PERSON, "host", "git", "writer_id", "started_at")
OWN_KEYS = ("command", "machine")
"""Channels that this project's own logger puts into the run's config, since W&B sends them only together."""
ENTITY = "entity"
"""Label of a run that says whose project it is in: where it goes, and nothing that is sent along."""
FILES = {
    "weights": r".*\.(ckpt|pt|pth|onnx|safetensors|torchscript)",
    "code": r"code/.*|.*\.(py|ipynb)",
    "patch": r"(.*/)?(diff|upstream_diff).*\.patch",
    "console": r"(.*/)?output.*\.log|logs/.*",
    "requirements": r"requirements\.txt|conda-environment\.yaml",
    "metadata": r"wandb-metadata\.json",
    "event files": r".*tfevents.*",
}
"""Patterns of W&B's files, by channel."""
OURS = {
    "code": r"code/.+\.py",
    "patch": r"diff\.patch",
    "console": r"output\.log",
    "requirements": r"requirements\.txt",
}
"""Patterns of the files that a channel has when it is switched on. Other files are of no channel that was asked for."""
DERIVED = ("config.yaml", "wandb-summary.json")
"""Files that W&B itself makes of its records."""
EMPTY = ("header", "footer", "final")
"""Kinds of records with nothing in them but W&B's own bookkeeping."""
DEEPEST = 50
"""Levels of a value whose names are listed."""
WEIGHTS_FILE = re.compile(r"[^/]+\.ckpt")


@dataclass(frozen=True)
class Part:
    """Something in a W&B folder that is neither scalar nor picture.

    Attributes:
        channel: it would leave by.
        detail: its name or amount.
        file: its name in the mirror; empty for what the run file has.
        size: bytes of the file.
        ours: True if the channel, where it is switched on, has such parts; no switch allows any other.
    """

    channel: str
    detail: str
    file: str = ""
    size: int = 0
    ours: bool = True


def parts_of(run: WandbRun, starts: Sequence[WandbRun] = ()) -> Iterator[Part]:
    """List the parts of a W&B folder, records first.

    Args:
        run: the folder's contents.
        starts: contents of all folders of the same run, whose settings and figures a resumed run has too.
    """
    yield from _records(run)
    yield from _files(run, [run, *(each for each in starts if each is not run)])


def _records(run: WandbRun) -> Iterator[Part]:
    yield from map(_artifact, run.artifacts)
    environment = run.environment  # W&B's own bundle of facts, which none of our channels sends
    for channel, names in {"command": COMMAND, "user": PERSON}.items():
        yield from (Part(channel, f"{name} {environment[name]}", ours=False) for name in names if environment.get(name))
    if str(environment.get("host", "")) not in HIDDEN:
        yield Part("host", str(environment["host"]), ours=False)
    yield from (Part("machine", name, ours=False) for name in sorted(set(environment) - set(NAMED)))
    if run.host not in HIDDEN:
        yield Part("host", run.host)
    yield from (Part("git", detail) for detail in _git(run))
    if run.console:
        yield Part("console", f"{run.console} pieces of output")
    if run.stats:
        yield Part("system_metrics", f"{run.stats} samples")
    if load := samples_of_the_system(run):
        yield Part("system_metrics", f"{load.total()} values of {len(load)} scalars, such as {min(load)}")
    for key, value in run.config.items():
        if key == "command":
            yield Part("command", f"command {_text(value)}")
        else:
            channel = "machine" if key == "machine" else "config"
            yield from (Part(channel, name) for name in _keys(value, "" if channel == "machine" else key))
    yield from (Part("notes", f"{key} {value}") for key, value in run.labels.items() if key != ENTITY)
    yield from (Part("values", f"{name} {problem}") for name, problem in odd_values(run))
    if run.others["tbrecord"]:
        yield Part("event files", "TensorBoard sync")
    for name, count in run.others.items():
        if count and name not in (*EMPTY, "tbrecord"):
            yield Part("other records", f"{count} {name}")


def _text(value: Any) -> str:
    try:
        return str(value)
    except RecursionError:
        return "(nested too deep)"


def _artifact(artifact: Any) -> Part:
    names = f": {', '.join(artifact.files)}" if artifact.files else ""
    detail = f"artifact {artifact.name} ({artifact.kind}, {artifact.size / 1e6:.2f} MB{names})"
    ours = all(WEIGHTS_FILE.fullmatch(file) for file in artifact.files)
    return Part("weights" if artifact.kind == "model" else "artifacts", detail, ours=ours)


def _git(run: WandbRun) -> Iterator[str]:
    yield from (f"{key} {value}" for key, value in run.git.items() if value)
    inner = run.environment.get("git")
    if isinstance(inner, dict):
        yield from (f"{key} {value}" for key, value in inner.items() if value)


def _keys(content: Any, before: str, deep: int = 0) -> Iterator[str]:
    """List the names of the leaves of a nested value."""
    if not isinstance(content, dict) or not content or deep > DEEPEST:
        yield before or str(content)
        return
    for key, value in content.items():
        yield from _keys(value, f"{before}.{key}" if before else str(key), deep + 1)


# ---- files -----------------------------------------------------------------------------------------------------------


def _files(run: WandbRun, starts: Sequence[WandbRun]) -> Iterator[Part]:
    """List the files that are no media: those in the mirror, and those that W&B was told to upload."""
    there = dict(run.entries())
    for name in sorted({*there, *run.files}):
        what = there.get(name, FILE)
        path = run.mirror / name
        size = size_of(path) if what == FILE and name in there else 0
        if what != FILE:  # `run.save` makes a link to the file; what it leads to is sent
            yield Part(_channel(name), f"{name} (a {what})", name, ours=False)
        elif _leads_out(name):
            yield Part("other files", name, name, ours=False)
        elif name in DERIVED:
            yield from _derived(run, name, size, starts) if name in there else ()
        elif name.endswith(BOXES_FILE) and name.startswith(MEDIA):
            if name in there and (problem := _odd_boxes(path)):
                yield Part("values", f"{name}: {problem}", name, size, ours=False)
        elif not name.startswith(MEDIA):
            channel = _channel(name)
            ours = re.fullmatch(OURS.get(channel, "(?!)"), name) is not None
            yield Part(channel, name, name, size, ours)


def _channel(name: str) -> str:
    return next((each for each, form in FILES.items() if re.fullmatch(form, name, re.DOTALL)), "other files")


def _leads_out(name: str) -> bool:
    parts = re.split(r"[/\\]", name)
    return name.startswith(("/", "~")) or ":" in parts[0] or "\0" in name or any(x in ("", ".", "..") for x in parts)


def _derived(run: WandbRun, name: str, size: int, starts: Sequence[WandbRun]) -> Iterator[Part]:
    """Compare a file that W&B makes of its records with what such a file may hold."""
    content, problem = (read_json if name.endswith(".json") else read_yaml)(run.mirror / name)
    if problem or not isinstance(content, dict):
        yield Part("other files", f"{name} ({problem or 'is no table of values'})", name, size, ours=False)
        return
    if name == "wandb-summary.json":
        odd: Sequence[tuple[str, str]] = list(odd_summary(content, starts, run.ended and not run.damage))
    else:
        metrics = {name for each in starts for name in each.metrics}
        odd = _odd_config(content, {key for each in starts for key in each.config}, metrics)
    yield from (Part("values", f"{name}: {key} {what}", name, ours=False) for key, what in odd)


def _odd_config(content: dict[Any, Any], settings: Collection[str], metrics: Collection[str]) -> list[tuple[str, str]]:
    inner = {str(key): value.get("value") if isinstance(value, dict) else value for key, value in content.items()}
    own = inner.pop("_wandb", None)
    odd = [(key, "is in no record of the run's") for key in inner if key not in settings]
    odd += odd_settings({key: value for key, value in inner.items() if key not in OWN_KEYS})
    return odd + _odd_own(own, metrics)


def _odd_own(own: Any, metrics: Collection[str]) -> list[tuple[str, str]]:
    if not isinstance(own, dict):
        return [] if own is None else [("_wandb", "is no table of values")]
    return [(f"_wandb.{key}", problem) for key, problem in sorted(odd_own(own, metrics))]


def _odd_boxes(path: Path) -> str:
    try:
        return odd_boxes(read_regular(path))
    except (OSError, ValueError):
        return "cannot be read"
