"""The datamodule: splits of a data set to loaders, on any number of processes."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from aigp_lightning.data.agreement import agree
from aigp_lightning.data.augment.config import COPY_PASTE, AugmentConfig
from aigp_lightning.data.batch_choice import USUAL_BATCH, BatchSize, memory_share, settled_batch
from aigp_lightning.data.checked_splits import CheckedSplits
from aigp_lightning.data.class_filter import Classes, listed_classes
from aigp_lightning.data.class_follower import DEFAULT_DATA
from aigp_lightning.data.class_names import BY_NAME, check_rule
from aigp_lightning.data.device_side import PROCESSOR, check_places, finish_on_device, sample_class
from aigp_lightning.data.fraction import ALL, Fraction, check_fraction
from aigp_lightning.data.input_size import check_size
from aigp_lightning.data.label_bounds import Outside, check_outside
from aigp_lightning.data.limits import LEAK_LIMIT
from aigp_lightning.data.loaders import make_loader
from aigp_lightning.data.lost_files import LostFiles
from aigp_lightning.data.masks import MaskDrawing
from aigp_lightning.data.picture_cache import PictureCache
from aigp_lightning.data.predict_batches import PredictBatchSampler
from aigp_lightning.data.preparation import check_options, resolve_path
from aigp_lightning.data.rect_batches import check_rect_training
from aigp_lightning.data.requests import Mixing
from aigp_lightning.data.resizing import LETTERBOX, find_resizing
from aigp_lightning.data.sample_sets import largest_batch, training_batches, training_set
from aigp_lightning.data.samplers import TrainBatchSampler
from aigp_lightning.data.shared_cache import check_cache, shared_cache
from aigp_lightning.data.sources import open_sources
from aigp_lightning.data.synthetic.options import MakeDataOptions
from aigp_lightning.data.transfer import BatchTransfer
from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT, check_range


class YoloDataModule(CheckedSplits, pl.LightningDataModule):
    """A data set in Ultralytics' format, read in place and never changed.

    Args:
        data_yaml: the data set's `data.yaml`; `{task}` in it stands for the task of `synthetic`.
        imgsz: side of the network's input, pixels: a multiple of 32, or of what the model takes.
        batch_size: training images a step, over all processes; validation takes twice as many. `auto`: as many as fill
            60 % of a GPU's memory, or of another share below 1; on a CPU 16.
        workers: processes that load images, for each training process; never more than its share of the cores.
        seed: of shuffling and augmentation.
        rect: validate in rectangles that fit the images, rather than in squares.
        resize: `letterbox` keeps the aspect ratio of pictures, with grey round them, as YOLO is trained; `stretch`
            fills a square with each, as RF-DETR is trained, and then `rect` changes nothing.
        strict: make any problem in the data an error, instead of setting the image aside.
        lost_limit: share of a split's images that may vanish or break while training; one more ends the run. At 0, and
            with `strict`, the first does.
        leak_limit: share of validation pictures that may have a near neighbour in training, as frames of a video do;
            more is a warning that stays with the results, and with `strict` an error. null: `fit` compares none.
        single_cls: treat all classes as one.
        outside: what becomes of objects that reach out of the picture, as labels of close gates do. `clip`: boxes are
            clipped to the picture, keypoints outside are read as not visible; `drop`: these objects are left out;
            `error`: their image is set aside. In each case they are counted and listed.
        augment: see `AugmentConfig`.
        augment_on: where training pictures are augmented: `cpu`, by the loader's workers; or `device`, by the one that
            trains, which spares the workers that. Boxes and keypoints are the same, pixels to a few grey levels.
        decode_on: where plain colour JPEG files are decoded: `cpu`, or `device`, a GPU that augments too.
        synthetic: the data set that `make-data` would make at `data_yaml`; `fit` does where that is the path of a
            shipped configuration and there is none yet. `out` is its folder.
        source: what `predict` looks at: a picture, a folder, a glob or a video, or several.
        vid_stride: of a video, `predict` looks at every so many frames.
        cache: keep the decoded training pictures, at the size of training: in memory (`ram`) or in a file beside the
            labels (`disk`), for all processes of a machine at once. The samples are the same.
        match_classes: how a trained model's classes are matched with the data set's: by `name`, so that another order
            is followed and other names are refused; or by `number`, whatever they are called. The same goes for the
            class rows of weights that a training starts from.
        rect_training: train in batches of pictures with like aspect ratios, each with a rectangle that fits them; in
            the same order in every epoch, and without mosaics, mixup and cutmix.
        fraction: the part of the data that is used, the first images in the order of their paths: of the training
            images a share, or a number; or parts by split, such as `{train: 0.5, val: 200}`.
        classes: ids or names of the classes that count, whose ids stay: labels of others are left out, and `predict`
            finds no others.
        mask_ratio: pixels of the picture for one pixel of a mask that is learned, along each side; for segmentation.
        overlap_mask: draw all masks of a picture into one, the smaller objects on top; else each object has its own,
            which takes more memory and lets objects lie behind each other.

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
        data_yaml: str = DEFAULT_DATA,
        imgsz: int = 640,
        batch_size: BatchSize = USUAL_BATCH,
        workers: int = 8,
        seed: int = 0,
        rect: bool = True,
        strict: bool = False,
        lost_limit: float = 0.05,
        leak_limit: float | None = LEAK_LIMIT,
        single_cls: bool = False,
        outside: Outside = "clip",
        augment: AugmentConfig = AugmentConfig(),
        synthetic: MakeDataOptions | None = None,
        source: str | list[str] | None = None,
        match_classes: str = BY_NAME,
        cache: str | None = None,
        augment_on: str = PROCESSOR,
        decode_on: str = PROCESSOR,
        resize: str = LETTERBOX.name,
        mask_ratio: int = 4,
        overlap_mask: bool = True,
        rect_training: bool = False,
        fraction: Fraction = ALL,
        classes: Classes = None,
        vid_stride: int = 1,
    ) -> None:
        super().__init__()
        check_options(imgsz, workers, seed, lost_limit, leak_limit)
        check_fraction(fraction)
        check_range("--data.vid_stride", vid_stride, COUNT)
        if synthetic is not None:
            synthetic.check("--data.synthetic.")
        check_rule(match_classes)
        check_places(augment_on, decode_on, augment, cache)
        self.resize = find_resizing(resize).name
        if rect_training:
            check_rect_training(self.resizing, augment, augment_on)
        self.lost_limit, self.leak_limit = 0.0 if strict else lost_limit, leak_limit
        self.data_yaml = resolve_path(data_yaml, synthetic)
        self.imgsz, self.workers, self.seed = imgsz, workers, seed
        self.batch_share, self.batch_size = memory_share(batch_size), settled_batch(batch_size)
        self.rect_training, self.fraction, self.classes = rect_training, fraction, listed_classes(classes)
        self.rect, self.strict, self.single_cls, self.augment = rect, strict, single_cls, augment
        self.synthetic, self.source, self.outside = synthetic, source, check_outside(outside)
        self.match_classes, self.augment_on, self.decode_on = match_classes, augment_on, decode_on
        self.cache, self.vid_stride = check_cache(cache), vid_stride
        self.mask_ratio, self.overlap_mask = MaskDrawing(mask_ratio).ratio, overlap_mask
        self._pictures: PictureCache | None = None
        self._transfer = BatchTransfer()
        self.mosaic_open = True
        self._batches: TrainBatchSampler | None = None
        self.lost: dict[str, LostFiles] = {}

    def setup(self, stage: str) -> None:
        """Read what `prepare_data` has prepared; several processes agree on it.

        Raises:
            UserError: the data set cannot be used, or not in this way; in all processes, if in one.
        """
        if self.trainer is None or self._run.world_size == 1:
            self._check(stage)
        else:
            self._cache_dir = self.trainer.strategy.broadcast(self._run.folder)
            agree(self.failure, lambda: self._check(stage))
        if stage == "fit" and self.cache is not None and self._pictures is None and self._run.running:
            self._pictures = shared_cache(self.cache, self._scan("train"), self.train_imgsz, self._run, self.resizing)

    def teardown(self, stage: str) -> None:
        """Give the cached pictures up; their memory is free when the last loader of this run is gone."""
        self._pictures = None

    def train_dataloader(self) -> DataLoader[Any]:
        """Return shuffled, augmented batches of the training split."""
        run, records = self._run, self.scan("train").records
        batch, workers = self.batch_size // run.world_size, run.loader_workers(self.workers)
        dataset = training_set(
            records, self.spec, self.augment, imgsz=self.train_imgsz, batch_size=batch, pose=self.pose,
            cache=self._pictures, resizing=self.resizing, masks=self._mask_drawing,
            kind=sample_class(self.augment_on, self.decode_on, self.augment),
        )  # fmt: skip
        self._batches = training_batches(
            records, batch, self.seed, imgsz=self.train_imgsz, mosaic=self.augment.mosaic, rect=self.rect_training,
            rank=run.rank, world_size=run.world_size, workers=workers, shuffle=not run.overfitting,
            least=self._check_batch("fit"), mixing=Mixing.of(self.augment, self.rect_training),
        )  # fmt: skip
        self._batches.mosaic_open = self.mosaic_open
        if workers:
            # Import what the transforms need before workers are forked: W&B watches imports, and breaks in a fork.
            assert dataset.pipeline.transforms is not None
        return self._loader(dataset, self._batches, batch_bytes=batch * self.train_imgsz**2 * 3)

    def close_mosaic(self) -> tuple[str, ...]:
        """Put no more images into one, nor copies of objects, from the next epoch's first sample on.

        Workers stay alive.

        Returns:
            Names of the augmentations that did so until now.
        """
        had = [name for name in self.augment.mixing if name == COPY_PASTE or not self.rect_training]
        used, self.mosaic_open = tuple(had) if self.mosaic_open else (), False
        if self._batches is not None:
            self._batches.mosaic_open = False
        return used

    def val_dataloader(self) -> DataLoader[Any]:
        """Return batches with every validation image once."""
        return self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Return batches with every test image once."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """Return batches of the pictures and videos that `source` names.

        Raises:
            ConfigError: no source given.
            DataError: a source is missing, or none can be read.
        """
        if not self.source:
            raise ConfigError("predict needs --data.source: a picture, a folder, a glob or a video.")
        check_size(self._run.model, self.imgsz, self.resize)
        dataset = open_sources(self.source, self.imgsz, self.resizing_of_source, self.vid_stride)
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

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Copy a batch to the device, and make its pictures there if that is still to be done."""
        return finish_on_device(batch, device, lambda each: self._transfer(each, device))

    def _eval_loader(self, split: str) -> DataLoader[Any]:
        dataset, batches = self._eval(split, *self._run.place)
        return self._loader(dataset, batches, batch_bytes=largest_batch(batches))

    def _loader(self, dataset: Any, batches: Any, batch_bytes: int = 0) -> DataLoader[Any]:
        run, workers = self._run, self._run.loader_workers(self.workers)
        return make_loader(
            dataset, batches, workers=workers, seed=self.seed + run.rank, pin_memory=run.on_gpu, batch_bytes=batch_bytes
        )  # fmt: skip
