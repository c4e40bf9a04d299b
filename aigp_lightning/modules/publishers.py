"""Makers of published weights by the ending of their files: light to import, so that `fetch` answers at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aigp_lightning.modules.published import Published


@dataclass(frozen=True)
class Publisher:
    """Those who publish a family's weights.

    Attributes:
        kind: of file, for messages.
        published: returns the address of one, by its name; None for others.
        names: lists those.

    Example:
        >>> PUBLISHERS[".pt"].kind
        'an Ultralytics file'
    """

    kind: str
    published: Callable[[str], Published | None]
    names: Callable[[], list[str]]


def _published_pt(name: str) -> Published | None:
    from aigp_lightning.modules.yolo.published import published_pt

    return published_pt(name)


def _names_of_pt() -> list[str]:
    from aigp_lightning.modules.yolo.published import published_names

    return published_names()


def _published_pth(name: str) -> Published | None:
    from aigp_lightning.modules.rfdetr.published import published_pth

    return published_pth(name)


def _names_of_pth() -> list[str]:
    from aigp_lightning.modules.rfdetr.published import published_names

    return published_names()


PUBLISHERS = {
    ".pt": Publisher("an Ultralytics file", _published_pt, _names_of_pt),
    ".pth": Publisher("an RF-DETR file", _published_pth, _names_of_pth),
}
"""Publishers by the suffix of their files."""
