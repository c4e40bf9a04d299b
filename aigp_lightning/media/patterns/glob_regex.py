"""Turns a glob over paths into a regular expression."""

from __future__ import annotations

import fnmatch
import re
from itertools import groupby

MAGIC = re.compile(r"[*?\[]")


def has_magic(text: str) -> bool:
    """True if a text has a character that means something in a glob.

    Example:
        >>> has_magic("garage/*.jpg"), has_magic("garage/a.jpg")
        (True, False)
    """
    return MAGIC.search(text) is not None


def literal_parts(glob: str) -> list[str]:
    """List the parts of a glob that stand in every path it fits; a quick look for one tells that most do not fit.

    Example:
        >>> literal_parts("garage/**/0[01]*.jpg")
        ['garage', '0', '.jpg']
    """
    return [part for kind, text in _tokens(glob) if kind == "text" and (part := text.strip("/"))]


def glob_regex(glob: str, rooted: bool) -> re.Pattern[str]:
    r"""Compile a glob; the expression matches, in full, a path that fits it or lies below what fits.

    `*` crosses folders, `**/` is zero or more folders, `?` is any character, `[ab]` and `[a-z]` are one of a set,
    `[!ab]` and `[^ab]` one that is not in it. Any character may stand in a path, a line end too.

    Args:
        glob: with forward slashes.
        rooted: it begins where the path begins; otherwise after any `/` of it.

    Example:
        >>> regex = glob_regex("garage/**/*.jpg", rooted=False)
        >>> [bool(regex.fullmatch(path)) for path in ("/data/garage/a.jpg", "/data/garage/x/a.jpg", "/data/a.jpg")]
        [True, True, False]
        >>> bool(glob_regex("/data/*", rooted=True).fullmatch("/data/two\nlines/a.jpg"))
        True
    """
    body = "".join(_PARTS[kind] if kind in _PARTS else _escaped(kind, text) for kind, text in _tokens(glob))
    return re.compile(f"{'' if rooted else '.*/'}{body}(?:/.*)?", re.DOTALL)


_PARTS = {"folders": "(?:.*/)?", "any": ".*", "one": "."}
"""Regular expressions of the tokens that are no text."""


def _escaped(kind: str, text: str) -> str:
    if kind == "text":
        return re.escape(text)
    return fnmatch.translate(f"[!{text[2:]}" if text.startswith("[^") else text)[4:-3]  # without `(?s:` and `)\Z`


def _tokens(glob: str) -> list[tuple[str, str]]:
    """Cut a glob into texts, sets and wildcards; neighbouring ones of a kind are one."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(glob):
        kind, end = _token(glob, at)
        tokens.append((kind, glob[at:end]))
        at = end
    joined: list[tuple[str, str]] = []
    for kind, group in groupby(tokens, key=lambda token: token[0]):
        if kind == "text":
            joined.append((kind, "".join(text for _, text in group)))
        else:
            joined += list(group)[: 1 if kind in ("any", "folders") else None]
    return joined


def _token(glob: str, at: int) -> tuple[str, int]:
    """Return the kind of the token that begins here, and where it ends."""
    if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
        return "folders", at + 3
    if glob[at] == "*":
        return "any", at + 1
    if glob[at] == "?":
        return "one", at + 1
    if glob[at] == "[":
        first = at + 2 if glob.startswith(("!", "^"), at + 1) else at + 1
        if (end := glob.find("]", first + 1)) > 0:  # a bracket that comes first is one of the set
            return "set", end + 1
    return "text", at + 1
