"""The variants of RF-DETR whose weights are free to use, and what is known of them without the package."""

from __future__ import annotations

from dataclasses import dataclass

from aigp_lightning.data.input_size import STRIDE
from aigp_lightning.data.resizing import LETTERBOX
from aigp_lightning.errors import ConfigError


@dataclass(frozen=True)
class Variant:
    """One network of the package.

    Attributes:
        config: name of its class of settings in `rfdetr.config`.
        model: name of its class in `rfdetr`, which its own files name.
        imgsz: side of the input that its published weights were trained at, pixels.
        patch: side of a patch, pixels.
        windows: windows of attention, along a side.
        layers: layers of its decoder.
        published: file name of its published weights.
        positions: embeddings of positions along a side; 0 for as many as there are patches.
    """

    config: str
    model: str
    imgsz: int
    patch: int
    windows: int
    layers: int
    published: str
    positions: int = 0

    @property
    def stride(self) -> int:
        """Sides of the input are multiples of this, pixels: whole windows of whole patches."""
        return self.patch * self.windows


VARIANTS = {
    "nano": Variant("RFDETRNanoConfig", "RFDETRNano", 384, 16, 2, 2, "rf-detr-nano.pth"),
    "small": Variant("RFDETRSmallConfig", "RFDETRSmall", 512, 16, 2, 3, "rf-detr-small.pth"),
    "medium": Variant("RFDETRMediumConfig", "RFDETRMedium", 576, 16, 2, 4, "rf-detr-medium.pth"),
    "base": Variant("RFDETRBaseConfig", "RFDETRBase", 560, 14, 4, 3, "rf-detr-base.pth", 37),
    "large": Variant("RFDETRLargeConfig", "RFDETRLarge", 704, 16, 2, 4, "rf-detr-large-2026.pth"),
}
"""Variants that the package offers under Apache-2.0. Larger ones are under a licence of their own."""


def variant_of(name: str) -> Variant:
    """Return a variant by its name.

    Args:
        name: such as `nano`.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in VARIANTS:
        raise ConfigError(f"--model.variant {name}: RF-DETR has {', '.join(VARIANTS)}.")
    return VARIANTS[name]


def check_input(name: str, imgsz: int, resize: str) -> None:
    """Refuse a size of the input that is no whole number of a variant's windows.

    Args:
        name: of the variant.
        imgsz: side of the input, pixels.
        resize: `letterbox` or `stretch`.

    Raises:
        ConfigError: it says which sizes near it there are.
    """
    variant = variant_of(name)
    if imgsz % variant.stride or imgsz < 2 * variant.stride:
        below = max(imgsz // variant.stride, 2) * variant.stride
        raise ConfigError(
            f"--data.imgsz is {imgsz}; an RF-DETR {name} looks at patches of {variant.patch} px in {variant.windows} × "
            f"{variant.windows} windows, so it must be a multiple of {variant.stride}, such as {below} or "
            f"{below + variant.stride}{f', and no less than {below}' if imgsz < 2 * variant.stride else ''}."
        )
    if resize == LETTERBOX.name and STRIDE % variant.stride:
        raise ConfigError(
            f"--data.resize letterbox: its rectangles are multiples of {STRIDE} px, and an RF-DETR {name} takes "
            f"multiples of {variant.stride}. Use --data.resize stretch, as it was trained."
        )
