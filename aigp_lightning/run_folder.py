"""Where a run keeps its files: chosen once, on the first process, for all of them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from aigp_lightning.errors import ConfigError

ENV_FOLDER = "AIGP_RUN_FOLDER"
"""How the first process tells the ones it starts which folder it chose."""
CONFIG_FILE = "config.yaml"
RUN_FILE = "run.json"
"""Who the run is elsewhere: its W&B id."""
LAST = Path("weights") / "last.ckpt"


@dataclass
class RunConfig:
    """Where the run keeps its files.

    Args:
        name: folder of the run, `<root>/<task>/<name>`; a number is added when it exists.
        root: folder of all runs.
        exist_ok: write into the folder if it exists, instead of adding a number.
        json: also write the final metrics, with `imgsz` and the number of images, to this JSON file.
    """

    name: str = "gates"
    root: str = "runs"
    exist_ok: bool = False
    json: str | None = None


def claim(parent: Path, name: str, exist_ok: bool, options: tuple[str, str] = ("--run.name", "--run.root")) -> Path:
    """Make a folder that nobody else has: `name`, else `name-2`, `name-3` and so on.

    Making it is the claim, so two runs started at once get two folders.

    Args:
        parent: of the folder.
        name: of the folder.
        exist_ok: take it if it exists.
        options: that choose the name and the parent, for errors.

    Raises:
        ConfigError: the name is no folder name, or nothing can be written there.
    """
    if not name or name in (".", "..") or Path(name).name != name:
        raise ConfigError(f"{options[0]} {name!r} must be a plain folder name; {options[1]} says where.")
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True, exist_ok=exist_ok)
            return folder
        except FileExistsError:
            if exist_ok:
                raise ConfigError(f"{folder} is a file; a run needs a folder. Choose another {options[0]}.") from None
            number += 1
        except OSError as error:
            raise ConfigError(
                f"cannot make the run folder {folder}: {error.strerror}. {options[1]} chooses."
            ) from error


def find_last(parent: Path, name: str) -> Path:
    """The newest `weights/last.ckpt` among the runs of this name.

    Raises:
        ConfigError: there is none.
    """
    runs = [parent / name, *parent.glob(f"{name}-*")]
    found = [run / LAST for run in runs if (run / LAST).is_file()]
    if not found:
        raise ConfigError(
            f"--ckpt_path last: no run named {name} in {parent} has a {LAST}. Name the checkpoint itself."
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def folder_of(ckpt: Path) -> Path | None:
    """The run folder that a checkpoint lies in, if it lies in one."""
    return ckpt.parent.parent if ckpt.parent.name == LAST.parent.name else None


def choose(config: RunConfig, task: str, resume: str | None, first: bool) -> Path:
    """Choose the run's folder.

    Args:
        config: what the user asked for.
        task: `detect` or `pose`; runs are kept apart by it.
        resume: checkpoint that a resumed run goes on from; it goes on in the same folder.
        first: whether this is the process that chooses. The others are told: by the environment when the first one
            started them, or by `SyncFolder` when they were started beside it.
    """
    parent = Path(config.root) / task
    if not first:
        return Path(os.environ.get(ENV_FOLDER, parent / config.name))
    folder = folder_of(Path(resume)) if resume else None
    if folder is None:
        folder = claim(parent, config.name, config.exist_ok)
    os.environ[ENV_FOLDER] = str(folder.resolve())
    return folder.resolve()


def discard_unused() -> None:
    """Remove the folder that this process chose if the run never got as far as a result of its own."""
    folder = Path(os.environ.get(ENV_FOLDER, ""))
    empty = {CONFIG_FILE, RUN_FILE, "tensorboard", "wandb"}
    if folder.name and folder.is_dir() and {path.name for path in folder.iterdir()} <= empty:
        shutil.rmtree(folder, ignore_errors=True)
