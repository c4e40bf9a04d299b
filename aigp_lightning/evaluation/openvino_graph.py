"""OpenVINO files that are opened: the graph as a function, and what the file says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from aigp_lightning.errors import WeightsError
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.deployment import Answers

OURS, WEIGHTS_HASH = "aigp", "bin_sha256"
"""Name of our part of a file's `rt_info`, and in it of the SHA-256 of the `.bin`."""
WEIGHTS = ".bin"
PLACE = re.compile(r"\.[ch]pp:\d+:$")
"""End of the lines that say where in OpenVINO's source an error was raised."""


class Opened(NamedTuple):
    """A file that is open: how it answers, its texts by name, the device, and threads where it says them."""

    run: Answers
    told: dict[str, str]
    device: str
    threads: int | None


def open_openvino(path: Path, gpu: bool, threads: int | None) -> Opened:
    """Open a `.xml` with the `.bin` beside it, on a GPU of Intel's where there is one and it is wanted.

    On a CPU it computes in the precision of the file, not in that which a CPU may have in bfloat16 besides.

    Args:
        path: of the `.xml`.
        gpu: run it on a GPU where one can.
        threads: to compute with; None: as many as the runtime chooses.

    Raises:
        WeightsError: there is no `.bin`, another one than was written with the `.xml`, or OpenVINO cannot use them.
    """
    import openvino

    weights = path.with_suffix(WEIGHTS)
    if not weights.is_file():
        raise WeightsError(f"{weights.name} is not beside it; an OpenVINO file needs both")
    core = openvino.Core()
    with errors_as_lines("read it"):
        model = core.read_model(path)
    told = _texts(model)
    if (said := told.get(WEIGHTS_HASH)) is not None and said != sha256_of(weights):
        raise WeightsError(f"{weights.name} is damaged, or of another model: export it again")
    device = "GPU" if gpu and "GPU" in core.available_devices else "CPU"
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if device == "CPU":
        settings |= {"INFERENCE_PRECISION_HINT": "f32", **({"INFERENCE_NUM_THREADS": threads} if threads else {})}
    with errors_as_lines(f"run the network on {device}"):
        compiled = core.compile_model(model, device, settings)

    def run(images: Tensor) -> Tensor | tuple[Tensor, ...]:
        answers = compiled([images.float().cpu().numpy()])
        found = tuple(torch.from_numpy(answers[place].copy()) for place in range(len(compiled.outputs)))
        return found if len(found) > 1 else found[0]

    used = int(compiled.get_property("INFERENCE_NUM_THREADS")) if device == "CPU" else None
    return Opened(run, told, device, used)


@contextmanager
def errors_as_lines(action: str) -> Iterator[None]:
    r"""Report an error of OpenVINO's as one line, without the places in OpenVINO's own source.

    Args:
        action: that fails: "run the network on CPU".

    Raises:
        WeightsError: there is one.

    Example:
        >>> with errors_as_lines("read it"):
        ...     raise RuntimeError("Exception from core.cpp:94:\nUnable to read the model\n")
        Traceback (most recent call last):
        aigp_lightning.errors.WeightsError: OpenVINO cannot read it: Unable to read the model
    """
    try:
        yield
    except RuntimeError as error:
        lines = (line.strip() for line in str(error).splitlines())
        said = " ".join(line for line in lines if line and not PLACE.search(line))
        raise WeightsError(f"OpenVINO cannot {action}: {said or 'without a reason'}") from error


def _texts(model: Any) -> dict[str, str]:
    """Return our part of a model's `rt_info`; an empty one where it has none, or in another form."""
    if not model.has_rt_info([OURS]):
        return {}
    found = model.get_rt_info([OURS]).value
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
