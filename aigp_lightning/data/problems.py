"""Something wrong with a file of a data set, and how a list of such things is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aigp_lightning.errors import printable

SHOWN = 5
"""Problems of one kind that are printed; a file has all."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file of a data set.

    Attributes:
        file: the image, the label file or the list that is wrong.
        line: line in that file, from 1, where it has lines.
        kind: what is wrong, in words that many problems share.
        text: what is wrong with this one.
        fatal: the image was set aside; otherwise the row was mended or dropped.

    Example:
        >>> str(Problem("labels/000.txt", 2, "negative size", "-0.5 cannot be a width or height", fatal=True))
        'labels/000.txt:2 negative size: -0.5 cannot be a width or height'
    """

    file: str
    line: int | None
    kind: str
    text: str
    fatal: bool

    def __str__(self) -> str:
        """Return `file:line kind: text` on one line, whatever the file name holds."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return printable(f"{where} {self.kind}: {self.text}")


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
        files = len({p.file for p in found})
        lines.append(f"  {kind}: {len(found)} in {files} file{'s' * (files != 1)}, {outcome(found[0])}")
        lines += [f"    {p}" for p in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"    … and {len(found) - SHOWN} more")
    return lines
