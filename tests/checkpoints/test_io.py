"""A checkpoint is there whole, or as it was."""

from __future__ import annotations

import errno
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

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
    store.teardown()
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


def held(folder: Path) -> AtomicCheckpointIO:
    """Make a store that keeps the checkpoints of epoch 2 aside; those of epoch 1 are in place."""
    store = AtomicCheckpointIO()
    for name in ("best", "last"):
        store.save_checkpoint({"epoch": 1}, folder / f"{name}.ckpt")
    store.hold()
    return store


def save_both(store: AtomicCheckpointIO, folder: Path, content: dict[str, Any], last: dict[str, Any]) -> None:
    with store.of_epoch():
        store.save_checkpoint(content, folder / "best.ckpt")
        store.save_checkpoint(last, folder / "last.ckpt")


class Gate:
    """Pickled as an empty dict, once somebody opens it: the thread that writes waits here."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.threads: list[str] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Gate:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        self.threads.append(threading.current_thread().name)
        assert self.event.wait(20)
        return OrderedDict, ()


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    store, gate, weight = held(tmp_path), Gate(), torch.zeros(3)
    content = {"epoch": 2, "weight": weight, "gate": gate}
    save_both(store, tmp_path, content, content)
    weight += 1
    assert store.waiting
    assert not store.is_written()
    gate.event.set()
    store.commit()
    assert not store.waiting
    for name in ("best.ckpt", "last.ckpt"):
        saved = torch.load(tmp_path / name, weights_only=True)
        assert (saved["epoch"], saved["weight"].tolist(), saved["gate"]) == (2, [0, 0, 0], {})
    store.teardown()
    assert all(name.startswith("checkpoints") for name in gate.threads), gate.threads
    assert not [each for each in threading.enumerate() if each.name.startswith("checkpoints")]


def test_what_best_and_last_have_in_common_is_serialized_once(tmp_path: Path) -> None:
    """And each is a file of its own; what differs in an epoch differs in the files."""
    store, weight = held(tmp_path), torch.zeros(3)
    save_both(store, tmp_path, {"epoch": 2, "weight": weight}, {"epoch": 2, "weight": weight})
    store.commit()
    best, last = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    assert best.read_bytes() == last.read_bytes()
    assert not best.samefile(last)
    save_both(store, tmp_path, {"epoch": 3, "weight": weight}, {"epoch": 3, "weight": weight + 1})
    store.commit()
    assert torch.load(best, weights_only=True)["weight"].tolist() == [0, 0, 0]
    assert torch.load(last, weights_only=True)["weight"].tolist() == [1, 1, 1]
    store.teardown()


def test_a_disk_that_is_full_beside_the_training(tmp_path: Path) -> None:
    """Whoever asks next is told, once; nothing of that epoch is left, and the next is written again."""
    store = held(tmp_path)
    large, small = {"epoch": 2, "weight": torch.zeros(100_000)}, {"epoch": 2}
    with largest_file(50_000):
        save_both(store, tmp_path, small, large)
        with pytest.raises(RunError, match=r"last\.ckpt \(0\.4 MB are needed\)"):
            store.commit()
        save_both(store, tmp_path, large, large)
        with pytest.raises(RunError, match=r"best\.ckpt \(0\.4 MB are needed\)"):
            while not store.is_written():
                pass
    assert not store.waiting
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]
    assert (epoch_of(tmp_path / "best.ckpt"), epoch_of(tmp_path / "last.ckpt")) == (1, 1)
    save_both(store, tmp_path, large, large)
    store.commit()
    assert epoch_of(tmp_path / "last.ckpt") == 2
    store.teardown()


class NoCopy:
    """Can be pickled, and not copied."""

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        raise TypeError("no copies")

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, ()


def test_what_cannot_be_copied_is_written_at_once(tmp_path: Path) -> None:
    store = held(tmp_path)
    save_both(store, tmp_path, {"epoch": 2}, {"epoch": 2, "users": NoCopy()})
    assert torch.load(tmp_path / ".last.ckpt.next", weights_only=True)["users"] == {}
    store.commit()
    assert (epoch_of(tmp_path / "best.ckpt"), epoch_of(tmp_path / "last.ckpt")) == (2, 2)
    store.teardown()
