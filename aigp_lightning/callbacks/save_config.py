"""The resolved configuration, in the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from aigp_lightning.files import write_atomic
from aigp_lightning.run.folder import CONFIG_FILE, mark_run_folder

if TYPE_CHECKING:
    import lightning.pytorch as pl


class SaveConfig(Callback):
    """Writes `config.yaml` once data and checkpoint are accepted: a refused resume must not replace a good run's.

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

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file, on the first process, and mark the folder as a run's."""
        if trainer.is_global_zero:
            folder = Path(trainer.default_root_dir)
            mark_run_folder(folder)
            write_atomic(folder / CONFIG_FILE, self.text.encode(), own=True)
