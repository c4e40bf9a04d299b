"""Boxes as corners or as centre and size, in pixels or as fractions: NumPy arrays and torch tensors alike."""

from __future__ import annotations

from typing import Any, TypeVar

Boxes = TypeVar("Boxes")
"""(n, 4) floating point: an array of NumPy's or a tensor of torch's; what comes back is of the same kind."""


def xywh_to_xyxy(boxes: Boxes) -> Boxes:
    """Convert centre, width and height to left, top, right and bottom.

    Args:
        boxes: (n, 4) cxcywh, in any unit.

    Returns:
        (n, 4) xyxy, in the same unit.

    Example:
        >>> import numpy as np
        >>> xywh_to_xyxy(np.array([[50.0, 40.0, 20.0, 10.0]])).tolist()
        [[40.0, 35.0, 60.0, 45.0]]
    """
    values: Any = boxes
    half = values[:, 2:] / 2
    converted: Boxes = _beside(values[:, :2] - half, values[:, :2] + half)
    return converted


def xyxy_to_xywh(boxes: Boxes) -> Boxes:
    """Convert left, top, right and bottom to centre, width and height.

    Args:
        boxes: (n, 4) xyxy, in any unit.

    Returns:
        (n, 4) cxcywh, in the same unit.

    Example:
        >>> import numpy as np
        >>> xyxy_to_xywh(np.array([[40.0, 35.0, 60.0, 45.0]])).tolist()
        [[50.0, 40.0, 20.0, 10.0]]
    """
    values: Any = boxes
    low, high = values[:, :2], values[:, 2:]
    converted: Boxes = _beside((low + high) / 2, high - low)
    return converted


def to_pixels(boxes: Boxes, shape: tuple[int, int]) -> Boxes:
    """Scale fractions of an image to pixels.

    Args:
        boxes: (n, 4) xyxy or cxcywh, fractions.
        shape: height and width of the image, pixels.

    Example:
        >>> import numpy as np
        >>> to_pixels(np.array([[0.5, 0.5, 0.25, 0.1]]), (100, 200)).tolist()
        [[100.0, 50.0, 50.0, 10.0]]
    """
    values: Any = boxes
    scaled: Boxes = values * _size(values, shape)
    return scaled


def to_fractions(boxes: Boxes, shape: tuple[int, int]) -> Boxes:
    """Scale pixels of an image to fractions of it.

    Args:
        boxes: (n, 4) xyxy or cxcywh, pixels.
        shape: height and width of the image, pixels.

    Example:
        >>> import numpy as np
        >>> to_fractions(np.array([[100.0, 50.0, 50.0, 10.0]]), (100, 200)).tolist()
        [[0.5, 0.5, 0.25, 0.1]]
    """
    values: Any = boxes
    scaled: Boxes = values / _size(values, shape)
    return scaled


def _size(values: Any, shape: tuple[int, int]) -> Any:
    """Return width, height, width, height in the kind, type and place of `values`."""
    import numpy as np

    size = np.array([shape[1], shape[0]] * 2)
    return size.astype(values.dtype) if isinstance(values, np.ndarray) else values.new_tensor(size.tolist())


def _beside(left: Any, right: Any) -> Any:
    """Join two (n, 2) arrays or tensors to (n, 4)."""
    import numpy as np

    if isinstance(left, np.ndarray):
        return np.concatenate((left, right), axis=1)
    import torch

    return torch.cat((left, right), dim=1)
