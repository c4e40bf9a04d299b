"""Writes a split: a `data.yaml` with the other keys of the one that was there, and a list of pictures a split."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from aigp_lightning.data.data_yaml import SPLITS, DataSpec, read_data_yaml
from aigp_lightning.data.listing import list_images
from aigp_lightning.errors import ConfigError, DataError, printable
from aigp_lightning.files import write_atomic

REPLACED = ("path", *SPLITS, "validation")
"""Keys that say where the pictures are."""
UNUSED = "unused"
"""Name of the list of pictures that are in no split."""


def list_path(out: Path, split: str) -> Path:
    """Return the path of a split's list: beside the `data.yaml`, with its name in front unless that is the usual one.

    Args:
        out: the `data.yaml`.
        split: `train`, `val`, `test` or `unused`.

    Example:
        >>> list_path(Path("gates/data.yaml"), "val").name, list_path(Path("gates/data-block.yaml"), "val").name
        ('val.txt', 'data-block-val.txt')
    """
    return out.with_name(f"{split}.txt" if out.stem == "data" else f"{out.stem}-{split}.txt")


def check_free(out: Path, splits: Sequence[str], force: bool) -> None:
    """Refuse to write over files that are there.

    Args:
        out: the `data.yaml` to write.
        splits: that get a list.
        force: replace them.

    Raises:
        ConfigError: one is there, and must not be replaced; or the folder is missing.
    """
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}; make it first.")
    if out.suffix.lower() not in (".yaml", ".yml"):
        raise ConfigError(f"--out {out}: the name of a YAML file, such as data.yaml.")
    taken = [path for path in (out, *(list_path(out, split) for split in (*splits, UNUSED))) if os.path.lexists(path)]
    if taken and not force:
        raise ConfigError(f"{taken[0]} is there already; give --out another name, or add --force to replace it.")


def write_split(
    out: Path, splits: Mapping[str, Sequence[str]], unused: Sequence[str], spec: DataSpec, yaml: Path | None
) -> DataSpec:
    """Write the lists, then the `data.yaml`, and read them back.

    Args:
        out: the `data.yaml`.
        splits: name to pictures.
        unused: pictures that are in no split; they get a list where there are any.
        spec: of the pictures.
        yaml: whose keys are kept; None: there are names alone.

    Returns:
        The data set as it is read from what was written.

    Raises:
        DataError: they cannot be written, or are read otherwise than they were meant.
    """
    text = _kept_text(yaml) if yaml is not None else _names_text(spec)
    heads = "".join(f"{split}: {_quoted(list_path(out, split).name)}\n" for split in splits)
    try:
        for split, files in (*splits.items(), *([(UNUSED, unused)] if unused else [])):
            lines = "".join(f"{_line(file, out.parent)}\n" for file in files)
            write_atomic(list_path(out, split), lines.encode("utf-8", "surrogateescape"))
        if not unused:
            list_path(out, UNUSED).unlink(missing_ok=True)
        whole = text + heads if text.startswith(("---", "%")) else heads + text
        write_atomic(out, whole.encode("utf-8"))
    except OSError as error:
        raise DataError(f"{out}: the split cannot be written ({error.strerror}); choose another --out") from error
    found = read_data_yaml(out)
    if (found.names, found.keypoints) != (spec.names, spec.keypoints):
        raise DataError(
            f"{out}: its classes or keypoints are read otherwise than those of {yaml}; write that one by hand"
        )
    for split, files in splits.items():
        if list_images(found, split) != sorted(files):
            raise DataError(
                f"{list_path(out, split)}: its pictures are read otherwise than they were written; rename them"
            )
    return found


def _line(file: str, folder: Path) -> str:
    """Write a picture's path: from the list's folder where it lies below it, else whole."""
    relative = os.path.relpath(file, folder)
    below = not relative.startswith("..") and not os.path.isabs(relative)
    return "./" + relative.replace(os.sep, "/") if below else file


def _names_text(spec: DataSpec) -> str:
    """Write the names of the classes."""
    return "names:\n" + "".join(f"  {number}: {_quoted(name)}\n" for number, name in spec.names.items())


def _quoted(text: str) -> str:
    """Write a text so that YAML reads it as one."""
    import json

    return json.dumps(text, ensure_ascii=False)


def _kept_text(file: Path) -> str:
    """Return the text of a `data.yaml` without the keys that say where the pictures are; comments stay.

    Raises:
        DataError: it is written in one line, within braces.
    """
    import yaml

    text = file.read_text(encoding="utf-8-sig")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise DataError(
            f"{printable(file)}: its keys are within braces; write one on each line, so that others can be kept"
        )
    lines = text.splitlines(keepends=True)
    starts = [(key.start_mark.line, str(key.value)) for key, _ in root.value]
    ends = [value.end_mark for _, value in root.value]
    for (start, key), end in reversed(list(zip(starts, ends, strict=True))):
        if key in REPLACED:
            stop = end.line + (end.column > 0)
            del lines[start:stop]
    kept = "".join(lines)
    return kept if kept.endswith("\n") or not kept else f"{kept}\n"
