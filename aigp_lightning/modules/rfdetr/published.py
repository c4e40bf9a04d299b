"""Addresses of RF-DETR's published weights, as the installed package has them."""

from __future__ import annotations

import ast
from functools import cache

from aigp_lightning.modules.published import Published
from aigp_lightning.modules.rfdetr.package import NAME, check_installed, module_of_package
from aigp_lightning.modules.source_values import source_of, value_of

FIELDS = ("filename", "url", "md5_hash")
"""Values of an entry of the package, in its order."""


def published_pth(name: str) -> Published | None:
    """Return the address of a published `.pth`; None where there is none of this name.

    Args:
        name: of the file, such as `rf-detr-nano.pth`.

    Raises:
        ConfigError: the package, which knows the addresses, is not installed.
    """
    return _assets().get(name)


def published_names() -> list[str]:
    """Return the names of all published `.pth` files, sorted.

    Raises:
        ConfigError: the package, which knows them, is not installed.
    """
    return sorted(name for name in _assets() if name.endswith(".pth"))


@cache
def _assets() -> dict[str, Published]:
    """Return the files by name: read from the package's source, or else by importing it."""
    check_installed()
    try:
        return read_assets()
    except (ValueError, KeyError, TypeError, StopIteration):
        return import_assets()


def read_assets() -> dict[str, Published]:
    """Return the files by name from the source of the package; nothing of it is imported.

    Raises:
        ValueError: it is written otherwise than known; KeyError, TypeError and StopIteration say the same.
    """
    body = source_of(NAME, "assets/model_weights.py").body
    table = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == "ModelWeights")
    calls = [node.value for node in table.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    found = {}
    for call in calls:
        entry = dict(zip(FIELDS, map(value_of, call.args), strict=False))
        entry |= {str(each.arg): value_of(each.value) for each in call.keywords}
        found[str(entry["filename"])] = _published(entry["url"], entry.get("md5_hash"))
    if not found:
        raise ValueError("no entries")
    return found


def import_assets() -> dict[str, Published]:
    """Return the files by name as the package has them when it is imported."""
    members = list(module_of_package(f"{NAME}.assets.model_weights").ModelWeights)
    return {str(member.filename): _published(member.url, member.md5_hash) for member in members}


def _published(url: object, md5: object) -> Published:
    return Published(str(url), str(md5) if md5 else None)
