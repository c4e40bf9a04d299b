"""The table of all settings for docs/coming-from-ultralytics.md, from the table that recipes are converted by."""

from __future__ import annotations

import json
from typing import Any

from aigp_lightning.recipes.key import EARLIER, GROUPS, Key
from aigp_lightning.recipes.ultralytics_keys import KEYS

START, END = "<!-- settings: written by tests/recipes/test_page.py -->", "<!-- end of settings -->"
"""Lines of the page between which the table stands."""


def page_table() -> str:
    """Return the tables of all settings, group by group, in Markdown.

    Example:
        >>> [line for line in page_table().splitlines() if line.startswith("| `lr0`")]
        ['| `lr0` | 0.01 | `--model.optim.lr0` |  |']
    """
    return "\n".join(_table(group) for group in GROUPS)


def _table(group: str) -> str:
    keys = [key for key in KEYS.values() if key.group == group]
    head = f"### {group}\n\n| Ultralytics | its default | here | how |\n|---|---|---|---|\n"
    return head + "".join(f"| `{key.name}` | {_default(key)} | {_option(key)} | {key.note} |\n" for key in keys)


def _default(key: Key) -> str:
    return "" if key.group == EARLIER else _shown(key.default)


def _shown(value: Any) -> str:
    return "none" if value is None else str(value) if isinstance(value, str) else json.dumps(value)


def _option(key: Key) -> str:
    if not key.option:
        return "–"
    of = f" of `{key.verb}`" if key.verb not in ("fit", "") else ""
    return f"`--{key.option}`{of}"
