"""A checkpoint is there whole, or as it was."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from helpers import largest_file

from aigp_lightning.checkpoints.io import AtomicCheckpointIO, finish_commit
from aigp_lightning.errors import RunError


def test_round_trip(tmp_path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint({"a": torch.arange(5)}, tmp_path / "new" / "x.ckpt")
    assert torch.load(tmp_path / "new" / "x.ckpt", weights_only=True)["a"].tolist() == [0, 1, 2, 3, 4]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.ckpt"]


def test_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """A real limit on the size of files stands in for the full disk."""
    target = tmp_path / "x.ckpt"
    AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(3)}, target)
    before = target.read_bytes()
    with largest_file(50_000), pytest.raises(RunError, match=r"x\.ckpt \(0\.4 MB are needed\)") as raised:
        AtomicCheckpointIO().save_checkpoint({"a": torch.zeros(100_000)}, target)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.EFBIG
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.ckpt"]


def epoch_of(path: Path) -> int:
    return int(torch.load(path, weights_only=True)["epoch"])


def test_checkpoints_of_an_epoch_count_together(tmp_path: Path) -> None:
    best, last, old = (tmp_path / f"{name}.ckpt" for name in ("best", "last", "old"))
    store = AtomicCheckpointIO()
    for path in (best, last, old):
        store.save_checkpoint({"epoch": 1}, path)
    store.hold()
    theirs = tmp_path / "theirs.ckpt"
    store.save_checkpoint({"epoch": 2}, theirs)
    assert epoch_of(theirs) == 2, "what others save is in place at once"
    store.remove_checkpoint(theirs)
    with store.of_epoch():
        for path in (best, last):
            store.save_checkpoint({"epoch": 2}, path)
        store.remove_checkpoint(old)
    assert store.waiting
    assert (epoch_of(best), epoch_of(last), epoch_of(old)) == (1, 1, 1)
    store.commit()
    assert not store.waiting
    assert (epoch_of(best), epoch_of(last)) == (2, 2)
    with store.of_epoch():
        store.save_checkpoint({"epoch": 3}, best)
    store.discard()
    assert epoch_of(best) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]
    store.save_checkpoint({"epoch": 3}, best)
    assert epoch_of(best) == 3, "nothing is kept aside any more"


@pytest.mark.parametrize(("moved", "expected"), [(False, 1), (True, 2)])
def test_a_kill_within_a_commit(moved: bool, expected: int, tmp_path: Path) -> None:
    """`last.ckpt` decides: with it in place the others follow, without it they go."""
    best, last = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    store = AtomicCheckpointIO()
    for path in (best, last):
        store.save_checkpoint({"epoch": 1}, path)
    store.hold()
    with store.of_epoch():
        for path in (best, last):
            store.save_checkpoint({"epoch": 2}, path)
    if moved:
        (tmp_path / ".last.ckpt.next").replace(last)
    (tmp_path / ".best.ckpt.4711").write_bytes(b"half")
    finish_commit(tmp_path)
    assert (epoch_of(best), epoch_of(last)) == (expected, expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_half_a_checkpoint_kept_aside_is_removed(tmp_path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint({"epoch": 2}, tmp_path / "last.ckpt")
    (tmp_path / ".best.ckpt.next").write_bytes((tmp_path / "last.ckpt").read_bytes()[:300])
    finish_commit(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
