"""Something wrong with a file of a data set, and how a list of such things is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aigp_lightning.errors import printable

SHOWN = 5
"""Problems of one kind that are printed; a file has all."""
BOX_OUTSIDE, GONE = "box partly out of the picture", "box out of the picture"
OBJECT_OUTSIDE, POINT_OUTSIDE = "object out of the picture", "keypoint out of the picture"
BESIDE, MISPLACED, ORPHAN = "label beside its image", "label not looked for", "label without an image"
OTHER_FORMAT = "annotation of another format"
LISTED_TWICE, IN_TWO_SPLITS, SHARED = "image listed more than once", "image in two splits", "label file of two images"
SENTENCES = {
    BOX_OUTSIDE: ("box in {} reaches out of the picture", "boxes in {} reach out of the picture"),
    GONE: ("box in {} lies outside of the picture", "boxes in {} lie outside of the picture"),
    OBJECT_OUTSIDE: ("object in {} reaches out of the picture", "objects in {} reach out of the picture"),
    POINT_OUTSIDE: ("object in {} has keypoints out of the picture", "objects in {} have keypoints out of the picture"),
    BESIDE: (
        "image has a label file beside it that is not the one looked for",
        "images have a label file beside them that is not the one looked for",
    ),
    MISPLACED: (
        "label file lies or is spelled otherwise than it is looked for",
        "label files lie or are spelled otherwise than they are looked for",
    ),
    ORPHAN: ("label file has no image", "label files have no image"),
    OTHER_FORMAT: (
        "image without a label has an annotation of another format",
        "images without a label have an annotation of another format",
    ),
    LISTED_TWICE: ("image is listed more than once", "images are listed more than once"),
    IN_TWO_SPLITS: ("image is in two splits", "images are in two splits"),
    SHARED: ("label file belongs to more than one image", "label files belong to more than one image"),
}
"""Kinds that are told in a sentence: of one and of several, {} being the number of images."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file of a data set.

    Attributes:
        file: the image, the label file or the list that is wrong.
        line: line in that file, from 1, where it has lines.
        kind: what is wrong, in words that many problems share.
        text: what is wrong with this one.
        fatal: the image was set aside; otherwise the row was mended or dropped.
        outcome: what became of it, where that is neither "set aside" nor "mended".

    Example:
        >>> str(Problem("labels/000.txt", 2, "negative size", "-0.5 cannot be a width or height", fatal=True))
        'labels/000.txt:2 negative size: -0.5 cannot be a width or height'
    """

    file: str
    line: int | None
    kind: str
    text: str
    fatal: bool
    outcome: str = ""

    def __str__(self) -> str:
        """Return `file:line kind: text` on one line, whatever the file name holds."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return printable(f"{where} {self.kind}: {self.text}")

    @property
    def became(self) -> str:
        """What became of it, in a word or a few."""
        return self.outcome or ("set aside" if self.fatal else "mended")


def problem_lines(problems: Sequence[Problem], outcome: Callable[[Problem], str]) -> list[str]:
    r"""Tell for every kind of problem how many there are, and the first few with file and line; fatal ones first.

    Args:
        problems: of any kind.
        outcome: tells what became of one, such as "mended".

    Example:
        >>> problems = [Problem("000.txt", line, "duplicate row", "same as line 1, dropped", False) for line in (2, 3)]
        >>> print(*problem_lines(problems, lambda problem: "mended"), sep="\n")
          duplicate row: 2 in 1 file, mended
            000.txt:2 duplicate row: same as line 1, dropped
            000.txt:3 duplicate row: same as line 1, dropped
    """
    kinds: dict[tuple[str, bool], list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind, problem.fatal].append(problem)
    lines = []
    for (kind, _), found in sorted(kinds.items(), key=lambda item: (not item[0][1], -len(item[1]))):
        lines.append(f"  {_head(kind, len(found), len({p.file for p in found}), outcome(found[0]))}")
        lines += [f"    {p}" for p in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"    … and {len(found) - SHOWN} more")
    return lines


def _head(kind: str, count: int, files: int, outcome: str) -> str:
    """Write how many problems of a kind there are, in how many files, and what became of them."""
    if kind not in SENTENCES:
        return f"{kind}: {count} in {files} file{'s' * (files != 1)}, {outcome}"
    images = f"{files} image{'s' * (files != 1)}"
    return f"{count} {SENTENCES[kind][count != 1].format(images)}: {outcome}"
