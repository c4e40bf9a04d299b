"""The numbers that make an RF-DETR: of its network, and the weights of its losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aigp_lightning.errors import WeightsError, first_line
from aigp_lightning.modules.rfdetr.variants import VARIANTS
from aigp_lightning.ranges import NOT_NEGATIVE, check_ranges

LARGEST = {
    "classes": 20_000,
    "imgsz": 16_384,
    "positions": 1024,
    "decoder_layers": 100,
    "queries": 10_000,
    "groups": 100,
}
"""The largest numbers of a description; none has more than some hundred million parameters."""


@dataclass(frozen=True)
class Description:
    """The numbers from which a network is built, whatever its weights.

    Args:
        variant: see `VARIANTS`.
        classes: classes of the data set; the head has a row more, which is of none.
        imgsz: side of the input that it is built for, pixels; it takes others.
        positions: embeddings of positions along a side; by them those of other sizes are interpolated.
        decoder_layers: layers of the decoder.
        queries: objects that it can find in an image.
        groups: groups of queries that are trained; one of them is used after training.
    """

    variant: str
    classes: int
    imgsz: int
    positions: int
    decoder_layers: int
    queries: int = 300
    groups: int = 13

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Description:
        """Read the description from a checkpoint.

        Raises:
            WeightsError: it is none.
        """
        try:
            numbers = {name: int(values[name]) for name in cls.__dataclass_fields__ if name != "variant"}
            return cls(str(values["variant"]), **numbers).checked()
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            why = first_line(error)
            raise WeightsError(f"this checkpoint is damaged: its description of an RF-DETR is none: {why}.") from error

    def checked(self) -> Description:
        """Return the description if a network of its size can be: a file may say anything.

        Raises:
            ValueError: it cannot.
        """
        if self.variant not in VARIANTS:
            raise ValueError(f"there is no variant {self.variant}")
        for name, largest in LARGEST.items():
            if not 1 <= getattr(self, name) <= largest:
                raise ValueError(f"{name} {getattr(self, name)}: from 1 to {largest} are possible")
        if self.imgsz % VARIANTS[self.variant].stride:
            raise ValueError(f"imgsz {self.imgsz} is no multiple of {VARIANTS[self.variant].stride}")
        return self

    def state(self) -> dict[str, Any]:
        """Return the description as plain values."""
        return asdict(self)


@dataclass
class DetrGains:
    """Weights of RF-DETR's loss components; the defaults are the package's own.

    Args:
        cls: of the classification loss.
        bbox: of the boxes' L1 loss.
        giou: of the boxes' generalized IoU loss.
        aux: of all losses of the decoder's layers before the last, relative to those of the last.
        encoder: of all losses of the encoder's proposals, relative to those of the last layer.
    """

    cls: float = 1.0
    bbox: float = 5.0
    giou: float = 2.0
    aux: float = 1.0
    encoder: float = 1.0

    def __post_init__(self) -> None:
        check_ranges("--model.gains", self, dict.fromkeys(("cls", "bbox", "giou", "aux", "encoder"), NOT_NEGATIVE))
