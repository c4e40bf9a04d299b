"""Keeps what was measured of two splits until one of their pictures changes, so that a run need not compare them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aigp_lightning.data import file_stamps
from aigp_lightning.data.array_cache import save_arrays
from aigp_lightning.data.leaks import frame_runs, near_duplicates, thumbnails

VERSION = 1  # raise it whenever another way of comparing pictures finds others
FILE = "split-leak.aigp-cache.npz"
LIMITS = (
    thumbnails.VERSION, near_duplicates.MOST_BITS, near_duplicates.NEAR, near_duplicates.SAME, frame_runs.ALIKE,
    frame_runs.LEAST,
)  # fmt: skip


def leak_key(splits: Mapping[str, Sequence[str]], root: str, workers: int) -> str | None:
    """Return what tells these pictures, in these splits, as they are now; None where some have just changed.

    Args:
        splits: name to pictures.
        root: folder of the data set.
        workers: threads.

    Example:
        >>> leak_key({"train": ["a.jpg"], "val": ["b.jpg"]}, "", 1) == leak_key({"train": ["b.jpg"], "val": []}, "", 1)
        False
    """
    counts = [(split, len(files)) for split, files in splits.items()]
    files = [file for split in splits.values() for file in split]
    key, fresh = file_stamps.fingerprint((VERSION, *LIMITS, root, counts), files, workers)
    return None if fresh else key


def recall(folders: Sequence[Path], key: str | None) -> dict[str, Any] | None:
    """Return figures that are kept under a key; None where they have to be measured.

    Args:
        folders: where the file may be.
        key: see `leak_key`.

    Example:
        >>> keep([Path()], "0f", {"near": 3})
        >>> recall([Path()], "0f"), recall([Path()], "1f"), recall([Path()], None)
        ({'near': 3}, None, None)
    """
    for folder in folders if key is not None else ():
        try:
            with np.load(folder / FILE, allow_pickle=False) as data:
                if bytes(data["key"]).decode("ascii") == key:
                    found = json.loads(bytes(data["figures"]))
                    return found if isinstance(found, dict) else None
        except Exception:  # a missing or damaged file fails in many ways, and all of them mean: measure again
            continue
    return None


def keep(folders: Sequence[Path], key: str | None, figures: Mapping[str, Any]) -> None:
    """Keep figures in the first folder that takes them.

    Args:
        folders: where the file may be; one that is missing is passed over.
        key: see `leak_key`; None: nothing is kept.
        figures: plain values.
    """
    if key is None:
        return
    texts = {"key": key.encode("ascii"), "figures": json.dumps(dict(figures)).encode("ascii")}
    arrays = {name: np.frombuffer(text, np.uint8) for name, text in texts.items()}
    save_arrays([folder / FILE for folder in folders], arrays)
