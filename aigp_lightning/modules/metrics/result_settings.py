"""Options of data and module by which the figures of a validation come out as they do, and where two differ in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

DATA = ("imgsz", "batch_size", "rect", "resize", "single_cls", "outside")
"""Options of the data."""
MASKS = ("mask_ratio", "overlap_mask")
"""Options of the data by which labelled masks are drawn; kept where masks are judged."""
INFERENCE = ("conf", "iou", "max_det", "agnostic_nms", "tta", "nms_free")
"""Arguments of modules: from the network's outputs to detections."""
ALARMS = ("predict_conf",)
"""Arguments of modules by which false alarms in empty pictures are counted; results of earlier versions name none."""
OFF = {"agnostic_nms": False, "tta": False, "nms_free": False}
"""Values of options that results of earlier versions do not name, and modules without the option."""


def differing_settings(
    one: Mapping[str, Any], other: Mapping[str, Any], names: Sequence[str]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the settings in which two evaluations differ, with both values; None where one does not name it.

    Args:
        one: settings of the one.
        other: settings of the other.
        names: of the settings that are compared.

    Example:
        >>> list(differing_settings({"conf": 0.001, "tta": True}, {"conf": 0.001}, INFERENCE))
        [('tta', True, False)]
    """
    for name in names:
        values = tuple(settings.get(name, OFF.get(name)) for settings in (one, other))
        if values[0] != values[1]:
            yield name, *values
