"""Pictures on which two trainers are compared: some of the recipe's own where they are here, else synthetic ones."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.images import label_path
from aigp_lightning.data.listing import list_images
from aigp_lightning.data.synthetic import MakeDataOptions, make_data
from aigp_lightning.errors import UserError

MOST_PICTURES = 48
SYNTHETIC = 12
SIZE = (160, 120)


@dataclass(frozen=True)
class StandIn:
    """A small data set.

    Attributes:
        data_yaml: its description.
        about: the same for Ultralytics' trainer, with absolute paths.
        own: its pictures are the recipe's.
    """

    data_yaml: Path
    about: dict[str, Any]
    own: bool

    @property
    def pictures(self) -> list[Path]:
        """The training pictures."""
        return sorted(Path(self.about["train"]).iterdir())


def make_stand_in(folder: Path, task: str, spec: DataSpec | None) -> StandIn:
    """Make a small data set in a folder; whoever reads it writes caches there, and not beside the user's pictures.

    Args:
        folder: that is empty.
        task: detect, pose or segment.
        spec: of the recipe's data set; None, or pictures that are not here: synthetic ones take their place.
    """
    images: list[str] = []
    if spec is not None and (spec.keypoints is not None or task != "pose"):
        try:
            images = list_images(spec, "train")
        except UserError:  # said when the recipe was converted
            images = []
    if images and spec is not None:
        every = max(len(images) // MOST_PICTURES, 1)
        for split in ("train", "val"):
            _copy(images[::every][:MOST_PICTURES], folder, split)
        return _described(folder, task, spec, own=True)
    options = MakeDataOptions(str(folder / "made"), task, train=SYNTHETIC, val=2, test=0, imgsz=SIZE, workers=1)
    made = read_data_yaml(make_data(options, progress=False))
    pictures = list_images(made, "train")
    for split in ("train", "val"):
        _copy(pictures * (MOST_PICTURES // SYNTHETIC) if split == "train" else pictures[:2], folder, split)
    return _described(folder, task, made, own=False)


def multiplied(stand_in: StandIn, folder: Path, count: int, classes: int) -> StandIn:
    """Make a data set of so many pictures for a schedule, which depends on their number and on the classes alone.

    Args:
        stand_in: whose synthetic pictures are copied.
        folder: that is empty.
        count: pictures to train on.
        classes: how many there are.
    """
    pictures = [str(path) for path in stand_in.pictures]
    _copy((pictures * (count // len(pictures) + 1))[:count], folder, "train")
    _copy(pictures[:2], folder, "val")
    spec = read_data_yaml(stand_in.data_yaml)
    names = {number: spec.names.get(number, f"class {number}") for number in range(classes)}
    return _described(folder, stand_in.about["task"], spec, own=stand_in.own, names=names)


def _copy(images: list[str], folder: Path, split: str) -> None:
    for kind in ("images", "labels"):
        (folder / kind / split).mkdir(parents=True)
    for number, image in enumerate(images):
        source, labels = Path(image), Path(label_path(image))
        shutil.copyfile(source, folder / "images" / split / f"{number:05d}{source.suffix}")
        if labels.is_file():
            shutil.copyfile(labels, folder / "labels" / split / f"{number:05d}.txt")


def _described(folder: Path, task: str, spec: DataSpec, own: bool, names: dict[int, str] | None = None) -> StandIn:
    import yaml

    about: dict[str, Any] = {"names": names or spec.names}
    if (points := spec.keypoints) is not None and task == "pose":
        about["kpt_shape"] = [points.count, points.numbers]
        for name, order in (("flip_idx", points.flip_idx), ("flip_idx_vertical", points.flip_idx_vertical)):
            if order is not None:
                about[name] = list(order)
    file = folder / "data.yaml"
    splits = {"train": "images/train", "val": "images/val"}
    file.write_text(yaml.safe_dump({**splits, **about}, allow_unicode=True), encoding="utf-8")
    places = {split: str(folder / path) for split, path in splits.items()}
    about = {**about, **places, "path": folder, "nc": len(about["names"]), "channels": 3, "task": task}
    return StandIn(file, about, own)
