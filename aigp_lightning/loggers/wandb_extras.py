"""Side channels that wandb can only send in one bundle, sent one by one."""

from __future__ import annotations

import glob
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigp_lightning.loggers.private_names import masked_command
from aigp_lightning.loggers.wandb_options import WandbOptions, public_values
from aigp_lightning.loggers.wandb_sources import code_files, git_patch, machine, without_credentials


def send_extras(run: Any, options: WandbOptions, config: Mapping[str, Any]) -> None:
    """Send what the options ask for and wandb's own settings cannot send alone.

    Args:
        run: an open W&B run.
        options: the group `wandb`.
        config: the whole configuration.
    """
    values: dict[str, Any] = public_values(config) if options.config else {}
    if options.command:
        values["command"] = shlex.join(masked_command(sys.orig_argv))
    if options.machine:
        values["machine"] = machine()
    folder = Path(run.dir)
    if options.git and not run.disabled:
        patch = without_credentials(git_patch(Path.cwd()))
        _save(run, folder, {"diff.patch": patch} if patch else {})
    if options.code and not run.disabled:
        _save(run, folder, _code())
    if values:
        run.config.update(values, allow_val_change=True)


def draw_by_epoch(run: Any) -> None:
    """Have W&B's charts count epochs, for losses, metrics and pictures alike; Lightning asks for optimizer steps.

    Args:
        run: an open W&B run.
    """
    if not run.disabled:
        run.define_metric("epoch")
        run.define_metric("*", step_metric="epoch", step_sync=False, overwrite=True)  # what has no epoch gets none


def _code() -> dict[str, bytes]:
    return {f"code/{name}": without_credentials(path.read_bytes()) for name, path in code_files().items()}


def _save(run: Any, folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        run.save(glob.escape(str(path)), base_path=str(folder), policy="now")
