"""Says what to do about a `data.yaml` that is not there: the nearest path that is, and what would make it."""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, get_close_matches
from itertools import islice
from pathlib import Path

from aigp_lightning.data.synthetic.options import MakeDataOptions
from aigp_lightning.data.synthetic.record import recorded_values
from aigp_lightning.paths import expand_home

DATA_YAML = "data.yaml"
SHIPPED_SETS = (
    MakeDataOptions("datasets/gates", "detect", train=2048, val=256, test=256),
    MakeDataOptions("datasets/gate-corners", "pose", train=2048, val=256, test=256),
    MakeDataOptions("datasets/gate-masks", "segment", train=2048, val=256, test=256),
    MakeDataOptions("datasets/obstacles", "obstacle", train=2048, val=256, test=256),
    *(MakeDataOptions(f"datasets/quick-{task}", task, train=384, val=96, test=32)
      for task in ("detect", "pose", "segment", "obstacle")),
)  # fmt: skip
"""The data sets of `configs/*.yaml`; at no other path is one made unasked."""
MOST_ENTRIES = 2000
"""So many entries of a folder are looked at, and so many folders."""
DEPTH = 3
LIKE = 0.6
"""So much of two names is the same where one may have been meant."""


def shipped_set(data_yaml: str) -> MakeDataOptions | None:
    """Return the data set that a shipped configuration has at this path; None where it is no such path.

    Args:
        data_yaml: path of a `data.yaml`.

    Example:
        >>> found = shipped_set("./datasets/gate-corners/data.yaml")
        >>> found and found.task, shipped_set("my/data.yaml")
        ('pose', None)
    """
    path = os.path.abspath(data_yaml)
    return next((one for one in SHIPPED_SETS if os.path.abspath(os.path.join(one.out, DATA_YAML)) == path), None)


def not_there(data_yaml: str, synthetic: MakeDataOptions | None = None) -> str:
    """Return the line about a data set that is not there: the nearest path that is, and the command that makes it.

    Args:
        data_yaml: path as it was given.
        synthetic: the data set that is configured; None: the shipped configuration's, at its path.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory(dir=".") as folder:
        ...     Path(folder, "gates").mkdir()
        ...     _ = Path(folder, "gates", "data.yaml").write_text("names: [gate]")
        ...     not_there(f"{folder}/gatse/data.yaml").replace(os.path.basename(folder), "sets")
        './sets/gatse/data.yaml: there is no such file; the nearest that is there is sets/gates/data.yaml'
    """
    near = nearest_path(data_yaml)
    if near is None:
        found = f"nor anything like it in {os.getcwd()}; give the path of your data set's {DATA_YAML}"
    elif near.is_dir():
        found = f"the nearest that is there is the folder {near}, without a YAML of that name in it"
    else:
        found = f"the nearest that is there is {near}"
    text = f"{data_yaml}: there is no such file{', ' if near is None else '; '}{found}"
    options = synthetic or shipped_set(data_yaml)
    out = Path(expand_home(data_yaml))
    out = out.parent if out.suffix[1:].isalpha() else out  # a file, also `data.ymal`; `v1.2` is a folder
    if options is None or (out.is_dir() and any(out.iterdir())) or out.is_file():
        return text
    written = f" (as {out / DATA_YAML})" if Path(data_yaml).name != DATA_YAML else ""
    return f"{text}. To make a synthetic one there{written}: {make_command(options, str(out))}"


def make_command(options: MakeDataOptions, out: str, force: bool = False) -> str:
    """Return the `make-data` command for a data set.

    Args:
        options: its options.
        out: its folder.
        force: replace one that is there.

    Example:
        >>> make_command(MakeDataOptions(task="pose", train=8, imgsz=(320, 180)), "my gates")
        "python -m aigp_lightning make-data --out 'my gates' --task pose --train 8 --imgsz '[320, 180]'"
    """
    words = ["python", "-m", "aigp_lightning", "make-data", "--out", out]
    usual = recorded_values(MakeDataOptions())
    for name, value in recorded_values(options).items():
        if value != usual[name]:
            words += [f"--{name}", f"[{value.replace('x', ', ')}]" if name == "imgsz" else value]
    return shlex.join([*words, *(("--force", "true") if force else ())])


def nearest_path(path: str) -> Path | None:
    """Find what may have been meant by the path of a YAML that is not there.

    Every part of it that is not there is replaced by what is most like it. Where nothing is, the YAML files below the
    last folder that is there, and the one above it, are compared.

    Args:
        path: as it was given.

    Returns:
        A YAML; the folder in which it might have been; or None, where not even the first folder is there.
    """
    typed = Path(expand_home(path))
    start = here = Path(typed.anchor)
    rest = list(typed.parts[1:] if typed.anchor else typed.parts)
    while rest:
        step = here / rest[0] if os.path.lexists(here / rest[0]) else _most_like(here, rest[0], last=len(rest) == 1)
        if step is None:
            break
        here = step
        del rest[0]
    if here.is_file():
        return here
    if (found := _yaml_below(here, rest or [DATA_YAML], LIKE)) is not None or here == start:
        return found
    return _yaml_below(here.parent, [typed.name], 1.0) or here


def _yaml_below(folder: Path, parts: Sequence[str], least: float) -> Path | None:
    """Return the YAML below a folder that is most like the rest of a path: of the same name, or so much like it."""
    likeness = {
        file: (
            file.name == parts[-1],
            SequenceMatcher(None, file.relative_to(folder).as_posix(), "/".join(parts)).ratio(),
        )
        for file in _yamls(folder)
    }
    best = max(likeness, key=likeness.__getitem__, default=None)
    return best if best is not None and (likeness[best][0] or likeness[best][1] >= least) else None


def _most_like(folder: Path, name: str, last: bool) -> Path | None:
    """Return the entry of a folder whose name is most like another: a folder, or a YAML if the name is the last."""
    fitting = {
        unicodedata.normalize("NFC", entry.name).casefold(): entry.name
        for entry in _entries(folder)
        if _is_yaml(entry.name) or _is_folder(entry)
        if last or _is_folder(entry)
    }
    near = get_close_matches(unicodedata.normalize("NFC", name).casefold(), fitting, n=1, cutoff=LIKE)
    return folder / fitting[near[0]] if near else None


def _yamls(folder: Path) -> Iterator[Path]:
    """Yield the YAML files in a folder and the folders below it, the nearest first."""
    level = [folder]
    for _ in range(DEPTH):
        below: list[Path] = []
        for one in level[:MOST_ENTRIES]:
            for entry in _entries(one):
                if _is_folder(entry):
                    below.append(one / entry.name)
                elif _is_yaml(entry.name):
                    yield one / entry.name
        level = below


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List a folder, without hidden entries; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in islice(entries, MOST_ENTRIES) if not entry.name.startswith(".")),
                key=lambda entry: entry.name,
            )
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _is_yaml(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))
