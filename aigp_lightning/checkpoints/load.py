"""Our checkpoints: read outside a trainer, and the state of chance that they hold."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import WeightsError

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without running code that it may carry.

    Raises:
        WeightsError: missing, unreadable, or another program's.
    """
    import torch

    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"there is no checkpoint at {path}.")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a file that is cut off or no checkpoint
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"cannot read {path}: it is cut off, or of another kind than ours: {reason}") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise WeightsError(f"{path} was not written by aigp_lightning. Ultralytics' .pt files go to --model.weights.")
    checkpoint_metadata(content, path)
    return content


def checkpoint_metadata(content: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """What this package adds to Lightning's checkpoints, its types checked: a file may come from anywhere.

    Raises:
        WeightsError: another program's checkpoint, or one that was changed.
    """
    ours = content.get("aigp")
    if not isinstance(ours, dict):
        raise WeightsError(f"{path} was not written by aigp_lightning. Ultralytics' .pt files go to --model.weights.")
    names, weights = ours.get("names"), ours.get("class_weights")
    fine = (
        isinstance(names, dict)
        and set(names) == set(range(len(names)))
        and all(isinstance(name, str) for name in names.values())
        and isinstance(ours.get("task"), str)
        and isinstance(ours.get("network"), dict)
        and type(ours.get("last_step", -1)) is int
        and (weights is None or (isinstance(weights, list) and all(isinstance(w, int | float) for w in weights)))
    )
    if not fine:
        raise WeightsError(f"{path} is damaged: its part of aigp_lightning is not what this version writes.")
    return ours


def load_module(path: str | Path) -> BaseModule:
    """Rebuild the module of a checkpoint, with its averaged weights, in eval mode on the CPU.

    Raises:
        WeightsError: see `read_checkpoint`.
    """
    return _rebuild(read_checkpoint(path), path)


def _rebuild(content: dict[str, Any], path: str | Path) -> BaseModule:
    from aigp_lightning.modules.detector import DetectorModule
    from aigp_lightning.modules.pose import PoseModule

    modules: dict[str, type[DetectorModule]] = {module.task: module for module in (DetectorModule, PoseModule)}
    task = content["aigp"].get("task")
    if task not in modules:
        raise WeightsError(f"{path} is of task {task!r}; this version knows {', '.join(modules)}.")
    module = modules[task]()
    module.on_load_checkpoint(content)
    try:
        module.load_state_dict(content["state_dict"])
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        why = str(error).partition("\n")[0]
        raise WeightsError(f"the weights in {path} do not fit the network that it describes: {why}") from error
    return module.eval()


def checkpoint_to_pt(path: Path, target: Path, train_args: Mapping[str, Any] | None = None) -> None:
    """Write a checkpoint's averaged weights as a `.pt` that `ultralytics.YOLO` opens.

    Raises:
        WeightsError: see `read_checkpoint`.
    """
    from aigp_lightning.modules.yolo import bridge

    content = read_checkpoint(path)
    module = _rebuild(content, path)
    assert module.network is not None
    bridge.save_pt(target, module.network, epoch=int(content.get("epoch", -1)), train_args=train_args)


def rng_state() -> dict[str, Any]:
    """The state of Python's, NumPy's and torch's random generators, as values that a checkpoint may hold."""
    import numpy as np
    import torch

    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  a user's callback may draw from it
    state: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    state["numpy"] = (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_rng_state(state: Mapping[str, Any]) -> None:
    """Go on where `rng_state` was taken."""
    import numpy as np
    import torch

    kind, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
