"""The results of a validation, image by image: collected, and kept in the run folder for the best epoch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from aigp_lightning.callbacks.best_checkpoint import best_checkpoint_of
from aigp_lightning.checkpoints.paths import BEST
from aigp_lightning.data.fingerprint import fingerprint
from aigp_lightning.data.fraction import ALL
from aigp_lightning.errors import warn_user
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.metrics.collect_results import ResultsCollector, join_shares
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults
from aigp_lightning.modules.metrics.pose import PoseMetrics
from aigp_lightning.modules.metrics.result_settings import ALARMS, DATA, INFERENCE, MASKS
from aigp_lightning.modules.metrics.rigid_pose import target_of
from aigp_lightning.modules.metrics.segment import SegmentMetrics
from aigp_lightning.run.gather import gather_on_first
from aigp_lightning.run.lightning_internals import datamodule_of

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from aigp_lightning.modules.metrics.gate_camera import GateCamera
    from aigp_lightning.types import Keypoints

PARTS = ("fraction", "classes")
"""Options by which a part of the images or labels counts; where all do, they are not named."""
FIGURES = ("metrics/", "corners/", "gate/", "fitness")
"""Beginnings of the names of a validation's figures."""


class CollectImageResults(Callback):
    """Collects the results of `trainer.validate` or `trainer.test`, image by image; nothing while a run trains.

    Args:
        progress: show a progress bar while the data set's files are hashed.

    Attributes:
        results: of the last validation or test; None before it, and on other processes than the first.

    Example:
        >>> CollectImageResults().results is None  # Trainer(callbacks=[collecting]).validate(module, data)
        True
    """

    def __init__(self, progress: bool = False) -> None:
        self.progress = progress
        self.results: ImageResults | None = None
        self._collector: ResultsCollector | None = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin anew, where this is no validation of a training."""
        if trainer.state.fn in ("validate", "test") and isinstance(pl_module, BaseModule):
            self.results, self._collector = None, self._begun(pl_module)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch."""
        if self._collector is not None:
            self._collector.add(outputs["predictions"], batch)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the results of all processes together, on the first one."""
        if self._collector is None:
            return
        collector, self._collector = self._collector, None
        shares = gather_on_first(trainer, collector.share())
        if shares:
            self.results = join_shares(shares, about_of(trainer, pl_module, self.progress))

    on_test_start = on_validation_start
    on_test_batch_end = on_validation_batch_end
    on_test_end = on_validation_end

    def _begun(self, module: BaseModule) -> ResultsCollector:
        return ResultsCollector(*_keypoints_and_camera(module), _has_masks(module))


class ImageResultsFile(CollectImageResults):
    """Writes `image_results.npz` to the run folder, when the best epoch is validated after the training.

    A failure is a warning: the run itself is over and saved by then. The file names the checkpoint by its SHA-256, so
    that one from before the run went on is not taken for its best epoch's.

    Example:
        >>> import lightning.pytorch as pl
        >>> pl.Trainer(callbacks=[ImageResultsFile()], accelerator="cpu", logger=False).state.fn is None
        True
    """

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin, or tell why not."""
        self._attempt(trainer, super().on_validation_start, trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch, or tell why not."""
        self._attempt(trainer, super().on_validation_batch_end, trainer, pl_module, outputs, batch, batch_idx)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file."""
        if trainer.state.fn != "validate":
            return
        collector, self._collector = self._collector, None
        shares = gather_on_first(trainer, None if collector is None else collector.share())
        if trainer.is_global_zero and shares and all(share is not None for share in shares):
            self._attempt(trainer, self._write, trainer, pl_module, shares)

    def _write(self, trainer: pl.Trainer, module: pl.LightningModule, shares: list[Any]) -> None:
        best = best_checkpoint_of(trainer)
        checkpoint = Path(best.best_model_path) if best is not None and best.best_model_path else None
        if checkpoint is None or not checkpoint.is_file():
            return
        about = {**about_of(trainer, module), "model": {"file": BEST.as_posix(), "sha256": sha256_of(checkpoint)}}
        self.results = join_shares(shares, about)
        self.results.save(Path(trainer.default_root_dir) / RESULTS_FILE)

    def _attempt(self, trainer: pl.Trainer, step: Any, *arguments: Any) -> None:
        try:
            step(*arguments)
        except Exception as error:
            self._collector = None
            warn_user(f"could not write {Path(trainer.default_root_dir) / RESULTS_FILE}: {error}. The run is complete.")


def about_of(trainer: pl.Trainer, module: Any, progress: bool = False) -> dict[str, Any]:
    """Return what `ImageResults.about` says of a validation or test just done, but for the model's file.

    Args:
        trainer: it has validated or tested.
        module: with this module.
        progress: show a progress bar while files are hashed.
    """
    data: Any = datamodule_of(trainer)
    split = "test" if trainer.state.fn == "test" else "val"
    records, options = data.scan(split).records, module.checkpoint_options()
    masks = _has_masks(module)
    found = fingerprint(records, data.names, progress, f"hashing {split}", outlines=masks)
    figures = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith(FIGURES)}
    keypoints, camera = _keypoints_and_camera(module)
    settings = {name: getattr(data, name) for name in (*DATA, *(MASKS if masks else ()))}
    settings |= {name: options[name] for name in (*INFERENCE, *ALARMS) if name in options}
    settings |= {"precision": str(trainer.precision)}
    settings |= {name: value for name in PARTS if (value := getattr(data, name, None)) not in (None, ALL)}
    return {
        "task": module.task,
        "family": module.family,
        "names": {str(key): name for key, name in module.names.items()},
        "keypoints": None if keypoints is None else list(keypoints.names),
        "edges": [] if keypoints is None else [list(edge) for edge in keypoints.edges],
        "bands": None if camera is None else list(camera.bands),
        "object_points": None if (target := target_of(keypoints, camera)) is None else target.tolist(),
        "settings": settings,
        "data": {"data_yaml": str(data.data_yaml), "split": split, **vars(found)},
        "metrics": {key: None if math.isnan(value) else value for key, value in figures.items()},
        "table": list(module.table or []),
    }


def _keypoints_and_camera(module: BaseModule) -> tuple[Keypoints | None, GateCamera | None]:
    """Return by which keypoints are judged; None for detectors, and where nothing solves gates."""
    metrics = module.metrics
    return (metrics.keypoints, metrics.camera) if isinstance(metrics, PoseMetrics) else (None, None)


def _has_masks(module: BaseModule) -> bool:
    """True if masks are judged."""
    return isinstance(module.metrics, SegmentMetrics)
