"""Finds keypoint labels that can be read and yet make no sense: a corner order that differs, a wrong mirror order.

Nothing is set aside for it. A label file that cannot be read is another matter: see `labels` and `scan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data import keypoint_checks as checks
from aigp_lightning.data.images import label_path
from aigp_lightning.data.keypoint_table import KeypointTable, keypoint_table
from aigp_lightning.data.label_bounds import Outside
from aigp_lightning.data.label_values import MAX_VISIBILITY
from aigp_lightning.data.labels import object_lines
from aigp_lightning.data.problems import Problem, problem_lines
from aigp_lightning.data.targets.facing import size_findings
from aigp_lightning.data.targets.keypoint_order import mirror_findings, order_findings
from aigp_lightning.data.targets.object_points import OBJECT_POINTS
from aigp_lightning.errors import printable
from aigp_lightning.types import Keypoints

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec
    from aigp_lightning.data.records import ImageRecord

SIDEWAYS = 0.4
"""Of a unit vector: from here on it is called top or bottom, left or right."""
MIRRORS = (("flip_idx", "left to right"), ("flip_idx_vertical", "upside down"))
Finding = tuple[int, str, str]
"""Object, kind of problem, text."""


@dataclass
class LintResult:
    """The outcome of a check of one split's keypoints.

    Attributes:
        split: name of the split.
        objects: labelled objects in it.
        problems: by kind, each with its file and line; none is fatal.

    Example:
        >>> print(LintResult("val", 4, [Problem("000.txt", 1, "corner order", "they run clockwise", False)]).summary())
        val keypoints: 4 objects, 1 problem
          corner order: 1 in 1 file, kept
            000.txt:1 corner order: they run clockwise
    """

    split: str
    objects: int
    problems: list[Problem]

    def summary(self) -> str:
        """Tell how many objects were checked, then for every kind of problem how many, and the first few."""
        if not self.problems:
            return f"{self.split} keypoints: {self.objects} objects, no problems"
        count = len(self.problems)
        head = f"{self.split} keypoints: {self.objects} objects, {count} problem{'s' * (count != 1)}"
        return "\n".join([head, *map(printable, problem_lines(self.problems, lambda _: "kept"))])


def lint(
    split: str,
    records: Sequence[ImageRecord],
    spec: DataSpec,
    *,
    thorough: bool = False,
    outside: Outside = "clip",
) -> LintResult:
    """Check the keypoints of a split.

    Args:
        split: its name.
        records: its images, scanned with keypoints.
        spec: the data set.
        thorough: also name objects without a single labelled keypoint, which many data sets have on purpose.
        outside: the option with which they were scanned.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.data.data_yaml import read_data_yaml
        >>> from aigp_lightning.data.scan import scan_split
        >>> from aigp_lightning.data.synthetic import MakeDataOptions, make_data
        >>> folder = tempfile.mkdtemp(dir=".")
        >>> options = MakeDataOptions(folder, "pose", train=4, val=1, test=0, imgsz=(64, 64), workers=1)
        >>> spec = read_data_yaml(make_data(options, progress=False))
        >>> scan = scan_split(spec, "train", pose=True, progress=False)
        >>> lint("train", scan.records, spec).problems
        []
    """
    assert spec.keypoints is not None
    objects = keypoint_table(records, spec.keypoints)
    whole, single = order_findings(objects, spec)
    findings = [*_rings(objects), *single, *_outside(objects)]
    if thorough:
        none = np.flatnonzero((objects.labels[..., 2] == 0).all(1))
        findings += [(i, "no keypoint", "not one keypoint of this object is labelled") for i in none.tolist()]
    general = [*size_findings(spec), *whole, *_no_ring(objects, spec)]
    if not whole:  # nothing follows from points that are wrong; from right ones more than from labels on average
        general += (contradicted := list(mirror_findings(spec)))
        said = {each.kind for each in contradicted}
        general += [found for found in _mirrors(objects, spec) if found.kind not in said]
    return LintResult(split, len(objects.image), [*general, *_located(findings, objects, outside)])


def propose_mirror(records: Sequence[ImageRecord], keypoints: Keypoints, axis: int) -> tuple[int, ...] | None:
    """Propose the mirror order that the labels themselves suggest, if they clearly do.

    Args:
        records: of a scan with keypoints.
        keypoints: number and names of an object's keypoints.
        axis: 0 for left-right, 1 for upside-down.

    Example:
        >>> from aigp_lightning.data.records import ImageRecord
        >>> corners = np.array([[0.4, 0.4, 2], [0.6, 0.4, 2], [0.6, 0.6, 2], [0.4, 0.6, 2]], np.float32)
        >>> box = np.array([[0.5, 0.5, 0.2, 0.2]], np.float32)
        >>> records = [ImageRecord(f"{i}.jpg", (64, 64), np.zeros(1, np.int64), box, corners[None]) for i in range(5)]
        >>> propose_mirror(records, Keypoints(4, 3, ("0", "1", "2", "3")), axis=0)
        (1, 0, 3, 2)
    """
    places = keypoint_table(records, keypoints).layout
    return None if places is None else checks.mirror_that_fits(places, axis, None)


def _goes_round(keypoints: Keypoints) -> bool:
    """True if the keypoints are four corners in order."""
    ring = {frozenset((place, (place + 1) % 4)) for place in range(4)}
    return keypoints.count == len(ring) and {frozenset(edge) for edge in keypoints.edges} == ring


def _crossings(objects: KeypointTable) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Find the objects whose four corners make a bow tie: lines between neighbouring corners cross.

    Returns:
        Numbers (n,) of the objects that can be judged: all four corners are labelled, and the object is not seen
        edge-on; and bool (n,), True for those that are bow ties.
    """
    if not _goes_round(objects.keypoints):
        return np.zeros(0, np.int64), np.zeros(0, np.bool_)
    index = np.flatnonzero(objects.complete)
    index = index[~checks.thin(objects.points[index])]
    return index, checks.crossed(objects.points[index])


def _no_ring(objects: KeypointTable, spec: DataSpec) -> Iterator[Problem]:
    """Report once for the data set that its corner order is no ring, if the corners of most objects make a bow tie."""
    index, crossed = _crossings(objects)
    if 2 * crossed.sum() > len(index):
        text = (
            f"in {crossed.sum()} of {len(index)} objects the lines 0-1-2-3-0 cross; write the corners in order round "
            "the object, or the lines that there are as 'skeleton'"
        )
        yield Problem(str(spec.file), _yaml_line(spec, "kpt_shape"), "corners not in a ring", text, False)


def _rings(objects: KeypointTable) -> Iterator[Finding]:
    """Find objects whose four corners go round otherwise than most."""
    index, crossed = _crossings(objects)
    if 2 * crossed.sum() > len(index):
        return
    for i in index[crossed].tolist():
        yield i, "corners cross", "the lines 0-1-2-3-0 cross; write the corners in order round the object"
    index = index[~crossed]
    turns = checks.clockwise(objects.points[index])
    most = bool(2 * turns.sum() >= len(index))
    ways = ("counter-clockwise", "clockwise")
    text = f"corners run {ways[not most]}, but those of {(turns == most).sum()} of {len(index)} objects {ways[most]}"
    for i in index[turns != most].tolist():
        yield i, "corner order", text
    index = index[turns == most]
    odd, rule = checks.first_corners(objects.points[index])
    named = f"keypoint 0 ({objects.keypoints.names[0]})"
    text = f"{named} lies elsewhere than {_side(rule)}, where {(~odd).sum()} of {len(index)} objects have it"
    for i in index[odd].tolist():
        yield i, "first corner", text


def _side(direction: NDArray[np.float64]) -> str:
    """Write a direction, x and y of a unit vector, in words."""
    words = [(("top", "bottom"), direction[1]), (("left", "right"), direction[0])]
    return " ".join(pair[int(far > 0)] for pair, far in words if abs(far) > SIDEWAYS)


def _outside(objects: KeypointTable) -> Iterator[Finding]:
    """Find visible keypoints outside of their object's box."""
    seen = objects.labels[..., 2] >= (MAX_VISIBILITY if objects.keypoints.numbers > 2 else 1)  # noqa: PLR2004
    distance = checks.outside_box(objects.points, seen, objects.boxes)
    for i in np.flatnonzero(distance.any(1)).tolist():
        k = int(distance[i].argmax())
        more = int((distance[i] > 0).sum()) - 1
        others = f", and {more} more" if more else ""
        text = f"keypoint {k} ({objects.keypoints.names[k]}) is {distance[i, k]:.0f} pixels outside of the box{others}"
        yield i, "keypoint outside its box", text


def _mirrors(objects: KeypointTable, spec: DataSpec) -> Iterator[Problem]:
    """Find mirror orders that do not fit the labels."""
    keypoints, places = objects.keypoints, objects.layout
    for axis, given in enumerate((keypoints.flip_idx, keypoints.flip_idx_vertical)):
        if given is None or places is None:
            continue
        better = checks.mirror_that_fits(places, axis, given)
        if better is None:
            continue
        key, way = MIRRORS[axis]
        line = _yaml_line(spec, key)
        source = "flip_idx" if keypoints.points is None else OBJECT_POINTS
        origin = "" if line is not None else f" (taken from {source}, since it is not written)"
        text = f"{list(given)}{origin} does not fit the labels mirrored {way}; write {key}: {list(better)}"
        yield Problem(str(spec.file), line or _yaml_line(spec, "flip_idx"), f"wrong {key}", text, False)


def _yaml_line(spec: DataSpec, key: str) -> int | None:
    """Return the line of a key in data.yaml, or None."""
    from aigp_lightning.data.yaml_document import Document

    return Document(spec.file).lines.get(key)


def _located(findings: Sequence[Finding], objects: KeypointTable, outside: Outside) -> list[Problem]:
    """Make problems of findings, with their files and lines, for which each file is read once more."""
    places: dict[int, list[int]] = {}
    shape = (objects.keypoints.count, objects.keypoints.numbers)
    problems = []
    for index, kind, text in findings:
        image = int(objects.image[index])
        record = objects.records[image]
        file = label_path(record.im_file)
        if image not in places:
            places[image] = object_lines(file, shape, outside)
        lines = places[image]
        # Another number of objects: the file has changed since the scan.
        line = lines[objects.place(index)] if len(lines) == len(record.cls) else None
        problems.append(Problem(file, line, kind, text, False))
    return problems
