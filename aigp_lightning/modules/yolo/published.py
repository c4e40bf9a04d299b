"""Addresses of Ultralytics' published weights, as the installed package has them."""

from __future__ import annotations

import ast
import inspect
from functools import cache

from aigp_lightning.modules.published import Published
from aigp_lightning.modules.source_values import source_of, value_of

RELEASES = "https://github.com/{repository}/releases/download/{release}/{name}"


def published_pt(name: str) -> Published | None:
    """Return the address of a published `.pt`; None where there is none of this name.

    Args:
        name: of the file, such as `yolo11n.pt`.
    """
    repository, release, names = _assets()
    if name not in names:
        return None
    return Published(RELEASES.format(repository=repository, release=release, name=name))


def published_names() -> list[str]:
    """Return the names of all published `.pt` files, sorted."""
    return sorted(name for name in _assets()[2] if name.endswith(".pt"))


@cache
def _assets() -> tuple[str, str, frozenset[str]]:
    """Return repository, release and names: read from the package's source, or else by importing it."""
    try:
        return read_assets()
    except (ValueError, KeyError, TypeError, StopIteration):
        return import_assets()


def read_assets() -> tuple[str, str, frozenset[str]]:
    """Return repository, release and names from the source of Ultralytics; nothing of it is imported.

    Raises:
        ValueError: it is written otherwise than known; KeyError, TypeError and StopIteration say the same.
    """
    body = source_of("ultralytics", "utils/downloads.py").body
    assigned = {
        node.targets[0].id: node.value
        for node in body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    function = next(
        node for node in body if isinstance(node, ast.FunctionDef) and node.name == "attempt_download_asset"
    )
    defaults = function.args.defaults
    named = dict(zip((each.arg for each in function.args.args[-len(defaults) :]), defaults, strict=True))
    repository, names = value_of(assigned["GITHUB_ASSETS_REPO"]), value_of(assigned["GITHUB_ASSETS_NAMES"])
    return str(repository), str(value_of(named["release"])), frozenset(map(str, names))


def import_assets() -> tuple[str, str, frozenset[str]]:
    """Return repository, release and names as Ultralytics has them when it is imported."""
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, GITHUB_ASSETS_REPO, attempt_download_asset

    release = inspect.signature(attempt_download_asset).parameters["release"].default
    return str(GITHUB_ASSETS_REPO), str(release), frozenset(GITHUB_ASSETS_NAMES)
