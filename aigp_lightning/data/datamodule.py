"""The datamodule: splits of a data set to loaders, on any number of processes.

Longer than 250 lines: Lightning asks one class for all loaders, and the callbacks ask it for the images behind them.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from aigp_lightning.data.agreement import agree
from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.listing import all_images
from aigp_lightning.data.loaders import cores, make_loader
from aigp_lightning.data.lost_files import LostFiles
from aigp_lightning.data.pictures import EvalPictures
from aigp_lightning.data.predict_batches import PredictBatchSampler
from aigp_lightning.data.preparation import check_options, make_missing, resolve_path, tell_problems
from aigp_lightning.data.records import ScanResult
from aigp_lightning.data.sample_sets import EvalSet, evaluation_set, training_set
from aigp_lightning.data.samplers import TrainBatchSampler
from aigp_lightning.data.scan import scan_split
from aigp_lightning.data.sources import open_sources
from aigp_lightning.data.synthetic.options import MakeDataOptions
from aigp_lightning.data.trainer_view import TrainerView
from aigp_lightning.errors import ConfigError, UserError, warn_user
from aigp_lightning.types import WantsKeypoints

STAGE_SPLITS = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}


class YoloDataModule(pl.LightningDataModule):
    """A data set in Ultralytics' format, read in place and never changed.

    Args:
        data_yaml: the data set's `data.yaml`; `{task}` in it stands for the task of `synthetic`.
        imgsz: side of the network's input, pixels; a multiple of 32.
        batch_size: training images a step, over all processes; validation takes twice as many.
        workers: processes that load images, for each training process; never more than its share of the cores.
        seed: of shuffling and augmentation.
        rect: validate in rectangles that fit the images, rather than in squares.
        strict: make any problem in the data an error, instead of setting the image aside.
        lost_limit: share of a split's images that may vanish or break while training; one more ends the run. At 0, and
            with `strict`, the first does.
        single_cls: treat all classes as one.
        augment: see `AugmentConfig`.
        synthetic: make this data set with `make-data` when there is no `data_yaml` yet; `out` is its folder.
        source: what `predict` looks at: a picture, a folder, a glob or a video, or several.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.data.synthetic import make_data
        >>> options = MakeDataOptions(tempfile.mkdtemp(dir="."), train=4, val=2, test=0, imgsz=(64, 64), workers=1)
        >>> data = YoloDataModule(str(make_data(options, progress=False)), imgsz=64, batch_size=2, workers=0)
        >>> data.setup("fit")
        >>> next(iter(data.train_dataloader()))["img"].shape
        torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self,
        data_yaml: str = "datasets/gates/data.yaml",
        imgsz: int = 640,
        batch_size: int = 16,
        workers: int = 8,
        seed: int = 0,
        rect: bool = True,
        strict: bool = False,
        lost_limit: float = 0.05,
        single_cls: bool = False,
        augment: AugmentConfig = AugmentConfig(),
        synthetic: MakeDataOptions | None = None,
        source: str | list[str] | None = None,
    ) -> None:
        super().__init__()
        check_options(imgsz, batch_size, workers, seed, lost_limit)
        if synthetic is not None:
            synthetic.check("--data.synthetic.")
        self.lost_limit = 0.0 if strict else lost_limit
        self.data_yaml = resolve_path(data_yaml, synthetic)
        self.imgsz, self.batch_size, self.workers, self.seed = imgsz, batch_size, workers, seed
        self.rect, self.strict, self.single_cls, self.augment = rect, strict, single_cls, augment
        self.synthetic, self.source = synthetic, source
        self.mosaic_open = True
        self._scans: dict[str, ScanResult] = {}
        self._batches: TrainBatchSampler | None = None
        self._cache_dir: Path | None = None  # the run folder, where another process knows it
        self.lost: dict[str, LostFiles] = {}
        self.failure: UserError | None = None
        self.private: Container[object] = ()

    @cached_property
    def spec(self) -> DataSpec:
        """The parsed `data.yaml`."""
        return read_data_yaml(self.data_yaml)

    @property
    def names(self) -> dict[int, str]:
        """Class names by id."""
        return {0: "item"} if self.single_cls else dict(self.spec.names)

    @property
    def train_images(self) -> int:
        """Number of usable training images."""
        return len(self.scan("train").records)

    @property
    def pose(self) -> bool:
        """True if the model wants keypoints."""
        model = self._run.model
        return isinstance(model, WantsKeypoints) and model.wants_keypoints

    def scan(self, split: str) -> ScanResult:
        """Return the images and labels of a split, which is scanned once.

        Raises:
            DataError: the split cannot be used.
        """
        if split not in self._scans:
            self._scans[split] = scan_split(
                self.spec, split, pose=self.pose, single_cls=self.single_cls, strict=self.strict,
                cache_dir=self._cache_dir if self._run.rank else self._run.folder,
                workers=min(self.workers or 1, cores()), progress=self._run.local_rank == 0,
            )  # fmt: skip
        return self._scans[split]

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

    def prepare_data(self) -> None:
        """Make the synthetic data set if it is missing, and scan the labels, once on every machine.

        Raises:
            UserError: the data set cannot be used; with several processes `setup` raises it.
        """
        try:
            self._prepare()
        except UserError as error:
            if self._run.world_size == 1:
                raise
            self.failure = error  # `setup` tells all: a process that just left would leave the others waiting

    def _prepare(self) -> None:
        """Make the data set if need be, scan the splits of this stage, and tell their problems."""
        run = self._run
        splits = STAGE_SPLITS.get(run.stage, ())
        if splits and self.synthetic is not None and not Path(self.data_yaml).exists():
            make_missing(self.data_yaml, self.synthetic, progress=run.local_rank == 0)
        for split in [split for split in splits if split not in self._scans]:
            scan = self.scan(split)
            if run.rank == 0:  # others have the same data, or another machine's copy of it
                tell_problems(scan, self.spec, run.folder, pose=self.pose, strict=self.strict)

    def setup(self, stage: str) -> None:
        """Read what `prepare_data` has prepared; several processes agree on it.

        Raises:
            UserError: the data set cannot be used, or not in this way; in all processes, if in one.
        """
        if self.trainer is None or self._run.world_size == 1:
            self._check(stage)
            return
        self._cache_dir = self.trainer.strategy.broadcast(self._run.folder)
        agree(self.failure, lambda: self._check(stage))

    def _check(self, stage: str) -> dict[str, dict[str, int]]:
        """Scan the splits that a stage needs, and return their totals."""
        if stage == "fit" and self.batch_size % (processes := self._run.world_size):
            rule = "is over all processes; it must divide by their number"
            raise ConfigError(f"--data.batch_size {self.batch_size} {rule}, {processes}.")
        counts = {split: self.scan(split).counts for split in STAGE_SPLITS.get(stage, ())}
        if stage == "fit" and (val := self.scan("val")).instances == 0:
            warn_user(f"the validation split has {len(val.records)} images and not one label: metrics will be 0.")
        return counts

    def train_dataloader(self) -> DataLoader[Any]:
        """Return shuffled, augmented batches of the training split."""
        run, records = self._run, self.scan("train").records
        batch, workers = self.batch_size // run.world_size, run.loader_workers(self.workers)
        dataset = training_set(records, self.spec, self.augment, imgsz=self.imgsz, batch_size=batch, pose=self.pose)
        self._batches = TrainBatchSampler(len(records), batch, self.seed, *run.place, workers, self.augment.mosaic)
        self._batches.mosaic_open = self.mosaic_open
        if workers:
            # Import what the transforms need before workers are forked: W&B watches imports, and breaks in a fork.
            assert dataset.pipeline.transforms is not None
        return self._loader(dataset, self._batches)

    def close_mosaic(self) -> None:
        """Make no more mosaics, from the next epoch's first sample on; workers stay alive."""
        self.mosaic_open = False
        if self._batches is not None:
            self._batches.mosaic_open = False

    def val_dataloader(self) -> DataLoader[Any]:
        """Return batches with every validation image once."""
        return self._loader(*self._eval("val", *self._run.place))

    def test_dataloader(self) -> DataLoader[Any]:
        """Return batches with every test image once."""
        return self._loader(*self._eval("test", *self._run.place))

    def predict_dataloader(self) -> DataLoader[Any]:
        """Return batches of the pictures and videos that `source` names.

        Raises:
            ConfigError: no source given.
            DataError: a source is missing, or none can be read.
        """
        if not self.source:
            raise ConfigError("predict needs --data.source: a picture, a folder, a glob or a video.")
        dataset = open_sources(self.source, self.imgsz)
        return self._loader(dataset, PredictBatchSampler(dataset, self.batch_size, *self._run.place))

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Note images that were there at the start and could not be read for this batch.

        Raises:
            RunError: these were too many.
        """
        lost = batch.pop("lost", None)
        if lost:
            split, images = self._run.split, len(self.scan(self._run.split).records)
            known = LostFiles(split, images, self.lost_limit, self._run.folder, self.private)
            self.lost.setdefault(split, known).add(lost)
        return batch

    def _eval(self, split: str, rank: int, world_size: int) -> EvalSet:
        records = self.scan(split).records
        return evaluation_set(records, self.imgsz, self.batch_size, self.rect, rank=rank, world_size=world_size)

    def _loader(self, dataset: Any, batches: Any) -> DataLoader[Any]:
        run, workers = self._run, self._run.loader_workers(self.workers)
        return make_loader(dataset, batches, workers=workers, seed=self.seed + run.rank, pin_memory=run.on_gpu)

    @property
    def _run(self) -> TrainerView:
        return TrainerView(self.trainer)
