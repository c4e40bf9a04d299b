"""Addresses of RF-DETR's published weights, as the installed package has them."""

from __future__ import annotations

from aigp_lightning.modules.published import Published
from aigp_lightning.modules.rfdetr.package import module_of_package


def published_pth(name: str) -> Published | None:
    """Return the address of a published `.pth`; None where there is none of this name.

    Args:
        name: of the file, such as `rf-detr-nano.pth`.

    Raises:
        ConfigError: the package, which knows the addresses, is not installed.
    """
    asset = module_of_package("rfdetr.assets.model_weights").ModelWeights.from_filename(name)
    return None if asset is None else Published(str(asset.url), str(asset.md5_hash) if asset.md5_hash else None)


def published_names() -> list[str]:
    """Return the names of all published `.pth` files, sorted."""
    names = module_of_package("rfdetr.assets.model_weights").ModelWeights.list_models()
    return sorted(str(name) for name in names if str(name).endswith(".pth"))
