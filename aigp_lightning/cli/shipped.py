"""Folders that come with the package: configurations and documentation."""

from __future__ import annotations

from pathlib import Path

from aigp_lightning.errors import RunError

PACKAGE = Path(__file__).resolve().parent.parent


def shipped_folder(name: str) -> Path:
    """Return a folder that comes with the package: in it where it was installed, beside it in a checkout.

    Args:
        name: `configs` or `docs`.

    Raises:
        RunError: it is in neither place.

    Example:
        >>> (shipped_folder("configs") / "detector.yaml").is_file()
        True
    """
    places = [PACKAGE / name]
    if (PACKAGE.parent / "pyproject.toml").is_file():  # else something else of this name would lie there
        places.append(PACKAGE.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise RunError(f"the installation has no {name}, which come with the package: pip install --force-reinstall it.")
