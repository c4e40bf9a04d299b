"""TorchScript files that are opened: the graph as a function, and what the file says of itself."""

from __future__ import annotations

import io
import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from aigp_lightning.modules.deployment import Answers

CONFIG = "config.txt"
"""Name under which a file has its metadata, as those of Ultralytics do."""


class Opened(NamedTuple):
    """A file that is open: how it answers, its metadata, the device, and threads where they are PyTorch's on a CPU."""

    run: Answers
    told: dict[str, Any]
    device: str
    threads: int | None


def open_torchscript(path: Path, gpu: bool, threads: int | None) -> Opened:
    """Open a TorchScript file, on a GPU where there is one, it is wanted, and the file can run there.

    Args:
        path: of the file.
        gpu: run it on a GPU where one can.
        threads: that PyTorch is to compute with, in the whole process; None: as it is.
    """
    content, files = path.read_bytes(), {CONFIG: ""}

    def opened(device: str) -> Answers:
        with warnings.catch_warnings():  # that TorchScript has a successor helps nobody who has such a file
            warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated", FutureWarning)
            graph: Any = cast("Any", torch.jit).load(io.BytesIO(content), map_location=device, _extra_files=files)

        def run(images: Tensor) -> Any:
            with torch.no_grad():
                answer: Any = graph(images.float().to(device))
            return answer

        return run

    if threads:
        torch.set_num_threads(threads)
    run, device = opened("cpu"), "cpu"
    found = json.loads(files[CONFIG]) if files[CONFIG] else {}
    told = found if isinstance(found, dict) else {}
    if gpu and torch.cuda.is_available() and "imgsz" in told:
        with suppress(RuntimeError, TypeError, ValueError):  # one that was traced with tensors of the CPU stays there
            (faster := opened("cuda"))(torch.zeros(1, 3, *told["imgsz"]))
            run, device = faster, "cuda"
    return Opened(run, told, device, torch.get_num_threads() if device == "cpu" else None)
