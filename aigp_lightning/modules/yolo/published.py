"""Addresses of Ultralytics' published weights, as the installed package has them."""

from __future__ import annotations

import inspect

from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, GITHUB_ASSETS_REPO, attempt_download_asset

from aigp_lightning.modules.published import Published

RELEASES = "https://github.com/{repository}/releases/download/{release}/{name}"


def published_pt(name: str) -> Published | None:
    """Return the address of a published `.pt`; None where there is none of this name.

    Args:
        name: of the file, such as `yolo11n.pt`.
    """
    if name not in GITHUB_ASSETS_NAMES:
        return None
    release = inspect.signature(attempt_download_asset).parameters["release"].default
    return Published(RELEASES.format(repository=GITHUB_ASSETS_REPO, release=release, name=name))


def published_names() -> list[str]:
    """Return the names of all published `.pt` files, sorted."""
    return sorted(name for name in GITHUB_ASSETS_NAMES if name.endswith(".pt"))
