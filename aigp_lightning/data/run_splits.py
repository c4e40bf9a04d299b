"""The splits of a run's data set: what modules and callbacks ask a datamodule for, besides its loaders."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.class_filter import class_ids, only_classes
from aigp_lightning.data.class_follower import ClassFollower
from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.fraction import Fraction, part_of
from aigp_lightning.data.label_bounds import Outside
from aigp_lightning.data.listing import all_images
from aigp_lightning.data.masks import MaskDrawing
from aigp_lightning.data.one_size import OneSize
from aigp_lightning.data.outlines import Outlines, WantsMasks
from aigp_lightning.data.pictures import EvalPictures
from aigp_lightning.data.records import ScanResult
from aigp_lightning.data.resizing import Resizing, Shape, find_resizing
from aigp_lightning.data.sample_sets import EvalSet, evaluation_set
from aigp_lightning.data.scan import scan_split
from aigp_lightning.data.trainer_view import TrainerView
from aigp_lightning.errors import tell_user
from aigp_lightning.run.cores import cores
from aigp_lightning.types import WantsKeypoints

if TYPE_CHECKING:
    import lightning.pytorch as pl


class RunSplits:
    r"""The base of a datamodule that answers for the images, labels and classes of its data set.

    Its attributes are set by the datamodule, whose arguments they are.

    Example:
        >>> from aigp_lightning.data.datamodule import YoloDataModule
        >>> file = Path("data.yaml")
        >>> _ = file.write_text("train: images/train\nval: images/val\nnames: [gate]\n")
        >>> YoloDataModule(str(file)).names
        {0: 'gate'}
    """

    trainer: pl.Trainer | None
    data_yaml: str
    imgsz: int
    batch_size: int
    workers: int
    seed: int
    rect: bool
    resize: str
    strict: bool
    single_cls: bool
    outside: Outside
    augment: AugmentConfig
    match_classes: str
    mask_ratio: int
    overlap_mask: bool
    fraction: Fraction
    classes: list[int | str] | None
    rect_training: bool

    def __init__(self) -> None:
        super().__init__()
        self._scans: dict[str, ScanResult] = {}  # with the data set's class ids
        self.fixed_size: Shape | None = None  # height and width, of an exported file that takes no other
        self._cache_dir: Path | None = None  # the run folder, where another process knows it
        self.private: Container[object] = ()

    @cached_property
    def _classes(self) -> ClassFollower:
        return ClassFollower(self)

    @cached_property
    def spec(self) -> DataSpec:
        """The parsed `data.yaml`."""
        return read_data_yaml(self.data_yaml)

    @property
    def names(self) -> dict[int, str]:
        """Class names by id: the data set's, or those of a model whose order it follows."""
        return self._classes.names

    def ids_of_files(self) -> NDArray[np.int64] | None:
        """Return the id that each of a model's classes has in the files, (C,); None where they are the same."""
        return self._classes.ids_of_files()

    def follow_classes(self, names: Mapping[int, str], source: str) -> None:
        """Give labels the class ids of a trained model from here on; see `ClassFollower.follow`."""
        self._classes.follow(names, source, self._run.stage == "predict")

    @property
    def train_images(self) -> int:
        """Number of usable training images."""
        return len(self.scan("train").records)

    @property
    def resizing(self) -> Resizing:
        """Way to resize pictures; see `resizing`."""
        return find_resizing(self.resize)

    @property
    def resizing_of_source(self) -> Resizing:
        """Way to resize what `predict` looks at: an exported file may take one size alone."""
        return self.resizing if self.fixed_size is None else OneSize(self.fixed_size, self.resizing)

    @property
    def pose(self) -> bool:
        """True if the model wants keypoints."""
        model = self._run.model
        return isinstance(model, WantsKeypoints) and model.wants_keypoints

    @property
    def masks(self) -> bool:
        """True if the model wants masks."""
        model = self._run.model
        return isinstance(model, WantsMasks) and model.wants_masks

    @property
    def _mask_drawing(self) -> MaskDrawing | None:
        """Rules by which masks are drawn; None where nobody wants any."""
        return MaskDrawing(self.mask_ratio, self.overlap_mask) if self.masks else None

    def _outlines(self, split: str) -> Outlines:
        """Return the need of objects' outlines in a split."""
        if self.masks:
            return "all"
        return "any" if split == "train" and self.augment.copy_paste > 0 else None

    def checkpoint_options(self) -> dict[str, Any]:
        """Return the options by which a checkpoint can be validated, or its run resumed, without a configuration."""
        named = (
            *("imgsz", "batch_size", "seed", "rect", "resize", "single_cls", "outside"),
            *("fraction", "classes", "rect_training"),
            *(("mask_ratio", "overlap_mask") if self.masks else ()),
        )
        found = {"data_yaml": os.path.abspath(self.data_yaml), **{name: getattr(self, name) for name in named}}
        return {**found, "augment": asdict(self.augment)}

    def scan(self, split: str) -> ScanResult:
        """Return the images and labels of a split, which is scanned once.

        Raises:
            DataError: the split cannot be used.
        """
        return self._classes.scan(self._scan(split))

    def _scan(self, split: str) -> ScanResult:
        """Return a split with the class ids of the data set, which are those of its files and of the cache."""
        if split not in self._scans:
            part = part_of(self.fraction, split)
            found = scan_split(
                self.spec, split, pose=self.pose, single_cls=self.single_cls and not self.classes, strict=self.strict,
                outside=self.outside, outlines=self._outlines(split),
                cache_dir=self._cache_dir if self._run.rank else self._run.folder, part=part,
                workers=min(self.workers or 1, cores()), progress=self._run.local_rank == 0,
            )  # fmt: skip
            if found.listed:
                tell_user(f"{split}: the first {found.images} of {found.listed} images, as --data.fraction {part} says")
            if self.classes is not None:
                ids = class_ids(self.classes, self.spec.names, str(self.spec.file))
                found = only_classes(found, ids, self.spec.names, self.single_cls)
            self._scans[split] = found
        return self._scans[split]

    def chosen_classes(self, names: Mapping[int, str]) -> tuple[int, ...] | None:
        """Return the ids of the classes that are to be predicted; None for all.

        Args:
            names: the model's classes by id. Numbers among those that are chosen are ids of these.

        Raises:
            ConfigError: the model does not know a class that is chosen.
        """
        return None if self.classes is None else class_ids(self.classes, names, "the model")

    def label_table(self, split: str = "train") -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return all labels of a split: classes int64 (N,), and boxes float32 (N, 4) cxcywh, fractions of the image."""
        return self.scan(split).label_table()

    def pictures(self, split: str = "val", batches: int | None = None) -> EvalPictures:
        """Return a split's images as the network sees them, in the loader's order.

        Args:
            split: name of the split.
            batches: only the images of so many batches; None: all.
        """
        return EvalPictures(*self._eval(split, 0, 1), batches)

    def image_files(self, split: str = "train") -> list[str]:
        """Return the paths of a split's usable images, as they were found."""
        return [record.im_file for record in self.scan(split).records]

    def root_folder(self) -> str:
        """Return the folder from which the splits' relative paths start."""
        return str(self.spec.root)

    def listed_files(self) -> list[str]:
        """Return the paths of the images of all splits, those that cannot be used too."""
        return all_images(self.spec)

    def hide_names(self, private: Container[object]) -> None:
        """Print no names of these images: what is printed may leave by a logger's console."""
        self.private = private

    def _eval(self, split: str, rank: int, world_size: int) -> EvalSet:
        records = self.scan(split).records
        return evaluation_set(
            records, self.imgsz, self.batch_size, self.rect, rank=rank, world_size=world_size, resizing=self.resizing,
            masks=self._mask_drawing,
        )  # fmt: skip

    @property
    def _run(self) -> TrainerView:
        return TrainerView(self.trainer)
