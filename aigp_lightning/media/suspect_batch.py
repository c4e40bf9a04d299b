"""Writes a batch that something is wrong with to the run folder, to be looked at."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from aigp_lightning.files import write_atomic
from aigp_lightning.media.encode import encode
from aigp_lightning.media.module_facts import class_names
from aigp_lightning.media.plots.skeleton import edges_of
from aigp_lightning.media.render_jobs import train_job
from aigp_lightning.media.snapshot import snapshot_batch

if TYPE_CHECKING:
    from aigp_lightning.types import DetectionBatch

MOST_CELLS = 64


def keep_batch(stem: Path, batch: DetectionBatch, facts: dict[str, Any], module: object) -> None:
    """Write a training batch as a picture, as tensors and as a list of its images.

    Args:
        stem: where to, without suffix: `.jpg`, `.pt` (it loads with `weights_only=True`) and `.json` are added.
        batch: as the network gets it, on any device.
        facts: plain values to write with it.
        module: it knows the class names.

    Raises:
        OSError: nothing can be written there.

    Example:
        >>> import tempfile
        >>> batch = {"img": torch.zeros(1, 3, 32, 32), "cls": torch.zeros(0), "bboxes": torch.zeros(0, 4),
        ...          "batch_idx": torch.zeros(0), "im_file": ["a.jpg"], "sources": [("a.jpg", "b.jpg")]}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     keep_batch(Path(folder) / "epoch0001", batch, {"epoch": 1}, module=None)
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['epoch0001.jpg', 'epoch0001.json', 'epoch0001.pt']
    """
    snapshot = snapshot_batch(batch, MOST_CELLS)()
    images = [{"im_file": file, "sources": list(s)} for file, s in zip(snapshot.files, snapshot.sources, strict=True)]
    write_atomic(stem.with_suffix(".json"), json.dumps({**facts, "images": images}, indent=2).encode(), own=True)
    tensors = {key: value.cpu() if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
    buffer = io.BytesIO()
    torch.save({**facts, "batch": tensors}, buffer)
    write_atomic(stem.with_suffix(".pt"), buffer.getbuffer(), own=True)
    names, edges = class_names(module), edges_of(module)
    job = train_job(0, [lambda: snapshot], snapshot.sources, names, MOST_CELLS, edges)
    write_atomic(stem.with_suffix(".jpg"), encode(job.draw(frozenset()), ".jpg"), own=True)
