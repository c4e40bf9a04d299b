"""Files that a user names for a verb's result, such as `--json FILE`: checked before the work, written after it."""

from __future__ import annotations

from pathlib import Path

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import write_atomic


def check_target(option: str, path: str | None) -> None:
    """Refuse a file to be written at the end that cannot be one.

    Args:
        option: that names it.
        path: of the file; None or `-` for none.

    Raises:
        ConfigError: a folder has this name.
    """
    if path not in (None, "-") and Path(str(path)).is_dir():
        raise ConfigError(f"{option} {path} is a folder; name a file.")


def write_target(option: str, path: Path | str, text: str) -> None:
    """Write a result to the file that the user has named.

    Args:
        option: that names it.
        path: of the file.
        text: its contents.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        write_atomic(Path(path), text.encode("utf-8", errors="backslashreplace"))
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be written: {error.strerror}.") from error
