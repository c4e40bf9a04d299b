"""Checks of a resumed run, which keeps the length that its schedule is laid out over, and its optimizer's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aigp_lightning.checkpoints.schema import METADATA
from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.modules.rfdetr.optim import OptimConfig
from aigp_lightning.modules.run_length import PLAN, RunLength, check_length
from aigp_lightning.run.lightning_internals import epoch_progress


def resumed_length(
    checkpoint: Mapping[str, Any], optim: OptimConfig, epochs: int, extend: bool
) -> tuple[RunLength, int]:
    """Return the length of the run that a checkpoint is of, and how many epochs of it were trained.

    Args:
        checkpoint: of ours, checked.
        optim: settings of the optimizer now.
        epochs: of the trainer.
        extend: whether the run may become longer than it was planned.

    Raises:
        ConfigError: the run cannot go on with these options.
        WeightsError: a run cannot be resumed from this checkpoint.
    """
    progress, ours = epoch_progress(checkpoint), checkpoint[METADATA]
    if progress is None or not progress.whole:
        raise WeightsError(
            "this checkpoint was written within an epoch, by a callback; a run is resumed from the end of one. A new "
            "run can begin from its weights, with --model.weights."
        )
    plan = ours.get(PLAN)
    length = RunLength.read(plan if isinstance(plan, dict) else {})
    check_length(length.end, progress.trained, epochs, extend)
    before, now = ours.get("optim"), asdict(optim)
    before = before if isinstance(before, dict) else {}
    changed = [key for key in now if key in before and before[key] != now[key]]
    if changed:
        differing = ", ".join(f"--model.optim.{key} {now[key]} (was {before[key]})" for key in changed)
        raise ConfigError(f"{differing}: a resumed run keeps its optimizer. Resume with what it was begun with.")
    return length, progress.trained
