"""A run's data set checked: made if need be, scanned, and held against the batch, the model and the trainer."""

from __future__ import annotations

from collections.abc import Sequence

from aigp_lightning.data.device_side import settle_places
from aigp_lightning.data.input_size import ShrinksInput, check_size, training_size
from aigp_lightning.data.leaks.leak_report import LeakFigures, measure_leak
from aigp_lightning.data.outlines import tell_unpasted
from aigp_lightning.data.preparation import provide_data, tell_common, tell_problems
from aigp_lightning.data.run_splits import RunSplits
from aigp_lightning.data.synthetic.options import MakeDataOptions
from aigp_lightning.data.trainer_limits import batches_of, check_batch, check_limits
from aigp_lightning.errors import DataError, UserError, warn_user
from aigp_lightning.run.auto_batch import BatchNeeds
from aigp_lightning.run.cores import cores
from aigp_lightning.run.distributed import check_shares
from aigp_lightning.types import NeedsImages

STAGE_SPLITS = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}
"""Splits that each of the trainer's functions uses."""
MOSAIC_TILES = 4
"""Images of a mosaic, whose objects may all be in one picture."""


class CheckedSplits(RunSplits):
    r"""The base of a datamodule that prepares and checks its data set before the first batch.

    Its attributes are set by the datamodule, whose arguments they are.

    Example:
        >>> from pathlib import Path
        >>> from aigp_lightning.data.datamodule import YoloDataModule
        >>> _ = Path("data.yaml").write_text("train: images/train\nval: images/val\nnames: [gate]\n")
        >>> try:
        ...     YoloDataModule("data.yaml").prepare_data()
        ... except DataError as error:
        ...     print("there is no" in str(error))
        True
    """

    synthetic: MakeDataOptions | None
    augment_on: str
    decode_on: str
    batch_share: float | None
    leak_limit: float | None

    def __init__(self) -> None:
        super().__init__()
        self.failure: UserError | None = None
        self.leak: LeakFigures | None = None

    def prepare_data(self) -> None:
        """Make a shipped configuration's data set if it is missing, and scan the labels, once on every machine.

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
        splits = [split for split in STAGE_SPLITS.get(run.stage, ()) if split not in self._scans]
        self._check_batch(run.stage)
        if splits:
            make, progress = run.stage == "fit", run.local_rank == 0
            provide_data(self.data_yaml, self.synthetic, make=make, progress=progress)
            for doubt in self.spec.doubts:
                warn_user(doubt)
        for split in splits:
            scan = self._scan(split)
            if run.rank == 0:  # others have the same data, or another machine's copy of it
                tell_problems(scan, self.spec, run.folder, pose=self.pose, strict=self.strict)
        if run.rank == 0 and len(splits) > 1:
            tell_common({split: self._scan(split) for split in splits})
            self._measure_leak()
        self._check_limits(splits)

    def _measure_leak(self) -> None:
        """Measure how many validation pictures have a near neighbour in training, and tell if these are too many."""
        if self.leak_limit is None:
            return
        scans = {split: self._scan(split) for split in STAGE_SPLITS["fit"]}
        self.leak = measure_leak(
            scans, self.spec, self.leak_limit, self._run.folder, strict=self.strict,
            workers=min(self.workers or 1, cores()), progress=self._run.local_rank == 0,
        )  # fmt: skip

    def _check(self, stage: str) -> dict[str, dict[str, int]]:
        """Scan the splits that a stage needs, and return their totals."""
        if stage == "fit" and not self._open_batch:
            check_shares(self.batch_size, self._run.world_size)
        self._check_batch(stage)
        counts = {split: self.scan(split).counts for split in STAGE_SPLITS.get(stage, ())}
        self._check_limits(STAGE_SPLITS.get(stage, ()))
        if stage == "fit" and (train := self.scan("train")).instances == 0:
            raise DataError(
                f"{self.spec.file}: 'train' has {len(train.records)} images and not one label, so there is nothing to "
                f"learn; `lint {self.spec.file}` says where labels are looked for"
            )
        if stage == "fit":
            tell_unpasted(train.records, self.augment.copy_paste, str(self.spec.file))
            settle_places(self.augment_on, self.decode_on, self.augment, self._run.on_gpu)
        if stage == "fit" and (val := self.scan("val")).instances == 0:
            warn_user(f"the validation split has {len(val.records)} images and not one label: metrics will be 0.")
        return counts

    def _check_batch(self, stage: str) -> int:
        """Return the fewest images that a training batch must have here; refuse sizes that the model does not take."""
        model = self._run.model
        check_size(model, self.imgsz, self.resize)
        least = model.least_images(self.imgsz) if isinstance(model, NeedsImages) else 1
        if stage == "fit" and not self._open_batch:
            smaller_by = model.smaller_by if isinstance(model, ShrinksInput) else ""
            check_batch(self.batch_size, self._run.world_size, self.imgsz, least, smaller_by)
        return least

    def _check_limits(self, splits: Sequence[str]) -> None:
        """Check the trainer's limits against the number of batches, once the batch is known."""
        if self.trainer is not None and not self._open_batch:
            images = {split: len(self.scan(split).records) for split in splits}
            check_limits(self.trainer, batches_of(images, self.batch_size, self._run.world_size))

    @property
    def _open_batch(self) -> bool:
        """True if the batch of a training is still to be chosen."""
        return self.batch_share is not None and self._run.stage == "fit"

    # ---- a batch that is chosen by what fits into memory ------------------------------------------------------------

    @property
    def train_imgsz(self) -> int:
        """Side of training pictures as they are loaded, pixels: of the largest batch, where these differ."""
        return training_size(self._run.model, self.imgsz)

    def batch_needs(self) -> BatchNeeds:
        """Return what the memory of a training batch depends on; the objects of all tiles of a mosaic count."""
        crowd = max((len(record.cls) for record in self.scan("train").records), default=1)
        tiles = MOSAIC_TILES if self.augment.mosaic > 0 and not self.rect_training else 1
        return BatchNeeds(self.train_imgsz, max(crowd, 1) * tiles, self._check_batch("fit"), self.train_images)

    def take_batch(self, images: int) -> None:
        """Train on batches of so many images, over all processes, from here on.

        Raises:
            UserError: they do not fit the trainer's limits or processes.
        """
        self.batch_size, self.batch_share = images, None
        check_shares(images, self._run.world_size)
        self._check_batch("fit")
        self._check_limits(STAGE_SPLITS["fit"])
