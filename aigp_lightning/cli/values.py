"""Reads the values of options as YAML, but what is a name for what it is: `#1.jpg` is no comment and no null."""

from __future__ import annotations

import os
import re
from typing import Any

from aigp_lightning.logfiles.safe_yaml import compose

LOADER = "aigp"
"""The name by which jsonargparse knows the loader."""
NULLS = ("null", "Null", "NULL", "~", "")
"""The words of YAML for nothing."""
TO_CHECK = re.compile(r"&|\d{19}|0[xXbB]\w{16}|(:\d+){9}")
"""Texts in which there may be more than they look like: see `compose`."""


def load_value(text: str) -> Any:
    """Read an option's value, or a whole configuration.

    Args:
        text: as it was typed, or stands in a configuration between quotes.

    Returns:
        The value; the text itself if YAML sees only a comment or a label in it, or if a file or folder is named so.

    Raises:
        YAMLError: it is no YAML; jsonargparse takes a single value for text then.

    Example:
        >>> load_value("[1, 2]"), load_value("#1.jpg"), load_value("null"), load_value("a: b")
        ([1, 2], '#1.jpg', None, {'a': 'b'})
        >>> os.mkdir("a: b")
        >>> load_value("a: b")
        'a: b'
    """
    value = _load(text)
    if value is None:
        return None if text.strip() in NULLS else text
    if isinstance(value, list) and "\n" not in text and not text.lstrip().startswith("["):
        return text  # `- a.jpg`, which nobody types for a list
    return text if isinstance(value, list | dict) and os.path.lexists(text) else value


def _load(text: str) -> Any:
    import yaml
    from jsonargparse import get_loader

    try:
        if TO_CHECK.search(text):
            compose(text)
        return get_loader("yaml")(text)
    except (UnicodeEncodeError, TypeError):  # bytes of a file's name that are no text; a lone `?`, a key of no name
        return text
    except yaml.YAMLError:
        if "\\uDC" not in text:
            raise
        return yaml.safe_load(text)  # such bytes as YAML escapes them; the quicker loader refuses that


def add_loader() -> None:
    """Let parsers of jsonargparse's take `LOADER` for their `parser_mode`."""
    import yaml
    from jsonargparse import set_loader

    set_loader(LOADER, load_value, (yaml.YAMLError,))
