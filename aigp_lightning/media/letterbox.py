"""Finds the picture within the grey of its letterbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def inside_letterbox(item: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """Return where in an item's image the picture is, without the grey around it; None if there is no grey.

    Args:
        item: `image`, `ori_shape` and `ratio_pad` as in a batch; one without them has no letterbox.

    Example:
        >>> import numpy as np
        >>> image = np.zeros((128, 192, 3), np.uint8)
        >>> inside_letterbox({"image": image, "ori_shape": (90, 160), "ratio_pad": ((1.0, 1.0), (16.0, 19.0))})
        (19, 16, 109, 176)
    """
    if "ratio_pad" not in item or "ori_shape" not in item:
        return None
    (gain_h, gain_w), (left, top) = item["ratio_pad"]
    rows, columns = item["image"].shape[:2]
    low = max(round(top), 0), max(round(left), 0)
    high = (min(low[0] + round(item["ori_shape"][0] * gain_h), rows),
            min(low[1] + round(item["ori_shape"][1] * gain_w), columns))  # fmt: skip
    whole = low == (0, 0) and high == (rows, columns)
    return None if whole or high[0] <= low[0] or high[1] <= low[1] else (*low, *high)
