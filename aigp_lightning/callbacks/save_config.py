"""The configuration in effect, in the run folder; an earlier one is kept beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from aigp_lightning.data.leaks.leak_report import LEAK, MeasuresLeak
from aigp_lightning.files import write_atomic
from aigp_lightning.logfiles.run_config import read_config
from aigp_lightning.run.auto_batch import ChoosesBatch
from aigp_lightning.run.folder import CONFIG_FILE, EARLIER_CONFIG, mark_run_folder
from aigp_lightning.run.lightning_internals import datamodule_of
from aigp_lightning.run.marker import write_run_file
from aigp_lightning.run.provenance import gpu_names, record_start

if TYPE_CHECKING:
    import lightning.pytorch as pl

OPEN_BATCH = re.compile(r"^(data:\n(?: .*\n)*?  batch_size: )(?!\d+$).*$", re.MULTILINE)
"""A batch that is no number of images, in a configuration."""
OF_A_START = ("ckpt_path", "extend")
"""Options of one start; the run is the same one without them."""


class SaveConfig(Callback):
    """Writes `config.yaml` once data and checkpoint are accepted: a refused resume must not replace a good run's.

    With what a start was made (versions, commit, seeds, hardware) is noted in `run.json`, see `run/provenance.py`.

    A resumed run writes it when it trains its first epoch, and not at all where nothing is left to train. If it runs
    with other options than before, what was in effect until then becomes `config-before-epoch5.yaml`.

    Args:
        text: the configuration, as YAML.

    Example:
        >>> import tempfile
        >>> import lightning.pytorch as pl
        >>> quiet = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     callback = SaveConfig("seed_everything: 0")
        ...     trainer = pl.Trainer(default_root_dir=folder, callbacks=[callback], **quiet)
        ...     callback.on_fit_start(trainer, pl.LightningModule())  # as `trainer.fit` calls it
        ...     (Path(folder) / CONFIG_FILE).read_text()
        'seed_everything: 0'
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._waiting = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Mark the folder as a run's, and write the file where the run begins, on the first process."""
        if trainer.is_global_zero:
            self.text = with_batch(self.text, datamodule_of(trainer))
            mark_run_folder(Path(trainer.default_root_dir))
            gpus = gpu_names(trainer.device_ids) if trainer.strategy.root_device.type == "cuda" else []
            record_start(Path(trainer.default_root_dir), _seeds(self.text), gpus, trainer.world_size)
            _record_leak(Path(trainer.default_root_dir), datamodule_of(trainer))
            self._waiting = True
            if trainer.ckpt_path is None:
                self._write(Path(trainer.default_root_dir), 0)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file of a resumed run."""
        if self._waiting:
            self._write(Path(trainer.default_root_dir), trainer.current_epoch)

    def _write(self, folder: Path, epoch: int) -> None:
        """Write the file; keep the one that was in effect until now, if epochs were trained with it.

        Args:
            folder: of the run.
            epoch: that is about to be trained, from 0.
        """
        self._waiting = False
        path, text = folder / CONFIG_FILE, self.text.encode()
        kept = folder / EARLIER_CONFIG.replace("*", str(epoch + 1))
        # One that is there was in effect until this epoch; a start in between has not trained any.
        if epoch and path.is_file() and not kept.exists() and _differ(folder, self.text):
            write_atomic(kept, path.read_bytes(), own=True)
        write_atomic(path, text, own=True)


def with_batch(text: str, data: object) -> str:
    r"""Return a configuration with the batch that was chosen, where it leaves that open.

    Args:
        text: YAML as the command line writes it.
        data: the datamodule.

    Example:
        >>> from aigp_lightning.data.datamodule import YoloDataModule
        >>> with_batch("data:\n  imgsz: 640\n  batch_size: auto\n", YoloDataModule(batch_size=24))
        'data:\n  imgsz: 640\n  batch_size: 24\n'
    """
    return OPEN_BATCH.sub(rf"\g<1>{data.batch_size}", text) if isinstance(data, ChoosesBatch) else text


def _record_leak(folder: Path, data: object) -> None:
    """Note in `run.json` what the validation split had in common with the training split when the run was started."""
    if isinstance(data, MeasuresLeak):
        write_run_file(folder, **{LEAK: None if data.leak is None else dict(data.leak)})


def _differ(folder: Path, text: str) -> bool:
    """True if the configuration in a run folder has other options than a text."""
    import yaml

    before, now = read_config(folder)[0], yaml.safe_load(text)
    if before is None or not isinstance(now, dict):
        return True
    return _of_the_run(before) != _of_the_run(now)


def _seeds(text: str) -> dict[str, object]:
    """Return the seeds in a configuration's text, by their options' names."""
    import yaml

    config = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    config = config if isinstance(config, dict) else {}
    data = config.get("data")
    found = {"seed_everything": config.get("seed_everything")}
    return {**found, "data.seed": data["seed"]} if isinstance(data, dict) and "seed" in data else found


def _of_the_run(config: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in config.items() if key not in OF_A_START}
