"""Names of the checkpoints in a run folder; nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path

LAST = Path("weights") / "last.ckpt"
BEST = Path("weights") / "best.ckpt"


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


def resume_hint(folder: Path | None) -> str:
    """Return a sentence that says how to resume a run, starting with a blank; empty where nothing can be resumed.

    Args:
        folder: the run folder; None where there is none yet.
    """
    places = [folder / LAST, folder / BEST] if folder is not None else []
    found = next((path for path in places if path.is_file()), None)
    return f" Then go on with --ckpt_path {found}." if found is not None else ""
