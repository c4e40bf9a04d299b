"""Checkpoints that stay: every so many epochs, counted over all starts, none half written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from aigp_lightning.callbacks.checkpoint_every import CheckpointEvery
from aigp_lightning.callbacks.last_checkpoint import LastCheckpoint
from aigp_lightning.checkpoints.io import AtomicCheckpointIO, finish_commit, held_aside
from aigp_lightning.errors import ConfigError


def fit(folder: Path, epochs: int, every: int, path: Path | None = None, **more: Any) -> Trainer:
    store = AtomicCheckpointIO()
    trainer = Trainer(
        accelerator="cpu", max_epochs=epochs, limit_train_batches=2, limit_val_batches=0, logger=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder, plugins=[store],
        callbacks=[CheckpointEvery(every), LastCheckpoint(store)], **more,
    )  # fmt: skip
    trainer.fit(BoringModel(), ckpt_path=path, weights_only=False)
    return trainer


def kept(folder: Path) -> dict[str, int]:
    files = sorted((folder / "weights").iterdir())
    return {path.name: torch.load(path, weights_only=False)["epoch"] + 1 for path in files}


def test_every_so_many_epochs_over_all_starts(tmp_path: Path) -> None:
    fit(tmp_path, 5, 2)
    assert kept(tmp_path) == {"epoch2.ckpt": 2, "epoch4.ckpt": 4, "last.ckpt": 5}
    fit(tmp_path, 9, 3, tmp_path / "weights" / "last.ckpt")
    assert kept(tmp_path) == {
        **{"epoch2.ckpt": 2, "epoch4.ckpt": 4, "epoch6.ckpt": 6, "epoch9.ckpt": 9, "last.ckpt": 9}
    }
    gone_back = fit(tmp_path, 6, 0, tmp_path / "weights" / "epoch4.ckpt")
    assert gone_back.global_step == 12, "it can be resumed from"


def test_a_trial_keeps_nothing(tmp_path: Path) -> None:
    fit(tmp_path, 1, 1, fast_dev_run=True)
    assert not (tmp_path / "weights").exists()


def test_a_kill_leaves_the_epoch_whole_or_not_at_all(tmp_path: Path) -> None:
    for trained, last in ((4, 3), (4, 4)):
        weights = tmp_path / str(last)
        weights.mkdir()
        torch.save({"epoch": trained - 1}, held_aside(weights / f"epoch{trained}.ckpt"))
        (weights / ".epoch4.ckpt.next.tmp12345").touch()
        torch.save({"epoch": last - 1}, weights / "last.ckpt")
        finish_commit(weights)
        names = {path.name for path in weights.iterdir() if not path.name.endswith("12345")}
        assert names == ({"last.ckpt", "epoch4.ckpt"} if last == trained else {"last.ckpt"})


def test_a_number_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--checkpoint_every.epochs -1: a number"):
        CheckpointEvery(-1)
