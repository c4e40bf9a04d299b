"""Writes arrays that are kept from run to run beside a data set, for everybody who shares it."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.files import write_atomic


def save_arrays(files: Sequence[Path], arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Write arrays to the first of these files whose folder is there and takes it; returns whether one did.

    Args:
        files: `.npz` files, in the order of preference.
        arrays: by name.

    Example:
        >>> save_arrays([Path("missing", "a.npz"), Path("a.npz")], {"one": np.ones(2)})
        True
        >>> np.load("a.npz")["one"].tolist()
        [1.0, 1.0]
    """
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    for file in files:
        try:
            if file.parent.is_dir():
                write_atomic(file, archive.getbuffer(), sync=False)
                if os.name == "posix":  # data sets are shared: who may write into the folder may write the cache
                    file.chmod(file.parent.stat().st_mode & 0o666)
                return True
        except OSError:
            continue
    return False
