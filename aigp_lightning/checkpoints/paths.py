"""Names of the checkpoints in a run folder; nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path

from aigp_lightning.files import shell_quoted

LAST = Path("weights") / "last.ckpt"
BEST = Path("weights") / "best.ckpt"


def epoch_checkpoint(trained: int) -> Path:
    """Return the place, in a run folder, of the checkpoint that is kept after so many epochs.

    Args:
        trained: epochs.

    Example:
        >>> epoch_checkpoint(10).name
        'epoch10.ckpt'
    """
    return LAST.parent / f"epoch{trained}.ckpt"


def run_folder_of(checkpoint: Path) -> Path | None:
    """Return the run folder that a checkpoint lies in, if it lies in one.

    Args:
        checkpoint: path of the checkpoint.

    Example:
        >>> run_folder_of(Path("runs/detect/gates/weights/best.ckpt")).name
        'gates'
        >>> run_folder_of(Path("best.ckpt")) is None
        True
    """
    return checkpoint.parent.parent if checkpoint.parent.name == LAST.parent.name else None


def best_in(folder: Path) -> Path | None:
    """Return the best checkpoint in a run folder, in its `weights/` or in a folder of the store; None where none is.

    Args:
        folder: perhaps one of these.

    Example:
        >>> best_in(Path("runs/detect/no_such_run")) is None
        True
    """
    return next((path for path in (folder / BEST, folder / BEST.name) if path.is_file()), None)


def resume_hint(folder: Path | None) -> str:
    """Return a sentence that says how to resume a run, starting with a blank; empty where nothing can be resumed.

    It ends with the path, quoted for a shell and without a full stop, so that it can be copied.

    Args:
        folder: the run folder; None where there is none yet.
    """
    places = [folder / LAST, folder / BEST] if folder is not None else []
    found = next((path for path in places if path.is_file()), None)
    return f" To go on then: the same command with {resume_option(found)}" if found is not None else ""


def resume_option(place: Path) -> str:
    """Return the option of `fit` that resumes a run, as a shell takes it.

    Args:
        place: a checkpoint, or a run folder without one.
    """
    return f"--ckpt_path {shell_quoted(place.absolute())}"
