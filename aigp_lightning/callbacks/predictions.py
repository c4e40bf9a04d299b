"""When predictions are written: batch by batch, and merged at the end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import BasePredictionWriter

from aigp_lightning.checkpoints.weight_places import located
from aigp_lightning.data.class_names import FollowsClasses
from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.sources import SourceDataset
from aigp_lightning.errors import ConfigError, UserError
from aigp_lightning.media.detections import in_original
from aigp_lightning.media.module_facts import class_names, keypoint_conf_of, keypoints_of
from aigp_lightning.modules.registry import trained_with
from aigp_lightning.paths import expand_home
from aigp_lightning.predictions.collect import CollectOptions
from aigp_lightning.predictions.collected_files import write_collected
from aigp_lightning.predictions.held_out import HeldOut, held_out_by
from aigp_lightning.predictions.merge import finish
from aigp_lightning.predictions.writer import PredictionFiles
from aigp_lightning.run.lightning_internals import datamodule_of

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from aigp_lightning.types import DetectionBatch, Keypoints, Prediction

FOLDER = "predictions"


class PredictionWriter(BasePredictionWriter):
    """Write predictions to a folder of the run's, while the network continues.

    `images/<name>.jpg` and `videos/<name>.mp4` are drawn at the original's resolution. `labels/<name>.txt` (for videos
    `<name>_<frame>.txt`) has lines `class cx cy w h [x y [confidence] …] [confidence]`, as fractions of the original,
    or with masks `class x1 y1 x2 y2 … [confidence]`; there is none where nothing was found. `crops/<class>/<name>.jpg`
    (then `<name>-2.jpg`, …) are the objects cut out, with Ultralytics' margin. `videos/<name>_frames/` has a drawn
    picture of each frame, `<name>_<frame>.jpg`. `predictions.json` lists every image, `unreadable.txt` what could not
    be read. Frames count from 0. Where files of several folders have the same name, the folders are kept.

    Class ids are the model's. Those in text files are the data set's, where there is one that has the same classes in
    another order.

    Args:
        save_images: draw pictures and videos.
        save_txt: write YOLO text files.
        save_json: write the JSON.
        save_conf: end the lines of the text files with the confidence.
        save_crop: cut out every object, into a folder a class.
        save_frames: of videos draw each frame as a picture too; with save_images false the pictures alone.
        collect: write a list of pictures, for `train` of a data.yaml, in which something is found that is not labelled,
            with a contact sheet beside it. Pictures without label file, and those of the validation and test splits
            (of the model's run, and of the data set that is named) and copies of them, are listed apart.
        collect_backgrounds: pictures, folders and videos that you know to be without objects; what is found there is
            collected too, frames of videos as pictures. They are looked at whether or not the source names them.
        folder: of all that, in the run folder.

    Example:
        >>> writer = PredictionWriter(save_txt=False)  # Trainer(callbacks=[writer]).predict(module, data)
        >>> writer.save_images, writer.save_txt
        (True, False)
    """

    def __init__(
        self,
        save_images: bool = True,
        save_txt: bool = True,
        save_json: bool = True,
        save_conf: bool = True,
        save_crop: bool = False,
        save_frames: bool = False,
        collect: str | None = None,
        collect_backgrounds: str | list[str] | None = None,
        folder: str = FOLDER,
    ) -> None:
        super().__init__("batch")
        self.save_images, self.save_txt, self.save_json = save_images, save_txt, save_json
        self.save_conf, self.save_crop, self.save_frames, self.folder = save_conf, save_crop, save_frames, folder
        self.collecting = _collecting(collect, collect_backgrounds)
        self._files: PredictionFiles | None = None
        self._dataset: SourceDataset | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Add the backgrounds to what is predicted; files that are named twice are looked at once.

        Raises:
            ConfigError: a folder of them has neither pictures nor videos.
        """
        data: Any = datamodule_of(trainer)
        if stage != "predict" or self.collecting is None or not self.collecting.backgrounds or data is None:
            return
        if source := getattr(data, "source", None):
            data.source = [*([source] if isinstance(source, str) else source), *self.collecting.sources()]

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the thread that draws and writes.

        Raises:
            ConfigError: the images are not those of `open_sources`.
        """
        dataset = getattr(trainer.predict_dataloaders, "dataset", None)
        if not isinstance(dataset, SourceDataset):
            raise ConfigError("PredictionWriter draws the images that --data.source names; this loader has others.")
        self._dataset = dataset
        names = {int(key): str(name) for key, name in class_names(pl_module).items()}
        rank, folder, keypoints = trainer.global_rank, self._folder(trainer), keypoints_of(pl_module)
        data = datamodule_of(trainer)
        ids = data.ids_of_files() if isinstance(data, FollowsClasses) else None
        self._files = PredictionFiles(
            folder,
            rank,
            dataset,
            names,
            self.save_images,
            self.save_txt,
            keypoints,
            ids,
            self.save_conf,
            self.save_crop,
            self.save_frames,
            self._with_labels(keypoints, data),
            keypoint_conf_of(pl_module),
        )

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Sequence[Prediction] | None,
        batch_indices: Sequence[int] | None,
        batch: DetectionBatch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Queue a batch for the thread, with the images that the loader had to leave out."""
        assert self._files is not None and self._dataset is not None
        rows = zip(batch["im_file"], prediction or (), batch["ori_shape"], batch["ratio_pad"], strict=True)
        found = {name: in_original(one, shape, ratio_pad) for name, one, shape, ratio_pad in rows}
        for index in batch_indices or ():
            self._files.put(index, found.get(self._dataset.name(index)))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Wait for the thread, then merge the processes' parts.

        Raises:
            UserError: the files could not be written.
        """
        assert self._files is not None and self._dataset is not None
        failure = self._files.close()
        trainer.strategy.barrier("predictions written")  # also with a failure: the others wait here
        if trainer.is_global_zero and failure is None:
            found = finish(self._folder(trainer), trainer.world_size, self._dataset.unreadable, self.save_json)
            if self.collecting is not None:
                names = {int(key): str(name) for key, name in class_names(pl_module).items()}
                failure = _written(self.collecting, found, names, _held_out(trainer, pl_module))
        trainer.strategy.barrier("predictions put together")
        if failure is not None:
            raise failure

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """End the thread. What is drawn so far stays, and videos are closed so that they play."""
        if self._files is not None:
            self._files.close(discard=True)

    def _folder(self, trainer: pl.Trainer) -> Path:
        return Path(trainer.default_root_dir) / self.folder

    def _with_labels(self, keypoints: Keypoints | None, data: object) -> CollectOptions | None:
        """Return where to collect, and how labels are written: as the model's data set, else as the model has them."""
        if self.collecting is None:
            return None
        known = keypoints or _keypoints_of_data_set(getattr(data, "data_yaml", None))
        return replace(self.collecting, kpt_shape=None if known is None else (known.count, known.numbers))


def _collecting(collect: str | None, backgrounds: str | list[str] | None) -> CollectOptions | None:
    """Return where pictures are collected, if anywhere."""
    listed = [backgrounds] if isinstance(backgrounds, str) else list(backgrounds or ())
    if collect is None:
        if listed:
            raise ConfigError("--output.collect_backgrounds needs --output.collect FILE.txt, the list to be written.")
        return None
    options = CollectOptions(Path(expand_home(collect)), tuple(listed))
    options.check()
    return options


def _keypoints_of_data_set(data_yaml: str | None) -> Keypoints | None:
    """Return the keypoints of the data set that a model without any was trained on, if it is there."""
    with suppress(UserError, OSError):
        return read_data_yaml(data_yaml).keypoints if data_yaml else None
    return None


def _held_out(trainer: pl.Trainer, module: pl.LightningModule) -> HeldOut:
    """Find the pictures by which the command's data set measures, and that of the run of the model."""
    trained = None
    weights = getattr(module, "weights", None)
    if path := trainer.ckpt_path or (located(str(weights)) if weights else None):
        with suppress(UserError, OSError):
            trained = trained_with(path).validated_by.get("data_yaml")
    return held_out_by(getattr(datamodule_of(trainer), "data_yaml", None), trained)


def _written(
    options: CollectOptions, found: list[dict[str, Any]], names: dict[int, str], held_out: HeldOut
) -> UserError | None:
    """Write what was collected; returns why it could not be, if so."""
    try:
        write_collected(options, found, names, held_out)
    except OSError as error:
        return UserError(f"--output.collect {options.target} cannot be written: {error.strerror}.")
    return None
