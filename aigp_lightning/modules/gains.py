"""Weights of the components of a YOLO's loss."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from aigp_lightning.ranges import NOT_NEGATIVE, check_ranges


@dataclass(frozen=True)
class LossGains:
    """Weights of the loss components.

    Args:
        box: box overlap (CIoU).
        cls: classification.
        dfl: distribution of the box sides; of heads that give each side as one number (YOLO26), its L1 distance.
        dis: likeness to a teacher's feature maps, with `--model.distill_model`.

    Example:
        >>> LossGains(box=5.0).dfl
        1.5
    """

    box: float = 7.5
    cls: float = 0.5
    dfl: float = 1.5
    dis: float = 6.0

    def __post_init__(self) -> None:
        gains = asdict(self)
        check_ranges("--model.gains", gains, dict.fromkeys(gains, NOT_NEGATIVE))
