"""Reads a plain value of a checkpoint without torch: no tensor is loaded, no class is looked up, no code is run."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

from aigp_lightning.errors import WeightsError, first_line

LARGEST = 64_000_000
"""Bytes of the part of a checkpoint that is not tensors; ours has a few hundred thousand."""


class _Skipped(dict[Any, Any]):
    """Takes the place of every object that is no plain value: it ignores what it is made of."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        """Ignore the state."""

    def append(self, item: object) -> None:
        """Ignore an item."""

    def extend(self, items: object) -> None:
        """Ignore items."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _Skipped

    def persistent_load(self, pid: Any) -> None:  # a tensor's storage
        return None


def read_plain_value(path: Path, key: str) -> Any:
    """Read what stands under a key of a checkpoint.

    Args:
        path: the `.ckpt`, as `torch.save` writes it.
        key: on its top level; the value is of plain types, such as numbers, texts and dicts.

    Returns:
        The value, unchecked; None where there is none.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl") and name.count("/") <= 1)
            if archive.getinfo(name).file_size > LARGEST:
                raise WeightsError(f"cannot read {path}: its part that is not tensors has more than {LARGEST} bytes")
            content = _PlainUnpickler(io.BytesIO(archive.read(name))).load()
    except WeightsError:
        raise
    except (zipfile.BadZipFile, EOFError) as error:
        raise WeightsError(f"cannot read {path}: it is cut off, or no checkpoint of torch's") from error
    except StopIteration:
        raise WeightsError(f"cannot read {path}: it is no checkpoint of torch's") from None
    except Exception as error:  # zipfile's, pickle's and whatever a forged file provokes
        raise WeightsError(f"cannot read {path}: {first_line(error)}") from error
    return content.get(key) if isinstance(content, dict) else None
