"""Names of images among the words of a command line, which YAML would read as something else."""

from __future__ import annotations

from collections.abc import Sequence

from aigp_lightning.errors import ConfigError

OPTIONS = ("--media.private", "--media.val_files")
NULLS = ("null", "Null", "NULL", "~")


def check_image_options(words: Sequence[str]) -> None:
    """Refuse names of images that would be read as nothing: `#1.jpg` is a comment in YAML, and would name no image.

    Args:
        words: of the command line.

    Raises:
        ConfigError: there is one.
    """
    for before, word in zip(["", *words], words, strict=False):
        option, found, value = word.partition("=") if word.startswith("--") else (before, "=", word)
        named = option.removesuffix("+")
        if named in OPTIONS and found and value.strip() not in ("", *NULLS) and _is_nothing(value):
            raise ConfigError(
                f"{named} {value} would be read as nothing, since `#` begins a comment in YAML and `&` a label. "
                f"Write it as a list with quotes: '[\"{value}\"]', or null for no images."
            )


def _is_nothing(value: str) -> bool:
    """True if YAML reads a text as null."""
    import yaml

    try:
        return yaml.safe_load(value) in (None, "")
    except (yaml.YAMLError, ValueError):
        return False
