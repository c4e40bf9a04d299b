"""Splits to loaders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import lightning.pytorch as pl
from lightning_utilities.core.rank_zero import rank_zero_info

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.synthetic.options import MakeDataOptions
from aigp_lightning.errors import ConfigError, DataError, UserError, warn_user

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch.utils.data import DataLoader

    from aigp_lightning.data.data_yaml import DataSpec
    from aigp_lightning.data.dataset import EvalDataset
    from aigp_lightning.data.lint import LintResult
    from aigp_lightning.data.lost_files import LostFiles
    from aigp_lightning.data.pictures import EvalPictures
    from aigp_lightning.data.samplers import EvalBatchSampler, TrainBatchSampler
    from aigp_lightning.data.scan import ScanResult

STAGE_SPLITS = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}
STAGE_OF = {"train": "train", "test": "test"}
"""Lightning's stages to splits; all others look at `val`."""
STRIDE = 32
TASK = "{task}"
"""In the path of a `data.yaml`: one overlay serves several tasks, each with its own synthetic data set."""
PROBLEMS_FILE = "data_problems_{}.txt"


class YoloDataModule(pl.LightningDataModule):
    """An Ultralytics data set, as it is.

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
        if imgsz < STRIDE or imgsz % STRIDE:
            raise ConfigError(f"--data.imgsz is {imgsz}; it must be a multiple of {STRIDE}, such as {_near(imgsz)}.")
        if batch_size < 1 or workers < 0:
            raise ConfigError(f"--data.batch_size {batch_size} --data.workers {workers}: at least 1 and 0.")
        if not 0 <= lost_limit <= 1:
            raise ConfigError(f"--data.lost_limit {lost_limit}: a share of the images, from 0 to 1.")
        self.lost_limit = 0.0 if strict else lost_limit
        self.data_yaml = _resolve_path(data_yaml, synthetic)
        self.imgsz, self.batch_size, self.seed = imgsz, batch_size, seed
        self.rect, self.strict, self.single_cls, self.augment = rect, strict, single_cls, augment
        self.synthetic, self.source = synthetic, source
        self.workers = workers
        self.mosaic_open = True
        self._spec: DataSpec | None = None
        self._scans: dict[str, ScanResult] = {}
        self._batches: TrainBatchSampler | None = None
        self._cache_dir: Path | None = None  # the run folder, where another process knows it
        self.lost: dict[str, LostFiles] = {}
        self.failure: UserError | None = None

    # ---- what is in the data set ------------------------------------------------------------------------------------

    @property
    def spec(self) -> DataSpec:
        """The parsed `data.yaml`."""
        if self._spec is None:
            from aigp_lightning.data.data_yaml import read_data_yaml

            self._spec = read_data_yaml(self.data_yaml)
        return self._spec

    @property
    def names(self) -> dict[int, str]:
        """Class names by id."""
        return {0: "item"} if self.single_cls else dict(self.spec.names)

    @property
    def train_images(self) -> int:
        """Number of usable training images."""
        return len(self.scan("train").records)

    def scan(self, split: str) -> ScanResult:
        """Labels of a split, read once."""
        if split not in self._scans:
            from aigp_lightning.data.scan import scan_split

            self._scans[split] = scan_split(
                self.spec,
                split,
                pose=self.pose,
                single_cls=self.single_cls,
                strict=self.strict,
                cache_dir=self._cache_dir if self._rank else self._folder(),
                workers=min(self.workers or 1, cores()),
                progress=self._local_rank == 0,
            )
        return self._scans[split]

    def label_table(self, split: str = "train") -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every label of a split: classes int64 (N,), and boxes float32 (N, 4) cxcywh as fractions of their image."""
        import numpy as np

        records = self.scan(split).records
        cls = np.concatenate([np.zeros(0, np.int64), *(record.cls for record in records)])
        return cls, np.concatenate([np.zeros((0, 4), np.float32), *(record.bboxes for record in records)])

    @property
    def pose(self) -> bool:
        """Whether the model wants keypoints."""
        return getattr(self._model, "task", "detect") == "pose"

    def pictures(self, split: str = "val", batches: int | None = None) -> EvalPictures:
        """The split's images as the network sees them, in the loader's order; only the first batches if told so."""
        from aigp_lightning.data.pictures import EvalPictures

        return EvalPictures(*self._eval(split, 0, 1), batches)

    def image_files(self, split: str = "train") -> list[str]:
        """Every image of a split, as it was found."""
        return [record.im_file for record in self.scan(split).records]

    # ---- Lightning's hooks ------------------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Make the synthetic data set if it is missing, and scan the labels, once on every machine."""
        try:
            self._prepare()
        except UserError as error:
            if self._world_size == 1:
                raise
            self.failure = error  # `setup` tells all: a process that just left would leave the others waiting

    def _prepare(self) -> None:
        stage = self._stage
        if stage == "predict":
            return
        if self.synthetic is not None and not Path(self.data_yaml).exists():
            self._make()
        for split in STAGE_SPLITS[stage]:
            if split not in self._scans:
                self._tell(split, self.scan(split))

    def _tell(self, split: str, scan: ScanResult) -> None:
        if self._rank:  # another machine's copy of the same data
            return
        rank_zero_info(scan.summary())
        linted = self._lint(split, scan)
        odd = linted.problems if linted is not None else []
        if scan.problems or odd:
            scan.write_problems(self._folder() / PROBLEMS_FILE.format(split), odd)
        if linted is None or not odd:
            return
        if self.strict:
            raise DataError(
                f"{self.spec.file}: strict is set and '{split}' has keypoints that make no sense; mend them\n"
                f"{linted.summary()}"
            )
        rank_zero_info(linted.summary())

    def _lint(self, split: str, scan: ScanResult) -> LintResult | None:
        """What is odd about the keypoints, where they are wanted."""
        if not self.pose:
            return None
        from aigp_lightning.data.lint import lint

        return lint(split, scan.records, self.spec)

    def _make(self) -> None:
        from dataclasses import replace

        from aigp_lightning.data.synthetic import make_data

        options = replace(cast("MakeDataOptions", self.synthetic), out=str(Path(self.data_yaml).parent))
        rank_zero_info(f"{self.data_yaml} is not there: making {options.train + options.val + options.test} pictures")
        try:
            made = make_data(options, progress=self._local_rank == 0)
        except DataError:
            if Path(self.data_yaml).exists():  # whole, by another run or by a machine that shares this disk
                return
            raise
        if made.resolve() != Path(self.data_yaml).resolve():
            raise ConfigError(f"--data.data_yaml is {self.data_yaml}, but make-data writes {made}; name that file.")

    def setup(self, stage: str) -> None:
        """Read what `prepare_data` has prepared; several processes agree on it.

        Raises:
            UserError: the data set cannot be used, or not in this way; in all processes, if in one.
        """
        if self.trainer is None or self._world_size == 1:
            self._check(stage)
            return
        from aigp_lightning.data.agreement import agree

        self._cache_dir = self.trainer.strategy.broadcast(self._folder())
        if self.failure is None:
            try:
                self._check(stage)
            except UserError as error:
                self.failure = error
        splits = STAGE_SPLITS.get(stage, ()) if self.failure is None else ()
        agree(self.failure, {split: self.scan(split).counts for split in splits})

    def _check(self, stage: str) -> None:
        if stage == "fit" and self.batch_size % self._world_size:
            raise ConfigError(
                f"--data.batch_size {self.batch_size} is over all processes; it must divide by their number, "
                f"{self._world_size}."
            )
        for split in STAGE_SPLITS.get(stage, ()):
            self.scan(split)
        if stage == "fit" and (val := self.scan("val")).instances == 0:
            warn_user(f"the validation split has {len(val.records)} images and not one label: metrics will be 0.")

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled, augmented batches."""
        from aigp_lightning.data.augment.pipeline import TrainPipeline
        from aigp_lightning.data.dataset import TrainDataset
        from aigp_lightning.data.samplers import TrainBatchSampler

        batch, records = self.batch_size // self._world_size, self.scan("train").records
        pipeline = TrainPipeline(self.imgsz, *self._augmentation(), keypoints=self.pose)
        dataset = TrainDataset(records, self.imgsz, pipeline, batch)
        self._batches = TrainBatchSampler(
            len(records), batch, self.seed, self._rank, self._world_size, self._workers, self.augment.mosaic
        )
        self._batches.mosaic_open = self.mosaic_open
        if self._workers:
            # Import what the transforms need before workers are forked: W&B watches imports, and breaks in a fork.
            assert dataset.pipeline.transforms is not None
        return self._loader(dataset, self._batches)

    def _augmentation(self) -> tuple[AugmentConfig, tuple[int, ...] | None, tuple[int, ...] | None]:
        """What is done to training images, and the mirror orders of keypoints where they are wanted."""
        keypoints = self.spec.keypoints if self.pose else None
        if keypoints is None:
            return self.augment, None, None
        from aigp_lightning.data.augment.mirrors import allowed_flips
        from aigp_lightning.data.lint import propose_mirror

        records = self.scan("train").records
        config = allowed_flips(
            self.augment, keypoints, self.spec.file, lambda axis: propose_mirror(records, keypoints, axis)
        )
        return config, keypoints.flip_idx, keypoints.flip_idx_vertical

    def close_mosaic(self) -> None:
        """Make no more mosaics, from the next epoch's first sample on; workers stay alive."""
        self.mosaic_open = False
        if self._batches is not None:
            self._batches.mosaic_open = False

    def val_dataloader(self) -> DataLoader[Any]:
        """Every validation image once."""
        return self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Every test image once."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """Whatever `source` names.

        Raises:
            ConfigError: no source given.
        """
        from aigp_lightning.data.sources import PredictBatchSampler, open_sources

        if not self.source:
            raise ConfigError("predict needs --data.source: a picture, a folder, a glob or a video.")
        dataset = open_sources(self.source, self.imgsz)
        return self._loader(dataset, PredictBatchSampler(dataset, self.batch_size, self._rank, self._world_size))

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Note images that were there at the start and could not be read for this batch.

        Raises:
            RunError: these were too many.
        """
        lost = batch.pop("lost", None)
        if lost:
            from aigp_lightning.data.lost_files import LostFiles

            split = STAGE_OF.get(str(self.trainer.state.stage.value), "val")  # type: ignore[union-attr]
            if split not in self.lost:
                self.lost[split] = LostFiles(split, len(self.scan(split).records), self.lost_limit, self._folder())
            self.lost[split].take(lost)
        return batch

    # ---- plumbing ---------------------------------------------------------------------------------------------------

    def _eval_loader(self, split: str) -> DataLoader[Any]:
        return self._loader(*self._eval(split, self._rank, self._world_size))

    def _eval(self, split: str, rank: int, world_size: int) -> tuple[EvalDataset, EvalBatchSampler]:
        from aigp_lightning.data.dataset import EvalDataset
        from aigp_lightning.data.samplers import EvalBatchSampler

        records = self.scan(split).records
        shapes = [record.shape for record in records]
        group = 2 * self.batch_size  # no gradients to keep: twice the images fit
        batches = EvalBatchSampler(shapes, group, self.imgsz, STRIDE, self.rect, rank, world_size)
        return EvalDataset(records, self.imgsz), batches

    def _loader(self, dataset: Any, batches: Any) -> DataLoader[Any]:
        import cv2
        import torch

        from aigp_lightning.data.collate import LazyLoader, collate
        from aigp_lightning.data.dataset import init_worker

        workers = min(self._workers, len(batches))
        if workers:
            # OpenCV's threads do not survive a fork, and a worker that then asks for fewer of them waits forever.
            cv2.setNumThreads(1)
        return LazyLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=init_worker,
            # Of its own: starting workers must not move the generator that the model may draw from.
            generator=torch.Generator().manual_seed(self.seed + self._rank),
            persistent_workers=workers > 0,
            pin_memory=self._on_gpu,
        )

    @property
    def _workers(self) -> int:
        """Worker processes a training process: what was asked for, within this process's share of the cores."""
        local = getattr(self.trainer, "num_devices", 1) if self.trainer is not None else 1
        bound = min(int(os.environ.get("SLURM_CPUS_PER_TASK", "0")), cores())  # SLURM may have shared them out already
        return min(self.workers, max(cores() // max(local, 1), bound, 1))

    @property
    def _model(self) -> Any:
        return getattr(self.trainer, "lightning_module", None)

    @property
    def _stage(self) -> str:
        fn = self.trainer.state.fn if self.trainer is not None else None
        return str(fn.value) if fn is not None else "fit"

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def _local_rank(self) -> int:
        return self.trainer.local_rank if self.trainer is not None else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer is not None else 1

    @property
    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _folder(self) -> Path:
        return Path(self.trainer.default_root_dir if self.trainer is not None else ".")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _resolve_path(data_yaml: str, synthetic: MakeDataOptions | None) -> str:
    if TASK not in data_yaml:
        return data_yaml
    if synthetic is None:
        raise ConfigError(
            f"--data.data_yaml is {data_yaml}, where {TASK} stands for --data.synthetic.task, and there is no "
            "--data.synthetic. Name your own data.yaml, after every --config."
        )
    return data_yaml.replace(TASK, synthetic.task)


def _near(imgsz: int) -> int:
    return max(round(imgsz / STRIDE), 1) * STRIDE
