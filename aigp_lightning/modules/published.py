"""Weights that a family's makers publish: their addresses, as its package tells them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published weights file.

    Attributes:
        url: from where it can be fetched.
        md5: of its bytes, hexadecimal, where the makers tell it.

    Example:
        >>> Published("https://example.com/best.pt").md5 is None
        True
    """

    url: str
    md5: str | None = None
