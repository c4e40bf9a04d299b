"""The synthetic gate and obstacle world: a true-size gate seen by the true camera, written as YOLO data sets."""

from aigp_lightning.data.synthetic.options import CLASSES, MakeDataOptions
from aigp_lightning.data.synthetic.writer import make_data

__all__ = ["CLASSES", "MakeDataOptions", "make_data"]
