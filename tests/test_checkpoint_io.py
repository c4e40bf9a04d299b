"""A checkpoint is there whole, or as it was."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from helpers import largest_file

from aigp_lightning.checkpoint_io import WholeCheckpointIO
from aigp_lightning.errors import RunError


def test_round_trip(tmp_path: Path) -> None:
    WholeCheckpointIO().save_checkpoint({"a": torch.arange(5)}, tmp_path / "new" / "x.ckpt")
    assert torch.load(tmp_path / "new" / "x.ckpt", weights_only=True)["a"].tolist() == [0, 1, 2, 3, 4]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.ckpt"]


def test_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """A real limit on the size of files stands in for the full disk."""
    target = tmp_path / "x.ckpt"
    WholeCheckpointIO().save_checkpoint({"a": torch.zeros(3)}, target)
    before = target.read_bytes()
    with largest_file(50_000), pytest.raises(RunError, match=r"x\.ckpt \(0\.4 MB are needed\)") as raised:
        WholeCheckpointIO().save_checkpoint({"a": torch.zeros(100_000)}, target)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.EFBIG
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.ckpt"]
