"""Opens what is to be split: an existing data set, or a folder of pictures without a `data.yaml`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.images import label_path
from aigp_lightning.data.labels import parse_label_file
from aigp_lightning.data.likely_keypoints import WITHOUT_SHAPE, likely_keypoints
from aigp_lightning.data.limits import MAX_CLASSES, MAX_LABEL_BYTES, regular_file_size
from aigp_lightning.data.listing import list_images
from aigp_lightning.data.records import ImageRecord, ScanResult
from aigp_lightning.data.scan import scan_split
from aigp_lightning.errors import DataError, printable
from aigp_lightning.files import shell_quoted
from aigp_lightning.paths import LINE_END, expand_home

NAME_FILES = ("classes.txt", "labels/classes.txt", "obj.names", "labels.txt")
"""Files in which label tools write the names of classes, one a line."""
DATA_YAML = "data.yaml"


@dataclass(frozen=True)
class Source:
    """Pictures that are to be split.

    Attributes:
        spec: the data set; its splits are where the pictures were found.
        yaml: the `data.yaml` whose keys are kept; None where there is none.
        records: usable pictures, each once, in the order of their paths.
        told: lines about pictures that are left out, and about names of classes.
    """

    spec: DataSpec
    yaml: Path | None
    records: list[ImageRecord]
    told: list[str]

    @property
    def files(self) -> list[str]:
        """Paths of the pictures."""
        return [record.im_file for record in self.records]


def open_source(path: str, *, workers: int = 8, progress: bool = False) -> Source:
    """Read the pictures and labels of a data set, of all its splits together.

    Args:
        path: a `data.yaml`, a folder with one, or a folder of pictures.
        workers: threads.
        progress: show a progress bar.

    Raises:
        DataError: there is no such folder, there are no pictures, or none can be used.
    """
    folder = Path(os.path.abspath(expand_home(path)))
    if folder.is_dir() and not (folder / DATA_YAML).is_file():
        spec, told = _spec_of_folder(folder)
        yaml = None
    else:
        spec, told = read_data_yaml(path), []
        yaml = spec.file
    known: dict[str, ImageRecord] = {}
    aside, again, why = 0, 0, ""
    for split in spec.splits:
        scan = _scanned(spec, split, yaml, workers, progress)
        aside += scan.set_aside
        why = why or next((f"{each.file}: {each.text}" for each in scan.problems if each.fatal), "")
        for record in scan.records:
            real = os.path.realpath(record.im_file)
            again += real in known and known[real].im_file != record.im_file
            known.setdefault(real, record)
    listable, lost = _listable(sorted(known.values(), key=lambda record: record.im_file))
    if aside:
        them = f"; `lint {shell_quoted(yaml)}` names them" if yaml is not None and aside > 1 else ""
        told.append(
            f"{aside} picture{'s' * (aside != 1)} cannot be used and {'are' if aside != 1 else 'is'} in no split"
            f"{f', such as by {printable(why)}' if why else ''}{them}"
        )
    if again:
        told.append(
            f"{again} path{'s lead' if again != 1 else ' leads'} to a picture that is listed already: one path is kept"
        )
    if lost:
        told.append(
            f"{len(lost)} picture{'s' * (len(lost) != 1)} cannot be named in a list, and are in no split: line ends or "
            f"blanks at the ends of the name, such as {printable(lost[0])}"
        )
    if not listable:
        raise DataError(f"{printable(folder)}: no picture can be named in a list; rename them")
    return Source(spec, yaml, listable, told)


def _scanned(spec: DataSpec, split: str, yaml: Path | None, workers: int, progress: bool) -> ScanResult:
    """Check the pictures of a split.

    Raises:
        DataError: none can be used, or most are labelled with keypoints that nothing declares.
    """
    try:
        scan = scan_split(spec, split, pose=spec.keypoints is not None, workers=workers, progress=progress)
    except DataError as error:
        _refuse_keypoints(spec, yaml, _unshaped(spec, split))
        if yaml is not None:
            raise
        raise DataError(str(error).replace(f"{spec.file}: ", f"{spec.root}: ", 1)) from error
    unshaped = [problem.file for problem in scan.problems if problem.fatal and problem.kind == WITHOUT_SHAPE]
    if len(unshaped) > sum(len(record.cls) > 0 for record in scan.records):
        _refuse_keypoints(spec, yaml, unshaped)
    return scan


def _unshaped(spec: DataSpec, split: str) -> list[str]:
    """Return the label files of a split whose rows look like boxes with keypoints, though nothing says so."""
    if spec.keypoints is not None:
        return []
    labels = dict.fromkeys(map(label_path, list_images(spec, split)))
    problems = (problem for label in labels for problem in parse_label_file(label, spec.nc, None)[3])
    return [problem.file for problem in problems if problem.kind == WITHOUT_SHAPE]


def _refuse_keypoints(spec: DataSpec, yaml: Path | None, labels: Sequence[str]) -> None:
    """Refuse labels of boxes and keypoints where no `kpt_shape` tells them from outlines.

    Raises:
        DataError: there are any.
    """
    rows = [line.split() for line in Path(labels[0]).read_text(encoding="utf-8").splitlines()] if labels else []
    shape = likely_keypoints([row for row in rows if row])
    if shape is None:
        return
    (count, numbers), _ = shape
    is_are = f"{len(labels)} label file{'s look' if len(labels) != 1 else ' looks'} like boxes with {count} keypoints"
    key = f"'kpt_shape: [{count}, {numbers}]'"
    if yaml is not None:
        raise DataError(f"{yaml}: {is_are}; add {key} to it.")
    pictures = os.path.relpath(spec.splits["train"][0], spec.root)
    raise DataError(
        f"{printable(spec.root)}: {is_are}, and no {DATA_YAML} says so; write {spec.file} with 'train: {pictures}', "
        f"'val: {pictures}', the names of the classes and {key}."
    )


def _listable(records: Sequence[ImageRecord]) -> tuple[list[ImageRecord], list[str]]:
    """Part the pictures whose paths are one line of a list from the others."""

    def fits(file: str) -> bool:
        return not LINE_END.search(file) and file == file.strip()

    return [r for r in records if fits(r.im_file)], [r.im_file for r in records if not fits(r.im_file)]


def _spec_of_folder(folder: Path) -> tuple[DataSpec, list[str]]:
    """Describe a folder without a `data.yaml`, and tell where the names of its classes come from."""
    pictures = folder / "images" if (folder / "images").is_dir() else folder
    bare = DataSpec(folder / DATA_YAML, folder, {0: "class0"}, {"train": (str(pictures),)})
    files = list_images(bare, "train")
    names_file = next((folder / name for name in NAME_FILES if (folder / name).is_file()), None)
    names = _names(names_file) if names_file is not None else []
    most = _highest_id(files) + 1
    if len(names) >= max(most, 1):
        told = [f"names of the classes are from {names_file}"]
    else:
        lacking = (
            f"{names_file} has {len(names)} names for {most} classes"
            if names
            else f"there is no {DATA_YAML} and no {NAME_FILES[0]}"
        )
        names = [f"class{number}" for number in range(max(most, 1))]
        told = [
            f"{lacking}: the classes are called {names[0]}{f' to {names[-1]}' * (len(names) > 1)}; write their names "
            f"into {DATA_YAML}"
        ]
    return DataSpec(bare.file, folder, dict(enumerate(names)), bare.splits), told


def _names(file: Path) -> list[str]:
    """Read names, one a line."""
    try:
        regular_file_size(file, MAX_LABEL_BYTES)
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: the names of the classes cannot be read ({error}); mend or remove it") from error
    return [line.strip() for line in lines if line.strip()]


def _highest_id(files: Sequence[str]) -> int:
    """Return the highest class id in the labels of pictures; -1 where there is none."""
    highest = -1
    for file in files:
        try:
            regular_file_size(label := label_path(file), MAX_LABEL_BYTES)
            with open(label, encoding="utf-8", errors="replace") as rows:
                ids = [word[0] for row in rows if (word := row.split(maxsplit=1))]
        except (OSError, ValueError):
            continue
        highest = max([highest, *(int(word) for word in ids if word.isascii() and word.isdigit() and len(word) < 7)])  # noqa: PLR2004
    if highest >= MAX_CLASSES:
        raise DataError(
            f"a label has the class {highest}; at most {MAX_CLASSES} classes are read: mend it, or add a {DATA_YAML}"
        )
    return highest
