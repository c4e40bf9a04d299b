"""RF-DETR, by the package `rfdetr` of the extra of that name: the second family of detectors."""

from aigp_lightning.modules.rfdetr.module import RFDETRModule

__all__ = ["RFDETRModule"]
