"""Reads an Ultralytics `data.yaml`: where the pictures are and what the classes are called."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aigp_lightning.data.keypoint_yaml import SIGMAS, read_keypoints, unread_sigmas
from aigp_lightning.data.known_keys import idle_keys, meant_keys
from aigp_lightning.data.limits import MAX_CLASSES, MAX_NAME, is_blank, is_name, quoted, visible
from aigp_lightning.data.yaml_document import Document, Value, whole_number
from aigp_lightning.errors import DataError, printable
from aigp_lightning.paths import Spellings, expand_home, is_glob, matches
from aigp_lightning.types import Keypoints

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataSpec:
    """A data set as its YAML describes it.

    Attributes:
        file: the YAML itself, absolute.
        root: folder that relative sources start from.
        names: class id to name, ids 0 to nc - 1 in order.
        splits: `train`, `val`, `test` to their sources: absolute folders, globs, images or .txt lists. Symbolic links
            are kept as written, since labels are found from the path as written.
        keypoints: number, names and mirror orders of its keypoints; None where it has none.
        doubts: lines about keys that are not read: they nearly are known ones, or mean nothing beside the others.

    Example:
        >>> spec = DataSpec(Path("/gates/data.yaml"), Path("/gates"), {0: "gate"}, {"train": ("/gates/images/train",)})
        >>> spec.nc, spec.kpt_shape
        (1, None)
    """

    file: Path
    root: Path
    names: dict[int, str]
    splits: dict[str, tuple[str, ...]]
    keypoints: Keypoints | None = None
    doubts: tuple[str, ...] = ()

    @property
    def kpt_shape(self) -> tuple[int, int] | None:
        """Number of keypoints and numbers for each (2 or 3)."""
        return None if self.keypoints is None else (self.keypoints.count, self.keypoints.numbers)

    @property
    def nc(self) -> int:
        """Number of classes."""
        return len(self.names)


def read_data_yaml(path: str | Path) -> DataSpec:
    r"""Read and check a data set description. Nothing is downloaded and no code in it is run.

    Args:
        path: the YAML, or a folder with a `data.yaml`.

    Returns:
        The checked description. Whether the pictures exist is checked when a split is listed.

    Raises:
        DataError: the file is missing, is not YAML, or one of its values is wrong.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(dir=".")).resolve() / "data.yaml"
        >>> _ = file.write_text("train: images/train\nval: images/val\nnames: [gate]\n")
        >>> spec = read_data_yaml(file)
        >>> spec.names, spec.nc, Path(spec.splits["val"][0]).relative_to(file.parent).as_posix()
        ({0: 'gate'}, 1, 'images/val')
    """
    file = Path(Spellings().find(os.path.abspath(expand_home(path))))
    if os.path.isdir(file):
        file = file / "data.yaml"
    if not os.path.isfile(file):
        from aigp_lightning.data.missing_data import not_there

        raise DataError(not_there(str(path)))
    doc = Document(file)
    sources = {split: _sources(doc, split) for split in SPLITS}
    root, keypoints = _root(doc, [*sources["train"], *sources["val"]]), read_keypoints(doc.values, doc.error)
    return DataSpec(
        file=file,
        root=root,
        names=_names(doc),
        splits={split: tuple(_absolute(root, s) for s in found) for split, found in sources.items() if found},
        keypoints=keypoints,
        doubts=tuple(
            printable(f"{file}:{doc.lines[key]}: '{key:.80}' is not read; did you mean '{meant}'?")
            + (unread_sigmas(keypoints) if meant == SIGMAS else "")
            for key, meant in meant_keys(doc.values).items()
        )
        + tuple(printable(f"{file}:{doc.lines[key]}: {text}") for key, text in idle_keys(doc.values).items()),
    )


def _sources(doc: Document, split: str) -> list[str]:
    """Return the sources of one split as they are written."""
    key = "validation" if split == "val" and "val" not in doc.values and "validation" in doc.values else split
    value = doc.values.get(key)
    if value is None or value in ("", []):
        if split == "test":
            return []
        raise _missing(
            doc, key, f"'{split}' is missing or empty; add '{split}: images/{split}' (a folder, a .txt or a list)"
        )
    sources = []
    for place, source in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(source, str) or not source.strip() or "\0" in source:
            raise doc.error(key, f"'{split}' must be a path or a list of paths, not {quoted(source)}", place)
        sources.append(source)
    return sources


def _missing(doc: Document, key: str, text: str) -> DataError:
    """Make an error about a key that has to be there, with the key that may have been meant to be it."""
    near = [other for other, meant in meant_keys(doc.values).items() if meant == key]
    hint = f"; line {doc.lines[near[0]]} has '{near[0]:.80}': did you mean '{key}'?" if near else ""
    return doc.error(key, text + hint)


def _root(doc: Document, sources: list[str]) -> Path:
    """Find the folder that relative sources start from.

    Ultralytics takes a relative `path` from the working directory, or else from its own folder of data sets. Here the
    place of the YAML comes first, so that a set can be used from anywhere; the others follow if the pictures are there.
    """
    written = doc.values.get("path")
    if written is not None and (not isinstance(written, str) or "\0" in written):
        raise doc.error("path", f"'path' must be a folder, not {quoted(written)}")
    here, cwd = doc.file.parent, Path.cwd()
    folder = Path(written if written and os.path.exists(here / written) else os.path.expanduser(written or "."))
    bases = [here] if not written or folder.is_absolute() else [here, cwd, cwd / "datasets", cwd.parent / "datasets"]
    roots = [Path(os.path.abspath(base / each)) for each in _readings(str(folder)) for base in bases]
    complete = (root for root in roots if all(_exists(_absolute(root, s)) for s in sources))
    return next(complete, None) or next((root for root in roots if os.path.isdir(root)), roots[0])


def _readings(path: str) -> list[str]:
    r"""List what a path may mean: itself, or one that was written on Windows, where `\` is what `/` is elsewhere."""
    return [path, path.replace("\\", "/")] if os.sep == "/" and "\\" in path else [path]


def _absolute(root: Path, source: str) -> str:
    """Make a source an absolute path; the first of its readings that is there, or else as it is written."""
    paths = [_placed(root, reading) for reading in _readings(source)]
    return paths[0] if len(paths) == 1 else next(filter(_exists, paths), paths[0])


def _placed(root: Path, source: str) -> str:
    """Make a source an absolute path, links unresolved.

    A leading `../` that leads nowhere is dropped, as Ultralytics does for sets exported with `../train/images`.
    """
    written = os.path.join(root, source)
    if not os.path.lexists(written):
        written = Spellings().find(os.path.join(root, os.path.expanduser(source)))
    path = os.path.normpath(written)
    if os.path.exists(written) and not (os.path.exists(path) and os.path.samefile(path, written)):
        return written  # a `..` behind a symbolic link: tidying up would point elsewhere
    if not _exists(path) and source.startswith("../"):
        shorter = os.path.normpath(os.path.join(root, source[3:]))
        return shorter if _exists(shorter) else path
    return path


def _exists(path: str) -> bool:
    """True if a path, or anything a glob stands for, is there."""
    return os.path.exists(path) or (is_glob(path) and bool(matches(path)))


def _count(doc: Document) -> int | None:
    """Return `nc`, or None where it is not given."""
    nc = doc.values.get("nc")
    if nc is None:
        return None
    count = whole_number(nc)
    if count is None or count < 1:
        raise doc.error("nc", f"'nc' must be a whole number over 0, not {quoted(nc)}")
    if count > MAX_CLASSES:
        raise doc.error("nc", f"'nc' is {quoted(count)}; at most {MAX_CLASSES} classes are trained")
    return count


def _names(doc: Document) -> dict[int, str]:
    """Return class names by id, checked against `nc`."""
    names, nc = doc.values.get("names"), _count(doc)
    if "names" not in doc.values:
        if nc is None or "names" in meant_keys(doc.values).values():
            raise _missing(doc, "names", "the class names are missing; add them: 'names: [gate]'")
        return {i: f"class_{i}" for i in range(nc)}
    if not isinstance(names, list | dict) or not names:
        raise doc.error("names", f"'names' must be a list or ids with names, such as [gate], not {quoted(names)}")
    if len(names) > MAX_CLASSES:
        raise doc.error("names", f"'names' has {len(names)} classes; at most {MAX_CLASSES} are trained")
    items: Mapping[str | int, Value] = dict(enumerate(names) if isinstance(names, list) else names.items())
    ids = {item: _class_id(doc, item) for item in items}
    if sorted(ids.values()) != list(range(len(ids))):
        raise doc.error(
            "names",
            f"the {len(ids)} class ids must be 0 to {len(ids) - 1}, "
            f"not {quoted(min(ids.values()))} to {quoted(max(ids.values()))}",
        )
    if nc is not None and nc != len(ids):
        raise doc.error("nc", f"'nc' is {nc}, but 'names' has {len(ids)} classes; mend one of the two")
    found = {ids[item]: _class_name(doc, item, value) for item, value in items.items()}
    _refuse_same(doc, found, {class_id: item for item, class_id in ids.items()})
    return {class_id: found[class_id] for class_id in sorted(found)}


def _class_id(doc: Document, key: str | int) -> int:
    """Read a key under `names` as a class id."""
    found = key if isinstance(key, int) else whole_number(key)
    if found is None:
        raise doc.error("names", f"a class id under 'names' is not a whole number: {quoted(key)}", key)
    return found


def _class_name(doc: Document, item: str | int, value: Value) -> str:
    """Return a class name as it is written."""
    if value is None or (isinstance(value, str) and is_blank(value)):
        raise doc.error("names", f"class {item!s:.80} has no name; write one, 'null' and '~' in quotes", item)
    if not isinstance(value, str):
        kind = "a list" if isinstance(value, list) else "a mapping"
        raise doc.error("names", f"a class name must be text, not {kind}", item)
    if not is_name(value):
        text = f"{quoted(value)} is no class name; up to {MAX_NAME} printable characters are one"
        raise doc.error("names", text, item)
    return value


def _refuse_same(doc: Document, names: Mapping[int, str], items: Mapping[int, str | int]) -> None:
    """Refuse two classes that nobody could tell apart by their names."""
    seen: dict[str, int] = {}
    for class_id, name in names.items():
        other = seen.setdefault(unicodedata.normalize("NFC", visible(name)), class_id)
        if other != class_id:
            text = f"classes {other} and {class_id} are both called {quoted(name)}; give every class its own name"
            raise doc.error("names", text, items[class_id])
