"""Outcomes of a scan, image by image, as columns and as records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.polygons import Polygons, join_polygons, no_polygons
from aigp_lightning.data.problems import Problem
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.scan_cache import Columns

Checked = tuple[
    "tuple[int, int] | None", "NDArray[np.int64]", "NDArray[np.float32]", "NDArray[np.float32] | None", Polygons
]
"""Shape of an image, or None where it is set aside; its classes, boxes, keypoints and outlines."""


def records_of(images: Sequence[str], unique: Sequence[str], columns: Columns) -> list[ImageRecord]:
    """Make a record of each usable image; the arrays are views of the columns.

    Args:
        images: files in the order of the split, some perhaps more than once.
        unique: files of the columns.
        columns: outcome of a scan.

    Example:
        >>> checked = (48, 64), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None, no_polygons(1)
        >>> [record.shape for record in records_of(["0.png"], ["0.png"], to_columns([(checked, [])], None))]
        [(48, 64)]
    """
    ends = np.cumsum(columns.count)
    starts, stops = (ends - columns.count).tolist(), ends.tolist()
    shapes, usable = columns.shape.tolist(), columns.usable.tolist()
    cls, boxes, points, polygons = columns.cls, columns.bboxes, columns.keypoints, columns.polygons
    corners = None if polygons is None else polygons.starts
    by_file = {
        file: ImageRecord(
            file,
            (h, w),
            cls[a:b],
            boxes[a:b],
            None if points is None else points[a:b],
            None if polygons is None or corners is None else polygons.part(a, b, corners),
        )
        for file, good, (h, w), a, b in zip(unique, usable, shapes, starts, stops, strict=True)
        if good
    }
    return [by_file[file] for file in images if file in by_file]


def without_labels(checked: Checked) -> Checked:
    """Return no shape and no labels, as of an image that is set aside.

    Args:
        checked: an image.

    Example:
        >>> without_labels(((48, 64), np.zeros(1, np.int64), np.zeros((1, 4), np.float32), None, no_polygons(1)))[0]
    """
    _, cls, boxes, points, _ = checked
    return None, cls[:0], boxes[:0], None if points is None else points[:0], no_polygons()


def to_columns(found: Sequence[tuple[Checked, list[Problem]]], kpt: int | None, *, outlines: bool = False) -> Columns:
    """Join the outcomes of all images to flat arrays.

    Args:
        found: outcome and problems of each.
        kpt: number of keypoints, or None.
        outlines: keep the outlines.

    Example:
        >>> checked = (48, 64), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None, no_polygons(1)
        >>> to_columns([(checked, [])], None).shape.tolist()
        [[48, 64]]
    """
    shapes, cls, bboxes, keypoints, polygons = zip(*(f for f, _ in found), strict=True)
    points = None if kpt is None else np.concatenate([np.zeros((0, kpt, 3), np.float32), *keypoints])
    return Columns(
        usable=np.array([s is not None for s in shapes], np.bool_),
        shape=np.array([s or (0, 0) for s in shapes], np.int64).reshape(-1, 2),
        count=np.array([len(c) for c in cls], np.int64),
        cls=np.concatenate([np.zeros(0, np.int64), *cls]),
        bboxes=np.concatenate([np.zeros((0, 4), np.float32), *bboxes]),
        keypoints=points,
        problems=[problem for _, problems in found for problem in problems],
        polygons=join_polygons(list(polygons)) if outlines else None,
    )
