"""Finds the images of a split: in folders, by globs and in lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.data.folders import Folders
from aigp_lightning.data.images import IMAGE_SUFFIXES, is_image
from aigp_lightning.data.limits import MAX_PROBLEMS
from aigp_lightning.data.problems import Problem
from aigp_lightning.errors import DataError, printable
from aigp_lightning.paths import DRIVE, Spellings, decode_list, is_glob, is_text, list_lines, matches, name_cuts

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec


def list_images(spec: DataSpec, split: str) -> list[str]:
    """Find the images of a split in the order Ultralytics has them: sorted as text.

    Args:
        spec: data set.
        split: `train`, `val` or `test`.

    Returns:
        Absolute paths, symbolic links unresolved. An image that is listed twice comes twice.

    Raises:
        DataError: the split is not in the data set, a source is missing, or there is no image in any of them.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.data.data_yaml import read_data_yaml
        >>> from aigp_lightning.data.synthetic import MakeDataOptions, make_data
        >>> options = MakeDataOptions(tempfile.mkdtemp(dir="."), train=2, val=1, test=0, imgsz=(64, 64), workers=1)
        >>> spec = read_data_yaml(make_data(options, progress=False))
        >>> [Path(file).name for file in list_images(spec, "train")]
        ['000000.jpg', '000001.jpg']
    """
    return find_images(spec, split)[0]


def find_images(spec: DataSpec, split: str, folders: Folders | None = None) -> tuple[list[str], list[Problem]]:
    r"""Find the images of a split, as `list_images` does, and the lines of lists that name no image.

    Args:
        spec: data set.
        split: `train`, `val` or `test`.
        folders: gets the names in the folders that are read, and the files that are passed over.

    Returns:
        Images and problems.

    Raises:
        DataError: as `list_images`.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.data.data_yaml import DataSpec
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "list.txt").write_text("a.jpg\nnotes.doc")
        ...     splits = {"train": (f"{folder}/list.txt",)}
        ...     spec = DataSpec(Path(folder, "data.yaml"), Path(folder), {0: "gate"}, splits)
        ...     images, problems = find_images(spec, "train")
        >>> [Path(image).name for image in images], problems[0].text
        (['a.jpg'], "'notes.doc' does not end like an image's name, left out")
    """
    if not (sources := spec.splits.get(split)):
        raise DataError(f"{spec.file}: no '{split}' split; add '{split}:' with a folder of images")
    found: list[str] = []
    problems: list[Problem] = []
    folders = Folders() if folders is None else folders
    for source in sources:
        found += _expand(source, spec, split, problems, folders)
    if not found:
        looked = ", ".join(printable(s) for s in sources[:5])
        raise DataError(
            f"{spec.file}: the '{split}' split has no images; looked in {looked} for {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return sorted(found), problems


def all_images(spec: DataSpec) -> list[str]:
    """Find the images of all splits, as `list_images` does; a split that cannot be listed has none.

    Args:
        spec: data set.

    Example:
        >>> from aigp_lightning.data.data_yaml import DataSpec
        >>> all_images(DataSpec(Path("/none/data.yaml"), Path("/none"), {0: "gate"}, {"train": ("/none/images",)}))
        []
    """
    found: list[str] = []
    for split in spec.splits:
        with suppress(DataError):
            found += list_images(spec, split)
    return found


def _expand(source: str, spec: DataSpec, split: str, problems: list[Problem], folders: Folders) -> Iterable[str]:
    """Return all images that one source stands for; add wrong lines of lists to the problems."""
    if os.path.isdir(source):
        return _walk(source, folders)
    if os.path.isfile(source):
        return [source] if is_image(source) else _read_list(source, spec, problems)
    found = matches(source) if is_glob(source) else []
    if not found:
        if os.sep == "/" and (foreign := DRIVE.search(source)):
            key = "path" if DRIVE.search(str(spec.root)) else split
            raise DataError(
                f"{spec.file}: '{key}' leads to {printable(source[foreign.start() :])}, a path of another machine: "
                f"replace '{key}' by a folder of this one"
            )
        what = "nothing matches" if is_glob(source) else "there is no"
        raise DataError(
            f"{spec.file}: '{split}': {what} {printable(source)}; relative paths start at {spec.root}, mend "
            f"'{split}' or 'path'"
        )
    chosen = [m for m in found if os.path.isdir(m) or is_image(m) or m.lower().endswith(".txt")]
    folders.passed += set(found).difference(chosen)
    inside = "**" in source  # `**` names every folder as well as what is in it, so folders are not opened again
    return [
        image
        for match in chosen
        if not (inside and os.path.isdir(match))
        for image in _expand(match, spec, split, problems, folders)
    ]


def _walk(folder: str, folders: Folders, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the images below a folder, links followed unless they lead back up, hidden names left out."""
    above = (*above, os.path.realpath(folder))
    try:
        files, below = folders.read(folder)
    except OSError as error:
        raise DataError(f"{printable(folder)}: cannot be listed: {error.strerror}") from error
    start = os.path.join(folder, "")
    for name in files:
        if is_image(name):
            yield start + name
        elif not name.lower().endswith(".txt"):
            folders.passed.append(os.path.join(folder, name))
    for name in below:
        path = os.path.join(folder, name)
        if not (os.path.islink(path) and os.path.realpath(path) in above):
            yield from _walk(path, folders, above)


def _read_list(file: str, spec: DataSpec, problems: list[Problem]) -> list[str]:
    """Read the images named in a text file, one on each line; add other lines to the problems."""
    try:
        lines = list(list_lines(decode_list(Path(file).read_bytes())))
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(file)}: neither an image nor a UTF-8 list of images, one on each line") from error
    except OSError as error:
        raise DataError(f"{printable(file)}: cannot be read: {error.strerror}") from error
    found, named, wrong, spellings = [], [], 0, Spellings()
    folders = (os.path.dirname(file), str(spec.root), os.getcwd())
    for number, written in lines:
        line, path = _without_comment(written, folders, spellings)
        if not line:
            continue
        if is_image(line) and "\0" not in line:
            named.append(line)
            found.append(path)
            if not is_text(line) and not os.path.lexists(found[-1]):
                raise DataError(
                    f"{printable(file)}:{number}: not UTF-8, and no file is named so; save the list as UTF-8"
                )
        elif not is_text(line):
            raise DataError(
                f"{printable(file)}:{number}: neither an image nor a UTF-8 list of images, one on each line"
            )
        else:
            wrong += 1
            if wrong <= MAX_PROBLEMS:
                text = f"{line[:80]!r} does not end like an image's name, left out"
                problems.append(Problem(file, number, "not an image", text, False))
    if wrong > MAX_PROBLEMS:
        text = f"{wrong - MAX_PROBLEMS} more lines do not end like an image's name"
        problems.append(Problem(file, None, "not an image", text, False))
    _refuse_first_folder(file, named, found, folders)
    return found


def _without_comment(written: str, folders: Sequence[str], spellings: Spellings) -> tuple[str, str]:
    """Return the name in a line of a list and its path: of the cuts before a `#` the longest image that is there."""
    names = [name for cut in name_cuts(written) for name in dict.fromkeys((cut, cut.strip()))]
    for name in names:
        if is_image(name) and os.path.lexists(path := _resolve(name, folders, spellings)):
            return name, path
    if written.lstrip().startswith("#"):
        return "", ""
    name = next((name for name in reversed(names) if is_image(name)), names[-1])
    return name, _resolve(name, folders, spellings)


def _refuse_first_folder(file: str, names: Sequence[str], paths: Sequence[str], folders: Sequence[str]) -> None:
    """Refuse a list of which all images are there, only not in the folder that its lines begin with, as CVAT's do."""
    if not names or any(os.path.exists(path) for path in paths):
        return
    parts = [name.replace("\\", "/").removeprefix("./").partition("/") for name in names]
    first = parts[0][0]
    if first and all(rest and above == first for above, _, rest in parts):
        for folder in folders:
            if all(os.path.isfile(os.path.join(folder, rest)) for *_, rest in parts):
                raise DataError(
                    f"{printable(file)}: its images are not in {printable(first)}/, but all are there without that "
                    f"folder, in {printable(folder)}: take '{printable(first)}/' off the beginning of its lines"
                )


def _resolve(line: str, folders: Sequence[str], spellings: Spellings) -> str:
    """Resolve a line of a list: `./` means the list's folder; else there, the root or the working directory."""
    line = line.replace("/", os.sep)
    if os.path.isabs(line):
        return spellings.find(line)
    if line.startswith(f".{os.sep}"):
        return spellings.find(os.path.join(folders[0], line[2:]))
    places = [spellings.find(os.path.join(base, line)) for base in folders]
    if os.sep == "/" and "\\" in line:  # a list written on Windows
        places += [p.replace("\\", "/") for p in places]
    return next((p for p in places if os.path.exists(p)), places[0])
