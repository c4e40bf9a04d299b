"""RF-DETR, by the package `rfdetr` of the extra of that name: the second family of detectors."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigp_lightning.modules.rfdetr.module import RFDETRModule

__all__ = ["RFDETRModule"]


def __getattr__(name: str) -> Any:
    """Import the module's class when it is asked for: `fetch` reads the addresses in this room without torch.

    Raises:
        AttributeError: there is nothing else of this name.
    """
    if name != "RFDETRModule":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from aigp_lightning.modules.rfdetr.module import RFDETRModule

    return RFDETRModule
