"""The keys of a checkpoint that are this package's, and the check of what stands under them.

Checkpoints of earlier versions open by these names, so they stay. Under Lightning's own keys (`state_dict`, `epoch`,
`optimizer_states`, `callbacks`, …) stands what Lightning writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigp_lightning.errors import WeightsError

METADATA = "aigp"
"""Class names, task, family, and from what the network is built: enough to rebuild the module without a data set."""
RUN_OPTIONS = "run"
"""In the metadata: options of the run that wrote the checkpoint, by group (`data`, `model`, `trainer`), named and
nested as on the command line. Older checkpoints have none."""
RNG_STATE = "random_state"
"""State of the random number generators at the end of the epoch, see `run/rng.py`."""
PENDING_GRADIENTS = "pending_gradients"
"""Gradients that wait for their optimizer step, by parameter name; only where there are some."""
LEDGER = "ledger"
"""Head, lines and totals of the ledger of pictures when the checkpoint was made, see `media/ledger/anchor.py`: plain
values. Older checkpoints have none."""

FIRST_FAMILY = "yolo"
"""The family of checkpoints that name none: those from before there was a second one."""


def checkpoint_metadata(content: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Return what this package adds to a checkpoint, its types checked: a file may come from anywhere.

    Args:
        content: a checkpoint.
        path: where it was read from, for errors.

    Raises:
        WeightsError: another program's checkpoint, or one that was changed.

    Example:
        >>> content = {"aigp": {"names": {0: "gate"}, "task": "detect", "network": {}, "last_step": 7}}
        >>> metadata = checkpoint_metadata(content, "best.ckpt")
        >>> family_of(metadata), metadata["task"]
        ('yolo', 'detect')
    """
    ours = content.get(METADATA)
    if not isinstance(ours, dict):
        raise WeightsError(
            f"{path} was not written by aigp_lightning. Weights of other programs go to --model.weights."
        )
    names, weights = ours.get("names"), ours.get("class_weights")
    fine = (
        isinstance(names, dict)
        and set(names) == set(range(len(names)))
        and all(isinstance(name, str) for name in names.values())
        and isinstance(ours.get("task"), str)
        and isinstance(family_of(ours), str)
        and isinstance(ours.get("network"), dict)
        and type(ours.get("last_step", -1)) is int
        and _are_options(ours.get(RUN_OPTIONS, {}))
        and (weights is None or (isinstance(weights, list) and all(isinstance(w, int | float) for w in weights)))
    )
    if not fine:
        raise WeightsError(f"{path} is damaged: its part of aigp_lightning is not what this version writes.")
    return ours


def family_of(metadata: Mapping[str, Any]) -> str:
    """Return the family of the module that wrote a checkpoint.

    Args:
        metadata: see `checkpoint_metadata`.
    """
    family: str = metadata.get("family", FIRST_FAMILY)
    return family


def options_of(metadata: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return options of the run that wrote a checkpoint; empty for checkpoints of earlier versions.

    Args:
        metadata: see `checkpoint_metadata`.
        group: `data` (data_yaml, imgsz, batch_size, seed, rect, single_cls, augment), `model` (the module's arguments)
            or `trainer` (max_epochs, precision, and what was found: world_size, batches an epoch, train_images).

    Example:
        >>> options_of({"run": {"data": {"imgsz": 640}}}, "data")
        {'imgsz': 640}
    """
    options: dict[str, Any] = metadata.get(RUN_OPTIONS, {}).get(group, {})
    return options


def _are_options(options: Any) -> bool:
    """True if a value is groups of options: plain values under names."""
    return isinstance(options, dict) and all(
        isinstance(name, str) and isinstance(group, dict) and _is_plain(group) for name, group in options.items()
    )


def _is_plain(value: Any, depth: int = 8) -> bool:
    """True if a value is a number, text, None, or a list or dict of them."""
    if isinstance(value, dict):
        return depth > 0 and all(isinstance(k, str) and _is_plain(v, depth - 1) for k, v in value.items())
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(each, depth - 1) for each in value)
    return value is None or isinstance(value, str | int | float)


def check_fits(metadata: Mapping[str, Any], path: str, family: str, task: str) -> None:
    """Check that a checkpoint is of a module's family and task.

    Args:
        metadata: see `checkpoint_metadata`.
        path: of the checkpoint, for errors.
        family: the module's.
        task: the module's.

    Raises:
        WeightsError: it is not.
    """
    if metadata["task"] != task:
        raise WeightsError(f"{path} is of a {metadata['task']} model; the configuration asks for {task}.")
    if family_of(metadata) != family:
        raise WeightsError(f"{path} is of family {family_of(metadata)}; the configuration asks for {family}.")
