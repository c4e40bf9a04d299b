"""Pictures of which two models make the most different things, ranked, and drawn side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.images import read_image
from aigp_lightning.errors import DataError
from aigp_lightning.evaluation.outcomes import MISSED, RIGHT, WRONG_CLASS, Outcomes
from aigp_lightning.media.plots.mosaic import Cell, draw_mosaic
from aigp_lightning.terminal.output import print_line

if TYPE_CHECKING:
    from aigp_lightning.media.plots.skeleton import Edges
    from aigp_lightning.modules.metrics.image_results import ImageResults

LONGEST = 640
"""Longer sides of pictures in the mosaic are scaled to this, pixels."""
SIDE_BY_SIDE = 2
"""So many pictures in a row of the mosaic, with two cells each."""
LEFT_OUT = (255, 255, 255)
"""Colour of the outline round an object that a model has missed, with a black rim."""


@dataclass(frozen=True)
class Errors:
    """Errors of a model in a picture at the confidence that counts."""

    missed: int
    wrong_class: int
    false_alarms: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.missed + self.wrong_class + self.false_alarms

    def __str__(self) -> str:
        parts = ((self.missed, "missed"), (self.wrong_class, "wrong class"), (self.false_alarms, "false"))
        return ", ".join(f"{count} {what}" for count, what in parts if count) or "no errors"


@dataclass(frozen=True)
class ChangedPicture:
    """A picture of which two models make different things.

    Attributes:
        file: its path.
        place: among the images of the results.
        a: errors of A.
        b: errors of B.
        changed: objects that became another thing, and by how many the false alarms differ.
        confidence: by how much the confidences of objects differ, summed up.
    """

    file: str
    place: int
    a: Errors
    b: Errors
    changed: int
    confidence: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        sides = {key: {**asdict(errors), "errors": errors.total} for key, errors in (("a", self.a), ("b", self.b))}
        return {"file": self.file, **sides, "changed": self.changed, "confidence": round(self.confidence, 6)}


def changed_pictures(files: Sequence[str], a: Outcomes, b: Outcomes, most: int) -> list[ChangedPicture]:
    """Rank pictures by how much changes from A to B; those in which nothing does are left out.

    What changes is first counted: objects that are right, missed or of a wrong class and were something else before,
    and the false alarms that there are more or fewer. So a picture in which B finds one gate and loses another has
    changed, though it has as many errors as before. Among equals the sum of the changes in confidence decides.

    Args:
        files: path of each image.
        a: objects and detections of A.
        b: the same of B.
        most: so many are returned at most.
    """
    false = [each.detections_by_image(each.false_alarm) for each in (a, b)]
    changed = a.objects_by_image(a.outcome != b.outcome) + np.abs(false[0] - false[1])
    confidence = np.bincount(a.true_image, weights=np.abs(a.score - b.score), minlength=len(files))
    order = np.lexsort((-confidence, -changed))
    kept = [int(place) for place in order if changed[place] or confidence[place]][:most]
    missed = [each.objects_by_image(each.outcome == MISSED) for each in (a, b)]
    wrong = [each.objects_by_image(each.outcome == WRONG_CLASS) for each in (a, b)]

    def errors(side: int, place: int) -> Errors:
        return Errors(int(missed[side][place]), int(wrong[side][place]), int(false[side][place]))

    return [
        ChangedPicture(
            files[place], place, errors(0, place), errors(1, place), int(changed[place]), float(confidence[place])
        )
        for place in kept
    ]


def draw_changes(
    pictures: Sequence[ChangedPicture],
    results: tuple[ImageResults, ImageResults],
    outcomes: tuple[Outcomes, Outcomes],
    edges: Edges = (),
) -> NDArray[np.uint8] | None:
    """Draw each picture twice, side by side: detections of A, and of B; what a model has missed is outlined in white.

    Args:
        pictures: to draw; one that can no longer be read is left out, with a warning.
        results: of A and of B, see `align`.
        outcomes: of both.
        edges: pairs of keypoints that are joined.

    Returns:
        (H, W, 3) uint8 RGB; None where there is nothing to draw.
    """
    cells: list[Cell] = []
    for picture in pictures:
        try:
            image = read_image(picture.file)
        except DataError as error:
            print_line(f"warning: not in the mosaic: {error}", err=True)
            continue
        sides = zip("AB", (picture.a, picture.b), results, outcomes, strict=True)
        cells.extend(_cell(image, picture, *side) for side in sides)
    columns = min(2 * SIDE_BY_SIDE, len(cells))
    return draw_mosaic(cells, results[1].names, edges=edges, columns=columns) if cells else None


def _cell(
    image: NDArray[np.uint8], picture: ChangedPicture, side: str, errors: Errors, results: ImageResults, of: Outcomes
) -> Cell:
    """Return what a model makes of a picture, scaled."""
    import cv2

    gain = min(LONGEST / max(image.shape[:2]), 1.0)
    width, height = (max(round(image.shape[axis] * gain), 1) for axis in (1, 0))
    scale = np.array([width / image.shape[1], height / image.shape[0]], np.float32)
    canvas = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if gain < 1 else image.copy()
    missed = (results.true_image == picture.place) & (of.outcome != RIGHT)
    for box in (results.true_box[missed] * np.tile(scale, 2)).round().astype(int).tolist():
        cv2.rectangle(canvas, box[:2], box[2:], (0, 0, 0), 3)
        cv2.rectangle(canvas, box[:2], box[2:], LEFT_OUT, 1)
    shown = (results.found_image == picture.place) & of.kept
    points = results.found_points[shown] * np.append(scale, np.float32(1))
    return Cell(
        np.asarray(canvas, np.uint8),
        results.found_box[shown] * np.tile(scale, 2),
        results.found_label[shown],
        results.found_score[shown],
        points if points.shape[1] else None,
        f"{side} {Path(picture.file).name}: {errors}",
    )
