"""The synthetic data set of outlines, and its labels against its pixels."""

from __future__ import annotations

import cv2
import numpy as np

from aigp_lightning.data.synthetic.annotate import label_lines
from aigp_lightning.data.synthetic.draw import compose
from aigp_lightning.data.synthetic.outline import seen_outline


def test_outlines_of_synthetic_gates_are_their_pixels() -> None:
    """Filled in, an outline covers what is seen of its gate: openings are left out, and so is what something hides."""
    size, overlaps, openings = (320, 180), [], 0
    for seed in range(6):
        scene, picture = compose(np.random.default_rng(seed), "segment", background=False, size=size)
        rows = [line.split() for line in label_lines(picture, scene.camera, "segment")]
        gates = [index for index, body in enumerate(picture.bodies) if body.kind == "gate"]
        for row in rows:
            points = np.array(row[1:], np.float64).reshape(-1, 2) * size
            drawn = np.zeros(size[::-1], np.uint8)
            cv2.fillPoly(drawn, [points.astype(np.int32)], 1)
            shares = [
                (drawn.astype(bool) & (picture.owner == index)).sum()
                / max((drawn.astype(bool) | (picture.owner == index)).sum(), 1)
                for index in gates
            ]
            overlaps.append(max(shares))
            filled = cv2.drawContours(
                np.zeros_like(drawn), cv2.findContours(drawn, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], -1, 1, -1
            )
            openings += int(filled.sum() > 1.2 * drawn.sum())
    assert len(overlaps) > 6
    assert np.median(overlaps) > 0.95 and min(overlaps) > 0.75
    assert openings > 2


def test_parts_that_are_apart_are_one_outline() -> None:
    seen = np.zeros((40, 40), bool)
    seen[4:14, 4:14] = seen[24:36, 20:36] = True
    outline = seen_outline(seen)
    assert outline is not None
    drawn = np.zeros((40, 40), np.uint8)
    cv2.fillPoly(drawn, [outline.astype(np.int32)], 1)
    assert (drawn[seen] == 1).all()
    assert drawn[~seen].sum() < 25  # the cut is a line of pixels at this size, and has no width in between
    assert seen_outline(np.zeros((9, 9), bool)) is None
